use std::ffi::c_void;
use std::path::PathBuf;

use super::{Convention, Library, Signature, SymbolKind, Wide};
use crate::model::{Function, Interface, Linkage, Location, Type, TypeKind};
use crate::{Error, Result};

/// The join of a header and a library.
#[derive(Debug)]
pub struct Bindings {
    /// What can be called.
    pub functions: Vec<BoundFunction>,
    /// What the header declares and cannot be called, with the reason.
    pub skipped: Vec<Skipped>,
}

/// A declared function that can be called.
#[derive(Clone, Debug)]
pub struct BoundFunction {
    /// The declaration.
    pub declaration: Function,
    /// Its code.
    pub address: *const c_void,
    /// How it is called.
    pub shape: CallShape,
}

/// What a call is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallShape {
    /// One word per parameter: the fast routes.
    Scalars(Signature),
    /// Records or wide numbers by value, or variable arguments.
    General(Convention),
}

impl CallShape {
    /// How a function is called, or why it cannot be: the rest of a sentence about it.
    pub fn of(declaration: &Function, interface: &Interface) -> std::result::Result<Self, String> {
        let by_value = |ty: &Type| matches!(ty.kind, TypeKind::Record(_)) || Wide::of(&ty.kind).is_some();
        let types = declaration.parameters.iter().map(|parameter| &parameter.ty);
        if declaration.variadic || types.chain([&declaration.result]).any(by_value) {
            let general = Convention::of(declaration, interface).map(Self::General);
            // Where variable arguments cannot be passed, it can still be called without any.
            general.or_else(|why| match declaration.is_unprototyped() {
                true => Signature::of(declaration).map(Self::Scalars).map_err(|_| why),
                false => Err(why),
            })
        } else {
            Signature::of(declaration).map(Self::Scalars)
        }
    }
}

// SAFETY: the address is only a number until somebody calls it, which is unsafe by itself.
unsafe impl Send for BoundFunction {}

/// A declared function that is not bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its name.
    pub name: String,
    /// What the header says it is; `None` for a variable.
    pub prototype: Option<String>,
    /// Where it is declared.
    pub location: Location,
    /// Why it is not bound, as the rest of a sentence about it: `it is variadic`.
    pub reason: String,
    /// Whether one of the given headers declares it.
    pub in_given_header: bool,
}

/// Joins what the headers declare with what the library exports. The functions are taken out of the
/// interface.
pub fn bind(interface: &mut Interface, library: &Library, headers: &[PathBuf]) -> Result<Bindings> {
    let declared = expected(&interface.functions);
    let mut bindings = Bindings { functions: Vec::new(), skipped: Vec::new() };
    for declaration in std::mem::take(&mut interface.functions) {
        match resolve(&declaration, interface, library)? {
            Ok((address, shape)) => {
                bindings.functions.push(BoundFunction { declaration, address, shape });
            }
            Err(reason) => bindings.skipped.push(Skipped {
                name: declaration.name,
                prototype: Some(declaration.prototype),
                location: declaration.location,
                reason,
                in_given_header: declaration.in_given_header,
            }),
        }
    }
    let exports = |name: &str| library.symbols().get(name).is_some();
    let of_library = |function: &Function| function.linkage == Linkage::External || exports(&function.name);
    let exported = bindings.functions.iter().any(|function| of_library(&function.declaration))
        || bindings.skipped.iter().any(|skipped| exports(&skipped.name));
    if declared > 0 && !exported {
        let headers = headers.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
        return Err(Error::NothingInCommon { declared, headers, library: library.path().to_owned() });
    }
    Ok(bindings)
}

/// How many functions the headers promise of the library.
fn expected(functions: &[Function]) -> usize {
    let count = |linkage: Linkage, given: bool| {
        let counts =
            |function: &&Function| function.linkage == linkage && (function.in_given_header || !given);
        functions.iter().filter(counts).count()
    };
    let own_code = count(Linkage::Static, true) + count(Linkage::Inline, true);
    match (count(Linkage::External, true), own_code) {
        // An umbrella header declares nothing itself.
        (0, 0) => count(Linkage::External, false),
        // With code of its own, a header need not promise anything.
        (given, _) => given,
    }
}

fn resolve(
    declaration: &Function,
    interface: &Interface,
    library: &Library,
) -> Result<std::result::Result<(*const c_void, CallShape), String>> {
    let unusable = |why: String| Ok(Err(why));
    let symbol = declaration.symbol.as_deref().unwrap_or(&declaration.name);
    match library.symbols().get(symbol).map(|symbol| symbol.kind) {
        Some(SymbolKind::Function) => {}
        Some(_) => return unusable(format!("{} exports a variable of that name", library.path().display())),
        None if declaration.linkage != Linkage::External => {
            let shape = CallShape::of(declaration, interface);
            return Ok(shape.and_then(|shape| Ok((static_code(declaration, library)?, shape))));
        }
        None => return unusable(format!("it is not exported by {}", library.path().display())),
    }
    let shape = match CallShape::of(declaration, interface) {
        Ok(shape) => shape,
        Err(why) => return unusable(why),
    };
    let missing = || format!("the dynamic loader does not find it in {}", library.path().display());
    Ok(library.address(symbol)?.map(|address| (address, shape)).ok_or_else(missing))
}

/// The code of a function that is in the header only.
fn static_code(declaration: &Function, library: &Library) -> std::result::Result<*const c_void, String> {
    let is = match declaration.linkage {
        Linkage::Inline => "it is inline",
        _ => "it is static",
    };
    match library.shim().and_then(|shim| shim.address(&declaration.name)) {
        Some(Ok(code)) => Ok(code),
        Some(Err(why)) => Err(format!("{is}: its code is in the header, and {why}")),
        None if declaration.in_given_header => {
            Err(format!("{is}: its code is in the header, not in the library"))
        }
        None => Err(format!(
            "{is}: its code is in a header that was not given; give this one too to have it compiled"
        )),
    }
}
