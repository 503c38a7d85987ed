//! Integer expressions over the arguments of a function, as the directive `len` has them.

use serde::{Deserialize, Serialize};

/// An expression with integers only, so evaluating one can do no harm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expression {
    /// A number.
    Number(i64),
    /// The argument with this index.
    Argument(usize),
    /// What the argument with this index points to, after the call.
    Target(usize),
    /// `-x`
    Negative(Box<Expression>),
    /// Two operands.
    Binary(Operator, Box<Expression>, Box<Expression>),
}

/// What is done with two operands, as in C.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`, rounded towards zero.
    Divide,
    /// `%`, with the sign of the first operand.
    Remainder,
    /// `<<`
    ShiftLeft,
    /// `>>`
    ShiftRight,
}

impl Operator {
    const ALL: [(&str, Self, u8); 7] = [
        ("+", Self::Add, 2),
        ("-", Self::Subtract, 2),
        ("*", Self::Multiply, 3),
        ("/", Self::Divide, 3),
        ("%", Self::Remainder, 3),
        ("<<", Self::ShiftLeft, 1),
        (">>", Self::ShiftRight, 1),
    ];

    /// The one a token stands for, and how closely it binds.
    fn named(token: &str) -> Option<(Self, u8)> {
        Self::ALL
            .iter()
            .find(|(sign, ..)| *sign == token)
            .map(|&(_, operator, strength)| (operator, strength))
    }
}

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadExpression {
    /// Something else stands where it is not expected; empty at the end.
    Unexpected(String),
    /// A number beyond 64 bits.
    TooLarge(String),
    /// A name that means nothing here.
    UnknownName(String),
    /// More brackets inside each other than anybody writes.
    TooDeep,
}

/// What names mean in an expression.
pub trait Names {
    /// The index of an argument.
    fn argument(&self, name: &str) -> Option<usize>;
    /// The value of a constant.
    fn constant(&self, name: &str) -> Option<i64>;
}

/// How deep an expression may be nested.
const DEEPEST: usize = 64;

impl Expression {
    /// Reads an expression: numbers, names, `*name`, `+ - * / % << >>` and brackets.
    pub fn parse(text: &str, names: &impl Names) -> Result<Self, BadExpression> {
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens: &tokens, at: 0, depth: 0, names };
        let expression = parser.binary(0)?;
        match parser.peek() {
            None => Ok(expression),
            Some(token) => Err(BadExpression::Unexpected(token.to_owned())),
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn tokens(text: &str) -> Result<Vec<&str>, BadExpression> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            _ if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            '<' | '>' if rest.starts_with("<<") || rest.starts_with(">>") => 2,
            '+' | '-' | '*' | '/' | '%' | '(' | ')' => 1,
            other => return Err(BadExpression::Unexpected(other.to_string())),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

struct Parser<'a, N> {
    tokens: &'a [&'a str],
    at: usize,
    depth: usize,
    names: &'a N,
}

impl<'a, N: Names> Parser<'a, N> {
    fn peek(&self) -> Option<&'a str> {
        self.tokens.get(self.at).copied()
    }

    fn next(&mut self) -> Option<&'a str> {
        let token = self.peek();
        self.at += usize::from(token.is_some());
        token
    }

    /// An expression whose operators bind more closely than `least`.
    fn binary(&mut self, least: u8) -> Result<Expression, BadExpression> {
        let mut left = self.operand()?;
        while let Some((operator, strength)) = self.peek().and_then(Operator::named)
            && strength > least
        {
            self.at += 1;
            let right = self.binary(strength)?;
            left = Expression::Binary(operator, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn operand(&mut self) -> Result<Expression, BadExpression> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(BadExpression::TooDeep);
        }
        let operand = match self.next() {
            Some("(") => {
                let inner = self.binary(0)?;
                match self.next() {
                    Some(")") => inner,
                    other => return Err(BadExpression::Unexpected(other.unwrap_or_default().to_owned())),
                }
            }
            Some("-") => Expression::Negative(Box::new(self.operand()?)),
            Some("*") => {
                let name = self.next().unwrap_or_default();
                let index = self.names.argument(name);
                Expression::Target(index.ok_or_else(|| BadExpression::UnknownName(name.to_owned()))?)
            }
            Some(token) if token.starts_with(|c: char| c.is_ascii_digit()) => number(token)?,
            Some(token) if token.starts_with(is_word) => self.name(token)?,
            other => return Err(BadExpression::Unexpected(other.unwrap_or_default().to_owned())),
        };
        self.depth -= 1;
        Ok(operand)
    }

    fn name(&self, name: &str) -> Result<Expression, BadExpression> {
        let argument = self.names.argument(name).map(Expression::Argument);
        argument
            .or_else(|| self.names.constant(name).map(Expression::Number))
            .ok_or_else(|| BadExpression::UnknownName(name.to_owned()))
    }
}

fn number(token: &str) -> Result<Expression, BadExpression> {
    let digits = token.strip_prefix("0x").or_else(|| token.strip_prefix("0X"));
    let (digits, radix) = digits.map_or((token, 10), |digits| (digits, 16));
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(BadExpression::Unexpected(token.to_owned()));
    }
    let number = i64::from_str_radix(digits, radix);
    number.map(Expression::Number).map_err(|_| BadExpression::TooLarge(token.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Some2;

    impl Names for Some2 {
        fn argument(&self, name: &str) -> Option<usize> {
            ["rows", "columns"].iter().position(|known| *known == name)
        }

        fn constant(&self, name: &str) -> Option<i64> {
            (name == "LIMIT").then_some(16)
        }
    }

    fn parse(text: &str) -> Result<Expression, BadExpression> {
        Expression::parse(text, &Some2)
    }

    /// The expression with all its brackets.
    fn show(expression: &Expression) -> String {
        match expression {
            Expression::Number(number) => number.to_string(),
            Expression::Argument(index) => format!("${index}"),
            Expression::Target(index) => format!("*${index}"),
            Expression::Negative(inner) => format!("-{}", show(inner)),
            Expression::Binary(operator, left, right) => {
                let sign = Operator::ALL.iter().find(|(_, known, _)| known == operator).unwrap().0;
                format!("({}{sign}{})", show(left), show(right))
            }
        }
    }

    #[test]
    fn operators_bind_as_in_c() {
        for (text, expected) in [
            ("rows * columns + 1", "(($0*$1)+1)"),
            ("1 + rows*columns", "(1+($0*$1))"),
            ("rows - columns - 1", "(($0-$1)-1)"),
            ("(rows - (columns - 0x10))", "($0-($1-16))"),
            ("1 << rows + 2", "(1<<($0+2))"),
            ("-rows % LIMIT", "(-$0%16)"),
            ("*columns / 2", "(*$1/2)"),
            ("rows * *columns", "($0**$1)"),
        ] {
            assert_eq!(show(&parse(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_says_why() {
        let unexpected = |token: &str| BadExpression::Unexpected(token.to_owned());
        for (text, expected) in [
            ("", unexpected("")),
            ("rows +", unexpected("")),
            ("(rows", unexpected("")),
            ("rows)", unexpected(")")),
            ("rows columns", unexpected("columns")),
            ("rows.real", unexpected(".")),
            ("1 < 2", unexpected("<")),
            ("12x", unexpected("12x")),
            ("__import__", BadExpression::UnknownName("__import__".to_owned())),
            ("*LIMIT", BadExpression::UnknownName("LIMIT".to_owned())),
            ("9223372036854775808", BadExpression::TooLarge("9223372036854775808".to_owned())),
        ] {
            assert_eq!(parse(text), Err(expected), "{text}");
        }
        for (open, close) in [("(", ")"), ("-", "")] {
            let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
            assert_eq!(parse(&deep), Err(BadExpression::TooDeep));
        }
    }
}
