use super::*;

fn messages(json: serde_json::Value) -> Vec<MessageParam> {
    serde_json::from_value(json).unwrap()
}

#[test]
fn openai_and_anthropic_forms_read_the_same() {
    let openai = messages(serde_json::json!([
        { "role": "system", "content": "Be brief." },
        { "role": "user", "content": "What is in a?" },
        { "role": "assistant", "content": null, "tool_calls": [
            { "id": "c1", "type": "function", "function": { "name": "Read", "arguments": "{\"path\":\"a\"}" } }
        ] },
        { "role": "tool", "tool_call_id": "c1", "content": "hello" },
    ]));
    let anthropic = messages(serde_json::json!([
        { "role": "user", "content": [{ "type": "text", "text": "What is in a?" }] },
        { "role": "assistant", "content": [
            { "type": "tool_use", "id": "c1", "name": "Read", "input": { "path": "a" } }
        ] },
        { "role": "user", "content": [
            { "type": "tool_result", "tool_use_id": "c1", "content": "hello" }
        ] },
    ]));
    let (system, openai) = read(None, openai).unwrap();
    let (same, anthropic) = read(Some(Content::Text("Be brief.".to_owned())), anthropic).unwrap();
    assert_eq!(system, same);
    assert_eq!(openai, anthropic);
}

#[test]
fn arguments_that_are_not_json_are_named() {
    let malformed = read(
        None,
        messages(serde_json::json!([
            { "role": "user", "content": "x" },
            { "role": "assistant", "tool_calls": [
                { "id": "c1", "function": { "name": "Read", "arguments": "{" } }
            ] },
        ])),
    )
    .unwrap_err();
    assert_eq!(
        malformed.field,
        "messages[1].tool_calls[0].function.arguments"
    );
}

#[test]
fn a_data_url_is_a_picture() {
    assert_eq!(
        image_source("data:image/png;base64,AAAA".to_owned()),
        llm::ImageSource::Base64 {
            media_type: "image/png".to_owned(),
            data: "AAAA".to_owned()
        }
    );
    assert_eq!(
        image_source("http://x/y.png".to_owned()),
        llm::ImageSource::Url {
            url: "http://x/y.png".to_owned()
        }
    );
}
