use serde::{Deserialize, Serialize};

use super::{Expression, Location};

/// What the directives in the headers' comments say, every name in them known to be right.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directives {
    /// `class`, `init` and `property`.
    pub classes: Vec<Class>,
    /// `func_alias`.
    pub aliases: Vec<Alias>,
    /// `wrapper` and `wrapper_update`, the outermost first.
    pub wrappers: Vec<Wrapper>,
    /// `private`: names of functions.
    pub private: Vec<String>,
    /// `len`.
    pub lengths: Vec<Length>,
    /// `cleanup`.
    pub cleanups: Vec<Cleanup>,
}

/// Functions that are to be the methods of a Python class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Class {
    /// What the first parameter of a method is called; the record or typedef of this name is the class's type.
    pub argument: String,
    /// The name in Python.
    pub name: String,
    /// The record that instances point to, if the header tells.
    pub record: Option<String>,
    /// The function that makes an instance.
    pub init: Option<String>,
    /// The functions with an instance as their first parameter.
    pub methods: Vec<String>,
    /// Its properties.
    pub properties: Vec<Property>,
    /// The directive.
    pub location: Location,
}

/// A property of a [`Class`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Property {
    /// The name in Python.
    pub name: String,
    /// The function that reads it.
    pub getter: Option<String>,
    /// The function that writes it.
    pub setter: Option<String>,
}

/// Another name of a function in Python.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// The function.
    pub function: String,
    /// The name in Python.
    pub name: String,
    /// The directive; `None` for a name that goes without saying.
    pub location: Option<Location>,
}

/// A Python function that wraps C functions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrapper {
    /// Its name in one of the wrapper modules.
    pub name: String,
    /// The functions that its patterns choose.
    pub functions: Vec<String>,
    /// The directive.
    pub location: Location,
}

/// How long the memory behind a pointer is, in units of what it points to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Length {
    /// The function.
    pub function: String,
    /// Which parameter it is about; `None` for the result.
    pub parameter: Option<usize>,
    /// How long.
    pub expression: Expression,
    /// The size of what it points to, in bytes.
    pub unit: u64,
}

/// A function that frees what others return.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cleanup {
    /// It.
    pub function: String,
    /// The functions whose results it frees.
    pub results: Vec<String>,
    /// The functions that store what it frees, and the parameter through which they do.
    pub outs: Vec<(String, usize)>,
    /// The class whose instances it frees, by its argument.
    pub class: Option<String>,
}

impl Directives {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
