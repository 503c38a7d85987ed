use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A part of a longer text, which all its parts share.
#[derive(Clone)]
pub struct Text {
    whole: Arc<String>,
    part: Range<usize>,
}

impl Text {
    /// The part of a text; `None` where it has no such part.
    pub fn part(whole: &Arc<String>, part: Range<usize>) -> Option<Self> {
        whole.get(part.clone())?;
        Some(Self { whole: whole.clone(), part })
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        // `part` has seen to it that it is there.
        self.whole.get(self.part.clone()).unwrap_or_default()
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        let part = 0..text.len();
        Self { whole: Arc::new(text), part }
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text {}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_of_what_is_there() {
        let whole = Arc::new("Adds. Größer.".to_owned());
        assert_eq!(Text::part(&whole, 0..5).as_deref(), Some("Adds."));
        assert_eq!(Text::part(&whole, 6..15).as_deref(), Some("Größer."));
        assert_eq!(Text::part(&whole, 6..16), None);
        assert_eq!(Text::part(&whole, 9..15), None, "inside of a letter");
        assert_eq!(Text::part(&whole, 0..5), Some(Text::from("Adds.".to_owned())));
    }
}
