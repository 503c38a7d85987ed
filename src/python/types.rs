//! The names of pointer targets, each with a number so that a call compares numbers.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::model::pointer_to;

/// A canonical C type, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TypeId(u32);

impl TypeId {
    /// `void`: compatible with every object pointer.
    pub const VOID: TypeId = TypeId(0);

    /// The number of a canonical spelling.
    pub fn of(canonical: &str) -> Self {
        let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
        let table = table.get_or_insert_with(Table::default);
        if let Some(id) = table.ids.get(canonical) {
            return *id;
        }
        let id = TypeId(table.names.len() as u32);
        table.names.push(canonical.to_owned());
        table.ids.insert(canonical.to_owned(), id);
        id
    }

    /// The number itself.
    pub fn number(self) -> u32 {
        self.0
    }

    /// The canonical spelling.
    pub fn name(self) -> String {
        let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
        let table = table.get_or_insert_with(Table::default);
        table.names[self.0 as usize].clone()
    }

    /// The pointer to this type, as C writes it.
    pub fn pointer_name(self) -> String {
        pointer_to(&self.name())
    }
}

static TABLE: Mutex<Option<Table>> = Mutex::new(None);

struct Table {
    names: Vec<String>,
    ids: HashMap<String, TypeId>,
}

impl Default for Table {
    fn default() -> Self {
        let void = "void".to_owned();
        Self { names: vec![void.clone()], ids: HashMap::from([(void, TypeId::VOID)]) }
    }
}
