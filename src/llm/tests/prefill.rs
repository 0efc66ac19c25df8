//! Going on with an answer that was cut short, at different servers.

use serde_json::{Value, json};

use super::peer::{self, Act, Asked, Refused, answer, outcome_of, server};
use crate::llm::{ApiType, Block, ChatRequest, Error, Message, Options, Role, Server, ServerKind};

fn said(role: Role, text: &str) -> Message {
    Message {
        role,
        content: vec![Block::Text { text: text.into() }],
    }
}

fn request() -> ChatRequest {
    ChatRequest {
        model: "m".into(),
        messages: vec![said(Role::User, "Greet."), said(Role::Assistant, "Hel")],
        continues: true,
        ..ChatRequest::default()
    }
}

/// A server that lists one model of this owner and knows nothing else.
fn owned_by(owner: &str) -> (Server<Refused>, Asked) {
    let (server, peer) = server(Options {
        api_type: ApiType::OpenAiCompatible,
        ..Options::default()
    });
    let list = json!({"data": [{"id": "m", "owned_by": owner, "max_model_len": 4096}]});
    let list = Act::Say(peer::json(200, &list.to_string()));
    let version = Act::Say(peer::json(200, r#"{"version":"1"}"#));
    (server, peer.play([list, version, Act::Say(answer("lo."))]))
}

fn last_body(asked: &Asked) -> Value {
    let request = asked.requests().pop().unwrap();
    assert!(
        request.starts_with("POST /v1/chat/completions"),
        "{request}"
    );
    serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test(start_paused = true)]
async fn who_can_is_asked_in_its_own_way_once_it_is_known() {
    for (owner, members) in [
        (
            "vllm",
            json!({"continue_final_message": true, "add_generation_prompt": false}),
        ),
        (
            "llamacpp",
            json!({"chat_template_kwargs": {"enable_thinking": false}}),
        ),
    ] {
        let (server, asked) = owned_by(owner);
        let completion = outcome_of(&server, request()).await.1.unwrap();
        assert_eq!(completion.content, said(Role::Assistant, "lo.").content);
        let body = last_body(&asked);
        let last = body["messages"].as_array().unwrap().last().unwrap();
        assert_eq!(*last, json!({"role": "assistant", "content": "Hel"}));
        for (key, value) in members.as_object().unwrap() {
            assert_eq!(body[key], *value, "{owner}");
        }
        let members = body.as_object().unwrap();
        assert_eq!(
            members.contains_key("continue_final_message"),
            owner == "vllm"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_host_says_to_the_template_stands() {
    let (server, asked) = owned_by("llamacpp");
    let mut request = request();
    let own = json!({"enable_thinking": true, "a": 1});
    request
        .extra
        .insert("chat_template_kwargs".into(), own.clone());
    outcome_of(&server, request).await.1.unwrap();
    assert_eq!(last_body(&asked)["chat_template_kwargs"], own);
}

#[tokio::test(start_paused = true)]
async fn who_cannot_is_not_asked() {
    let (server, asked) = owned_by("user-of-something");
    let error = outcome_of(&server, request()).await.1.unwrap_err();
    let Error::CannotContinue { server } = error else {
        panic!("{error:?}");
    };
    assert_eq!(server, ServerKind::Generic);
    let prompts = |request: &String| request.starts_with("POST");
    assert_eq!(asked.requests().iter().filter(|r| prompts(r)).count(), 0);
}
