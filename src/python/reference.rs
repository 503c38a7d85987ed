use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;

use super::buffer::Views;
use super::convert::{Argument, Failure, Plan, ResultPlan, to_c, to_python};
use super::exceptions::new_argument_error;
use super::pointer::Pointer;
use super::types::TypeId;
use crate::binding::Scalar;
use crate::bracket::Root;
use crate::call::Block;
use crate::model::Type;

/// One C value in memory of its own, for parameters through which C hands something back.
///
/// Pass it where the function takes a pointer to this type, then read `value`.
#[pyclass(frozen, module = "pythy")]
pub struct Ref {
    block: Block,
    scalar: Scalar,
    plan: Plan,
    result: ResultPlan,
    target: TypeId,
    spelling: String,
    checked: bool,
    _root: Option<Root>,
}

impl Ref {
    /// A zeroed value of a type; `None` where there is no memory. The error says why there is no such value.
    pub fn new(ty: &Type, decode: bool, checked: bool) -> Result<Option<Self>, String> {
        let scalar = match Scalar::of(ty)? {
            Scalar::Void => return Err("'void' has no values".to_owned()),
            scalar => scalar,
        };
        Ok(Block::zeroed(scalar.size()).map(|block| Self {
            _root: checked.then(|| Root::new(block.address() as usize)),
            block,
            scalar,
            plan: Plan::of(ty),
            result: ResultPlan::of(ty, decode),
            target: TypeId::of(&ty.canonical()),
            spelling: ty.spelling.clone(),
            checked,
        }))
    }

    /// Where the value lies.
    pub fn address(&self) -> usize {
        self.block.address() as usize
    }

    /// The type of the value.
    pub fn target(&self) -> TypeId {
        self.target
    }

    fn word(&self) -> u64 {
        let mut word = [0; 8];
        word[..self.block.size()].copy_from_slice(self.block.bytes());
        let word = u64::from_le_bytes(word);
        self.scalar.word(word, word)
    }
}

#[pymethods]
impl Ref {
    /// The value, converted as results are: char * to bytes, other pointers to Pointer, NULL to None.
    #[getter]
    fn value(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        // SAFETY: the GIL is held; the word was stored by this class or by C code as this type.
        unsafe {
            let object = to_python(self.result, self.word(), self.checked);
            Bound::from_owned_ptr_or_err(py, object).map(Bound::unbind)
        }
    }

    /// Stores a value, converted as arguments are.
    #[setter]
    pub fn set_value(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = value.py();
        let mut views = Views::new();
        // SAFETY: the GIL is held and the value is live.
        let converted = unsafe { to_c(&self.plan, value.as_ptr(), &mut views) };
        let word = match converted {
            Ok(Argument::Word(word)) => word,
            Ok(Argument::Memory { .. }) => {
                return Err(new_argument_error(
                    py,
                    format!(
                        "a ref of type '{}' takes a pointer or None: it would outlive the memory of a '{}'",
                        self.spelling,
                        value.get_type().name()?,
                    ),
                ));
            }
            Err(Failure::Range) => {
                let range = self.plan.range().map(|(low, high)| format!(": it holds {low} to {high}"));
                return Err(PyOverflowError::new_err(format!(
                    "{} is out of range for a ref of type '{}'{}",
                    value.repr()?,
                    self.spelling,
                    range.unwrap_or_default(),
                )));
            }
            Err(Failure::Raised) => return Err(PyErr::fetch(py)),
            Err(_) => {
                return Err(new_argument_error(
                    py,
                    format!(
                        "a ref of type '{}' takes {}, not {}",
                        self.spelling,
                        self.plan.expected(),
                        value.get_type().name()?,
                    ),
                ));
            }
        };
        // SAFETY: the block has exactly `size` bytes, at most 8, and nobody else writes it under the GIL.
        unsafe {
            let bytes = word.to_le_bytes();
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.block.address().cast(), self.block.size());
        }
        Ok(())
    }

    /// The stored pointer itself, to free or to own it; None for NULL.
    #[getter]
    fn pointer(&self, py: Python<'_>) -> PyResult<Option<Py<Pointer>>> {
        let target = match self.plan {
            Plan::Text(target) | Plan::Pointer(target) => target.id,
            _ => {
                let message = format!("a ref of type '{}' holds no pointer", self.spelling);
                return Err(pyo3::exceptions::PyAttributeError::new_err(message));
            }
        };
        match self.word() {
            0 => Ok(None),
            word => Py::new(py, Pointer::new(word as usize, target, self.checked)).map(Some),
        }
    }

    fn __repr__(&self) -> String {
        format!("<pythy.Ref '{}' at {:#x}>", self.spelling, self.address())
    }
}
