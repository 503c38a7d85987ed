use clang::{Entity, EntityKind};

use super::lowering::Lowering;
use super::prototype::tag_key;
use super::records::nowhere;
use super::types::integer;
use crate::model::{Enumeration, Enumerator, IntegerType};

impl<'tu> Lowering<'tu> {
    /// Makes the enum known and returns its key and the integer type that holds it.
    pub(super) fn enumeration(&mut self, entity: &Entity<'tu>) -> (String, IntegerType) {
        let key = tag_key(entity);
        let index = match self.enumerations.get(&key) {
            Some(&known) => known,
            None => {
                let enumeration = self.lower_enumeration(&entity.get_definition().unwrap_or(*entity), &key);
                self.interface.enumerations.push(enumeration);
                self.enumerations.insert(key.clone(), self.interface.enumerations.len() - 1);
                self.interface.enumerations.len() - 1
            }
        };
        (key, self.interface.enumerations[index].underlying)
    }

    fn lower_enumeration(&self, entity: &Entity<'tu>, key: &str) -> Enumeration {
        let underlying = underlying(entity);
        let place = self.sources.place(entity);
        let constants = entity.get_children().into_iter();
        let constants = constants.filter(|child| child.get_kind() == EntityKind::EnumConstantDecl);
        Enumeration {
            key: key.to_owned(),
            underlying,
            enumerators: constants.filter_map(|constant| self.enumerator(&constant, underlying)).collect(),
            comment: place.as_ref().and_then(|place| place.source.comments().of_declaration(place.span)),
            in_given_header: place.as_ref().is_some_and(|place| place.source.given),
            location: place.map_or_else(nowhere, |place| place.location),
        }
    }

    fn enumerator(&self, entity: &Entity<'tu>, underlying: IntegerType) -> Option<Enumerator> {
        let (signed, unsigned) = entity.get_enum_constant_value()?;
        let place = self.sources.place(entity);
        Some(Enumerator {
            name: entity.get_name()?,
            value: if underlying.is_signed() { i128::from(signed) } else { i128::from(unsigned) },
            comment: place.and_then(|place| place.source.comments().of_member(place.span)),
        })
    }
}

/// The integer type that clang chose. An enum that is only declared (a GNU extension) counts as
/// `unsigned int`, which is what an enum without negative values is.
fn underlying(entity: &Entity<'_>) -> IntegerType {
    let ty = entity.get_enum_underlying_type();
    ty.and_then(|ty| integer(ty.get_canonical_type().get_kind())).unwrap_or(IntegerType::UnsignedInt)
}
