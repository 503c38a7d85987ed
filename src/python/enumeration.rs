use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList};

use super::names::without_keyword;
use crate::model::{Enumeration, Interface as Model};

/// A C enum and, from its first use on, the `enum.IntEnum` that stands for it.
pub struct EnumClass {
    enumeration: Enumeration,
    /// The name in Python: the tag, or the typedef's name; `None` for an enum without either.
    name: Option<String>,
    made: PyOnceLock<Made>,
}

struct Made {
    class: Py<PyAny>,
    by_value: Py<PyDict>,
}

impl EnumClass {
    /// The classes of all enums, by the key that types refer to them by.
    pub fn all(model: &Model) -> HashMap<String, Arc<Self>> {
        let enumerations = model.enumerations.iter().cloned();
        enumerations
            .map(|enumeration| {
                let key = enumeration.key.clone();
                let name = key.strip_prefix("enum ").unwrap_or(&key).to_owned();
                let name = (!name.starts_with('(')).then_some(name);
                (key, Arc::new(Self { enumeration, name, made: PyOnceLock::new() }))
            })
            .collect()
    }

    /// The declaration.
    pub fn enumeration(&self) -> &Enumeration {
        &self.enumeration
    }

    /// The name in Python; `None` for an enum without tag and typedef.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The `IntEnum`.
    pub fn class<'py>(&self, py: Python<'py>, module: &str) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.made(py, module)?.class.bind(py).clone())
    }

    /// The name in the class of an enumerator: keywords, and what `enum` keeps for itself or takes for an attribute
    /// that is no member, get trailing underscores.
    pub fn member_name<'a>(&self, name: &'a str) -> Cow<'a, str> {
        let framed = name.starts_with('_') && name.ends_with('_') && name.chars().any(|letter| letter != '_');
        let behind_class = name.strip_prefix('_').and_then(|rest| rest.strip_prefix(self.class_name()));
        let private = behind_class.is_some_and(|rest| rest.starts_with("__"));
        match (private, name == "mro" || framed) {
            // One more would leave it private.
            (true, _) => Cow::Owned(format!("{name}__")),
            (false, true) => Cow::Owned(format!("{name}_")),
            (false, false) => without_keyword(name),
        }
    }

    fn class_name(&self) -> &str {
        self.name.as_deref().unwrap_or("enum")
    }

    /// The member of that name; `None` where there is none.
    pub fn member<'py>(&self, py: Python<'py>, module: &str, name: &str) -> PyResult<Bound<'py, PyAny>> {
        self.class(py, module)?.getattr(&*self.member_name(name))
    }

    /// The member of a value, or the plain int where no enumerator has it: C allows both. NULL
    /// with an exception set where neither can be made.
    ///
    /// # Safety
    /// The GIL is held.
    pub unsafe fn give(&self, word: u64) -> *mut ffi::PyObject {
        // SAFETY: as the caller vouches.
        let py = unsafe { Python::assume_attached() };
        let member = self.made(py, "pythy").and_then(|made| {
            let signed = self.enumeration.underlying.is_signed();
            let value = if signed { (word as i64).into_pyobject(py)? } else { word.into_pyobject(py)? };
            Ok(made.by_value.bind(py).get_item(&value)?.unwrap_or_else(|| value.into_any()))
        });
        match member {
            Ok(member) => member.into_ptr(),
            Err(error) => {
                error.restore(py);
                std::ptr::null_mut()
            }
        }
    }

    fn made(&self, py: Python<'_>, module: &str) -> PyResult<&Made> {
        self.made.get_or_try_init(py, || {
            let members = PyList::empty(py);
            for enumerator in &self.enumeration.enumerators {
                let name = self.member_name(&enumerator.name);
                members.append((&*name, enumerator.value))?;
                // The name in C is another name of the same member: Class["pass"].
                if *name == *without_keyword(&enumerator.name) && *name != *enumerator.name {
                    members.append((enumerator.name.as_str(), enumerator.value))?;
                }
            }
            let options = PyDict::new(py);
            options.set_item("module", module)?;
            let base = py.import("enum")?.getattr("IntEnum")?;
            let class = base.call((self.class_name(), members), Some(&options))?;
            if let Some(comment) = &self.enumeration.comment {
                class.setattr("__doc__", &**comment)?;
            }
            let by_value = PyDict::new(py);
            for member in class.try_iter()? {
                let member = member?;
                by_value.set_item(member.getattr("value")?, &member)?;
            }
            Ok(Made { class: class.unbind(), by_value: by_value.unbind() })
        })
    }
}
