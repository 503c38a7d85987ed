//! One element of the XML with all that is in it.

/// An element, its text and the elements in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    pub(super) fn new(name: &str) -> Element {
        Element { name: name.to_owned(), ..Element::default() }
    }

    /// The first child of that name.
    pub(super) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of that name.
    pub(super) fn children(&self, name: &str) -> impl Iterator<Item = &Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text, without the white space around it.
    pub(super) fn text(&self) -> &str {
        self.text.trim()
    }

    /// The text of the first child of that name, where there is any.
    pub(super) fn string(&self, name: &str) -> Option<String> {
        self.child(name).map(|child| child.text().to_owned()).filter(|text| !text.is_empty())
    }

    /// The number, decimal or `0x`, in the first child of that name.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        let text = self.child(name)?.text();
        match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        }
    }
}
