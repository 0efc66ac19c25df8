//! Prompts: streamed and not, one and two hundred, and the server's own failures.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG, prompt, read_tool, with};
use crate::support::daemon::Answer;
use crate::support::llm_server::{Call, Reply, Step, script};

#[tokio::test(flavor = "multi_thread")]
async fn the_main_job_runs_from_first_to_last() {
    let bed = Bed::start().await;
    bed.llm.on_chat(|request| {
        if request.has_tool_result() {
            let seen = request.last("tool").unwrap_or_default();
            return Reply::text(&["The file says: ", seen]);
        }
        Reply::calls(&[Call {
            id: "call-1",
            name: "Read",
            arguments: &["{\"pa", "th\":\"notes", ".txt\"}"],
        }])
    });
    let daemon = bed.daemon().await;
    daemon.answer_with(|question| match question.tool() {
        Some("Read") => Answer::text("remember the milk"),
        _ => Answer::error(3001, "TOOL_NOT_FOUND", "no such tool"),
    });
    bed.configure(&daemon).await;
    let config = json!({"configId": CONFIG});
    let tested = daemon
        .ok("remote-llm/test-connection", config.clone())
        .await;
    assert_eq!(tested["success"], true, "{tested:#}");
    let models = daemon.ok("remote-llm/list-models", config).await;
    assert_eq!(models["models"][0]["contextWindow"]["effective"], 4096);
    let params = with(
        prompt("main", "What do my notes say?"),
        &json!({"tools": [read_tool()], "toolChoice": "required", "system": "Be brief."}),
    );
    let result = daemon.ok("remote-llm/stream-prompt", params).await;

    assert_eq!(result["requestId"], "main");
    assert_eq!(result["stopReason"], "end_turn");
    assert_eq!(result["rounds"], 2);
    assert_eq!(result["toolCalls"], 1);
    assert_eq!(
        result["message"],
        json!({
            "role": "assistant",
            "content": [{"type": "text", "text": "The file says: remember the milk"}],
        })
    );
    assert_eq!(result["messages"].as_array().unwrap().len(), 3);
    assert_eq!(result["usage"]["inputTokens"], 20 + 12);
    assert_eq!(result["usage"]["outputTokens"], 9 + 2);
    assert_eq!(result["usage"]["perRound"].as_array().unwrap().len(), 2);
    assert!(result["timing"]["firstTokenMs"].is_u64());

    let kinds = daemon.kinds("main");
    let kinds: Vec<_> = kinds.iter().filter(|kind| *kind != "status").collect();
    assert_eq!(
        kinds,
        [
            "started",
            "tool-call-started",
            "usage",
            "tool-call-ready",
            "tool-result",
            "text-delta",
            "usage",
            "finished"
        ]
    );
    assert_eq!(daemon.text("main"), "The file says: remember the milk");
    let chunks = daemon.chunks("main");
    let finished = chunks.last().unwrap();
    assert_eq!(
        finished.event["result"], result,
        "the event has what the reply has"
    );
    assert_eq!((chunks[0].round, finished.round), (1, 2));

    let asked = daemon.questions("host/execute-tool");
    let params = &asked[0].question.params;
    assert_eq!(params["requestId"], "main");
    assert_eq!(params["conversationId"], result["conversationId"]);
    assert_eq!(params["toolCallId"], "call-1");
    assert_eq!(params["input"], json!({"path": "notes.txt"}));

    let chats = bed.llm.chats();
    let first = &chats[0].request.body;
    assert_eq!(first["stream"], true);
    assert_eq!(first["stream_options"]["include_usage"], true);
    assert_eq!(first["tool_choice"], "required");
    assert_eq!(first["tools"][0]["function"]["name"], "Read");
    assert_eq!(
        first["messages"][0],
        json!({"role": "system", "content": "Be brief."})
    );
    // `required` is for the first round; it would never end otherwise.
    let choice = &chats[1].request.body["tool_choice"];
    assert!(choice.is_null() || choice == "auto", "{choice}");
    let second = &chats[1].request.body["messages"];
    let call = &second[2]["tool_calls"][0];
    let arguments: Value =
        serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(arguments, json!({"path": "notes.txt"}));
    assert_eq!(second[3]["tool_call_id"], call["id"]);
    assert_eq!(
        bed.ssh.seen().targets[0],
        format!("127.0.0.1:{}", bed.llm.port())
    );
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_prompts_share_one_connection_and_keep_their_order() {
    const PROMPTS: usize = 200;
    const TOKENS: u64 = 40;
    let bed = Bed::alone().await;
    bed.llm.on_chat(|_| {
        let mut steps = vec![
            script::role(),
            Step::Tokens {
                count: Some(TOKENS),
                every: Duration::from_millis(10),
                text: |number| format!("{number} "),
            },
        ];
        steps.extend(script::finish("stop", 5, TOKENS));
        Reply::Stream(steps)
    });
    let daemon = bed.configured().await;
    let mut tickets = Vec::new();
    for number in 0..PROMPTS {
        let params = prompt(&format!("p{number}"), "Count.");
        tickets.push(daemon.send("remote-llm/stream-prompt", params).await);
    }
    let whole: String = (0..TOKENS).map(|number| format!("{number} ")).collect();
    for (number, ticket) in tickets.iter().enumerate() {
        let result = daemon.reply(ticket).await.unwrap();
        let name = format!("p{number}");
        assert_eq!(result["message"]["content"][0]["text"], whole);
        // The contract's own check, on every line, is that `seq` has no gap, that all chunks came
        // before the reply and that the last one is `finished`.
        assert_eq!(daemon.text(&name), whole, "{name}");
        let last = daemon.chunks(&name).last().unwrap().clone();
        assert_eq!(last.kind(), "finished", "{name}");
        assert_eq!(last.seq + 1, daemon.chunks(&name).len() as u64, "{name}");
    }
    let seen = bed.ssh.seen();
    assert_eq!((seen.connections, seen.logins), (1, 1));
    assert!(
        seen.most_channels > 100,
        "they did not run at once: {} channels",
        seen.most_channels
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn submit_prompt_has_the_result_and_no_chunks() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    let result = daemon
        .ok("remote-llm/submit-prompt", prompt("quiet", "Hello?"))
        .await;
    assert_eq!(
        result["message"]["content"][0]["text"],
        "Hello from the scripted server."
    );
    assert!(daemon.chunks("quiet").is_empty());
    assert_eq!(bed.llm.chats()[0].request.body["stream"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_failures_have_codes_and_sentences() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    let not_found = json!({"error": {"message": "model 'smol' not found", "type": "not_found_error", "code": 404}});
    let overflow = json!({"error": {
        "code": 400, "message": "the request exceeds the available context size",
        "type": "exceed_context_size_error", "n_prompt_tokens": 9000, "n_ctx": 4096,
    }});
    let cases = [
        (Reply::json(404, &not_found), "API_INVALID_MODEL"),
        (Reply::error(501, "not here"), "API_ERROR"),
        (
            Reply::html(200, "<html>Log in</html>"),
            "API_PROTOCOL_ERROR",
        ),
        (Reply::error(401, "no"), "API_AUTH_FAILED"),
        (Reply::json(400, &overflow), "API_CONTEXT_OVERFLOW"),
        (
            Reply::error(
                400,
                "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser",
            ),
            "API_TOOLS_UNSUPPORTED",
        ),
    ];
    for (number, (reply, code)) in cases.into_iter().enumerate() {
        bed.llm.on_chat(move |_| reply.clone());
        let name = format!("p{number}");
        let error = daemon
            .err("remote-llm/stream-prompt", prompt(&name, "Hello?"))
            .await;
        assert_eq!(error.code(), code, "{error:?}");
        assert!(error.message.len() > 15, "{error:?}");
        assert_eq!(error.data["requestId"], name);
        let chunks = daemon.chunks(&name);
        let failed = chunks.last().unwrap();
        assert_eq!(failed.kind(), "failed");
        assert_eq!(
            failed.event["error"],
            json!({"code": error.number, "message": error.message, "data": error.data}),
            "the event has what the reply has"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_again_and_again_is_given_up() {
    let bed = Bed::start().await;
    bed.llm.on_chat(|_| Reply::error(500, "boom"));
    let daemon = bed.daemon().await;
    let llm = with(bed.llm_params(), &json!({"maxRetries": 1}));
    bed.configure_with(&daemon, bed.ssh_params(), llm).await;
    let params = with(prompt("p", "Hello?"), &json!({"model": "smol"}));
    let error = daemon.err("remote-llm/stream-prompt", params).await;
    assert_eq!(error.code(), "API_ERROR");
    assert_eq!(error.data["httpStatus"], 500);
    assert_eq!(bed.llm.chats().len(), 2, "maxRetries was 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_ends_in_an_error_keeps_its_text() {
    let bed = Bed::start().await;
    bed.llm.on_chat(|_| {
        Reply::Stream(vec![
            script::role(),
            script::text("so far"),
            Step::Event(json!({"error": {"message": "boom", "code": 500}})),
        ])
    });
    let daemon = bed.configured().await;
    let error = daemon
        .err("remote-llm/stream-prompt", prompt("p", "Hello?"))
        .await;
    assert_eq!(error.code(), "API_ERROR");
    assert_eq!(error.data["partial"], "so far");
}

#[tokio::test(flavor = "multi_thread")]
async fn reasoning_and_characters_cut_in_two_arrive_whole() {
    let bed = Bed::start().await;
    bed.llm.on_chat(|_| {
        let mut steps = vec![script::role(), script::reasoning("Hm, a puffin.")];
        steps.push(script::text("Papageientaucher: 🐧 é "));
        steps.push(script::text("日本語"));
        steps.extend(script::finish("stop", 3, 4));
        Reply::Stream(steps)
    });
    let daemon = bed.configured().await;
    let result = daemon
        .ok("remote-llm/stream-prompt", prompt("p", "Which bird?"))
        .await;
    assert_eq!(daemon.text("p"), "Papageientaucher: 🐧 é 日本語");
    let reasoning = daemon.wait_chunk("p", "reasoning", |chunk| chunk.kind() == "reasoning-delta");
    assert_eq!(reasoning.await.event["text"], "Hm, a puffin.");
    assert_eq!(result["message"]["content"][0]["type"], "thinking");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_tokens_at_once_arrive_in_order() {
    const TOKENS: u64 = 5000;
    let bed = Bed::start().await;
    bed.llm.on_chat(|_| {
        let mut steps = vec![Step::Tokens {
            count: Some(TOKENS),
            every: Duration::ZERO,
            text: |number| format!("{number},"),
        }];
        steps.extend(script::finish("length", 5, TOKENS));
        Reply::Stream(steps)
    });
    let daemon = bed.configured().await;
    let result = daemon
        .ok("remote-llm/stream-prompt", prompt("p", "Count."))
        .await;
    assert_eq!(result["stopReason"], "max_tokens");
    assert_eq!(result["rawFinishReason"], "length");
    let whole: String = (0..TOKENS).map(|number| format!("{number},")).collect();
    assert_eq!(daemon.text("p"), whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_goes_on_where_it_was() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    let first = daemon
        .ok("remote-llm/submit-prompt", prompt("p1", "One."))
        .await;
    let conversation = &first["conversationId"];
    let params = with(
        prompt("p2", "Two."),
        &json!({"conversationId": conversation}),
    );
    let second = daemon.ok("remote-llm/submit-prompt", params).await;
    assert_eq!(&second["conversationId"], conversation);
    let said: Vec<Value> = bed.llm.chats()[1].request.messages().to_vec();
    assert_eq!(
        said,
        [
            json!({"role": "user", "content": "One."}),
            json!({"role": "assistant", "content": "Hello from the scripted server."}),
            json!({"role": "user", "content": "Two."}),
        ]
    );
    let kept = daemon
        .ok(
            "remote-llm/get-conversation",
            json!({"conversationId": conversation}),
        )
        .await;
    let roles: Vec<_> = kept["messages"].as_array().unwrap().iter().collect();
    let roles: Vec<_> = roles.iter().map(|entry| &entry["role"]).collect();
    assert_eq!(roles, ["user", "assistant", "user", "assistant"]);
    let list = daemon.ok("remote-llm/list-conversations", json!({})).await;
    assert_eq!(&list["conversations"][0]["conversationId"], conversation);
    daemon
        .ok(
            "remote-llm/delete-conversation",
            json!({"conversationId": conversation}),
        )
        .await;
    let list = daemon.ok("remote-llm/list-conversations", json!({})).await;
    assert_eq!(list["conversations"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_host_sets_reaches_the_server() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    let params = with(
        prompt("p", "Hello?"),
        &json!({
            "temperature": 0.25, "topP": 0.5, "maxOutputTokens": 64, "stop": ["END"], "seed": 7,
            "model": "another", "extra": {"cache_prompt": true},
        }),
    );
    daemon.ok("remote-llm/submit-prompt", params).await;
    let body = &bed.llm.chats()[0].request.body;
    let sent: HashSet<String> = body.as_object().unwrap().keys().cloned().collect();
    assert!(sent.contains("max_tokens"), "{sent:?}");
    assert_eq!(body["temperature"], 0.25);
    assert_eq!(body["top_p"], 0.5);
    assert_eq!(body["max_tokens"], 64);
    assert_eq!(body["stop"], json!(["END"]));
    assert_eq!(body["seed"], 7);
    assert_eq!(body["model"], "another");
    assert_eq!(body["cache_prompt"], true);
}

/// Each wait is below the idle limit, all of them together are not.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_model_is_waited_for() {
    let bed = Bed::start().await;
    bed.llm.on_chat(|_| {
        let mut steps = vec![script::role()];
        for word in ["a ", "slow ", "answer"] {
            steps.push(Step::Pause(Duration::from_millis(900)));
            steps.push(script::text(word));
        }
        steps.extend(script::finish("stop", 3, 3));
        Reply::Stream(steps)
    });
    let daemon = bed.daemon().await;
    let llm = with(
        bed.llm_params(),
        &json!({"timeouts": {"firstTokenMs": 5000, "idleMs": 2500}}),
    );
    bed.configure_with(&daemon, bed.ssh_params(), llm).await;
    let params = with(prompt("p", "Slowly."), &json!({"model": "smol"}));
    daemon.ok("remote-llm/stream-prompt", params).await;
    assert_eq!(daemon.text("p"), "a slow answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_in_flight_cannot_be_taken_again() {
    let bed = Bed::start().await;
    bed.llm
        .on_chat(|_| Reply::Stream(vec![script::role(), script::text("half"), Step::Silence]));
    let daemon = bed.configured().await;
    let first = daemon
        .send("remote-llm/stream-prompt", prompt("twin", "Hello?"))
        .await;
    daemon.wait_text("twin").await;
    let error = daemon
        .err("remote-llm/submit-prompt", prompt("twin", "Hello?"))
        .await;
    assert!(
        matches!(error.code(), "INVALID_PARAMS" | "INVALID_REQUEST"),
        "{error:?}"
    );
    daemon.cancel(&first).await;
    assert_eq!(daemon.reply(&first).await.unwrap_err().code(), "CANCELLED");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_is_none_is_refused_by_its_name() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    let long = "x".repeat(257);
    for (field, id) in [
        ("conversationId", ""),
        ("conversationId", "a\nb"),
        ("conversationId", &long),
        ("requestId", " "),
    ] {
        let params = with(prompt("p", "Hello?"), &json!({field: id}));
        let error = daemon.err("remote-llm/submit-prompt", params).await;
        assert_eq!(error.code(), "INVALID_PARAMS", "{error:?}");
        assert_eq!(error.data["field"], field);
    }
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_of_an_unknown_profile_is_refused() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    let error = daemon
        .err("remote-llm/stream-prompt", prompt("p", "Hello?"))
        .await;
    assert_eq!(error.code(), "CONFIG_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_first_token_or_in_the_midst_of_silence_is_given_up() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    let llm = with(
        bed.llm_params(),
        &json!({"timeouts": {"firstTokenMs": 700, "idleMs": 700}, "maxRetries": 0}),
    );
    bed.configure_with(&daemon, bed.ssh_params(), llm).await;
    let params = |name| with(prompt(name, "Hello?"), &json!({"model": "smol"}));
    bed.llm.on_chat(|_| Reply::Silence);
    let error = daemon
        .err("remote-llm/stream-prompt", params("first"))
        .await;
    assert_eq!(error.code(), "TIMEOUT_FIRST_TOKEN");
    bed.llm
        .on_chat(|_| Reply::Stream(vec![script::role(), script::text("half"), Step::Silence]));
    let error = daemon.err("remote-llm/stream-prompt", params("idle")).await;
    assert_eq!(error.code(), "TIMEOUT_IDLE");
    assert_eq!(error.data["partial"], "half");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_prompts_cannot_add_to_one_conversation_at_once() {
    let bed = Bed::start().await;
    bed.llm.on_chat(|_| Reply::Silence);
    let daemon = bed.configured().await;
    let conversation = json!({"conversationId": "c"});
    let first = with(prompt("p", "Hello?"), &conversation);
    let ticket = daemon.send("remote-llm/stream-prompt", first).await;
    daemon
        .wait_chunk("p", "the start", |chunk| chunk.kind() == "started")
        .await;
    let second = with(prompt("q", "Hello, too?"), &conversation);
    let error = daemon.err("remote-llm/stream-prompt", second.clone()).await;
    assert_eq!(error.code(), "INVALID_PARAMS");
    assert_eq!(error.data["field"], "conversationId");
    daemon.cancel(&ticket).await;
    daemon.reply(&ticket).await.unwrap_err();
    bed.llm.on_chat(|_| Reply::text(&["Hello."]));
    daemon.ok("remote-llm/stream-prompt", second).await;
}
