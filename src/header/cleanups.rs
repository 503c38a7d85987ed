//! What `$ cleanup` means.

use super::directives::Directive;
use super::patterns::Patterns;
use super::resolution::Resolver;
use crate::error::{HeaderError, HeaderResult};
use crate::model::{Cleanup, Function, Parameter, Type, TypeKind, did_you_mean};

impl<'a> Resolver<'a> {
    pub(super) fn cleanup(&mut self, directive: &Directive) -> HeaderResult<()> {
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
