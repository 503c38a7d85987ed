use clang::{Entity, StorageClass};

use super::lowering::Lowering;
use super::prototype;
use super::sources::Place;
use crate::model::{Function, Linkage, Parameter};

impl<'tu> Lowering<'tu> {
    /// Lowers one declaration of a function, and merges it with those that came before.
    pub(super) fn function(&mut self, entity: &Entity<'tu>) {
        let (Some(name), Some(place)) = (entity.get_name(), self.sources.place(entity)) else { return };
        let Some(function) = self.lower_function(entity, &name, place) else { return };
        match self.functions.get(&name) {
            Some(&known) => merge(&mut self.interface.functions[known], function),
            None => {
                self.functions.insert(name, self.interface.functions.len());
                self.interface.functions.push(function);
            }
        }
    }

    fn lower_function(&mut self, entity: &Entity<'tu>, name: &str, place: Place) -> Option<Function> {
        Some(Function {
            symbol: symbol(entity, name),
            parameters: self.parameters(entity),
            result: self.ty(entity.get_result_type()?),
            // What is said to be unknown may be anything, promoted as variable arguments are.
            variadic: entity.is_variadic() || prototype::is_missing(entity),
            linkage: linkage(entity),
            prototype: prototype::of_function(entity, name)?,
            comment: place.source.comments().of_function(name, place.span),
            location: place.location,
            in_given_header: place.source.given,
            name: name.to_owned(),
        })
    }

    fn parameters(&mut self, entity: &Entity<'tu>) -> Vec<Parameter> {
        let parameters = entity.get_arguments().unwrap_or_default().into_iter();
        parameters
            .filter_map(|parameter| {
                Some(Parameter { name: parameter.get_name(), ty: self.parameter(parameter.get_type()?) })
            })
            .collect()
    }
}

fn linkage(entity: &Entity<'_>) -> Linkage {
    match entity.get_storage_class() {
        Some(StorageClass::Static) => Linkage::Static,
        _ if entity.is_inline_function() => Linkage::Inline,
        _ => Linkage::External,
    }
}

/// The symbol, where an `asm` label gives one other than the name.
pub(super) fn symbol(entity: &Entity<'_>, name: &str) -> Option<String> {
    // Only an attribute makes a difference in C, and asking clang for the symbol is dear.
    let symbol = entity.has_attributes().then(|| entity.get_mangled_name()).flatten()?;
    // The byte \x01 tells LLVM to take the label as it is.
    let symbol = symbol.trim_start_matches('\u{1}');
    (symbol != name).then(|| symbol.to_owned())
}

/// Keeps the better of two declarations, with what only the other tells.
fn merge(known: &mut Function, later: Function) {
    let (mut best, other) =
        if quality(&later) > quality(known) { (later, known.clone()) } else { (known.clone(), later) };
    best.symbol = best.symbol.or(other.symbol);
    best.comment = best.comment.or(other.comment);
    if other.linkage != Linkage::External {
        best.linkage = other.linkage;
    }
    *known = best;
}

/// Known parameters count most, then a comment, names for the parameters, then standing in a given header.
fn quality(function: &Function) -> (bool, bool, usize, bool) {
    let named = function.parameters.iter().filter(|parameter| parameter.name.is_some()).count();
    (!function.is_unprototyped(), function.comment.is_some(), named, function.in_given_header)
}
