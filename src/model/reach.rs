//! Which records and enums can be come by from some types.

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Interface, Record, Type, TypeKind};

impl Interface {
    /// The keys of the records and enums that `types` are made of, point to, take or return, and
    /// those that the records among them have fields of, and so on.
    pub fn reached<'a>(&'a self, types: impl IntoIterator<Item = &'a Type>) -> FxHashSet<&'a str> {
        let records = self.records.iter().map(|record| (record.key.as_str(), record)).collect();
        let mut walk = Walk { records, seen: FxHashSet::default() };
        for ty in types {
            walk.visit(ty);
        }
        walk.seen
    }
}

struct Walk<'a> {
    records: FxHashMap<&'a str, &'a Record>,
    seen: FxHashSet<&'a str>,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, ty: &'a Type) {
        match &ty.kind {
            TypeKind::Pointer(inner) | TypeKind::Array(inner, _) => self.visit(inner),
            TypeKind::FunctionPointer(function) => {
                function.parameters.iter().chain([&function.result]).for_each(|ty| self.visit(ty));
            }
            TypeKind::Enumeration(key, _) => {
                self.seen.insert(key);
            }
            TypeKind::Record(key) => {
                if self.seen.insert(key)
                    && let Some(record) = self.records.get(key.as_str())
                {
                    record.fields.iter().for_each(|field| self.visit(&field.ty));
                }
            }
            TypeKind::Void
            | TypeKind::Bool
            | TypeKind::Integer(_)
            | TypeKind::Float(_)
            | TypeKind::Complex(_)
            | TypeKind::Unsupported(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Field, FunctionType, IntegerType, Location, RecordKind};

    fn of_keys<const N: usize>(keys: [&'static str; N]) -> FxHashSet<&'static str> {
        keys.into_iter().collect()
    }

    fn ty(kind: TypeKind) -> Type {
        Type { kind, spelling: String::new(), is_const: false }
    }

    fn pointer(key: &str) -> Type {
        ty(TypeKind::Pointer(Box::new(ty(TypeKind::Record(key.to_owned())))))
    }

    fn record(key: &str, field: Type) -> Record {
        let field = Field { name: None, ty: field, offset_bits: 0, bit_width: None, comment: None };
        Record {
            key: key.to_owned(),
            kind: RecordKind::Struct,
            size: Some(8),
            align: 8,
            fields: vec![field],
            location: Location { file: "list.h".into(), line: 1, column: 1 },
            comment: None,
            in_given_header: false,
        }
    }

    #[test]
    fn a_list_that_points_to_itself_is_reached_once_with_what_it_carries() {
        let colour = ty(TypeKind::Enumeration("enum colour".to_owned(), IntegerType::Int));
        let show = TypeKind::FunctionPointer(Box::new(FunctionType {
            parameters: vec![pointer("struct item"), colour],
            result: ty(TypeKind::Void),
            variadic: false,
        }));
        let model = Interface {
            records: vec![
                record("struct list", pointer("struct list")),
                record("struct box", ty(TypeKind::Array(Box::new(ty(show)), Some(2)))),
                record("struct item", ty(TypeKind::Bool)),
            ],
            ..Interface::default()
        };
        assert_eq!(model.reached([&pointer("struct list")]), of_keys(["struct list"]));
        assert_eq!(
            model.reached([&pointer("struct box"), &pointer("struct handle")]),
            of_keys(["struct box", "struct item", "enum colour", "struct handle"])
        );
        assert_eq!(model.reached([]), of_keys([]));
    }
}
