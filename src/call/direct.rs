//! The register-class call: one cast fills every argument register of the System V x86-64
//! convention, so it serves each signature with at most 6 integer and 8 SSE arguments.

use std::ffi::c_void;

type Integer =
    unsafe extern "C" fn(u64, u64, u64, u64, u64, u64, f64, f64, f64, f64, f64, f64, f64, f64) -> u64;
type Float =
    unsafe extern "C" fn(u64, u64, u64, u64, u64, u64, f64, f64, f64, f64, f64, f64, f64, f64) -> f64;

macro_rules! call {
    ($ty:ty, $address:expr, $i:expr, $f:expr) => {{
        // SAFETY: the caller vouches for the address and for the signature fitting the registers;
        // registers that the callee does not read may hold anything.
        unsafe {
            let function = std::mem::transmute::<*const c_void, $ty>($address);
            let [a, b, c, d, e, f] = *$i;
            let [s, t, u, v, w, x, y, z] = $f.map(f64::from_bits);
            function(a, b, c, d, e, f, s, t, u, v, w, x, y, z)
        }
    }};
}

/// Calls code whose result is an integer, a pointer or nothing; returns rax.
///
/// # Safety
/// `address` is a function whose arguments all fit into the registers given, in System V order.
#[inline(always)]
pub unsafe fn call_for_integer(address: *const c_void, integers: &[u64; 6], floats: &[u64; 8]) -> u64 {
    call!(Integer, address, integers, floats)
}

/// Calls code whose result is `float` or `double`; returns the bits of xmm0.
///
/// # Safety
/// As for [`call_for_integer`].
#[inline(always)]
pub unsafe fn call_for_float(address: *const c_void, integers: &[u64; 6], floats: &[u64; 8]) -> u64 {
    call!(Float, address, integers, floats).to_bits()
}
