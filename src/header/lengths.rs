//! What `$ len` means.

use super::directives::{Declared, Directive};
use super::resolution::{Resolver, is_identifier};
use crate::error::{HeaderError, HeaderResult};
use crate::model::{
    BadExpression, ConstantValue, Expression, Function, Interface, Length, Names, TypeKind, did_you_mean,
};

impl<'a> Resolver<'a> {
    pub(super) fn length(&mut self, directive: &Directive) -> HeaderResult<()> {
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
