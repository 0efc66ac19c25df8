//! Thinking that a server without a parser for it leaves in the text: between `<think>` and
//! `</think>`, at the very start. Anywhere else these are words like others.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// More blanks in a row than this are not waited behind.
const BLANKS: usize = 64;

/// Takes the text of an answer apart. The tags may come in pieces.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    place: Place,
    /// What may become part of a tag, with the blanks before it.
    held: String,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Place {
    /// Nothing but blanks so far.
    #[default]
    Start,
    /// After the opening tag; `true` until anything was thought.
    Inside(bool),
    /// After the closing tag, before the answer's first character.
    Between,
    /// The rest is text.
    Text,
}

/// Pieces of both kinds, the thinking first.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Pieces {
    pub(super) thinking: String,
    pub(super) text: String,
}

impl Splitter {
    pub(super) fn feed(&mut self, piece: &str) -> Pieces {
        let mut out = Pieces::default();
        if self.place == Place::Text && self.held.is_empty() {
            piece.clone_into(&mut out.text);
            return out;
        }
        self.held.push_str(piece);
        while self.step(&mut out) {}
        out
    }

    /// Thinking comes in a way of its own, so a tag is text.
    pub(super) fn leave_alone(&mut self) {
        if self.place == Place::Start {
            self.place = Place::Text;
        }
    }

    /// What is held back after all.
    pub(super) fn flush(&mut self) -> Pieces {
        let held = std::mem::take(&mut self.held);
        match self.place {
            Place::Inside(_) => Pieces {
                thinking: held,
                ..Pieces::default()
            },
            Place::Between => Pieces::default(),
            Place::Start | Place::Text => Pieces {
                text: held,
                ..Pieces::default()
            },
        }
    }

    /// The opening tag came, and no closing one.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.place, Place::Inside(_))
    }

    /// Goes on as far as one place reaches; whether another step may go further.
    fn step(&mut self, out: &mut Pieces) -> bool {
        let begin = self.held.trim_start();
        let blanks = self.held.len() - begin.len();
        match self.place {
            Place::Start => {
                if let Some(rest) = begin.strip_prefix(OPEN) {
                    self.held = rest.to_owned();
                    self.place = Place::Inside(true);
                    return true;
                }
                if OPEN.starts_with(begin) && blanks <= BLANKS {
                    return false;
                }
                self.place = Place::Text;
                true
            }
            Place::Inside(first) => {
                if first {
                    self.held.drain(..blanks);
                }
                self.think(out)
            }
            Place::Between => {
                self.held.drain(..blanks);
                if !self.held.is_empty() {
                    self.place = Place::Text;
                }
                self.place == Place::Text
            }
            Place::Text => {
                out.text.push_str(&self.held);
                self.held.clear();
                false
            }
        }
    }

    fn think(&mut self, out: &mut Pieces) -> bool {
        if let Some((thought, rest)) = self.held.split_once(CLOSE) {
            out.thinking.push_str(thought.trim_end());
            self.held = rest.to_owned();
            self.place = Place::Between;
            return true;
        }
        let tag = (1..CLOSE.len())
            .rev()
            .find(|length| self.held.ends_with(CLOSE.get(..*length).unwrap_or(CLOSE)));
        let before = self.held.len() - tag.unwrap_or(0);
        let thought = self.held.get(..before).unwrap_or_default();
        let kept = match thought.trim_end() {
            trimmed if before - trimmed.len() <= BLANKS => trimmed.len(),
            _ => before,
        };
        out.thinking.extend(self.held.drain(..kept));
        if kept > 0 {
            self.place = Place::Inside(false);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What pieces come to.
    fn split<'a>(pieces: impl IntoIterator<Item = &'a str>) -> (String, String) {
        let mut splitter = Splitter::default();
        let (mut thinking, mut text) = (String::new(), String::new());
        let mut add = |pieces: Pieces| {
            thinking += &pieces.thinking;
            text += &pieces.text;
        };
        for piece in pieces {
            add(splitter.feed(piece));
        }
        add(splitter.flush());
        (thinking, text)
    }

    #[test]
    fn thinking_at_the_start_is_told_from_text_however_it_is_cut() {
        for (answer, thinking, text) in [
            ("", "", ""),
            ("Hi", "", "Hi"),
            (" \n Hi <think>no</think>", "", " \n Hi <think>no</think>"),
            ("<think>hm</think>Hi", "hm", "Hi"),
            ("\n<think>\nhm\n\nso\n</think>\n\nHi\n", "hm\n\nso", "Hi\n"),
            ("<think></think>\n\nHi", "", "Hi"),
            ("<think>a </b> </think", "a </b> </think", ""),
            ("<think>é🦀</think>é🦀", "é🦀", "é🦀"),
            (
                "<think>a</think>b<think>c</think>",
                "a",
                "b<think>c</think>",
            ),
            ("<thinking>a", "", "<thinking>a"),
            ("<thi", "", "<thi"),
            ("</think>Hi", "", "</think>Hi"),
            ("<think>a</think>", "a", ""),
            ("<think>a</think> \n", "a", ""),
        ] {
            let expected = (thinking.to_owned(), text.to_owned());
            assert_eq!(split([answer]), expected, "{answer:?}");
            let characters = answer.split_inclusive(|_: char| true);
            assert_eq!(split(characters), expected, "{answer:?}");
            for (at, _) in answer.char_indices() {
                let (a, b) = answer.split_at(at);
                assert_eq!(split([a, b]), expected, "{answer:?} cut at {at}");
            }
        }
    }

    #[test]
    fn only_what_may_be_a_tag_is_held_back() {
        let mut splitter = Splitter::default();
        assert_eq!(splitter.feed("<think>so").thinking, "so");
        assert_eq!(splitter.feed(" it is </t").thinking, " it is");
        assert_eq!(splitter.feed("able>").thinking, " </table>");
        let blanks = " ".repeat(1000);
        assert_eq!(splitter.feed(&blanks).thinking, blanks);
        assert_eq!(Splitter::default().feed(&blanks).text, blanks);
    }
}
