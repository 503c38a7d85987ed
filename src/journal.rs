//! What Python did.
