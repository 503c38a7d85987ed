//! Client requests, each named after its macro. All are for a process under Valgrind, in a build
//! with Valgrind's headers: `valgrind::running()` is asked once, when the session starts.

use std::ffi::{CString, c_void};

/// `VALGRIND_COUNT_ERRORS`: every occurrence so far, duplicates included, suppressed ones not.
///
/// Made twice for each call, so not by the function of crabgrind's that makes all the others: handing that seven words
/// takes as long as the request itself. The instructions are those of valgrind.h.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[inline(always)]
pub fn count_errors() -> u64 {
    /// `VG_USERREQ__COUNT_ERRORS`, and no arguments.
    static REQUEST: [u64; 6] = [0x1201, 0, 0, 0, 0, 0];
    let count;
    // SAFETY: outside Valgrind these instructions change nothing; Valgrind reads the request, and puts its answer into rdx.
    unsafe {
        std::arch::asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") &raw const REQUEST,
            inlateout("rdx") 0_u64 => count,
            options(nostack),
        );
    }
    count
}

/// The same where Valgrind is asked in another way.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub fn count_errors() -> u64 {
    crabgrind::valgrind::count_errors() as u64
}

/// `VALGRIND_DO_ADDED_LEAK_CHECK`: reports what has been lost since the last check.
///
/// A caller-saved register or a dead stack slot that still holds a pointer would keep its block
/// "reachable", so both are cleared on the way into the request.
pub fn leak_check_added() {
    scrubbed(leak_check_added_request);
}

/// `VALGRIND_COUNT_LEAKS`: the bytes that the last leak check found lost, directly or indirectly.
pub fn count_leaks() -> u64 {
    crabgrind::memcheck::count_leaks().leaked as u64
}

/// `VALGRIND_COUNT_LEAK_BLOCKS`: the blocks, likewise.
pub fn count_leak_blocks() -> u64 {
    crabgrind::memcheck::count_leak_blocks().leaked as u64
}

/// `VALGRIND_PRINTF`: a line in Valgrind's own output, among its records.
pub fn print_line(line: &str) {
    if let Ok(line) = CString::new(format!("{line}\n")) {
        crabgrind::vg_print(&line);
    }
}

/// `VALGRIND_CLO_CHANGE`: an option such as `--show-leak-kinds=none` for the time to come.
pub fn change_option(option: &str) {
    if let Ok(option) = CString::new(option) {
        crabgrind::valgrind::change_clo(&option);
    }
}

/// `VALGRIND_CHECK_MEM_IS_DEFINED` of what a call returned. To be dispatched through the call's slots, as
/// Valgrind reports it with the stack that it is made on.
pub extern "C" fn check_result(address: *const c_void, size: usize) {
    // What is wrong goes into Valgrind's log.
    let _ = crabgrind::memcheck::check_mem_defined(address, size);
    // The two are told apart by their names, so the compiler must not make one function of them.
    std::hint::black_box("result");
}

/// The same of what a call left in the memory of an argument.
pub extern "C" fn check_argument(address: *const c_void, size: usize) {
    let _ = crabgrind::memcheck::check_mem_defined(address, size);
    std::hint::black_box("argument");
}

/// `VALGRIND_MAKE_MEM_DEFINED` of what C left somewhere: from here on others look at it than C.
pub fn make_defined<T>(address: *const T, size: usize) {
    // Memory that is not there stays so.
    let _ = crabgrind::memcheck::mark_memory(address.cast(), size, crabgrind::memcheck::MemState::Defined);
}

/// Whether the tool that Valgrind runs is Memcheck: no other answers a request of Memcheck's.
pub fn is_memcheck() -> bool {
    let byte = 0_u8;
    crabgrind::memcheck::mark_memory((&raw const byte).cast(), 1, crabgrind::memcheck::MemState::Defined)
        .is_ok()
}

extern "C" fn leak_check_added_request() {
    crabgrind::memcheck::leak_check(crabgrind::memcheck::LeakCheck::Added);
}

#[cfg(target_arch = "x86_64")]
fn scrubbed(request: extern "C" fn()) {
    // SAFETY: only dead stack below rsp (beyond the red zone) and caller-saved registers change.
    unsafe {
        std::arch::asm!(
            "sub rsp, 128",
            "mov r12, rsp",
            "and rsp, -16",
            "sub rsp, 4096",
            "mov rdi, rsp",
            "mov ecx, 512",
            "xor eax, eax",
            "cld",
            "rep stosq",
            "add rsp, 4096",
            "xor edx, edx",
            "xor esi, esi",
            "xor edi, edi",
            "xor r8d, r8d",
            "xor r9d, r9d",
            "xor r10d, r10d",
            "xor r11d, r11d",
            "call r13",
            "mov rsp, r12",
            "add rsp, 128",
            inout("r13") request => _,
            out("r12") _,
            clobber_abi("C"),
        );
    }
}

/// Wipes what a call has left below the caller's frame: what is called next lays its own frames there, and does not
/// write to every word of them, so that a leak check would take what lies there for a live pointer.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub fn wipe_dead_stack() {
    // SAFETY: only dead stack below rsp changes: nothing lies in the red zone of code that uses the stack, as this does.
    unsafe {
        std::arch::asm!(
            "sub rsp, {depth}",
            "mov rdi, rsp",
            "mov ecx, {words}",
            "xor eax, eax",
            "cld",
            "rep stosq",
            "add rsp, {depth}",
            depth = const DEAD_STACK,
            words = const DEAD_STACK / 8,
            out("rax") _,
            out("rcx") _,
            out("rdi") _,
        );
    }
}

/// How far the frames reach that a call and a leak check after it have in common.
#[cfg(target_arch = "x86_64")]
const DEAD_STACK: usize = 1 << 14;

#[cfg(not(target_arch = "x86_64"))]
pub fn wipe_dead_stack() {}

#[cfg(not(target_arch = "x86_64"))]
fn scrubbed(request: extern "C" fn()) {
    request();
}
