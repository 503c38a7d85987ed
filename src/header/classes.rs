//! What `$ class`, `$ init` and `$ property` mean.

use super::directives::Directive;
use super::resolution::{Resolver, is_identifier};
use crate::error::{HeaderError, HeaderResult};
use crate::model::{Class, Property, Type, TypeKind, did_you_mean};

impl Resolver<'_> {
    pub(super) fn class_named(&self, directive: &Directive, argument: &str) -> HeaderResult<usize> {
        let classes = &self.found.classes;
        classes.iter().position(|class| class.argument == argument).ok_or_else(|| {
            let nearest = did_you_mean(argument, classes.iter().map(|class| class.argument.as_str()));
            directive.error(format!("there is no '$ class {argument}'{nearest}"))
        })
    }

    pub(super) fn class(&mut self, directive: &Directive) -> HeaderResult<()> {
        let (argument, name) = match directive.words()[..] {
            [argument] => (argument, capitalized(argument)),
            [argument, name] => (argument, name.to_owned()),
            _ => return Err(directive.malformed("class ARGUMENT [NAME]")),
        };
        if !is_identifier(argument) || !is_identifier(&name) {
            return Err(directive.malformed("class ARGUMENT [NAME]"));
        }
        let known = self.found.classes.iter().find(|class| class.argument == argument || class.name == name);
        if let Some(known) = known {
            return Err(
                directive.error(format!("there is a '$ class {}' already, at {}", argument, known.location))
            );
        }
        self.found.classes.push(Class {
            argument: argument.to_owned(),
            name,
            record: self.record_of(argument),
            init: None,
            methods: Vec::new(),
            properties: Vec::new(),
            location: directive.location.clone(),
        });
        Ok(())
    }

    /// The record that a class's argument stands for: by its name, or by what parameters of that name point to.
    fn record_of(&self, argument: &str) -> Option<String> {
        let spellings = [format!("struct {argument}"), format!("union {argument}"), argument.to_owned()];
        let mut named = spellings.iter().filter_map(|name| self.interface.type_named(name).ok());
        let by_name = named.find_map(|ty| match &ty.kind {
            TypeKind::Record(key) => Some(key.clone()),
            _ => record_behind(&ty).map(str::to_owned),
        });
        by_name.or_else(|| {
            let first = self.interface.functions.iter().filter_map(|function| function.parameters.first());
            let mut records = first
                .filter(|parameter| parameter.name.as_deref() == Some(argument))
                .map(|parameter| record_behind(&parameter.ty));
            let one = records.next()??;
            records.all(|other| other == Some(one)).then(|| one.to_owned())
        })
    }

    /// Gives each class its methods, by the type of the first parameter or else by its name.
    pub(super) fn find_methods(&mut self) {
        for function in &self.interface.functions {
            let Some(first) = function.parameters.first() else { continue };
            let record = record_behind(&first.ty);
            let classes = &mut self.found.classes;
            let by_type =
                classes.iter().position(|class| record.is_some() && class.record.as_deref() == record);
            let class = by_type
                .or_else(|| classes.iter().position(|class| first.name.as_ref() == Some(&class.argument)));
            if let Some(class) = class {
                classes[class].methods.push(function.name.clone());
            }
        }
    }

    /// Refuses a class that stands for nothing: its argument is misspelt.
    pub(super) fn check_classes(&self) -> HeaderResult<()> {
        let stands_for_nothing = |class: &&Class| class.record.is_none() && class.methods.is_empty();
        let Some(Class { argument, location, .. }) = self.found.classes.iter().find(stands_for_nothing)
        else {
            return Ok(());
        };
        let tags =
            self.interface.records.iter().map(|record| record.key.rsplit(' ').next().unwrap_or_default());
        let named = |name: &&str| self.record_of(name).is_some();
        let typedefs = self.interface.typedefs.iter().map(|typedef| typedef.name.as_str()).filter(named);
        let first = self.interface.functions.iter().filter_map(|function| function.parameters.first());
        let arguments = first.filter_map(|parameter| parameter.name.as_deref());
        let nearest = did_you_mean(argument, tags.chain(typedefs).chain(arguments));
        let message =
            format!("'{argument}' is neither a record nor the first parameter of a function{nearest}");
        Err(HeaderError::Directive { location: location.clone(), message })
    }

    pub(super) fn init(&mut self, directive: &Directive) -> HeaderResult<()> {
        let (argument, function) = match directive.words()[..] {
            [argument] => (argument, None),
            [argument, function] => (argument, Some(function)),
            _ => return Err(directive.malformed("init CLASS [FUNCTION]")),
        };
        let class = self.class_named(directive, argument)?;
        let function = self.function(directive, function)?;
        if !matches!(function.result.kind, TypeKind::Pointer(_)) {
            return Err(directive.error(format!("'{}' returns no pointer to a {argument}", function.name)));
        }
        for class in &mut self.found.classes {
            class.methods.retain(|method| *method != function.name);
        }
        match &mut self.found.classes[class].init {
            Some(other) => {
                Err(directive.error(format!("'$ class {argument}' has its init already: '{other}'")))
            }
            init => {
                *init = Some(function.name.clone());
                Ok(())
            }
        }
    }

    pub(super) fn property(&mut self, directive: &Directive) -> HeaderResult<()> {
        let name = match directive.words()[..] {
            [name] if is_identifier(name) => name.to_owned(),
            [] => {
                let function = self.function(directive, None)?;
                let accessor = self.accessors(&function.name).next();
                let name = accessor.ok_or_else(|| {
                    directive.error(format!("'{}' is no get_ or set_ of a property", function.name))
                });
                name?.1.to_owned()
            }
            _ => return Err(directive.malformed("property [NAME]")),
        };
        let of_class = |class: &Class| {
            let find = |kind: Accessor| {
                let is_it = |method: &&String| self.accessors(method).any(|one| one == (kind, name.as_str()));
                class.methods.iter().find(is_it).cloned()
            };
            Property { name: name.clone(), getter: find(Accessor::Get), setter: find(Accessor::Set) }
        };
        let found: Vec<_> = self.found.classes.iter().map(of_class).collect();
        if found.iter().all(|property| property.getter.is_none() && property.setter.is_none()) {
            let methods = self.found.classes.iter().flat_map(|class| &class.methods);
            let known: Vec<_> =
                methods.flat_map(|method| self.accessors(method)).map(|(_, name)| name).collect();
            let nearest = did_you_mean(&name, known.into_iter());
            return Err(directive.error(format!("no class has a method get_{name} or set_{name}{nearest}")));
        }
        for (class, property) in self.found.classes.iter().zip(&found) {
            self.check_property(directive, class, property)?;
        }
        for (class, property) in self.found.classes.iter_mut().zip(found) {
            let known = class.properties.iter().any(|known| known.name == property.name);
            if !known && (property.getter.is_some() || property.setter.is_some()) {
                class.properties.push(property);
            }
        }
        Ok(())
    }

    /// Refuses a property that has the name of a method which is none of its own.
    fn check_property(&self, directive: &Directive, class: &Class, property: &Property) -> HeaderResult<()> {
        let own = [&property.getter, &property.setter];
        if own.iter().all(|function| function.is_none()) {
            return Ok(());
        }
        let is_other = |method: &&String| own.iter().all(|function| function.as_ref() != Some(method));
        let public = class.methods.iter().filter(|method| !self.found.private.contains(method));
        let mut others = public.filter(is_other);
        match others.find(|method| self.names_of_method(method).any(|name| name == property.name)) {
            Some(other) => Err(directive.error(format!(
                "'{}' is the name of {other}() already: no property can have it",
                property.name
            ))),
            None => Ok(()),
        }
    }

    /// The names that a method has in Python.
    fn names_of_method<'f>(&'f self, method: &'f str) -> impl Iterator<Item = &'f str> {
        let given = self.found.aliases.iter().filter(move |alias| alias.function == method);
        let own = given.clone().next().is_none().then_some(method);
        given.map(|alias| alias.name.as_str()).chain(own)
    }

    /// The properties that a function may read or write, by its name and by those that it is given.
    fn accessors<'f>(&'f self, function: &'f str) -> impl Iterator<Item = (Accessor, &'f str)> {
        let given = self.found.aliases.iter().filter(move |alias| alias.function == function);
        let names = given.map(|alias| alias.name.as_str()).chain([function]);
        names.filter_map(|name| {
            let kinds = [("get_", Accessor::Get), ("set_", Accessor::Set)];
            kinds.into_iter().find_map(|(prefix, kind)| {
                let whole = name.strip_prefix(prefix);
                let property = whole.or_else(|| Some(name.split_once(&format!("_{prefix}"))?.1))?;
                (!property.is_empty()).then_some((kind, property))
            })
        })
    }

    /// The class that a function belongs to, by its argument.
    pub(super) fn class_of(&self, function: &str) -> Option<&str> {
        let of_class = |class: &&Class| {
            class.init.as_deref() == Some(function) || class.methods.iter().any(|method| method == function)
        };
        self.found.classes.iter().find(of_class).map(|class| class.argument.as_str())
    }
}

/// What a function does with a property.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Accessor {
    Get,
    Set,
}

/// The key of the record that a pointer points to.
fn record_behind(ty: &Type) -> Option<&str> {
    match &ty.kind {
        TypeKind::Pointer(target) => match &target.kind {
            TypeKind::Record(key) => Some(key),
            _ => None,
        },
        _ => None,
    }
}

/// As Python's `str.capitalize`.
fn capitalized(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters.map(|letter| letter.to_ascii_lowercase())).collect()
}
