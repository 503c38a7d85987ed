//! Texts held to files.

/// Holds a text to this file of `tests/expectations`; `UPDATE=1` rewrites it there.
#[track_caller]
pub fn expect(file: &str, text: &str) {
    let path = format!("{}/tests/expectations/{file}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap_or_default(), "{path}, now:\n{text}");
}
