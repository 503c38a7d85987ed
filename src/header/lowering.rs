//! The walk over a translation unit, from clang's entities to the model.

use std::collections::HashMap;

use clang::{Entity, EntityKind, StorageClass, TranslationUnit, Type};

use super::constants::value;
use super::functions::symbol;
use super::sources::{Place, Sources};
use super::types;
use crate::model::{Constant, Global, Interface, Text, Typedef};

/// The interface as far as it is known, and what finds things in it.
pub(super) struct Lowering<'tu> {
    pub(super) sources: Sources,
    pub(super) interface: Interface,
    /// Places in [`Interface::functions`], by name.
    pub(super) functions: HashMap<String, usize>,
    /// Places in [`Interface::records`], by key.
    pub(super) records: HashMap<String, usize>,
    /// Places in [`Interface::enumerations`], by key.
    pub(super) enumerations: HashMap<String, usize>,
    /// Records whose definition is still to be lowered. Doing so at once would recurse along every
    /// chain of pointers.
    pub(super) pending: Vec<(usize, Entity<'tu>)>,
    typedefs: HashMap<String, usize>,
    globals: HashMap<String, usize>,
}

/// Everything that `unit` declares, the constants apart.
pub(super) fn lower(unit: &TranslationUnit<'_>, sources: Sources) -> Interface {
    let mut lowering = Lowering::new(sources);
    for entity in unit.get_entity().get_children() {
        lowering.declaration(&entity);
        lowering.define_pending_records();
    }
    lowering.interface
}

impl<'tu> Lowering<'tu> {
    fn new(sources: Sources) -> Self {
        Self {
            sources,
            interface: Interface::default(),
            functions: HashMap::new(),
            records: HashMap::new(),
            enumerations: HashMap::new(),
            pending: Vec::new(),
            typedefs: HashMap::new(),
            globals: HashMap::new(),
        }
    }

    fn declaration(&mut self, entity: &Entity<'tu>) {
        match entity.get_kind() {
            EntityKind::FunctionDecl => self.function(entity),
            EntityKind::StructDecl | EntityKind::UnionDecl => drop(self.record(entity)),
            EntityKind::EnumDecl => drop(self.enumeration(entity)),
            EntityKind::TypedefDecl => self.typedef(entity),
            EntityKind::VarDecl => self.global(entity),
            _ => {}
        }
    }

    fn typedef(&mut self, entity: &Entity<'tu>) {
        let (Some(name), Some(place), Some(underlying)) =
            (entity.get_name(), self.sources.place(entity), entity.get_typedef_underlying_type())
        else {
            return;
        };
        let typedef = Typedef {
            ty: self.type_or_function(underlying),
            is_function: types::is_function(underlying),
            comment: place.source.comments().of_declaration(place.span),
            location: place.location,
            in_given_header: place.source.given,
            name: name.clone(),
        };
        match self.typedefs.get(&name) {
            // C11 allows the same typedef again; the first with a comment is the best.
            Some(&known) => keep_commented(&mut self.interface.typedefs[known], typedef, |t| &t.comment),
            None => {
                self.typedefs.insert(name, self.interface.typedefs.len());
                self.interface.typedefs.push(typedef);
            }
        }
    }

    fn global(&mut self, entity: &Entity<'tu>) {
        let (Some(name), Some(place), Some(ty)) =
            (entity.get_name(), self.sources.place(entity), entity.get_type())
        else {
            return;
        };
        if entity.get_storage_class() == Some(StorageClass::Static) {
            return self.static_variable(entity, ty, name, place);
        }
        self.add_global(entity, ty, name, place);
    }

    fn add_global(&mut self, entity: &Entity<'tu>, ty: Type<'tu>, name: String, place: Place) {
        let global = Global {
            symbol: symbol(entity, &name),
            ty: self.ty(ty),
            comment: place.source.comments().of_declaration(place.span),
            is_static: entity.get_storage_class() == Some(StorageClass::Static),
            location: place.location,
            in_given_header: place.source.given,
            name: name.clone(),
        };
        match self.globals.get(&name) {
            Some(&known) => keep_commented(&mut self.interface.globals[known], global, |g| &g.comment),
            None => {
                self.globals.insert(name, self.interface.globals.len());
                self.interface.globals.push(global);
            }
        }
    }

    /// `static const int LIMIT = 3;` is in no library: it is what its initialiser is.
    fn static_variable(&mut self, entity: &Entity<'tu>, ty: Type<'tu>, name: String, place: Place) {
        let Some(value) = ty.get_canonical_type().is_const_qualified().then(|| value(entity)).flatten()
        else {
            return self.add_global(entity, ty, name, place);
        };
        if self.interface.constants.iter().all(|constant| constant.name != name) {
            let (location, in_given_header) = (place.location, place.source.given);
            self.interface.constants.push(Constant { name, value, location, in_given_header });
        }
    }
}

/// Replaces `known` by a later declaration if only that one has a comment.
fn keep_commented<T>(known: &mut T, later: T, comment: impl Fn(&T) -> &Option<Text>) {
    if comment(known).is_none() && comment(&later).is_some() {
        *known = later;
    }
}
