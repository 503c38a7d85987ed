//! The names of an interface that are not functions: macro constants, enums and their
//! enumerators. They become objects when somebody asks for them. And how names of C are written in Python.

use std::collections::HashMap;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyFloat};

use super::enumeration::EnumClass;
use super::interface::OWN_NAMES;
use crate::model::{Constant, ConstantValue, Interface as Model};

const KEYWORDS: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "class", "def", "del", "elif",
    "except", "finally", "from", "global", "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass",
    "raise", "try", "with", "yield",
];

/// The name in Python: keywords, and the module's own names, get a trailing underscore.
pub fn python_name(name: &str) -> String {
    if KEYWORDS.contains(&name) || OWN_NAMES.contains(&name) { format!("{name}_") } else { name.to_owned() }
}

/// The name in C of what [`python_name`] gave an underscore; `None` for any other.
pub fn reserved_name(name: &str) -> Option<&str> {
    name.strip_suffix('_').filter(|plain| KEYWORDS.contains(plain) || OWN_NAMES.contains(plain))
}

/// The names and what they stand for.
pub struct Names {
    constants: HashMap<String, Constant>,
    enumerations: HashMap<String, Arc<EnumClass>>,
    /// Enums by their names in Python.
    classes: HashMap<String, Arc<EnumClass>>,
    /// Enums by their enumerators' names.
    members: HashMap<String, Arc<EnumClass>>,
}

impl Names {
    /// Takes the constants out of the model and finds its enums.
    pub fn new(model: &mut Model) -> Self {
        let enumerations = EnumClass::all(model);
        let (mut classes, mut members) = (HashMap::new(), HashMap::new());
        for class in enumerations.values() {
            classes.extend(class.name().map(|name| (name.to_owned(), class.clone())));
            let enumerators = class.enumeration().enumerators.iter();
            members.extend(enumerators.map(|enumerator| (enumerator.name.clone(), class.clone())));
        }
        let constants = std::mem::take(&mut model.constants).into_iter();
        let constants = constants.map(|constant| (constant.name.clone(), constant)).collect();
        Self { constants, enumerations, classes, members }
    }

    /// Enums by the keys that types refer to them by.
    pub fn enumerations(&self) -> &HashMap<String, Arc<EnumClass>> {
        &self.enumerations
    }

    /// What a name stands for; `None` where it stands for nothing here. `cast` makes pointers of an
    /// address and the name of their type.
    pub fn resolve(
        &self,
        py: Python<'_>,
        module: &str,
        name: &str,
        cast: impl Fn(u64, &str) -> PyResult<Py<PyAny>>,
    ) -> PyResult<Option<Py<PyAny>>> {
        if let Some(class) = self.members.get(name) {
            return Ok(Some(class.member(py, module, name)?.unbind()));
        }
        if let Some(constant) = self.constants.get(name) {
            return Ok(Some(match &constant.value {
                ConstantValue::Pointer(address, type_name) => return cast(*address, type_name).map(Some),
                ConstantValue::Integer(value) => value.into_pyobject(py)?.into_any().unbind(),
                ConstantValue::Float(value) => PyFloat::new(py, *value).into_any().unbind(),
                ConstantValue::String(value) => PyBytes::new(py, value).into_any().unbind(),
            }));
        }
        match self.classes.get(name) {
            Some(class) => Ok(Some(class.class(py, module)?.unbind())),
            None => Ok(None),
        }
    }

    /// The names that the given headers declare themselves.
    pub fn of_given_headers(&self) -> Vec<String> {
        let constants = self.constants.values().filter(|constant| constant.in_given_header);
        let mut names: Vec<String> = constants.map(|constant| constant.name.clone()).collect();
        for class in self.enumerations.values().filter(|class| class.enumeration().in_given_header) {
            names.extend(class.name().map(str::to_owned));
            names.extend(class.enumeration().enumerators.iter().map(|enumerator| enumerator.name.clone()));
        }
        names
    }
}
