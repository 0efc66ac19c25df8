//! Beginning and end, and what the daemon survives in between.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::support::bed::{Bed, CONFIG, prompt};
use crate::support::daemon::{Answer, Daemon, PATIENCE, binary};
use crate::support::llm_server::{Reply, Step, script};
use crate::support::ssh_server::Greeting;

/// The contract's limit for leaving.
const EXIT: Duration = Duration::from_secs(2);

/// A prompt that is in the middle of its answer, and stays there.
async fn hanging_prompt(bed: &Bed) -> (Daemon, crate::support::daemon::Ticket) {
    bed.llm
        .on_chat(|_| Reply::Stream(vec![script::role(), script::text("half"), Step::Silence]));
    let daemon = bed.configured().await;
    let ticket = daemon
        .send("remote-llm/stream-prompt", prompt("p", "Hang, please."))
        .await;
    daemon.wait_text("p").await;
    (daemon, ticket)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_before_initialize_is_refused() {
    let bed = Bed::start().await;
    let daemon = Daemon::spawn(&bed.launch());
    let error = daemon.err("remote-llm/list-configs", json!({})).await;
    assert_eq!((error.number, error.code()), (-32002, "NOT_INITIALIZED"));
    daemon.ok("initialize", bed.hello()).await;
    daemon.ok("remote-llm/list-configs", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_initialize_is_refused() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    let error = daemon.err("initialize", bed.hello()).await;
    assert_eq!((error.number, error.code()), (-32600, "INVALID_REQUEST"));
    daemon.ok("remote-llm/list-configs", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn initialize_says_who_answers_and_within_which_bounds() {
    let bed = Bed::start().await;
    let daemon = Daemon::spawn(&bed.launch());
    let result = daemon.ok("initialize", bed.hello()).await;
    assert_eq!(result["protocolVersion"], 1);
    assert_eq!(result["server"]["name"], "puffin-remote-llm");
    assert_eq!(result["server"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(result["vault"]["state"], "session-only");
    assert_eq!(result["limits"]["maxMessageBytes"], 16 * 1024 * 1024);
    assert!(result["limits"]["maxInFlight"].as_u64().unwrap() >= 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_host_gets_the_version_the_daemon_speaks() {
    let bed = Bed::start().await;
    let daemon = Daemon::spawn(&bed.launch());
    let mut hello = bed.hello();
    hello["protocolVersion"] = json!(99);
    assert_eq!(daemon.ok("initialize", hello).await["protocolVersion"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_that_is_not_built_says_so() {
    let bed = Bed::start().await;
    let daemon = Daemon::spawn(&bed.launch());
    let hello = daemon.ok("initialize", bed.hello()).await;
    let built: Vec<&str> = hello["capabilities"]["methods"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    for needed in [
        "remote-llm/configure",
        "remote-llm/test-connection",
        "remote-llm/list-models",
        "remote-llm/select-model",
        "remote-llm/stream-prompt",
        "remote-llm/submit-prompt",
        "remote-llm/cancel",
    ] {
        assert!(built.contains(&needed), "{needed} is not announced");
    }
    let document = puffin_remote_llm::protocol::schema::document();
    for (method, entry) in document["methods"]["hostToDaemon"].as_object().unwrap() {
        if entry["kind"] != "request" || matches!(method.as_str(), "initialize" | "shutdown") {
            continue;
        }
        let outcome = daemon.call(method, json!({})).await;
        let said = outcome.as_ref().err().map(|error| error.code().to_owned());
        if built.contains(&method.as_str()) {
            assert_ne!(said.as_deref(), Some("NOT_IMPLEMENTED"), "{method}");
        } else {
            let error = outcome.unwrap_err();
            assert_eq!(
                (error.number, error.code()),
                (-32601, "NOT_IMPLEMENTED"),
                "{method}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_method_and_bad_params_are_told_apart() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    let error = daemon.err("remote-llm/make-coffee", json!({})).await;
    assert_eq!((error.number, error.code()), (-32601, "METHOD_NOT_FOUND"));
    let error = daemon.err("remote-llm/get-config", json!({})).await;
    assert_eq!((error.number, error.code()), (-32602, "INVALID_PARAMS"));
    assert!(error.message.contains("configId"), "{}", error.message);
    let error = daemon
        .err("remote-llm/get-config", json!({"configId": 7}))
        .await;
    assert_eq!(error.code(), "INVALID_PARAMS");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_survived() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    let huge = format!(
        r#"{{"jsonrpc":"2.0","id":70,"method":"remote-llm/list-configs","params":{{"x":"{}"}}}}"#,
        "x".repeat(17 * 1024 * 1024)
    );
    let lines: [&[u8]; 8] = [
        b"this is not JSON",
        b"\xff\xfe\xfd",
        b"",
        b"{\"jsonrpc\":\"2.0\",\"id\":999999,\"result\":{}}",
        b"{\"jsonrpc\":\"2.0\",\"method\":\"$/cancelRequest\",\"params\":{\"id\":424242}}",
        b"{\"jsonrpc\":\"2.0\",\"method\":\"no/such-notification\",\"params\":{}}",
        b"[{\"jsonrpc\":\"2.0\",\"id\":71,\"method\":\"remote-llm/list-configs\",\"params\":{}}]",
        huge.as_bytes(),
    ];
    for line in lines {
        daemon.send_raw([line, b"\n"].concat()).await;
    }
    daemon.ok("remote-llm/list-configs", json!({})).await;
    let orphans = daemon
        .wait("errors for the batch and the long line", |traffic| {
            (traffic.orphans.len() >= 2).then(|| traffic.orphans.clone())
        })
        .await;
    for orphan in orphans {
        assert_eq!(orphan["error"]["code"], -32600, "{orphan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn carriage_returns_blank_lines_and_a_bom_are_tolerated() {
    let bed = Bed::start().await;
    let daemon = Daemon::spawn(&bed.launch());
    daemon.send_raw(*b"\xef\xbb\xbf\r\n\r\n").await;
    let hello =
        json!({"jsonrpc": "2.0", "id": "first", "method": "initialize", "params": bed.hello()});
    daemon.send_raw(format!("{hello}\r\n")).await;
    let reply = daemon
        .wait("the reply to a string id", |traffic| {
            let mut replies = traffic.orphans.iter();
            replies.find(|reply| reply["id"] == "first").cloned()
        })
        .await;
    assert_eq!(reply["result"]["protocolVersion"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_too_many_is_refused_and_the_others_are_answered() {
    let bed = Bed::start().await;
    bed.ssh.greet(Greeting::Silent);
    let daemon = Daemon::spawn(&bed.launch());
    let hello = daemon.ok("initialize", bed.hello()).await;
    let limit = hello["limits"]["maxInFlight"].as_u64().unwrap();
    bed.configure(&daemon).await;
    let connect = json!({"configId": CONFIG});
    let mut tickets = Vec::new();
    for _ in 0..limit {
        tickets.push(daemon.send("remote-llm/connect", connect.clone()).await);
    }
    let error = daemon.err("remote-llm/connect", connect).await;
    assert_eq!((error.number, error.code()), (-32009, "TOO_MANY_REQUESTS"));
    for ticket in &tickets {
        daemon.cancel(ticket).await;
    }
    for ticket in &tickets {
        assert_eq!(daemon.reply(ticket).await.unwrap_err().number, -32800);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_cancels_what_runs_and_then_answers() {
    let bed = Bed::alone().await;
    let (daemon, ticket) = hanging_prompt(&bed).await;
    let shutdown = daemon.send("shutdown", json!({})).await;
    let shutdown = daemon.timed_reply(&shutdown).await;
    shutdown.outcome.unwrap();
    let cancelled = daemon.timed_reply(&ticket).await;
    assert_eq!(cancelled.outcome.unwrap_err().number, -32800);
    assert!(cancelled.at <= shutdown.at, "the prompt was answered last");
    let error = daemon.err("remote-llm/list-configs", json!({})).await;
    assert!(error.number < 0, "new work is refused: {error:?}");
    let mut daemon = daemon;
    daemon.close_stdin().await;
    assert!(daemon.exit(EXIT).await.success());
    let alive = bed
        .ssh
        .wait(EXIT, |seen| (seen.live_connections == 0).then_some(()));
    assert!(alive.await.is_some(), "the SSH connection is still open");
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_answers_a_connection_test_whose_question_is_open() {
    let bed = Bed::alone().await;
    bed.write_known_hosts("");
    let daemon = bed.configured().await;
    daemon.answer_with(|_| Answer::Later);
    let params = json!({"configId": CONFIG});
    let test = daemon.send("remote-llm/test-connection", params).await;
    daemon.wait_question("host/verify-host-key", 1).await;
    let shutdown = daemon.send("shutdown", json!({})).await;
    let shutdown = daemon.timed_reply(&shutdown).await;
    shutdown.outcome.unwrap();
    let test = daemon.timed_reply(&test).await;
    assert_eq!(test.outcome.unwrap_err().code(), "CANCELLED");
    assert!(test.at <= shutdown.at, "the test was answered last");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_stdin_alone_ends_it() {
    let bed = Bed::alone().await;
    let (mut daemon, _) = hanging_prompt(&bed).await;
    daemon.close_stdin().await;
    let status = daemon.exit(EXIT).await;
    assert!(status.success(), "{status}");
    let gone = bed.llm.wait(EXIT, |all| all.last()?.abandoned);
    assert!(gone.await.is_some(), "the LLM server was left waiting");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_alone_ends_it() {
    let bed = Bed::alone().await;
    let (mut daemon, _) = hanging_prompt(&bed).await;
    daemon.signal("TERM").await;
    let status = daemon.exit(EXIT).await;
    assert_eq!(status.code(), Some(0), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_reads_nothing_cannot_keep_it_alive() {
    let bed = Bed::alone().await;
    bed.llm.on_chat(|_| {
        Reply::Stream(vec![Step::Tokens {
            count: None,
            every: Duration::ZERO,
            text: |number| format!("token {number} "),
        }])
    });
    let mut daemon = bed.configured().await;
    daemon
        .send("remote-llm/stream-prompt", prompt("p", "Talk."))
        .await;
    daemon.wait_text("p").await;
    daemon.pause_stdout();
    daemon.close_stdin().await;
    daemon.exit(EXIT).await;
}

/// The parent here is a shell that becomes `sleep`, which holds the only write end of the
/// daemon's stdin.
#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_does_not_outlive_its_parent() {
    let bed = Bed::alone().await;
    std::fs::write(
        bed.path("hello"),
        format!(
            "{}\n",
            json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": bed.hello()})
        ),
    )
    .unwrap();
    let mut parent = tokio::process::Command::new("sh")
        .args([
            "-c",
            r#"mkfifo pipe && { "$0" < pipe > out 2> err & } && exec 3> pipe &&
               cat hello >&3 && until [ -s out ]; do sleep 0.05; done && echo $! && exec sleep 600"#,
        ])
        .arg(binary())
        .env("HOME", bed.home())
        .current_dir(bed.path(""))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(parent.stdout.take().unwrap());
    tokio::time::timeout(PATIENCE, output.read_line(&mut line))
        .await
        .unwrap()
        .unwrap();
    let pid: u32 = line.trim().parse().unwrap();
    assert!(is_running(pid));
    parent.kill().await.unwrap();
    let end = tokio::time::Instant::now() + EXIT;
    while is_running(pid) {
        assert!(tokio::time::Instant::now() < end, "{pid} is still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn is_running(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let state = status.lines().find(|line| line.starts_with("State:"));
    state.is_some_and(|state| !state.contains('Z'))
}
