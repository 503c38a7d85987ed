//! The values of macros, and of `static const` variables. The macros themselves have no type, so
//! clang parses the headers a second time, with a variable for every macro behind them, and evaluates
//! their initialisers.

use std::collections::HashSet;

use clang::{Entity, EntityKind, EvaluationResult, Index, Type, TypeKind};

use super::aliases::{self, Alias};
use super::macros::Macro;
use super::prototype::declare;
use super::substitution::Texts;
use super::types::integer;
use super::{Options, diagnostics, unit};
use crate::error::HeaderResult;
use crate::model::{Constant, ConstantValue};

/// What the variables are called, followed by the macro's place in the list.
const VARIABLE: &str = "__pythy_constant_";

/// What macros stand for.
#[derive(Default)]
pub(super) struct Meanings {
    /// Those that have a value.
    pub(super) constants: Vec<Constant>,
    /// Those that are another name of a declaration.
    pub(super) aliases: Vec<Alias>,
}

/// What the macro of one variable stands for.
#[derive(Clone)]
enum Meaning {
    Value(ConstantValue),
    Name(String),
}

/// The macros that stand for a value or a declaration. `main` is the text that includes the headers.
pub(super) fn evaluate<'i>(
    index: &'i Index<'i>,
    options: &Options,
    (main, texts): (&str, &Texts),
    macros: Vec<Macro>,
) -> HeaderResult<Meanings> {
    if macros.is_empty() {
        return Ok(Meanings::default());
    }
    let unit = unit::parse(index, options, (&with_variables(main, &macros), texts), false)?;
    // One macro that is no expression makes an error on its own line, and none on others.
    let refused: HashSet<u32> = diagnostics::lines_with_errors(&unit).collect();
    let first = u32::try_from(main.lines().count()).unwrap_or(u32::MAX).saturating_add(1);
    let mut found: Vec<Option<Meaning>> = vec![None; macros.len()];
    for entity in unit.get_entity().get_children() {
        if let Some(number) = variable_number(&entity)
            && let Some(slot) = found.get_mut(number as usize)
        {
            *slot = meaning(&entity, refused.contains(&first.saturating_add(number)));
        }
    }
    let mut meanings = Meanings::default();
    for (described, meaning) in macros.into_iter().zip(found) {
        match meaning {
            Some(Meaning::Value(value)) => meanings.constants.push(constant(described, value)),
            Some(Meaning::Name(target)) => meanings.aliases.push(Alias { described, target }),
            None => {}
        }
    }
    Ok(meanings)
}

/// A function's name is no initialiser, nor is a variable's: clang refuses these.
fn meaning(variable: &Entity<'_>, refused: bool) -> Option<Meaning> {
    let value = if refused { None } else { value(variable) };
    value.map(Meaning::Value).or_else(|| aliases::target(variable).map(Meaning::Name))
}

fn with_variables(main: &str, macros: &[Macro]) -> String {
    let mut text = main.to_owned();
    for (i, Macro { name, .. }) in macros.iter().enumerate() {
        text.push_str(&format!("static const __typeof__({name}) {VARIABLE}{i} = {name};\n"));
    }
    text
}

fn variable_number(entity: &Entity<'_>) -> Option<u32> {
    // What is declared with a function's type is a function.
    if !matches!(entity.get_kind(), EntityKind::VarDecl | EntityKind::FunctionDecl) {
        return None;
    }
    entity.get_name()?.strip_prefix(VARIABLE)?.parse().ok()
}

fn constant(described: Macro, value: ConstantValue) -> Constant {
    Constant { name: described.name, value, location: described.location, in_given_header: described.given }
}

/// The value of a `const` variable's initialiser.
pub(super) fn value(variable: &Entity<'_>) -> Option<ConstantValue> {
    let ty = variable.get_type()?.get_canonical_type();
    match ty.get_kind() {
        TypeKind::Float | TypeKind::Double | TypeKind::LongDouble => float(variable, ty),
        TypeKind::Bool | TypeKind::Enum => whole(variable),
        kind if integer(kind).is_some() => whole(variable),
        TypeKind::ConstantArray => text(variable),
        TypeKind::Pointer => pointer(variable),
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

/// A string literal or a number behind any casts, as `(const xmlChar *)"http://…"` and `((void *)-1)`.
fn pointer(variable: &Entity<'_>) -> Option<ConstantValue> {
    let mut operand = variable.get_children().pop()?;
    let mut cast = None;
    // A written cast has the type it names in front of its operand; clang's own are unexposed.
    while let EntityKind::CStyleCastExpr | EntityKind::ParenExpr | EntityKind::UnexposedExpr =
        operand.get_kind()
    {
        if operand.get_kind() == EntityKind::CStyleCastExpr {
            cast = cast.or(operand.get_type());
        }
        operand = operand.get_children().pop()?;
    }
    let ty = operand.get_type()?.get_canonical_type();
    if operand.get_kind() == EntityKind::StringLiteral {
        return string(&operand);
    }
    integer(ty.get_kind())?;
    let address = match operand.evaluate()? {
        EvaluationResult::SignedInteger(value) => value as u64,
        EvaluationResult::UnsignedInteger(value) => value,
        _ => return None,
    };
    Some(ConstantValue::Pointer(address, declare(cast?, "")))
}

/// The string that initialises an array.
fn text(variable: &Entity<'_>) -> Option<ConstantValue> {
    let mut operand = variable.get_children().pop()?;
    while let EntityKind::ParenExpr | EntityKind::UnexposedExpr = operand.get_kind() {
        operand = operand.get_children().pop()?;
    }
    string(&operand)
}

/// The bytes of a string literal, as clang spells it: evaluated, it would end at its first NUL. `None` where
/// it is none, or of wide characters.
fn string(literal: &Entity<'_>) -> Option<ConstantValue> {
    let ty = literal.get_type()?.get_canonical_type();
    let narrow = matches!(ty.get_element_type()?.get_kind(), TypeKind::CharS | TypeKind::CharU);
    if literal.get_kind() != EntityKind::StringLiteral || !narrow {
        return None;
    }
    let spelled = literal.get_name()?;
    let bytes =
        unescape(spelled.strip_prefix("u8").unwrap_or(&spelled).strip_prefix('"')?.strip_suffix('"')?)?;
    (ty.get_size()? >= bytes.len()).then_some(ConstantValue::String(bytes))
}

/// What stands between the quotes of a literal that clang has printed: of numbers, octal ones of three digits.
fn unescape(spelled: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(spelled.len());
    let mut rest = spelled.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next()? {
                b'a' => 7,
                b'b' => 8,
                b't' => b'\t',
                b'n' => b'\n',
                b'v' => 11,
                b'f' => 12,
                b'r' => b'\r',
                high @ b'0'..=b'3' => {
                    let (middle, low) = (rest.next()?.checked_sub(b'0')?, rest.next()?.checked_sub(b'0')?);
                    (high - b'0') << 6 | middle << 3 | low
                }
                plain => plain,
            },
            plain => plain,
        });
    }
    Some(bytes)
}
