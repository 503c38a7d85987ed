//! The names that directives give: each is one that nothing else in the module has.

use std::collections::{HashMap, HashSet};

use super::interface::OWN_NAMES;
use super::names::{Name, Names, python_name};
use crate::binding::Bindings;
use crate::error::HeaderError;
use crate::model::{Alias, Class, Directives, Location};

/// Refuses directives that give a name which is taken.
pub fn check(directives: &Directives, bindings: &Bindings, names: &Names) -> Result<(), HeaderError> {
    let private: HashSet<_> = directives.private.iter().map(String::as_str).collect();
    let bound = bindings.functions.iter().map(|function| function.declaration.name.as_str());
    let functions: Vec<_> = bound.filter(|function| !private.contains(function)).collect();
    let bound: HashSet<_> = functions.iter().copied().collect();
    let mut by: HashMap<_, _> =
        functions.iter().map(|function| (python_name(function), call(function))).collect();
    let in_class: HashSet<_> = directives.classes.iter().flat_map(members).collect();
    let of_module = |alias: &&Alias| {
        bound.contains(alias.function.as_str()) && !in_class.contains(alias.function.as_str())
    };
    // What goes without saying is said first.
    let unsaid = directives.aliases.iter().filter(|alias| alias.location.is_none());
    for alias in unsaid.filter(of_module) {
        by.entry(alias.name.clone()).or_insert_with(|| call(&alias.function));
    }
    let mut taken = Taken { names, by };
    for class in &directives.classes {
        taken.claim(&class.name, &format!("the class of {}", class.argument), &class.location)?;
    }
    for alias in directives.aliases.iter().filter(of_module) {
        if let Some(location) = &alias.location {
            taken.claim(&alias.name, &call(&alias.function), location)?;
        }
    }
    directives.classes.iter().try_for_each(|class| check_methods(class, directives, &bound))
}

/// The functions of a class, which are not found under other names in the module.
fn members(class: &Class) -> impl Iterator<Item = &str> {
    class.methods.iter().chain(&class.init).map(String::as_str)
}

/// Refuses two methods of one name.
fn check_methods(class: &Class, directives: &Directives, bound: &HashSet<&str>) -> Result<(), HeaderError> {
    let mut taken: HashMap<String, &str> = HashMap::new();
    for method in class.methods.iter().filter(|method| bound.contains(method.as_str())) {
        let aliases: Vec<_> = directives.aliases.iter().filter(|alias| alias.function == *method).collect();
        let own = || (python_name(method), &class.location);
        let named = aliases.iter().map(|alias| (alias.name.clone(), alias.location.as_ref()));
        let named: Vec<_> = named.map(|(name, at)| (name, at.unwrap_or(&class.location))).collect();
        for (name, location) in if named.is_empty() { vec![own()] } else { named } {
            let other = *taken.entry(name.clone()).or_insert(method);
            if other != method {
                return Err(refused(
                    &name,
                    &call(method),
                    &format!("the name of {} already", call(other)),
                    location,
                ));
            }
        }
    }
    Ok(())
}

struct Taken<'a> {
    names: &'a Names,
    /// What has a name.
    by: HashMap<String, String>,
}

impl Taken<'_> {
    /// Gives a name to what asks for it, if nobody else has it.
    fn claim(&mut self, name: &str, who: &str, location: &Location) -> Result<(), HeaderError> {
        let why = if OWN_NAMES.contains(&name) {
            "one of pythy's own functions".to_owned()
        } else if let Some(what @ (Name::Global(_) | Name::Member(..) | Name::Constant(_))) =
            self.names.get(name)
        {
            what.described().to_owned()
        } else {
            let other = self.by.entry(name.to_owned()).or_insert_with(|| who.to_owned());
            if other == who {
                return Ok(());
            }
            format!("the name of {other} already")
        };
        Err(refused(name, who, &why, location))
    }
}

fn call(function: &str) -> String {
    format!("{function}()")
}

fn refused(name: &str, who: &str, why: &str, location: &Location) -> HeaderError {
    HeaderError::Directive {
        location: location.clone(),
        message: format!("'{name}' is {why}, {who} cannot have its name"),
    }
}
