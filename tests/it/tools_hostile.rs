//! Models and hosts that do with tools what nobody should: each ends as designed. A host that dies
//! while a tool runs is in `host_death`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bed::{Bed, prompt, read_tool, with};
use crate::support::daemon::{Answer, Asked, Daemon, RpcError};
use crate::support::llm_server::{Call, LlmServer, Reply, Step, script};

const TOOL: &str = "host/execute-tool";

/// How soon a running tool hears of a cancel.
const CANCEL: Duration = Duration::from_millis(100);

fn asking(name: &str, tools: &Value) -> Value {
    with(prompt(name, "Use your tools."), &json!({ "tools": tools }))
}

fn write_tool() -> Value {
    with(
        read_tool(),
        &json!({"name": "Write", "description": "Writes a file.", "readOnly": false}),
    )
}

/// A model that makes these calls once and then says "Done."
fn calls_once(llm: &LlmServer, calls: &[(String, &'static str, String)]) {
    let calls = calls.to_vec();
    llm.on_chat(move |request| match request.has_tool_result() {
        true => Reply::text(&["Done."]),
        false => reply(&calls),
    });
}

fn reply(calls: &[(String, &'static str, String)]) -> Reply {
    let arguments: Vec<_> = calls.iter().map(|(_, _, said)| [said.as_str()]).collect();
    let calls: Vec<_> = calls
        .iter()
        .zip(&arguments)
        .map(|((id, name, _), arguments)| Call {
            id,
            name,
            arguments,
        })
        .collect();
    Reply::calls(&calls)
}

/// Calls that each read another file.
fn reads(count: usize) -> Vec<(String, &'static str, String)> {
    (0..count)
        .map(|number| {
            (
                format!("c{number}"),
                "Read",
                json!({"path": number.to_string()}).to_string(),
            )
        })
        .collect()
}

/// A model that makes the call of each round with these arguments, for ever.
fn calls_for_ever(llm: &LlmServer, name: &'static str, arguments: fn(usize) -> String) {
    llm.on_chat(move |request| {
        let round = request.messages().len();
        reply(&[(format!("c{round}"), name, arguments(round))])
    });
}

async fn fails(daemon: &Daemon, params: Value) -> RpcError {
    daemon.err("remote-llm/stream-prompt", params).await
}

/// The codes of a prompt's tool results.
fn codes(daemon: &Daemon, name: &str) -> Vec<Value> {
    let chunks = daemon.chunks(name).into_iter();
    chunks
        .filter(|chunk| chunk.kind() == "tool-result")
        .map(|chunk| chunk.event["code"].clone())
        .collect()
}

fn path(asked: &Asked) -> String {
    let path = &asked.question.params["input"]["path"];
    path.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_220_identical_calls_in_a_row_two_run() {
    let bed = Bed::start().await;
    calls_for_ever(&bed.llm, "Read", |_| "{\"path\":\"a\"}".to_owned());
    let daemon = bed.configured().await;
    daemon.answer_with(|_| Answer::text("this is a"));
    let params = with(
        asking("p", &json!([read_tool()])),
        &json!({"limits": {"maxRounds": 220, "maxToolCalls": 220}}),
    );
    assert_eq!(fails(&daemon, params).await.code(), "TOOL_LOOP_DETECTED");
    assert_eq!(daemon.questions(TOOL).len(), 2);
    assert_eq!(bed.llm.chats().len(), 4);
    let looped = json!("TOOL_LOOP_DETECTED");
    assert_eq!(
        codes(&daemon, "p"),
        [Value::Null, Value::Null, looped.clone(), looped]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_220_calls_in_one_answer_none_runs() {
    let bed = Bed::start().await;
    let same: Vec<_> = (0..220)
        .map(|number| (format!("c{number}"), "Read", "{\"path\":\"a\"}".to_owned()))
        .collect();
    calls_once(&bed.llm, &same);
    let daemon = bed.configured().await;
    let error = fails(&daemon, asking("p", &json!([read_tool()]))).await;
    assert_eq!(error.code(), "API_PROTOCOL_ERROR");
    assert_eq!(error.data["retryable"], false);
    assert!(daemon.questions(TOOL).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_goes_round_three_calls_is_stopped() {
    let bed = Bed::start().await;
    calls_for_ever(&bed.llm, "Read", |round| {
        json!({"path": format!("{}", round / 2 % 3)}).to_string()
    });
    let daemon = bed.configured().await;
    daemon.answer_with(|_| Answer::text("again"));
    let error = fails(&daemon, asking("p", &json!([read_tool()]))).await;
    assert_eq!(error.code(), "TOOL_LOOP_DETECTED");
    assert_eq!(daemon.questions(TOOL).len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_only_calls_what_is_not_declared_is_stopped() {
    let bed = Bed::start().await;
    calls_for_ever(&bed.llm, "LaunchRockets", |round| {
        json!({ "round": round }).to_string()
    });
    let daemon = bed.configured().await;
    let error = fails(&daemon, asking("p", &json!([read_tool()]))).await;
    assert_eq!(error.code(), "TOOL_LIMIT_EXCEEDED");
    assert!(daemon.questions(TOOL).is_empty());
    assert_eq!(codes(&daemon, "p"), vec![json!("TOOL_NOT_FOUND"); 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_16_reads_four_run_at_once_and_their_results_go_back_in_order() {
    let bed = Bed::start().await;
    calls_once(&bed.llm, &reads(16));
    let daemon = bed.configured().await;
    daemon.answer_with(|_| Answer::Later);
    let ticket = daemon
        .send(
            "remote-llm/stream-prompt",
            asking("p", &json!([read_tool()])),
        )
        .await;
    // Always the newest of the four is answered, so they come out of order.
    let mut open: Vec<Asked> = Vec::new();
    let mut next = 1;
    for answered in 0..16 {
        while open.len() < (16 - answered).min(4) {
            open.push(daemon.wait_question(TOOL, next).await);
            next += 1;
        }
        assert_eq!(daemon.questions(TOOL).len(), next - 1, "no more than four");
        let newest = open.pop().unwrap();
        let said = format!("this is {}", path(&newest));
        daemon.answer(&newest, Answer::text(&said)).await;
    }
    let result = daemon.reply(&ticket).await.unwrap();
    assert_eq!(
        (&result["stopReason"], &result["toolCalls"]),
        (&json!("end_turn"), &json!(16))
    );
    let in_order: Vec<_> = (0..16).map(|number| format!("this is {number}")).collect();
    assert_eq!(bed.llm.told(), in_order);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_writes_waits_for_the_reads_before_it() {
    let bed = Bed::start().await;
    let mut calls = reads(3);
    calls[1].1 = "Write";
    calls_once(&bed.llm, &calls);
    let daemon = bed.configured().await;
    let mut asked = 0;
    daemon.answer_with(move |question| {
        asked += 1;
        let path = question.params["input"]["path"].as_str().unwrap();
        assert_eq!(path, (asked - 1).to_string());
        Answer::After(Duration::from_millis(50), Box::new(Answer::text(path)))
    });
    let params = asking("p", &json!([read_tool(), write_tool()]));
    daemon.ok("remote-llm/stream-prompt", params).await;
    assert_eq!(bed.llm.told(), ["0", "1", "2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_megabytes_of_arguments_end_the_answer() {
    let bed = Bed::start().await;
    bed.llm.on_chat(|_| {
        let piece = "x".repeat(100_000);
        let mut pieces = vec!["{\"path\":\""];
        pieces.extend(std::iter::repeat_n(piece.as_str(), 100));
        pieces.push("\"}");
        Reply::calls(&[Call {
            id: "a",
            name: "Read",
            arguments: &pieces,
        }])
    });
    let daemon = bed.configured().await;
    let error = fails(&daemon, asking("p", &json!([read_tool()]))).await;
    assert_eq!(error.code(), "API_PROTOCOL_ERROR");
    assert!(daemon.questions(TOOL).is_empty());
    assert_eq!(bed.llm.chats().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_are_no_object_or_do_not_fit_are_told_and_run_nothing() {
    let bed = Bed::start().await;
    for (number, (arguments, part)) in [
        ("path: a", "not valid JSON"),
        ("[\"a\"]", "not a JSON object"),
        ("{\"path\": \"a\", \"path\": \"b\"}", "twice"),
        ("{\"path\": 3}", "/path: value is not of type \"string\""),
        ("", "\"path\" is a required property"),
    ]
    .into_iter()
    .enumerate()
    {
        calls_once(&bed.llm, &[("a".to_owned(), "Read", arguments.to_owned())]);
        let daemon = bed.configured().await;
        let name = number.to_string();
        let result = daemon
            .ok(
                "remote-llm/stream-prompt",
                asking(&name, &json!([read_tool()])),
            )
            .await;
        assert_eq!(result["stopReason"], "end_turn");
        assert!(daemon.questions(TOOL).is_empty());
        assert_eq!(codes(&daemon, &name), [json!("TOOL_INVALID_INPUT")]);
        assert!(
            bed.llm.told()[0].contains(part),
            "{arguments}: {:?}",
            bed.llm.told()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_inside_a_string_is_taken_out_and_said_so() {
    let bed = Bed::start().await;
    let inside = Value::from("{\"path\": \"a\"}").to_string();
    calls_once(&bed.llm, &[("a".to_owned(), "Read", inside)]);
    let daemon = bed.configured().await;
    daemon.answer_with(|_| Answer::text("this is a"));
    let result = daemon
        .ok(
            "remote-llm/stream-prompt",
            asking("p", &json!([read_tool()])),
        )
        .await;
    assert_eq!(path(&daemon.questions(TOOL)[0]), "a");
    assert_eq!(result["warnings"].as_array().unwrap().len(), 1);
    let chats = bed.llm.chats();
    let said = &chats[1].request.messages()[1]["tool_calls"][0]["function"]["arguments"];
    assert_eq!(*said, json!("{\"path\":\"a\"}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_an_answer_that_reached_its_token_limit_does_not_run() {
    let bed = Bed::start().await;
    bed.llm.on_chat(|request| {
        if request.has_tool_result() {
            return Reply::text(&["Done."]);
        }
        let Reply::Stream(mut steps) = reply(&reads(1)) else {
            unreachable!("calls are streamed")
        };
        steps.truncate(steps.len() - 3);
        steps.extend(script::finish("length", 20, 9));
        Reply::Stream(steps)
    });
    let daemon = bed.configured().await;
    let result = daemon
        .ok(
            "remote-llm/stream-prompt",
            asking("p", &json!([read_tool()])),
        )
        .await;
    assert_eq!(result["stopReason"], "end_turn");
    assert!(daemon.questions(TOOL).is_empty());
    assert!(
        bed.llm.told()[0].contains("token limit"),
        "{:?}",
        bed.llm.told()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_person_is_asked_no_time_runs_out() {
    let bed = Bed::start().await;
    calls_once(&bed.llm, &reads(1));
    let daemon = bed.configured().await;
    daemon.answer_with(|_| Answer::Later);
    let params = with(
        asking("p", &json!([read_tool()])),
        &json!({"limits": {"toolTimeoutMs": 2000}}),
    );
    let ticket = daemon.send("remote-llm/stream-prompt", params).await;
    let asked = daemon.wait_question(TOOL, 1).await;
    let waiting = |waiting: bool| {
        let id = asked.question.params["toolCallId"].clone();
        let params = json!({"requestId": "p", "toolCallId": id, "waiting": waiting});
        daemon.notify("remote-llm/tool-waiting", params)
    };
    waiting(true).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    waiting(false).await;
    daemon.answer(&asked, Answer::text("this is 0")).await;
    let result = daemon.reply(&ticket).await.unwrap();
    assert_eq!(result["stopReason"], "end_turn");
    assert_eq!(bed.llm.told(), ["this is 0"]);
    // Of a call that is over, and of one that never was.
    waiting(true).await;
    let nobody = json!({"requestId": "q", "toolCallId": "x", "waiting": true});
    daemon.notify("remote-llm/tool-waiting", nobody).await;
    daemon.ok("remote-llm/list-configs", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tool_says_too_late_is_dropped() {
    let bed = Bed::start().await;
    let mut calls = reads(2);
    calls[0].1 = "Write";
    calls_once(&bed.llm, &calls);
    let daemon = bed.configured().await;
    daemon.answer_with(|question| match question.tool() {
        Some("Write") => Answer::After(
            Duration::from_millis(1500),
            Box::new(Answer::text("too late")),
        ),
        _ => Answer::After(Duration::from_secs(2), Box::new(Answer::text("in time"))),
    });
    // The read has to outlast the late answer, and not its own time.
    let params = with(
        asking("p", &json!([read_tool(), write_tool()])),
        &json!({"limits": {"toolTimeoutMs": 1000}}),
    );
    let ticket = daemon.send("remote-llm/stream-prompt", params).await;
    let read = daemon.wait_question(TOOL, 2).await;
    let id = read.question.params["toolCallId"].clone();
    let waiting = json!({"requestId": "p", "toolCallId": id, "waiting": true});
    daemon.notify("remote-llm/tool-waiting", waiting).await;
    daemon.reply(&ticket).await.unwrap();
    let told = bed.llm.told();
    assert!(told[0].contains("did not answer"), "{told:?}");
    assert_eq!(told[1], "in time");
    assert_eq!(codes(&daemon, "p"), [json!("TOOL_TIMEOUT"), Value::Null]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_person_asked_denies_a_call_or_ends_the_prompt() {
    let bed = Bed::start().await;
    calls_once(&bed.llm, &reads(2));
    let daemon = bed.configured().await;
    daemon.answer_with(|question| {
        // Nothing was read before either of them.
        assert_eq!(question.params["afterUntrustedRead"], false);
        Answer::Result(json!({"denied": true}))
    });
    let params = asking("p", &json!([read_tool()]));
    let result = daemon.ok("remote-llm/stream-prompt", params).await;
    assert_eq!(result["stopReason"], "end_turn");
    assert_eq!(
        codes(&daemon, "p"),
        [json!("TOOL_DENIED"), json!("TOOL_DENIED")]
    );

    daemon.answer_with(|_| Answer::Result(json!({"abort": true})));
    let chats = bed.llm.chats().len();
    let params = asking("q", &json!([read_tool()]));
    let error = daemon.err("remote-llm/stream-prompt", params).await;
    assert_eq!(error.code(), "CANCELLED", "{error:?}");
    let end = daemon.chunks("q").pop().unwrap();
    assert_eq!(end.event["result"]["stopReason"], "cancelled");
    assert_eq!(
        bed.llm.chats().len(),
        chats + 1,
        "the model is not asked again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_a_prompt_waits_with_is_in_use() {
    let bed = Bed::start().await;
    calls_once(&bed.llm, &reads(1));
    let daemon = bed.daemon().await;
    let ssh = with(bed.ssh_params(), &json!({"idleTimeout": 2000}));
    bed.configure_with(&daemon, ssh, bed.llm_params()).await;
    // The channel to the server is kept for four seconds after the first round.
    daemon.answer_with(|_| {
        Answer::After(Duration::from_secs(8), Box::new(Answer::text("this is 0")))
    });
    let params = asking("p", &json!([read_tool()]));
    daemon.ok("remote-llm/stream-prompt", params).await;
    let off = daemon.read(|traffic| {
        let is_off = |line: &&String| {
            line.contains("\"method\":\"remote-llm/connection-status\"")
                && line.contains("\"state\":\"off\"")
        };
        traffic.lines.iter().filter(is_off).count()
    });
    assert_eq!(off, 0, "{}", daemon.transcript());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_reaches_every_tool_that_runs_within_100_ms() {
    let bed = Bed::alone().await;
    calls_once(&bed.llm, &reads(6));
    let daemon = bed.configured().await;
    daemon.answer_with(|_| Answer::Later);
    let ticket = daemon
        .send(
            "remote-llm/stream-prompt",
            asking("p", &json!([read_tool()])),
        )
        .await;
    daemon.wait_question(TOOL, 4).await;
    let when = Instant::now();
    daemon.cancel(&ticket).await;
    let cancelled = daemon
        .wait("every tool to be cancelled", |traffic| {
            let asked = traffic.questions.iter();
            let all: Vec<_> = asked
                .filter(|asked| asked.question.method == TOOL)
                .map(|asked| asked.cancelled)
                .collect();
            all.into_iter().collect::<Option<Vec<_>>>()
        })
        .await;
    assert_eq!(cancelled.len(), 4);
    for at in cancelled {
        let took = at.saturating_duration_since(when);
        assert!(took <= CANCEL, "a tool heard of it after {took:?}");
    }
    assert_eq!(daemon.reply(&ticket).await.unwrap_err().code(), "CANCELLED");
    assert_eq!(daemon.questions(TOOL).len(), 4, "no new ones");
    assert_eq!(bed.llm.chats().len(), 1, "the model is not asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_none_is_refused_before_anything_is_sent() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    for (schema, part) in [
        (json!({"type": "objekt"}), "objekt"),
        (
            json!({"properties": {"a": {"$ref": "file:///etc/passwd"}}}),
            "$ref",
        ),
        (json!({"$ref": "#"}), "circles"),
    ] {
        let bad = with(write_tool(), &json!({"inputSchema": schema}));
        let params = asking("p", &json!([read_tool(), bad]));
        let error = fails(&daemon, params).await;
        assert_eq!(error.code(), "INVALID_PARAMS");
        assert_eq!(error.data["field"], "tools[1]");
        assert!(error.message.contains(part), "{}", error.message);
    }
    assert!(bed.llm.chats().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_output_is_described_to_the_model() {
    let bed = Bed::start().await;
    calls_once(&bed.llm, &reads(1));
    let daemon = bed.configured().await;
    daemon.answer_with(|_| Answer::text("\u{7f}ELF\u{2}\0\0\0"));
    daemon
        .ok(
            "remote-llm/stream-prompt",
            asking("p", &json!([read_tool()])),
        )
        .await;
    assert_eq!(
        bed.llm.told(),
        ["(left out of the tool's output: binary data of 8 bytes)"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_off_after_a_whole_call_runs_nothing() {
    let bed = Bed::start().await;
    bed.llm.on_chat(|_| {
        let Reply::Stream(mut steps) = reply(&reads(2)) else {
            unreachable!("calls are streamed")
        };
        steps.truncate(steps.len() - 3);
        steps.push(Step::End);
        Reply::Stream(steps)
    });
    let daemon = bed.configured().await;
    let error = fails(&daemon, asking("p", &json!([read_tool()]))).await;
    assert_eq!(error.code(), "STREAM_INTERRUPTED");
    assert!(daemon.questions(TOOL).is_empty());
}
