//! The tool loop: who runs what, what the model hears of it, and when it stops.

use serde_json::{Value, json};

use crate::support::bed::{Bed, prompt, read_tool, with};
use crate::support::daemon::{Answer, Chunk, Daemon};
use crate::support::llm_server::{Call, LlmServer, Reply, Step, script};

const READ_A: Call<'static> = Call {
    id: "a",
    name: "Read",
    arguments: &["{\"path\":\"a\"}"],
};

/// A model that makes these calls once and then says "Done."
fn calls_once(llm: &LlmServer, calls: &'static [Call<'static>]) {
    llm.on_chat(move |request| {
        if request.has_tool_result() {
            Reply::text(&["Done."])
        } else {
            Reply::calls(calls)
        }
    });
}

fn with_tools(name: &str) -> Value {
    with(
        prompt(name, "Use your tools."),
        &json!({"tools": [read_tool()]}),
    )
}

async fn run(daemon: &Daemon, name: &str) -> Value {
    daemon
        .ok("remote-llm/stream-prompt", with_tools(name))
        .await
}

async fn result_of(daemon: &Daemon, name: &str, call: &str) -> Chunk {
    daemon
        .wait_chunk(name, "a tool result", |chunk| {
            chunk.kind() == "tool-result" && chunk.event["id"] == call
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_tool_is_told_to_the_model_and_the_prompt_goes_on() {
    let bed = Bed::start().await;
    calls_once(&bed.llm, &[READ_A]);
    let daemon = bed.configured().await;
    daemon.answer_with(|_| Answer::error(3005, "TOOL_DENIED", "the user said no"));
    let result = run(&daemon, "p").await;
    assert_eq!(result["stopReason"], "end_turn");
    assert_eq!(result_of(&daemon, "p", "a").await.event["isError"], true);
    let told = bed.llm.told();
    assert!(told[0].starts_with("Error"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_the_host_does_not_know_is_told_to_the_model() {
    let bed = Bed::start().await;
    calls_once(&bed.llm, &[READ_A]);
    let daemon = bed.configured().await;
    daemon.answer_with(|_| Answer::error(3001, "TOOL_NOT_FOUND", "no such tool"));
    assert_eq!(run(&daemon, "p").await["stopReason"], "end_turn");
    assert_eq!(result_of(&daemon, "p", "a").await.event["isError"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_the_model_made_up_never_reaches_the_host() {
    let bed = Bed::start().await;
    calls_once(
        &bed.llm,
        &[Call {
            id: "a",
            name: "LaunchRockets",
            arguments: &["{}"],
        }],
    );
    let daemon = bed.configured().await;
    assert_eq!(run(&daemon, "p").await["stopReason"], "end_turn");
    assert!(daemon.questions("host/execute-tool").is_empty());
    let told = bed.llm.told();
    assert!(
        told[0].contains("Read"),
        "it is told what there is: {told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_fails_says_so_to_the_model() {
    let bed = Bed::start().await;
    calls_once(&bed.llm, &[READ_A]);
    let daemon = bed.configured().await;
    daemon.answer_with(|_| Answer::tool_failure("no such file: a"));
    run(&daemon, "p").await;
    let event = result_of(&daemon, "p", "a").await.event;
    assert_eq!(event["isError"], true);
    assert_eq!(event["preview"], "no such file: a");
    assert!(bed.llm.told()[0].contains("no such file: a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_calls_of_one_turn_both_run_and_go_back_in_order() {
    let bed = Bed::start().await;
    calls_once(
        &bed.llm,
        &[
            READ_A,
            Call {
                id: "b",
                name: "Read",
                arguments: &["{", "\"path\"", ":\"", "b\"", "}"],
            },
        ],
    );
    let daemon = bed.configured().await;
    daemon.answer_with(|question| {
        let path = question.params["input"]["path"].as_str().unwrap();
        Answer::text(&format!("this is {path}"))
    });
    let result = run(&daemon, "p").await;
    assert_eq!(result["toolCalls"], 2);
    assert_eq!(bed.llm.told(), ["this is a", "this is b"]);
    let chats = bed.llm.chats();
    assert_eq!(chats.len(), 2, "all results go back in one request");
    let ids: Vec<_> = chats[1].request.messages()[2..]
        .iter()
        .map(|message| message["tool_call_id"].clone())
        .collect();
    assert_eq!(ids, ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_may_answer_with_blocks() {
    let bed = Bed::start().await;
    calls_once(&bed.llm, &[READ_A]);
    let daemon = bed.configured().await;
    daemon.answer_with(|_| {
        Answer::Result(json!({"content": [
            {"type": "text", "text": "one"}, {"type": "text", "text": "two"},
        ]}))
    });
    run(&daemon, "p").await;
    let told = bed.llm.told();
    assert!(told[0].contains("one") && told[0].contains("two"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_capability_the_host_goes_on_itself() {
    let bed = Bed::start().await;
    calls_once(&bed.llm, &[READ_A]);
    let daemon = bed.daemon_with(bed.hello_with(&json!({}))).await;
    bed.configure(&daemon).await;
    let result = run(&daemon, "p").await;
    assert_eq!(result["stopReason"], "tool_use");
    let call = json!({"type": "tool_use", "id": "a", "name": "Read", "input": {"path": "a"}});
    assert_eq!(result["message"]["content"], json!([call]));
    assert!(daemon.questions("host/execute-tool").is_empty());

    let answered = with(
        with_tools("q"),
        &json!({
            "conversationId": result["conversationId"],
            "messages": [{"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "this is a"},
            ]}],
        }),
    );
    let result = daemon.ok("remote-llm/stream-prompt", answered).await;
    assert_eq!(result["stopReason"], "end_turn");
    assert_eq!(bed.llm.told(), ["this is a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_are_no_json_run_nothing() {
    let bed = Bed::start().await;
    calls_once(
        &bed.llm,
        &[Call {
            id: "a",
            name: "Read",
            arguments: &["{\"path\": \"a"],
        }],
    );
    let daemon = bed.configured().await;
    assert_eq!(run(&daemon, "p").await["stopReason"], "end_turn");
    assert!(daemon.questions("host/execute-tool").is_empty());
    assert!(bed.llm.told()[0].starts_with("Error"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_in_a_stream_that_was_cut_does_not_run() {
    let bed = Bed::start().await;
    bed.llm.on_chat(|_| {
        let Reply::Stream(mut steps) = Reply::calls(&[READ_A]) else {
            unreachable!("calls are streamed")
        };
        // Without the finish reason, the usage and the end.
        steps.truncate(steps.len() - 3);
        steps.push(Step::Cut);
        Reply::Stream(steps)
    });
    let daemon = bed.configured().await;
    let error = daemon
        .err("remote-llm/stream-prompt", with_tools("p"))
        .await;
    assert_eq!(error.code(), "STREAM_INTERRUPTED");
    assert!(daemon.questions("host/execute-tool").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_takes_too_long_is_cancelled_and_told() {
    let bed = Bed::start().await;
    calls_once(&bed.llm, &[READ_A]);
    let daemon = bed.configured().await;
    daemon.answer_with(|_| Answer::Later);
    let params = with(with_tools("p"), &json!({"limits": {"toolTimeoutMs": 300}}));
    let result = daemon.ok("remote-llm/stream-prompt", params).await;
    assert_eq!(result["stopReason"], "end_turn");
    let asked = &daemon.questions("host/execute-tool")[0];
    assert_eq!(asked.question.params["timeoutMs"], 300);
    assert!(
        asked.cancelled.is_some(),
        "the host was not told to stop it"
    );
    assert_eq!(result_of(&daemon, "p", "a").await.event["isError"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_never_stops_calling_is_stopped() {
    let bed = Bed::start().await;
    bed.llm.on_chat(|request| {
        // Another argument each time, or the loop detection would be quicker.
        let arguments = format!("{{\"path\":\"{}\"}}", request.messages().len());
        Reply::calls(&[Call {
            id: "a",
            name: "Read",
            arguments: &[&arguments],
        }])
    });
    let daemon = bed.configured().await;
    daemon.answer_with(|_| Answer::text("go on"));
    let params = with(with_tools("p"), &json!({"limits": {"maxRounds": 3}}));
    let result = daemon.ok("remote-llm/stream-prompt", params).await;
    assert_eq!(result["stopReason"], "limit");
    assert_eq!(result["rounds"], 3);
    assert_eq!(bed.llm.chats().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tool_says_is_cut_to_its_limit() {
    let bed = Bed::start().await;
    calls_once(&bed.llm, &[READ_A]);
    let daemon = bed.configured().await;
    let long = "puffin ".repeat(20_000);
    daemon.answer_with(move |_| Answer::text(&long));
    let params = with(
        with_tools("p"),
        &json!({"limits": {"toolOutputBytes": 10_000}}),
    );
    daemon.ok("remote-llm/stream-prompt", params).await;
    let told = bed.llm.told();
    assert!(told[0].len() < 12_000, "{} bytes", told[0].len());
    assert!(told[0].starts_with("puffin "));
}

#[tokio::test(flavor = "multi_thread")]
async fn text_before_a_call_is_kept_with_it() {
    let bed = Bed::start().await;
    bed.llm.on_chat(|request| {
        if request.has_tool_result() {
            return Reply::text(&["Done."]);
        }
        let Reply::Stream(mut steps) = Reply::calls(&[READ_A]) else {
            unreachable!("calls are streamed")
        };
        steps.insert(1, script::text("Let me look. "));
        Reply::Stream(steps)
    });
    let daemon = bed.configured().await;
    daemon.answer_with(|_| Answer::text("x"));
    let result = run(&daemon, "p").await;
    assert_eq!(
        result["messages"][0]["content"][0],
        json!({"type": "text", "text": "Let me look. "})
    );
    assert_eq!(daemon.text("p"), "Let me look. Done.");
}
