//! (stub until merged)
/// Stub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Natively.
    Native,
    /// Under.
    Valgrind,
    /// Under, without headers.
    ValgrindWithoutRequests,
}
/// Stub.
pub fn running() -> Presence {
    if crabgrind::VALGRIND_AVAILABLE && crabgrind::valgrind::running_mode().is_valgrind() { Presence::Valgrind } else { Presence::Native }
}
