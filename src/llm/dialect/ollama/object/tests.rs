use super::*;
use serde_json::json;

#[test]
fn a_piece_has_text_thoughts_and_whole_calls() {
    let object = json!({
        "model": "smol:latest", "created_at": "2026-08-01T10:00:00Z",
        "message": {
            "role": "assistant", "content": "a", "thinking": "b",
            "tool_calls": [{"function": {"index": 0, "name": "f", "arguments": {"x": 1}}}],
        },
        "done": false,
    });
    let calls = object["message"]["tool_calls"].as_array().unwrap();
    assert_eq!(
        delta(&object),
        Delta {
            content: Some(Content {
                text: "a".into(),
                reasoning: "b".into(),
                calls,
                ..Content::default()
            }),
            model: Some("smol:latest"),
            ..Delta::default()
        }
    );
}

#[test]
fn the_last_line_has_the_reason_and_the_counts_that_are_known() {
    for (reason, finish) in [
        (json!("stop"), "stop"),
        (json!("length"), "length"),
        (json!("load"), "load"),
        // Older ones say no more than that they are done.
        (json!(""), "stop"),
        (json!(null), "stop"),
    ] {
        let object = json!({
            "done": true, "done_reason": reason, "message": {"role": "assistant", "content": ""},
            "prompt_eval_count": 26, "eval_count": 0,
        });
        let delta = delta(&object);
        assert!(delta.last);
        assert_eq!(delta.content.unwrap().finish, Some(finish), "{reason}");
        let usage = Usage {
            input_tokens: Some(26),
            ..Usage::default()
        };
        assert_eq!(delta.usage, Some(usage));
    }
}

#[test]
fn fields_of_the_wrong_kind_say_nothing() {
    for object in [
        json!({}),
        json!([]),
        json!("done"),
        json!({"message": "hi", "done": "true", "model": 5, "eval_count": "7"}),
        json!({"message": null, "done": false}),
    ] {
        assert_eq!(delta(&object), Delta::default(), "{object}");
    }
    let odd = json!({"message": {"content": 1, "thinking": [], "tool_calls": {}}, "done": true, "done_reason": 1});
    let expected = Content {
        finish: Some("stop"),
        ..Content::default()
    };
    assert_eq!(delta(&odd).content, Some(expected));
}
