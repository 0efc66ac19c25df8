use super::*;
use crate::llm::message::{Message, Role};

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

fn result(id: &str, content: Vec<Block>) -> Block {
    Block::ToolResult {
        tool_use_id: id.into(),
        content,
        is_error: false,
    }
}

fn image(media_type: &str) -> Block {
    Block::Image {
        source: ImageSource::Base64 {
            media_type: media_type.into(),
            data: "AAAA".into(),
        },
    }
}

fn link() -> Block {
    Block::Image {
        source: ImageSource::Url {
            url: "https://example.com/a.png".into(),
        },
    }
}

fn request(messages: Vec<(Role, Vec<Block>)>) -> ChatRequest {
    ChatRequest {
        messages: messages
            .into_iter()
            .map(|(role, content)| Message { role, content })
            .collect(),
        ..ChatRequest::default()
    }
}

fn sent(messages: Vec<(Role, Vec<Block>)>) -> Value {
    super::messages(&request(messages), &Names::new(["fs.read"])).into()
}

#[test]
fn calls_have_objects_and_no_ids_and_results_have_the_tools_name() {
    assert_eq!(
        sent(vec![
            (Role::System, vec![text("be brief")]),
            (Role::User, vec![text("read both")]),
            (
                Role::Assistant,
                vec![
                    Block::Thinking {
                        thinking: "hm".into(),
                        signature: None,
                    },
                    text("well"),
                    call("1", json!({"path": "a"})),
                    call("2", json!("{\"path\"")),
                ],
            ),
            (
                Role::User,
                vec![
                    result("2", vec![text("B")]),
                    text("go on"),
                    result("1", vec![text("A")]),
                ],
            ),
            (Role::Assistant, vec![text("done")]),
        ]),
        json!([
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "read both"},
            {"role": "assistant", "content": "well", "tool_calls": [
                {"function": {"name": "fs_read", "arguments": {"path": "a"}}},
                {"function": {"name": "fs_read", "arguments": {}}},
            ]},
            {"role": "tool", "content": "A", "tool_name": "fs_read"},
            {"role": "tool", "content": "B", "tool_name": "fs_read"},
            {"role": "user", "content": "go on"},
            {"role": "assistant", "content": "done"},
        ])
    );
}

#[test]
fn images_are_bare_base64_beside_the_text() {
    for kind in [
        "image/png",
        "image/jpeg",
        "IMAGE/JPG",
        "image/webp; charset=binary",
    ] {
        assert_eq!(
            sent(vec![(Role::User, vec![text("what is it?"), image(kind)])]),
            json!([{"role": "user", "content": "what is it?", "images": ["AAAA"]}]),
            "{kind}"
        );
    }
    assert_eq!(
        sent(vec![(
            Role::User,
            vec![image("image/png"), image("image/webp")]
        )]),
        json!([{"role": "user", "content": "", "images": ["AAAA", "AAAA"]}]),
    );
}

#[test]
fn an_image_that_ollama_cannot_read_leaves_a_word_in_its_place() {
    for unreadable in [image("image/gif"), image(""), link()] {
        assert_eq!(
            sent(vec![(Role::User, vec![unreadable.clone()])]),
            json!([{"role": "user", "content": LEFT_OUT}]),
        );
        assert_eq!(
            sent(vec![(
                Role::User,
                vec![text("see"), unreadable, image("image/png")]
            )]),
            json!([{"role": "user", "content": format!("see\n{LEFT_OUT}"), "images": ["AAAA"]}]),
        );
    }
}

#[test]
fn an_image_of_a_result_follows_it() {
    let sent = sent(vec![
        (Role::User, vec![text("look")]),
        (Role::Assistant, vec![call("1", json!({}))]),
        (Role::User, vec![result("1", vec![image("image/png")])]),
    ]);
    assert_eq!(sent[2]["role"], "tool");
    assert_eq!(sent[3]["images"], json!(["AAAA"]));
}

#[test]
fn images_left_out_are_counted_in_the_round_that_brings_them() {
    let question = (
        Role::User,
        vec![image("image/gif"), link(), image("image/png")],
    );
    let calls = (Role::Assistant, vec![call("1", json!({}))]);
    let count = |messages| unsendable_images(&request(messages));
    assert_eq!(count(vec![]), 0);
    assert_eq!(count(vec![question.clone()]), 2);
    let later = |block| {
        let results = (Role::User, vec![result("1", vec![block])]);
        count(vec![question.clone(), calls.clone(), results])
    };
    assert_eq!(later(text("a")), 0);
    assert_eq!(later(image("image/gif")), 1);
    // A new question: who asks it may not know of the old one's.
    assert_eq!(
        count(vec![question.clone(), calls.clone(), question.clone()]),
        4
    );
}
