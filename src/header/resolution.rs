//! What directives mean: each checked against what the headers declare, whatever their order is.

use std::collections::HashMap;

use super::directives::{Declared, Directive, WORDS};
use super::patterns::Patterns;
use crate::error::{HeaderError, HeaderResult};
use crate::model::{
    Alias, BadExpression, Class, Cleanup, ConstantValue, Directives, Expression, Function, Interface, Length,
    Names, Parameter, Property, Type, TypeKind, Wrapper, did_you_mean,
};

/// What `directives` say about an interface.
pub(super) fn resolve(directives: Vec<Directive>, interface: &Interface) -> HeaderResult<Directives> {
    let functions = interface.functions.iter().map(|function| (function.name.as_str(), function)).collect();
    let mut resolver = Resolver { interface, functions, found: Directives::default() };
    // A class is needed by all that name it; of wrappers, the updates come after what they update.
    for words in [&["class"][..], &["init", "func_alias"], &["private", "len", "cleanup"], &["property"]] {
        let of_turn = directives.iter().filter(|directive| words.contains(&directive.word.as_str()));
        for directive in of_turn {
            resolver.one(directive)?;
        }
        if words.contains(&"class") {
            resolver.find_methods();
            resolver.check_classes()?;
        }
    }
    resolver.wrappers(&directives)?;
    match directives.iter().find(|directive| !WORDS.contains(&directive.word.as_str())) {
        Some(unknown) => Err(unknown.error(format!(
            "there is no directive '{}'{}",
            unknown.word,
            did_you_mean(&unknown.word, WORDS.iter().copied())
        ))),
        None => Ok(resolver.found),
    }
}

impl Directive {
    fn error(&self, message: String) -> HeaderError {
        HeaderError::Directive { location: self.location.clone(), message }
    }

    /// What is wrong with how it is written.
    fn malformed(&self, form: &str) -> HeaderError {
        let written = format!("$ {} {}", self.word, self.rest);
        self.error(format!("'{}' is not '$ {form}'", written.trim_end()))
    }

    fn words(&self) -> Vec<&str> {
        self.rest.split_whitespace().collect()
    }
}

struct Resolver<'a> {
    interface: &'a Interface,
    functions: HashMap<&'a str, &'a Function>,
    found: Directives,
}

impl<'a> Resolver<'a> {
    fn one(&mut self, directive: &Directive) -> HeaderResult<()> {
        match directive.word.as_str() {
            "class" => self.class(directive),
            "init" => self.init(directive),
            "func_alias" => self.alias(directive),
            "private" => self.private(directive),
            "len" => self.length(directive),
            "cleanup" => self.cleanup(directive),
            "property" => self.property(directive),
            _ => Ok(()),
        }
    }

    /// The function of this name, or the one that is declared next.
    fn function(&self, directive: &Directive, name: Option<&str>) -> HeaderResult<&'a Function> {
        let name = match (name, &directive.next) {
            (Some(name), _) => name,
            (None, Some(Declared::Function(name))) => name,
            (None, Some(Declared::Other(other))) => {
                return Err(directive.error(format!(
                    "'$ {}' without a function is about the next declaration, and '{other}' is no function",
                    directive.word
                )));
            }
            (None, None) => {
                return Err(directive.error(format!(
                    "'$ {}' without a function is about the next declaration, and there is none",
                    directive.word
                )));
            }
        };
        self.functions.get(name).copied().ok_or_else(|| self.no_function(directive, name))
    }

    fn no_function(&self, directive: &Directive, name: &str) -> HeaderError {
        let nearest = did_you_mean(name, self.functions.keys().copied());
        directive.error(format!("the headers declare no function '{name}'{nearest}"))
    }

    fn class_named(&self, directive: &Directive, argument: &str) -> HeaderResult<usize> {
        let classes = &self.found.classes;
        classes.iter().position(|class| class.argument == argument).ok_or_else(|| {
            let nearest = did_you_mean(argument, classes.iter().map(|class| class.argument.as_str()));
            directive.error(format!("there is no '$ class {argument}'{nearest}"))
        })
    }

    fn class(&mut self, directive: &Directive) -> HeaderResult<()> {
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
    fn find_methods(&mut self) {
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
    fn check_classes(&self) -> HeaderResult<()> {
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

    fn init(&mut self, directive: &Directive) -> HeaderResult<()> {
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

    fn alias(&mut self, directive: &Directive) -> HeaderResult<()> {
        const FORM: &str = "func_alias [FUNCTION] NAME";
        let (function, name) = match directive.words()[..] {
            [name] => (None, name),
            [function, name] => (Some(function), name),
            _ => return Err(directive.malformed(FORM)),
        };
        if let Some(pattern) = function.filter(|function| function.contains('*')) {
            return self.aliases(directive, pattern, name);
        }
        if !is_identifier(name) {
            return Err(directive.malformed(FORM));
        }
        let function = self.function(directive, function)?.name.clone();
        let location = Some(directive.location.clone());
        self.found.aliases.push(Alias { function, name: name.to_owned(), location });
        Ok(())
    }

    /// `box_* *` takes a prefix off.
    fn aliases(&mut self, directive: &Directive, pattern: &str, name: &str) -> HeaderResult<()> {
        let parts = pattern.split_once('*').zip(name.split_once('*'));
        let parts = parts.filter(|(old, new)| !old.1.contains('*') && !new.1.contains('*'));
        let Some(((before, after), (new_before, new_after))) = parts else {
            return Err(directive.error(format!("'{pattern}' and '{name}' need one '*' each")));
        };
        let renamed = self.interface.functions.iter().filter_map(|function| {
            let middle = function.name.strip_prefix(before)?.strip_suffix(after)?;
            let name = format!("{new_before}{middle}{new_after}");
            let location = Some(directive.location.clone());
            is_identifier(&name).then(|| Alias { function: function.name.clone(), name, location })
        });
        let known = self.found.aliases.len();
        self.found.aliases.extend(renamed);
        if self.found.aliases.len() == known {
            return Err(directive.error(format!("no function that the headers declare is like '{pattern}'")));
        }
        Ok(())
    }

    fn private(&mut self, directive: &Directive) -> HeaderResult<()> {
        let function = match directive.words()[..] {
            [] => None,
            [function] => Some(function),
            _ => return Err(directive.malformed("private [FUNCTION]")),
        };
        let name = self.function(directive, function)?.name.clone();
        if !self.found.private.contains(&name) {
            self.found.private.push(name);
        }
        Ok(())
    }

    fn length(&mut self, directive: &Directive) -> HeaderResult<()> {
        let (function, parameter, text) = self.length_target(directive)?;
        let ty = parameter.map_or(&function.result, |index| &function.parameters[index].ty);
        let what = || match parameter.and_then(|index| function.parameters[index].name.as_ref()) {
            Some(name) => format!("'{name}' of '{}'", function.name),
            None => format!("what '{}' returns", function.name),
        };
        let TypeKind::Pointer(target) = &ty.kind else {
            return Err(directive.error(format!("{} is no pointer", what())));
        };
        let unit = match &target.kind {
            TypeKind::Void => Some(1),
            _ => self.interface.size_of(target),
        };
        let Some(unit) = unit else {
            return Err(directive.error(format!("the size of '{}' is not known", target.spelling)));
        };
        let names = InScope { function, interface: self.interface };
        let expression = Expression::parse(text, &names).map_err(|why| names.error(directive, text, why))?;
        let function = function.name.clone();
        let same = |known: &&Length| known.function == function && known.parameter == parameter;
        if self.found.lengths.iter().any(|known| same(&known)) {
            return Err(directive.error(format!("there is a '$ len' for {} already", what())));
        }
        self.found.lengths.push(Length { function, parameter, expression, unit });
        Ok(())
    }

    /// Whose length it is, and the expression: `[FUNCTION] EXPRESSION`, `[FUNCTION.]ARGUMENT EXPRESSION`.
    fn length_target<'d>(
        &self,
        directive: &'d Directive,
    ) -> HeaderResult<(&'a Function, Option<usize>, &'d str)> {
        const FORM: &str = "len [FUNCTION] EXPRESSION' or '$ len FUNCTION.ARGUMENT EXPRESSION";
        let rest = directive.rest.as_str();
        let (first, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let text = text.trim_start();
        if rest.is_empty() {
            return Err(directive.malformed(FORM));
        }
        if let Some((function, argument)) = first.split_once('.') {
            let function = self.function(directive, Some(function))?;
            return Ok((function, Some(self.parameter(directive, function, argument)?), text));
        }
        if let Some(function) = self.functions.get(first) {
            return Ok((function, None, text));
        }
        // Two operands side by side are no expression: the first is what it is about.
        let continues = text.is_empty() || text.starts_with(['+', '-', '*', '/', '%', '<', '>', ')']);
        if !is_identifier(first) || continues {
            return Ok((self.function(directive, None)?, None, rest));
        }
        match &directive.next {
            Some(Declared::Function(name)) if self.functions.contains_key(name.as_str()) => {
                let function = self.function(directive, None)?;
                Ok((function, Some(self.parameter(directive, function, first)?), text))
            }
            _ => Err(self.no_function(directive, first)),
        }
    }

    fn parameter(&self, directive: &Directive, function: &Function, name: &str) -> HeaderResult<usize> {
        let names = || function.parameters.iter().filter_map(|parameter| parameter.name.as_deref());
        let place = function.parameters.iter().position(|parameter| parameter.name.as_deref() == Some(name));
        place.ok_or_else(|| {
            let nearest = did_you_mean(name, names());
            directive.error(format!("'{}' has no parameter '{name}'{nearest}", function.name))
        })
    }

    fn property(&mut self, directive: &Directive) -> HeaderResult<()> {
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

    fn cleanup(&mut self, directive: &Directive) -> HeaderResult<()> {
        const FORM: &str = "cleanup ARGUMENT_OR_TYPE [FUNCTION] [!FUNCTION...]";
        let mut words = directive.words();
        let exceptions =
            words.split_off(words.iter().position(|word| word.starts_with('!')).unwrap_or(words.len()));
        if words.is_empty() || exceptions.iter().any(|word| !word.starts_with('!')) {
            return Err(directive.malformed(FORM));
        }
        let rest = words.join(" ");
        let (freed, function) = match (self.freed(&rest), words.split_last()) {
            (Some(freed), _) => (freed, self.function(directive, None)?),
            (None, Some((function, what @ [_, ..]))) => {
                let what = what.join(" ");
                let freed = self.freed(&what).ok_or_else(|| self.nothing_to_free(directive, &what));
                (freed?, self.function(directive, Some(function))?)
            }
            _ => return Err(self.nothing_to_free(directive, &rest)),
        };
        self.checked(directive, Patterns::of(&exceptions))?;
        let freed = self.without_borrowed(freed, &exceptions);
        self.check_frees(directive, function, &freed)?;
        let Freed { class, results, outs, .. } = freed;
        if let Some(other) = self.found.cleanups.iter().find(|known| {
            (class.is_some() && known.class == class)
                || known.results.iter().any(|name| results.contains(name))
                || known.outs.iter().any(|out| outs.contains(out))
        }) {
            return Err(directive.error(format!("'{}' cleans that up already", other.function)));
        }
        self.found.cleanups.push(Cleanup { function: function.name.clone(), results, outs, class });
        Ok(())
    }

    /// What is left of it without the functions that the patterns, each with its `!`, leave out.
    fn without_borrowed(&self, mut freed: Freed, exceptions: &[&str]) -> Freed {
        let mut patterns = Patterns::of(&["*"]);
        patterns.extend(Patterns::of(exceptions));
        let owned = |name: &str| patterns.choose(name, self.class_of(name));
        freed.results.retain(|name| owned(name));
        freed.outs.retain(|(name, _)| owned(name));
        freed
    }

    /// Whether the function takes one pointer to what it is to free.
    fn check_frees(&self, directive: &Directive, function: &Function, freed: &Freed) -> HeaderResult<()> {
        let [Parameter { ty: Type { kind: TypeKind::Pointer(taken), spelling, .. }, .. }] =
            &function.parameters[..]
        else {
            return Err(directive.error(format!("'{}' does not take one pointer", function.name)));
        };
        match &freed.target {
            Some(target)
                if target.kind != taken.kind && ![&target.kind, &taken.kind].contains(&&TypeKind::Void) =>
            {
                let wanted = &target.spelling;
                Err(directive
                    .error(format!("'{}' takes a '{spelling}', no pointer to '{wanted}'", function.name)))
            }
            _ => Ok(()),
        }
    }

    fn nothing_to_free(&self, directive: &Directive, what: &str) -> HeaderError {
        let classes = self.found.classes.iter().map(|class| class.argument.as_str());
        let known = classes
            .chain(self.interface.records.iter().map(|record| record.key.as_str()))
            .chain(self.interface.typedefs.iter().map(|typedef| typedef.name.as_str()));
        let nearest = did_you_mean(what, known);
        directive.error(format!(
            "'{what}' is neither a '$ class' nor a type that a function returns a pointer to{nearest}"
        ))
    }

    /// What is to be cleaned up: the results of functions, what they store through parameters, and the instances
    /// of a class.
    fn freed(&self, what: &str) -> Option<Freed> {
        let classes = &self.found.classes;
        if let Some(class) = classes.iter().find(|class| class.argument == what) {
            let target = class.record.as_ref().map(|record| TypeKind::Record(record.clone()));
            let mut freed = target.map(|target| self.pointing_to(&target)).unwrap_or_default();
            freed.results.extend(class.init.clone().filter(|init| !freed.results.contains(init)));
            return Some(Freed { class: Some(what.to_owned()), ..freed });
        }
        let spelled: Vec<_> =
            self.owned_results().filter(|(function, _)| function.result.spelling == what).collect();
        if self.interface.typedefs.iter().any(|typedef| typedef.name == what) && !spelled.is_empty() {
            let target = spelled.first().map(|(_, target)| (*target).clone());
            let results = spelled.into_iter().map(|(function, _)| function.name.clone()).collect();
            return Some(Freed { results, target, ..Freed::default() });
        }
        let ty =
            self.interface.type_named(what).or_else(|_| self.interface.type_named(&format!("struct {what}")));
        let target = match ty.ok().map(|ty| ty.kind) {
            Some(TypeKind::Pointer(target)) => target.kind,
            Some(record @ TypeKind::Record(_)) => record,
            Some(_) => return None,
            None => return self.out_parameter(what),
        };
        let freed = self.pointing_to(&target);
        let class = classes
            .iter()
            .find(|class| matches!(&target, TypeKind::Record(key) if class.record.as_ref() == Some(key)));
        (class.is_some() || !freed.results.is_empty() || !freed.outs.is_empty())
            .then(|| Freed { class: class.map(|class| class.argument.clone()), ..freed })
    }

    /// What functions store through a parameter: `ARGUMENT` or `FUNCTION.ARGUMENT`.
    fn out_parameter(&self, what: &str) -> Option<Freed> {
        let (function, name) = what.split_once('.').map_or((None, what), |(f, name)| (Some(f), name));
        let named = self.owned_outs().filter(|(known, index, _)| {
            function.is_none_or(|function| known.name == function)
                && known.parameters[*index].name.as_deref() == Some(name)
        });
        let (mut outs, mut target) = (Vec::new(), None);
        for (function, index, stored) in named {
            outs.push((function.name.clone(), index));
            target.get_or_insert(stored);
        }
        (!outs.is_empty()).then(|| Freed { outs, target: target.cloned(), ..Freed::default() })
    }

    /// The functions that return a pointer which is not to const, and what it points to.
    fn owned_results(&self) -> impl Iterator<Item = (&'a Function, &'a Type)> {
        self.interface.functions.iter().filter_map(|function| match &function.result.kind {
            TypeKind::Pointer(target) if !target.is_const => Some((function, &**target)),
            _ => None,
        })
    }

    /// The parameters through which functions store such a pointer: `struct box **out`.
    fn owned_outs(&self) -> impl Iterator<Item = (&'a Function, usize, &'a Type)> {
        self.interface.functions.iter().flat_map(|function| {
            function.parameters.iter().enumerate().filter_map(move |(index, parameter)| {
                let TypeKind::Pointer(stored) = &parameter.ty.kind else { return None };
                match &stored.kind {
                    TypeKind::Pointer(target) if !stored.is_const && !target.is_const => {
                        Some((function, index, &**target))
                    }
                    _ => None,
                }
            })
        })
    }

    /// Who returns or stores pointers to such a thing. A `char **` may as well lead into another text, and a
    /// `void **` to anything: those are named one by one.
    fn pointing_to(&self, target: &TypeKind) -> Freed {
        let mut freed = Freed::default();
        for (function, found) in self.owned_results().filter(|(_, found)| found.kind == *target) {
            freed.results.push(function.name.clone());
            freed.target.get_or_insert_with(|| found.clone());
        }
        if matches!(target, TypeKind::Record(_)) {
            for (function, index, found) in self.owned_outs().filter(|(.., found)| found.kind == *target) {
                freed.outs.push((function.name.clone(), index));
                freed.target.get_or_insert_with(|| found.clone());
            }
        }
        freed
    }

    fn wrappers(&mut self, directives: &[Directive]) -> HeaderResult<()> {
        let mut wrappers: Vec<(String, &Directive, Patterns)> = Vec::new();
        for directive in directives.iter().filter(|directive| directive.word == "wrapper") {
            let words = directive.words();
            let [name, patterns @ ..] = &words[..] else {
                return Err(directive.malformed("wrapper NAME PATTERN..."));
            };
            if let Some((_, other, _)) = wrappers.iter().find(|(known, ..)| known == name) {
                return Err(directive.error(format!(
                    "there is a '$ wrapper {name}' already, at {}; '$ wrapper_update {name}' adds patterns",
                    other.location
                )));
            }
            let patterns = match patterns {
                [] => Patterns::of(&[self.function(directive, None)?.name.as_str()]),
                patterns => Patterns::of(patterns),
            };
            wrappers.push(((*name).to_owned(), directive, self.checked(directive, patterns)?));
        }
        for directive in directives.iter().filter(|directive| directive.word == "wrapper_update") {
            let words = directive.words();
            let [name, patterns @ ..] = &words[..] else {
                return Err(directive.malformed("wrapper_update NAME PATTERN..."));
            };
            let more = match patterns {
                [] => Patterns::of(&[self.function(directive, None)?.name.as_str()]),
                patterns => Patterns::of(patterns),
            };
            let more = self.checked(directive, more)?;
            let nearest = did_you_mean(name, wrappers.iter().map(|(known, ..)| known.as_str()));
            let Some((.., patterns)) = wrappers.iter_mut().find(|(known, ..)| known == name) else {
                return Err(directive.error(format!("there is no '$ wrapper {name}'{nearest}")));
            };
            patterns.extend(more);
        }
        for (name, directive, patterns) in wrappers {
            let functions = self.interface.functions.iter().map(|function| function.name.as_str());
            let chosen = functions.filter(|function| patterns.choose(function, self.class_of(function)));
            let functions = chosen.map(str::to_owned).collect();
            self.found.wrappers.push(Wrapper { name, functions, location: directive.location.clone() });
        }
        Ok(())
    }

    /// The class that a function belongs to, by its argument.
    fn class_of(&self, function: &str) -> Option<&str> {
        let of_class = |class: &&Class| {
            class.init.as_deref() == Some(function) || class.methods.iter().any(|method| method == function)
        };
        self.found.classes.iter().find(of_class).map(|class| class.argument.as_str())
    }

    /// The patterns, if each name in them that has no `*` is one of something.
    fn checked(&self, directive: &Directive, patterns: Patterns) -> HeaderResult<Patterns> {
        for name in patterns.plain_names() {
            match name {
                (name, false) if !self.functions.contains_key(name) => {
                    return Err(self.no_function(directive, name));
                }
                (name, true) => drop(self.class_named(directive, name)?),
                _ => {}
            }
        }
        Ok(patterns)
    }
}

/// What a [`Cleanup`] cleans up.
#[derive(Default)]
struct Freed {
    class: Option<String>,
    results: Vec<String>,
    /// Functions, and the parameter through which each stores it.
    outs: Vec<(String, usize)>,
    /// What is pointed to, if anything is.
    target: Option<Type>,
}

/// What a function does with a property.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Accessor {
    Get,
    Set,
}

/// The names that an expression about a function may have.
struct InScope<'a> {
    function: &'a Function,
    interface: &'a Interface,
}

impl Names for InScope<'_> {
    fn argument(&self, name: &str) -> Option<usize> {
        self.function.parameters.iter().position(|parameter| parameter.name.as_deref() == Some(name))
    }

    fn constant(&self, name: &str) -> Option<i64> {
        let constant = self.interface.constants.iter().find(|constant| constant.name == name);
        let value = constant.and_then(|constant| match &constant.value {
            ConstantValue::Integer(value) => Some(*value),
            _ => None,
        });
        let enumerators = || self.interface.enumerations.iter().flat_map(|one| &one.enumerators);
        let enumerator = || enumerators().find(|one| one.name == name).map(|one| one.value);
        i64::try_from(value.or_else(enumerator)?).ok()
    }
}

impl InScope<'_> {
    fn error(&self, directive: &Directive, text: &str, why: BadExpression) -> HeaderError {
        let why = match why {
            BadExpression::Unexpected(token) if token.is_empty() => "it ends too early".to_owned(),
            BadExpression::Unexpected(token) => format!("'{token}' is not expected there"),
            BadExpression::TooLarge(token) => format!("{token} is too large"),
            BadExpression::TooDeep => "it is nested too deeply".to_owned(),
            BadExpression::UnknownName(name) => {
                let names = self.function.parameters.iter().filter_map(|parameter| parameter.name.as_deref());
                let nearest = did_you_mean(&name, names);
                format!("'{}' has no parameter '{name}'{nearest}", self.function.name)
            }
        };
        directive.error(format!("'{text}' is no expression over the arguments: {why}"))
    }
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

fn is_identifier(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

/// As Python's `str.capitalize`.
fn capitalized(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters.map(|letter| letter.to_ascii_lowercase())).collect()
}
