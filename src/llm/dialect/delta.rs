//! What one JSON object of an answer says, whatever the dialect.

use serde_json::Value;

use crate::llm::event::Usage;

/// A piece of an answer, or a whole one.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Delta<'a> {
    /// `None`: the object is about other things only, such as counts.
    pub(super) content: Option<Content<'a>>,
    /// Running totals; the last ones count.
    pub(super) usage: Option<Usage>,
    /// The model that answers, by the server's word.
    pub(super) model: Option<&'a str>,
    /// How far the prompt has been read, 0 to 1.
    pub(super) progress: Option<f64>,
    /// It bears the mark of Ollama, which a gateway before it may have passed on.
    pub(super) of_ollama: bool,
    /// The server says that nothing follows.
    pub(super) last: bool,
}

/// What is added to the answer itself.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Content<'a> {
    pub(super) text: String,
    pub(super) reasoning: String,
    /// Why the model will not answer; text, too.
    pub(super) refusal: &'a str,
    /// Elements of `tool_calls`, whole or in pieces.
    pub(super) calls: &'a [Value],
    /// The server's word for why the model stopped.
    pub(super) finish: Option<&'a str>,
    /// A stop sequence of the request was met.
    pub(super) stop_matched: bool,
    /// It is all of the answer so far: after pieces it says nothing new.
    pub(super) whole: bool,
}
