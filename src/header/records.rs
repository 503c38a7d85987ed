use clang::{Entity, EntityKind};

use super::lowering::Lowering;
use super::prototype::{is_unnamed, tag_key};
use crate::model::{Field, Location, Record, RecordKind};

impl<'tu> Lowering<'tu> {
    /// Makes the struct or union known, its definition included, and returns its key.
    pub(super) fn record(&mut self, entity: &Entity<'tu>) -> String {
        let key = tag_key(entity);
        let definition = entity.get_definition();
        let known = self.records.get(&key).copied();
        let index = known.unwrap_or_else(|| self.declare_record(&key, entity));
        let defined = self.interface.records[index].size.is_some();
        if let Some(definition) = definition.filter(|_| known.is_none() || !defined) {
            self.pending.push((index, definition));
        }
        key
    }

    fn declare_record(&mut self, key: &str, entity: &Entity<'tu>) -> usize {
        let place = self.sources.place(entity);
        let kind = match entity.get_kind() {
            EntityKind::UnionDecl => RecordKind::Union,
            _ => RecordKind::Struct,
        };
        self.interface.records.push(Record {
            key: key.to_owned(),
            kind,
            size: None,
            align: 0,
            fields: Vec::new(),
            comment: place.as_ref().and_then(|place| place.source.comments().of_declaration(place.span)),
            in_given_header: place.as_ref().is_some_and(|place| place.source.given),
            location: place.map_or_else(nowhere, |place| place.location),
        });
        let index = self.interface.records.len() - 1;
        self.records.insert(key.to_owned(), index);
        index
    }

    /// Lowers the definitions of the records that were met since the last time.
    pub(super) fn define_pending_records(&mut self) {
        while let Some((index, definition)) = self.pending.pop() {
            if self.interface.records[index].size.is_none() {
                self.define_record(index, &definition);
            }
        }
    }

    fn define_record(&mut self, index: usize, definition: &Entity<'tu>) {
        let Some(ty) = definition.get_type().map(|ty| ty.get_canonical_type()) else { return };
        let Ok(size) = ty.get_sizeof() else { return };
        let fields = ty.get_fields().unwrap_or_default();
        let fields = fields.iter().filter_map(|field| self.field(field)).collect();
        let place = self.sources.place(definition);
        let record = &mut self.interface.records[index];
        record.size = Some(size as u64);
        record.align = ty.get_alignof().unwrap_or(1) as u64;
        record.fields = fields;
        if let Some(place) = place {
            let comment = place.source.comments().of_declaration(place.span);
            record.comment = comment.or(record.comment.take());
            record.location = place.location;
            record.in_given_header |= place.source.given;
        }
    }

    fn field(&mut self, entity: &Entity<'tu>) -> Option<Field> {
        let name = entity.get_name().filter(|name| !is_unnamed(name));
        let bit_width = entity.get_bit_field_width().map(|width| width as u32);
        if name.is_none() && bit_width.is_some() {
            return None; // `int : 3;` is padding.
        }
        let place = self.sources.place(entity);
        Some(Field {
            name,
            ty: self.ty(entity.get_type()?),
            offset_bits: entity.get_offset_of_field().ok()? as u64,
            bit_width,
            comment: place.and_then(|place| place.source.comments().of_member(place.span)),
        })
    }
}

/// Where clang's own declarations are.
pub(super) fn nowhere() -> Location {
    Location { file: "<built-in>".into(), line: 0, column: 0 }
}
