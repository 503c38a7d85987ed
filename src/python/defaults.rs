//! What create_interface takes for its keywords that are None, as the pytest plugin and the command choose it.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;

struct Defaults {
    backend: Option<String>,
    leak_check: Option<String>,
}

static DEFAULTS: Mutex<Defaults> = Mutex::new(Defaults { backend: None, leak_check: None });

/// Chooses the backend and leak_check of interfaces whose makers do not; None leaves it to pythy.
#[pyfunction]
#[pyo3(signature = (*, backend=None, leak_check=None))]
pub fn set_defaults(backend: Option<String>, leak_check: Option<String>) {
    *DEFAULTS.lock().unwrap_or_else(PoisonError::into_inner) = Defaults { backend, leak_check };
}

/// The user's word by the environment comes first.
pub fn backend() -> Option<String> {
    let named = std::env::var("PYTHY_BACKEND").ok().filter(|value| !value.is_empty());
    named.or_else(|| DEFAULTS.lock().unwrap_or_else(PoisonError::into_inner).backend.clone())
}

/// When leaks are looked for.
pub fn leak_check() -> Option<String> {
    DEFAULTS.lock().unwrap_or_else(PoisonError::into_inner).leak_check.clone()
}
