//! What is mapped to the other form and back still means the same.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{read, write};
use crate::llm::{self, Block, ChatRequest, ImageSource, Message, Role};

/// What a person would say that a conversation says.
#[derive(Debug, Clone, PartialEq)]
enum Meaning {
    Said(Role, String),
    Image(ImageSource),
    Call(String, String, Value),
    Result(String, String),
}

/// The meaning of messages. Left out is what OpenAI's form cannot hold: what was thought, where
/// one text block ends and the next begins, and the place of a picture among results.
fn meaning(messages: &[Message]) -> Vec<Meaning> {
    let mut all = Vec::new();
    for run in messages.chunk_by(|a, b| a.role == b.role) {
        let blocks = || run.iter().flat_map(|message| &message.content);
        let mut pictures = Vec::new();
        for block in blocks() {
            if let Block::ToolResult {
                tool_use_id,
                content,
                is_error,
            } = block
            {
                let (text, images) = result(content, *is_error);
                pictures.extend(images);
                all.push(Meaning::Result(tool_use_id.clone(), text));
            }
        }
        all.extend(pictures.into_iter().map(Meaning::Image));
        for block in blocks() {
            match (block, all.last_mut()) {
                (Block::Text { text }, Some(Meaning::Said(role, said))) if *role == run[0].role => {
                    said.push('\n');
                    said.push_str(text);
                }
                (Block::Text { text }, _) => {
                    all.push(Meaning::Said(run[0].role, text.clone()));
                }
                (Block::Image { source }, _) => all.push(Meaning::Image(source.clone())),
                (Block::Thinking { .. } | Block::ToolUse { .. } | Block::ToolResult { .. }, _) => {}
            }
        }
        for block in blocks() {
            if let Block::ToolUse { id, name, input } = block {
                all.push(Meaning::Call(id.clone(), name.clone(), input.clone()));
            }
        }
    }
    all
}

/// As a model reads it.
fn result(content: &[Block], is_error: bool) -> (String, Vec<ImageSource>) {
    let mut lines = Vec::new();
    let mut images = Vec::new();
    for block in content {
        match block {
            Block::Text { text } => lines.push(text.clone()),
            Block::Image { source } => images.push(source.clone()),
            other => panic!("no tool returns {other:?}"),
        }
    }
    lines.extend(
        images
            .iter()
            .map(|_| "[image: see the next message]".to_owned()),
    );
    let text = lines.join("\n");
    let text = match (is_error, text.is_empty()) {
        (true, true) => "Error: the tool failed".to_owned(),
        (true, false) => format!("Error: {text}"),
        (false, true) => "(no output)".to_owned(),
        (false, false) => text,
    };
    (text, images)
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zéß🦀\"\\\\{}\n ]{1,12}",
        Just("Error: no".to_owned()),
        Just("null".to_owned()),
    ]
}

fn text() -> impl Strategy<Value = Block> {
    words().prop_map(|text| Block::Text { text })
}

fn image() -> impl Strategy<Value = Block> {
    let source = prop_oneof![
        "[A-Za-z0-9+/]{4,8}".prop_map(|data| ImageSource::Base64 {
            media_type: "image/png".to_owned(),
            data,
        }),
        "https://[a-z]{1,5}/[a-z]{1,5}\\.png".prop_map(|url| ImageSource::Url { url }),
    ];
    source.prop_map(|source| Block::Image { source })
}

fn parts(size: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Block>> {
    prop::collection::vec(prop_oneof![3 => text(), 1 => image()], size)
}

fn input() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        words().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        prop::collection::vec(words(), 0..3).prop_map(Value::from),
    ];
    prop::collection::btree_map("[a-z_]{1,6}", value, 0..4)
        .prop_map(|fields| fields.into_iter().collect::<Map<_, _>>().into())
}

/// A call: the tool's name, its input, what came of it, and whether that is an error.
type Called = (String, Value, Vec<Block>, bool);

/// What the user says; what the model thinks and says; its calls.
type Turn = (Vec<Block>, Option<String>, Vec<Block>, Vec<Called>);

fn turn() -> impl Strategy<Value = Turn> {
    let called = ("[a-zA-Z_-]{1,8}", input(), parts(0..3), any::<bool>());
    (
        parts(1..4),
        prop::option::of(words()),
        prop::collection::vec(text(), 1..3),
        prop::collection::vec(called, 0..3),
    )
}

/// A conversation in Anthropic's form.
fn conversation(turns: Vec<Turn>) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    let mut calls = 0;
    let mut open = Vec::new();
    for (asked, thought, said, called) in turns {
        let content = std::mem::take(&mut open).into_iter().chain(asked).collect();
        messages.push(Message {
            role: Role::User,
            content,
        });
        let thought = thought.map(|thinking| Block::Thinking {
            thinking,
            signature: None,
        });
        let mut content: Vec<_> = thought.into_iter().chain(said).collect();
        for (name, input, output, is_error) in called {
            calls += 1;
            let id = format!("call_{calls}");
            open.push(Block::ToolResult {
                tool_use_id: id.clone(),
                content: output,
                is_error,
            });
            content.push(Block::ToolUse { id, name, input });
        }
        messages.push(Message {
            role: Role::Assistant,
            content,
        });
    }
    if !open.is_empty() {
        messages.push(Message {
            role: Role::User,
            content: open,
        });
    }
    messages
}

fn conversations() -> impl Strategy<Value = Vec<Message>> {
    prop::collection::vec(turn(), 1..5).prop_map(conversation)
}

fn to_openai(system: Option<String>, messages: Vec<Message>) -> Value {
    llm::as_openai(&ChatRequest {
        system,
        messages,
        ..ChatRequest::default()
    })
}

fn from_wire(messages: Value) -> (Option<String>, Vec<Message>) {
    let messages = serde_json::from_value(messages).unwrap();
    read(None, messages).unwrap()
}

proptest! {
    #[test]
    fn anthropics_form_keeps_its_meaning_by_way_of_openais(
        system in prop::option::of(words()),
        messages in conversations(),
    ) {
        let (read_system, read) = from_wire(to_openai(system.clone(), messages.clone()));
        prop_assert_eq!(read_system, system);
        prop_assert_eq!(meaning(&read), meaning(&messages));
    }

    #[test]
    fn openais_form_is_the_same_byte_for_byte_by_way_of_anthropics(
        system in prop::option::of(words()),
        messages in conversations(),
    ) {
        let openai = to_openai(system, messages);
        let (system, read) = from_wire(openai.clone());
        prop_assert_eq!(to_openai(system, read).to_string(), openai.to_string());
    }

    #[test]
    fn anthropics_form_is_the_same_in_and_out(messages in conversations()) {
        let written = messages.iter().map(|message| serde_json::to_value(write(message)).unwrap());
        let (_, read) = from_wire(written.collect());
        prop_assert_eq!(read, messages);
    }
}

#[test]
fn what_only_one_of_the_forms_has_is_read() {
    let (system, messages) = from_wire(json!([
        {"role": "developer", "content": [{"type": "text", "text": "A."}, {"type": "text", "text": "B."}]},
        {"role": "user", "content": "Hi."},
        {"role": "assistant", "content": "Hello.", "reasoning_content": "They greet me."},
        {"role": "user", "content": "Go on."},
        {"role": "assistant", "content": [
            {"type": "redacted_thinking", "data": "EmwK"},
            {"type": "text", "text": "Yes.", "cache_control": {"type": "ephemeral"}},
        ]},
    ]));
    assert_eq!(system.as_deref(), Some("A.\n\nB."));
    let thought = Block::Thinking {
        thinking: "They greet me.".into(),
        signature: None,
    };
    let said = |text: &str| Block::Text { text: text.into() };
    assert_eq!(messages[1].content, [thought, said("Hello.")]);
    assert_eq!(messages[3].content, [said("Yes.")]);
}
