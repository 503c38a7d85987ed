//! Valgrind's XML, read in pieces.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event as Token;

use super::element::Element;
use super::markup::Markup;
use super::{Event, lower};

/// Most elements kept of one child of `<valgrindoutput>`: a record has a few thousand, but
/// `<errorcounts>` has three for each record.
const MAX_ELEMENTS: usize = 1 << 18;
/// Most bytes of text kept of one.
const MAX_TEXT: usize = 16 << 20;
/// Deepest nesting that is kept; `error > suppression > sframe > fun` is the deepest there is.
const MAX_DEPTH: usize = 16;

/// Reads Valgrind's XML as it grows: protocols 4 (Valgrind up to 3.25), 5 and 6. The stream may
/// be cut off anywhere, have other output in it, and go on after its end, where a process that
/// was forked off wrote the end first.
///
/// See <https://sourceware.org/git/?p=valgrind.git;a=blob;f=docs/internals/xml-output-protocol4.txt>.
#[derive(Clone, Debug, Default)]
pub struct XmlReader {
    markup: Markup,
    /// The element being read and those it is in, the first of them one of [`lower::EVENTS`].
    open: Vec<Element>,
    elements: usize,
    text: usize,
}

impl XmlReader {
    /// A reader at the start of the stream.
    pub fn new() -> XmlReader {
        XmlReader::default()
    }

    /// Takes the next bytes, and gives what they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        self.markup.feed(bytes);
        while let Some(piece) = self.markup.next() {
            self.piece(&piece, &mut events);
        }
        events
    }

    /// What the stream still gives if it ends here: a record that is cut off but has its sentence,
    /// with the stacks as far as they go.
    pub fn finish(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        self.markup = Markup::default();
        self.cut_off(&mut events);
        events
    }

    fn piece(&mut self, piece: &str, events: &mut Vec<Event>) {
        let mut reader = Reader::from_str(piece);
        let config = reader.config_mut();
        config.check_end_names = false;
        config.allow_unmatched_ends = true;
        config.allow_dangling_amp = true;
        loop {
            match reader.read_event() {
                Ok(Token::Start(tag)) => self.start(tag.local_name().as_ref(), events),
                Ok(Token::End(tag)) => self.end(tag.local_name().as_ref(), events),
                Ok(Token::Text(text)) => self.text(&text),
                Ok(Token::CData(text)) => self.text(&text),
                Ok(Token::GeneralRef(reference)) => match reference.resolve_char_ref() {
                    Ok(Some(character)) => self.text(character.encode_utf8(&mut [0; 4])),
                    _ => self.text(resolve_predefined_entity(&reference).unwrap_or("\u{fffd}")),
                },
                Ok(Token::Eof) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    fn start(&mut self, name: &str, events: &mut Vec<Event>) {
        let outermost = lower::EVENTS.contains(&name);
        if outermost || name == "valgrindoutput" {
            self.cut_off(events);
            self.elements = 0;
            self.text = 0;
        }
        let wanted = outermost || !self.open.is_empty();
        if wanted && self.elements < MAX_ELEMENTS && self.open.len() < MAX_DEPTH {
            self.elements += 1;
            self.open.push(Element::new(name));
        }
    }

    fn text(&mut self, text: &str) {
        if let Some(element) = self.open.last_mut()
            && self.text + text.len() <= MAX_TEXT
        {
            self.text += text.len();
            element.text.push_str(text);
        }
    }

    fn end(&mut self, name: &str, events: &mut Vec<Event>) {
        let Some(depth) = self.open.iter().rposition(|element| element.name == name) else { return };
        if let Some(element) = self.close(depth) {
            events.extend(lower::event(&element));
        }
    }

    /// Gives what there is of an element that will not be completed.
    fn cut_off(&mut self, events: &mut Vec<Event>) {
        // Half a number is a wrong one, and a frame without its number is none.
        while self.open.last().is_some_and(|innermost| innermost.children.is_empty()) {
            self.open.pop();
        }
        if let Some(element) = self.close(0) {
            events.extend(lower::cut_off(&element));
        }
    }

    /// Closes the open elements down to `depth`; gives the outermost if that is closed, too.
    fn close(&mut self, depth: usize) -> Option<Element> {
        while self.open.len() > depth {
            let element = self.open.pop()?;
            match self.open.last_mut() {
                Some(parent) => parent.children.push(element),
                None => return Some(element),
            }
        }
        None
    }
}
