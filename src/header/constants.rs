//! The values of macros. The macros themselves have no type, so clang parses the headers a second
//! time, with a variable for every macro behind them, and evaluates their initialisers.

use std::collections::HashSet;

use clang::{Entity, EntityKind, EvaluationResult, Index, Type, TypeKind};

use super::macros::Macro;
use super::types::integer;
use super::{Options, diagnostics, unit};
use crate::error::HeaderResult;
use crate::model::{Constant, ConstantValue};

/// What the variables are called, followed by the macro's place in the list.
const VARIABLE: &str = "__pythy_constant_";

/// The macros that have a value. `main` is the text that includes the headers.
pub(super) fn evaluate<'i>(
    index: &'i Index<'i>,
    options: &Options,
    main: &str,
    macros: Vec<Macro>,
) -> HeaderResult<Vec<Constant>> {
    if macros.is_empty() {
        return Ok(Vec::new());
    }
    let unit = unit::parse(index, options, &with_variables(main, &macros), false)?;
    // One macro that is no expression makes an error on its own line, and none on others.
    let refused: HashSet<u32> = diagnostics::lines_with_errors(&unit).collect();
    let first = u32::try_from(main.lines().count()).unwrap_or(u32::MAX).saturating_add(1);
    let mut values: Vec<Option<ConstantValue>> = vec![None; macros.len()];
    for entity in unit.get_entity().get_children() {
        if let Some(number) = variable_number(&entity)
            && !refused.contains(&first.saturating_add(number))
            && let Some(slot) = values.get_mut(number as usize)
        {
            *slot = value(&entity);
        }
    }
    Ok(macros.into_iter().zip(values).filter_map(|(m, value)| Some(constant(m, value?))).collect())
}

fn with_variables(main: &str, macros: &[Macro]) -> String {
    let mut text = main.to_owned();
    for (i, Macro { name, .. }) in macros.iter().enumerate() {
        text.push_str(&format!("static const __typeof__({name}) {VARIABLE}{i} = {name};\n"));
    }
    text
}

fn variable_number(entity: &Entity<'_>) -> Option<u32> {
    if entity.get_kind() != EntityKind::VarDecl {
        return None;
    }
    entity.get_name()?.strip_prefix(VARIABLE)?.parse().ok()
}

fn constant(described: Macro, value: ConstantValue) -> Constant {
    Constant { name: described.name, value, location: described.location, in_given_header: described.given }
}

fn value(variable: &Entity<'_>) -> Option<ConstantValue> {
    let ty = variable.get_type()?.get_canonical_type();
    match ty.get_kind() {
        TypeKind::Float | TypeKind::Double | TypeKind::LongDouble => float(variable, ty),
        TypeKind::Bool | TypeKind::Enum => whole(variable),
        kind if integer(kind).is_some() => whole(variable),
        TypeKind::ConstantArray => string(variable, ty),
        _ => None,
    }
}

fn whole(variable: &Entity<'_>) -> Option<ConstantValue> {
    Some(ConstantValue::Integer(match variable.evaluate()? {
        EvaluationResult::SignedInteger(value) => value.into(),
        EvaluationResult::UnsignedInteger(value) => value.into(),
        _ => return None,
    }))
}

/// A `long double` beyond the range of `double` has no value here.
fn float(variable: &Entity<'_>, ty: Type<'_>) -> Option<ConstantValue> {
    match variable.evaluate()? {
        EvaluationResult::Float(value) if value.is_infinite() && ty.get_kind() == TypeKind::LongDouble => {
            None
        }
        EvaluationResult::Float(value) => Some(ConstantValue::Float(value)),
        _ => None,
    }
}

/// The string; `None` where it is of wide characters, or has a NUL inside, at which libclang cuts it off.
fn string(variable: &Entity<'_>, ty: Type<'_>) -> Option<ConstantValue> {
    let narrow = matches!(ty.get_element_type()?.get_kind(), TypeKind::CharS | TypeKind::CharU);
    match variable.evaluate()? {
        EvaluationResult::String(text) if narrow && ty.get_size() == Some(text.as_bytes().len() + 1) => {
            Some(ConstantValue::String(text.into_bytes()))
        }
        _ => None,
    }
}
