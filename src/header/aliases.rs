//! Macros that are another name of a function, a variable or a constant: gmp.h has
//! `#define mpz_init __gmpz_init`, and the manual speaks of `mpz_init` only.

use std::collections::{HashMap, HashSet};

use clang::{Entity, EntityKind};

use super::macros::Macro;
use crate::model::{Constant, Function, Global, Interface};

/// A macro and the name of the declaration that it stands for.
pub(super) struct Alias {
    pub(super) described: Macro,
    pub(super) target: String,
}

/// What the macro names, where it names one function or variable and nothing else. `variable` is
/// the one declared with the macro's `__typeof__`, whose operand comes first.
pub(super) fn target(variable: &Entity<'_>) -> Option<String> {
    let mut operand = variable.get_child(0)?;
    while operand.get_kind() == EntityKind::ParenExpr {
        operand = operand.get_child(0)?;
    }
    let named = (operand.get_kind() == EntityKind::DeclRefExpr).then(|| operand.get_reference()).flatten()?;
    let wanted = matches!(named.get_kind(), EntityKind::FunctionDecl | EntityKind::VarDecl);
    wanted.then(|| named.get_name()).flatten()
}

/// Declares every alias whose name nothing else has, as its target is declared.
pub(super) fn declare(interface: &mut Interface, aliases: Vec<Alias>) {
    let taken: HashSet<String> = interface
        .functions
        .iter()
        .map(|function| &function.name)
        .chain(interface.globals.iter().map(|global| &global.name))
        .chain(interface.constants.iter().map(|constant| &constant.name))
        .cloned()
        .collect();
    let functions: HashMap<_, _> = index(&interface.functions, |function: &Function| &function.name);
    let globals: HashMap<_, _> = index(&interface.globals, |global: &Global| &global.name);
    let constants: HashMap<_, _> = index(&interface.constants, |constant: &Constant| &constant.name);
    for Alias { described, target } in
        aliases.into_iter().filter(|alias| !taken.contains(&alias.described.name))
    {
        if let Some(&known) = functions.get(&target) {
            let function = interface.functions[known].clone();
            interface.functions.push(Function {
                symbol: Some(function.symbol.unwrap_or(target)),
                name: described.name,
                in_given_header: described.given,
                ..function
            });
        } else if let Some(&known) = globals.get(&target) {
            let global = interface.globals[known].clone();
            interface.globals.push(Global {
                symbol: Some(global.symbol.unwrap_or(target)),
                name: described.name,
                in_given_header: described.given,
                ..global
            });
        } else if let Some(&known) = constants.get(&target) {
            let constant = interface.constants[known].clone();
            interface.constants.push(Constant {
                name: described.name,
                location: described.location,
                in_given_header: described.given,
                ..constant
            });
        }
    }
}

fn index<T>(items: &[T], name: impl Fn(&T) -> &String) -> HashMap<String, usize> {
    items.iter().enumerate().map(|(place, item)| (name(item).clone(), place)).collect()
}
