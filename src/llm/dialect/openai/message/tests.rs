use super::*;
use crate::llm::message::{Block, Message, Role};

fn text(text: &str) -> Block {
    Block::Text { text: text.into() }
}

fn call(id: &str, input: Value) -> Block {
    Block::ToolUse {
        id: id.into(),
        name: "fs.read".into(),
        input,
    }
}

fn result(id: &str, content: Vec<Block>, is_error: bool) -> Block {
    Block::ToolResult {
        tool_use_id: id.into(),
        content,
        is_error,
    }
}

fn image() -> Block {
    Block::Image {
        source: ImageSource::Base64 {
            media_type: "image/png".into(),
            data: "AAAA".into(),
        },
    }
}

fn sent(system: Option<&str>, messages: Vec<(Role, Vec<Block>)>) -> Value {
    let request = ChatRequest {
        system: system.map(str::to_owned),
        messages: messages
            .into_iter()
            .map(|(role, content)| Message { role, content })
            .collect(),
        ..ChatRequest::default()
    };
    super::messages(&request, &Names::new(["fs.read"]), false).into()
}

#[test]
fn system_texts_become_one_leading_message() {
    assert_eq!(
        sent(
            Some("a"),
            vec![
                (Role::User, vec![text("hi")]),
                (Role::System, vec![text("b"), text("c")]),
            ]
        ),
        json!([{"role": "system", "content": "a\n\nb\nc"}, {"role": "user", "content": "hi"}])
    );
}

#[test]
fn results_come_first_in_the_order_of_their_calls_then_the_users_text() {
    assert_eq!(
        sent(
            None,
            vec![
                (
                    Role::Assistant,
                    vec![
                        Block::Thinking {
                            thinking: "hm".into(),
                            signature: None
                        },
                        call("a", json!({"p": 1})),
                        call("b", json!("broken")),
                        call("c", json!({})),
                    ]
                ),
                (
                    Role::User,
                    vec![
                        text("go on"),
                        result("b", vec![text("no"), text("way")], true),
                        result("a", vec![], false),
                    ]
                ),
            ]
        ),
        json!([
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "fs_read", "arguments": "{\"p\":1}"}},
                {"id": "b", "type": "function", "function": {"name": "fs_read", "arguments": "{}"}},
                {"id": "c", "type": "function", "function": {"name": "fs_read", "arguments": "{}"}},
            ]},
            {"role": "tool", "tool_call_id": "a", "content": "(no output)"},
            {"role": "tool", "tool_call_id": "b", "content": "Error: no\nway"},
            {"role": "tool", "tool_call_id": "c", "content": "Error: this call was not run."},
            {"role": "user", "content": "go on"},
        ])
    );
}

#[test]
fn results_in_messages_of_their_own_are_gathered() {
    let calls = vec![call("a", json!({})), call("b", json!({}))];
    let sent = sent(
        None,
        vec![
            (Role::Assistant, calls),
            (Role::User, vec![result("a", vec![text("1")], false)]),
            (
                Role::User,
                vec![text("well"), result("b", vec![text("2")], false)],
            ),
        ],
    );
    assert_eq!(
        sent.as_array().unwrap()[1..],
        [
            json!({"role": "tool", "tool_call_id": "a", "content": "1"}),
            json!({"role": "tool", "tool_call_id": "b", "content": "2"}),
            json!({"role": "user", "content": "well"}),
        ]
    );
}

#[test]
fn an_image_of_a_result_follows_in_a_user_message() {
    assert_eq!(
        sent(
            None,
            vec![
                (Role::Assistant, vec![text("look"), call("a", json!({}))]),
                (
                    Role::User,
                    vec![result("a", vec![text("taken"), image()], false)]
                ),
                (
                    Role::Assistant,
                    vec![Block::Thinking {
                        thinking: "hm".into(),
                        signature: None
                    }]
                ),
                (Role::User, vec![text("and this?"), image()]),
            ]
        ),
        json!([
            {"role": "assistant", "content": "look", "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "fs_read", "arguments": "{}"}},
            ]},
            {"role": "tool", "tool_call_id": "a", "content": "taken\n[image: see the next message]"},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},
            {"role": "user", "content": [
                {"type": "text", "text": "and this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            ]},
        ])
    );
}

#[test]
fn a_result_without_its_call_is_kept_as_text_and_an_unanswered_call_is_answered() {
    assert_eq!(
        sent(
            None,
            vec![
                (Role::User, vec![result("lost", vec![text("42")], false)]),
                (Role::Assistant, vec![call("a", json!({}))]),
                (Role::Assistant, vec![text("never mind")]),
                (Role::User, vec![]),
            ]
        ),
        json!([
            {"role": "user", "content": "42"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "fs_read", "arguments": "{}"}},
            ]},
            {"role": "tool", "tool_call_id": "a", "content": "Error: this call was not run."},
            {"role": "assistant", "content": "never mind"},
        ])
    );
}

#[test]
fn what_a_failed_tool_said_is_sent_whole() {
    let said = format!("{}the cause", "x".repeat(100_000));
    let sent = sent(
        None,
        vec![
            (Role::Assistant, vec![call("a", json!({}))]),
            (Role::User, vec![result("a", vec![text(&said)], true)]),
        ],
    );
    assert_eq!(sent[1]["content"], format!("Error: {said}"));
}
