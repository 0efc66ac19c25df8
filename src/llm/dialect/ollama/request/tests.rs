use super::*;
use crate::llm::message::{Block, Message, Role, Sampling, Tool};

fn request() -> ChatRequest {
    ChatRequest {
        model: "smol".into(),
        messages: vec![Message {
            role: Role::User,
            content: vec![Block::Text { text: "hi".into() }],
        }],
        ..ChatRequest::default()
    }
}

fn sent(request: &ChatRequest, adjustments: Adjustments, terms: &Terms) -> Value {
    let names = Names::new(request.tools.iter().map(|tool| tool.name.as_str()));
    body(request, &names, adjustments, terms).into()
}

fn plain(request: &ChatRequest) -> Value {
    sent(request, Adjustments::default(), &Terms::default())
}

#[test]
fn what_nobody_asks_for_is_left_to_the_server() {
    assert_eq!(
        plain(&request()),
        json!({
            "model": "smol", "messages": [{"role": "user", "content": "hi"}],
            "truncate": false, "stream": true,
        })
    );
}

#[test]
fn terms_and_sampling_have_ollamas_names_and_places() {
    let terms = Terms {
        num_ctx: Some(8192),
        think: Some(Think::High),
        keep_alive: Some(KeepAlive::Duration("10m".into())),
        no_shift: true,
    };
    let request = ChatRequest {
        sampling: Sampling {
            temperature: Some(0.5),
            top_p: Some(0.25),
            max_output_tokens: Some(99),
            stop: vec!["END".into()],
            seed: Some(-1),
        },
        ..request()
    };
    assert_eq!(
        sent(&request, Adjustments::default(), &terms),
        json!({
            "model": "smol", "messages": [{"role": "user", "content": "hi"}],
            "think": "high", "keep_alive": "10m", "truncate": false, "shift": false, "stream": true,
            "options": {
                "temperature": 0.5, "top_p": 0.25, "num_predict": 99, "stop": ["END"], "seed": -1,
                "num_ctx": 8192,
            },
        })
    );
}

#[test]
fn a_switch_is_a_boolean_and_seconds_are_a_number() {
    for (think, keep_alive) in [(Think::On, -1), (Think::Off, 0)] {
        let terms = Terms {
            think: Some(think),
            keep_alive: Some(KeepAlive::Seconds(keep_alive)),
            ..Terms::default()
        };
        let sent = sent(&request(), Adjustments::default(), &terms);
        assert_eq!(sent["think"], think == Think::On);
        assert_eq!(sent["keep_alive"], keep_alive);
    }
}

#[test]
fn a_server_that_refuses_truncate_gets_neither_of_the_two() {
    let adjustments = Adjustments {
        no_truncate: true,
        ..Adjustments::default()
    };
    let terms = Terms {
        no_shift: true,
        ..Terms::default()
    };
    let sent = sent(&request(), adjustments, &terms);
    assert_eq!((sent.get("truncate"), sent.get("shift")), (None, None));
}

#[test]
fn what_the_model_may_not_call_it_does_not_know() {
    let tool = Tool {
        name: "fs.read".into(),
        description: None,
        input_schema: json!({}),
    };
    for (choice, known) in [
        (None, true),
        (Some(ToolChoice::Auto), true),
        (Some(ToolChoice::Required), true),
        (Some(ToolChoice::None), false),
    ] {
        let request = ChatRequest {
            tools: vec![tool.clone()],
            tool_choice: choice,
            ..request()
        };
        let sent = plain(&request);
        let name = sent.pointer("/tools/0/function/name");
        assert_eq!(name, known.then_some(&json!("fs_read")), "{sent}");
        assert_eq!(sent.get("tool_choice"), None);
    }
}

#[test]
fn extra_members_win_over_ours_and_never_over_what_was_asked() {
    let Value::Object(extra) = json!({
        "model": "other", "messages": [], "tools": [], "stream": false,
        "truncate": true, "keep_alive": 5, "format": "json",
        "options": {"num_ctx": 1024, "mirostat": 1, "temperature": 0.9},
    }) else {
        unreachable!()
    };
    let request = ChatRequest {
        extra,
        sampling: Sampling {
            temperature: Some(0.1),
            ..Sampling::default()
        },
        ..request()
    };
    let terms = Terms {
        num_ctx: Some(8192),
        keep_alive: Some(KeepAlive::Seconds(1)),
        ..Terms::default()
    };
    assert_eq!(
        sent(&request, Adjustments::default(), &terms),
        json!({
            "model": "smol", "messages": [{"role": "user", "content": "hi"}], "stream": true,
            "truncate": true, "keep_alive": 5, "format": "json",
            "options": {"num_ctx": 1024, "mirostat": 1, "temperature": 0.9},
        })
    );
}
