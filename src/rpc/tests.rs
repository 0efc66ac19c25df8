//! The whole peer over socket pairs. No test sleeps; the only clock is a watchdog that fails a
//! test which would otherwise hang.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;

const WATCHDOG: Duration = Duration::from_secs(60);

/// The other end of the pipes.
struct Host {
    stdin: UnixStream,
    stdout: tokio::io::Lines<BufReader<UnixStream>>,
}

impl Host {
    async fn send(&mut self, message: Value) {
        self.send_raw(format!("{message}\n").as_bytes()).await;
    }

    async fn send_raw(&mut self, bytes: &[u8]) {
        self.stdin.write_all(bytes).await.unwrap();
    }

    async fn request(&mut self, id: impl Into<Value>, method: &str, params: Value) {
        let id = id.into();
        self.send(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
            .await;
    }

    async fn cancel(&mut self, id: impl Into<Value>) {
        let params = json!({ "id": id.into() });
        self.send(json!({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": params}))
            .await;
    }

    async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(WATCHDOG, self.stdout.next_line()).await;
        let line = line.expect("nothing came").unwrap().expect("end of file");
        serde_json::from_str(&line).unwrap()
    }

    /// The next message's id and error code.
    async fn next_error(&mut self) -> (Value, i64) {
        let message = self.next().await;
        (
            message["id"].clone(),
            message["error"]["code"].as_i64().unwrap(),
        )
    }
}

fn start(limits: Limits) -> (Host, Outbound, Incoming) {
    let (our_stdin, their_stdin) = StdStream::pair().unwrap();
    let (our_stdout, their_stdout) = StdStream::pair().unwrap();
    their_stdin.set_nonblocking(true).unwrap();
    their_stdout.set_nonblocking(true).unwrap();
    let our_stdout = HostPipe::from(File::from(OwnedFd::from(our_stdout)));
    let (outbound, incoming) = Peer::start(our_stdin, our_stdout, limits).unwrap();
    let host = Host {
        stdin: UnixStream::from_std(their_stdin).unwrap(),
        stdout: BufReader::new(UnixStream::from_std(their_stdout).unwrap()).lines(),
    };
    (host, outbound, incoming)
}

fn serve<C: Send + Sync + 'static>(
    mut incoming: Incoming,
    router: Router<C>,
) -> JoinHandle<(End, Incoming)> {
    tokio::spawn(async move {
        let end = incoming.serve(&router, &CancellationToken::new()).await;
        (end, incoming)
    })
}

/// A router with `ping`, which echoes its params.
fn ping<C: Send + Sync + 'static>(context: C) -> Router<C> {
    let mut router = Router::new(context);
    router.on("ping", async |_, params: Value, _| {
        Ok::<_, ErrorReply>(params)
    });
    router
}

async fn assert_alive(host: &mut Host) {
    host.request("alive?", "ping", json!({"x": 1})).await;
    let expected = json!({"jsonrpc": "2.0", "id": "alive?", "result": {"x": 1}});
    assert_eq!(host.next().await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_notifications_of_a_request_precede_its_reply() {
    let (mut host, outbound, incoming) = start(Limits::default());
    let mut router = Router::new(outbound);
    router.on(
        "work",
        async |outbound: Arc<Outbound>, (): (), call: Call| {
            let id = call.id().to_string();
            for step in 0..3 {
                outbound
                    .notify("progress", &json!({"id": id, "step": step}))
                    .await
                    .unwrap();
            }
            Ok::<_, ErrorReply>("done")
        },
    );
    let _serving = serve(incoming, router);

    let mut steps: HashMap<u64, u64> = HashMap::new();
    let mut replies = 0;
    for id in 0..1000 {
        host.request(id, "work", Value::Null).await;
    }
    while replies < 2000 {
        let message = host.next().await;
        if message["method"] == "progress" {
            let id = message["params"]["id"].as_str().unwrap().parse().unwrap();
            let seen = steps.entry(id).or_default();
            assert_eq!(message["params"]["step"], *seen);
            *seen += 1;
        } else {
            let id = message["id"].as_u64().unwrap();
            assert_eq!(message["result"], "done");
            assert_eq!(
                steps.get(&id),
                Some(&3),
                "the reply overtook a notification"
            );
            replies += 1;
            if replies <= 1000 {
                host.request(id + 1000, "work", Value::Null).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_survived_and_odd_shapes_are_refused() {
    let (mut host, _outbound, incoming) = start(Limits::default());
    let _serving = serve(incoming, ping(()));

    host.send_raw(b"\xEF\xBB\xBF\r\n\nhello\n\xFF\xFE\n{\"jsonrpc\"\n")
        .await;
    host.send_raw(b"[]\n").await;
    assert_eq!(host.next_error().await, (Value::Null, -32600));
    host.send_raw(b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":{}}\r\n")
        .await;
    assert_eq!(host.next_error().await, (json!(7), -32600));
    host.request(8, "no/such-method", json!({})).await;
    assert_eq!(host.next_error().await, (json!(8), -32601));
    host.request(9, "ping", json!([1])).await;
    assert_eq!(host.next_error().await, (json!(9), -32602));
    assert_alive(&mut host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_null_whole_numbers_or_strings() {
    let (mut host, _outbound, incoming) = start(Limits::default());
    let _serving = serve(incoming, ping(()));

    for id in [json!(u64::MAX), json!(0), json!(""), json!("a\"b")] {
        host.request(id.clone(), "ping", json!({})).await;
        assert_eq!(host.next().await["id"], id);
    }
    for id in [json!(-1), json!(1.5), json!(true), json!({})] {
        host.request(id, "ping", json!({})).await;
        assert_eq!(host.next_error().await, (Value::Null, -32600));
    }
    // A notification of a method that only serves requests: no answer.
    host.request(Value::Null, "ping", json!({})).await;
    assert_alive(&mut host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_over_the_limit_is_refused_once_and_the_next_is_served() {
    let (mut host, _outbound, incoming) = start(Limits::default());
    let _serving = serve(incoming, ping(()));

    let mut line = vec![b'x'; 17 << 20];
    line.push(b'\n');
    host.send_raw(&line).await;
    assert_eq!(host.next_error().await, (Value::Null, -32600));
    assert_alive(&mut host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_params_name_their_field() {
    #[derive(serde::Deserialize)]
    #[expect(dead_code, reason = "only read")]
    struct Params {
        port: u16,
    }
    let (mut host, _outbound, incoming) = start(Limits::default());
    let mut router = Router::new(());
    router.on("m", async |_, _: Params, _| Ok::<_, ErrorReply>(()));
    let _serving = serve(incoming, router);

    host.request(1, "m", json!({"port": "hunter2"})).await;
    let expected = json!({"jsonrpc": "2.0", "id": 1, "error": {
        "code": -32602,
        "message": "Invalid params: `port`: expected a whole number from 0 to 65535, not string.",
        "data": {"code": "INVALID_PARAMS", "retryable": false, "field": "port"},
    }});
    assert_eq!(host.next().await, expected);
}

/// Waits for its token, then answers −32800.
fn hang(router: &mut Router<()>) {
    router.on("hang", async |_, (): (), call: Call| {
        call.token.cancelled().await;
        Err::<(), _>(ErrorReply::new(code::CANCELLED, "cancelled"))
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_on_the_very_next_line_finds_its_request() {
    let (mut host, _outbound, incoming) = start(Limits::default());
    let mut router = ping(());
    hang(&mut router);
    let _serving = serve(incoming, router);

    for id in 0..200 {
        let request = json!({"jsonrpc": "2.0", "id": id, "method": "hang"});
        let cancel = json!({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": id}});
        host.send_raw(format!("{request}\n{cancel}\n").as_bytes())
            .await;
        assert_eq!(host.next_error().await, (json!(id), -32800));
    }
    host.cancel(199).await;
    host.cancel("never heard of").await;
    host.cancel(json!({})).await;
    assert_alive(&mut host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_answers_its_request_and_the_peer_lives() {
    let (mut host, _outbound, incoming) = start(Limits::default());
    let mut router = ping(());
    router.on("panic", async |_, (): (), _| -> Result<(), ErrorReply> {
        panic!("canary")
    });
    router.on(
        "late-panic",
        async |_, (): (), _| -> Result<(), ErrorReply> {
            tokio::task::yield_now().await;
            panic!("canary")
        },
    );
    router.on_notification("note", |_, (): ()| panic!("canary"));
    let _serving = serve(incoming, router);

    for method in ["panic", "late-panic"] {
        host.request(1, method, Value::Null).await;
        let reply = host.next().await;
        assert_eq!(
            (&reply["id"], &reply["error"]["code"]),
            (&json!(1), &json!(-32603))
        );
        assert!(!reply.to_string().contains("canary"));
    }
    host.send(json!({"jsonrpc": "2.0", "method": "note"})).await;
    assert_alive(&mut host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panicking_guard_answers_its_request_and_the_peer_lives() {
    let (mut host, _outbound, incoming) = start(Limits::default());
    let router = ping(()).guard(|(), method| {
        assert_ne!(method, "panic");
        Ok(())
    });
    let _serving = serve(incoming, router);
    host.request(1, "panic", Value::Null).await;
    assert_eq!(host.next_error().await, (json!(1), -32603));
    assert_alive(&mut host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guard_answers_in_the_order_of_the_lines() {
    let (mut host, _outbound, incoming) = start(Limits::default());
    let mut router = ping(AtomicUsize::new(0)).guard(|initialized: &AtomicUsize, method| {
        match (method, initialized.load(Ordering::Relaxed)) {
            ("initialize", 0) => initialized.store(1, Ordering::Relaxed),
            ("initialize", _) => return Err(ErrorReply::new(code::INVALID_REQUEST, "twice")),
            (_, 0) => return Err(ErrorReply::new(code::NOT_INITIALIZED, "not yet")),
            _ => {}
        }
        Ok(())
    });
    router.on("initialize", async |_, (): (), _| {
        Ok::<_, ErrorReply>("hello")
    });
    let _serving = serve(incoming, router);

    for (id, method) in ["ping", "unknown", "initialize", "initialize"]
        .iter()
        .enumerate()
    {
        host.request(id, method, Value::Null).await;
    }
    let mut answers = HashMap::new();
    for _ in 0..4 {
        let reply = host.next().await;
        answers.insert(
            reply["id"].as_u64().unwrap(),
            reply["error"]["code"].clone(),
        );
    }
    let expected = [json!(-32002), json!(-32002), Value::Null, json!(-32600)];
    assert_eq!(answers, (0..).zip(expected).collect());
    assert_alive(&mut host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_start_in_the_order_of_their_lines() {
    let (mut host, _outbound, incoming) = start(Limits::default());
    let mut router = Router::new(Mutex::new(Vec::new()));
    router.on(
        "start",
        async |order: Arc<Mutex<Vec<String>>>, (): (), call: Call| {
            order.lock().unwrap().push(call.id().to_string());
            tokio::task::yield_now().await;
            Ok::<_, ErrorReply>(())
        },
    );
    router.on(
        "order",
        async |order: Arc<Mutex<Vec<String>>>, (): (), _| {
            Ok::<_, ErrorReply>(order.lock().unwrap().clone())
        },
    );
    let _serving = serve(incoming, router);

    let mut lines = String::new();
    for id in 0..500 {
        lines += &format!(
            "{}\n",
            json!({"jsonrpc": "2.0", "id": id, "method": "start"})
        );
    }
    lines += &format!(
        "{}\n",
        json!({"jsonrpc": "2.0", "id": "order", "method": "order"})
    );
    host.send_raw(lines.as_bytes()).await;
    let order = loop {
        let reply = host.next().await;
        if reply["id"] == "order" {
            break reply["result"].clone();
        }
    };
    let expected: Vec<_> = (0..500).map(|id| id.to_string()).collect();
    assert_eq!(order, json!(expected));
}

/// Asks the host a question in the middle of a request.
fn ask(router: &mut Router<Outbound>) {
    router.on(
        "ask",
        async |outbound: Arc<Outbound>, (): (), call: Call| {
            let question = json!({ "for": call.id().to_string() });
            let answer: Value = outbound
                .call("host/question", &question, None)
                .await
                .map_err(|_| ErrorReply::internal())?;
            Ok::<_, ErrorReply>(answer)
        },
    );
}

/// Writes 2000 requests before it reads anything, then answers what is asked and counts the
/// answers: (served, refused as too many).
async fn flood_with_nested_calls(limits: Limits) -> (usize, usize) {
    let (mut host, outbound, incoming) = start(limits);
    let mut router = Router::new(outbound);
    ask(&mut router);
    let _serving = serve(incoming, router);

    for id in 0..2000 {
        host.request(id, "ask", Value::Null).await;
    }
    let (mut served, mut refused) = (0, 0);
    while served + refused < 2000 {
        let message = host.next().await;
        if message["method"] == "host/question" {
            let result = message["params"]["for"].clone();
            let reply = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
            host.send(reply).await;
        } else if message["error"]["code"] == json!(-32009) {
            refused += 1;
        } else {
            assert_eq!(message["result"], json!(message["id"].to_string()));
            served += 1;
        }
    }
    (served, refused)
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_calls_under_2000_unread_requests_do_not_deadlock() {
    let limits = Limits {
        in_flight: 2000,
        queue_lines: 16,
        ..Limits::default()
    };
    assert_eq!(flood_with_nested_calls(limits).await, (2000, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_over_the_limit_are_answered_too() {
    let limits = Limits {
        queue_lines: 16,
        ..Limits::default()
    };
    assert_eq!(flood_with_nested_calls(limits).await, (1024, 976));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_refusals_than_are_kept_are_still_all_told() {
    const REQUESTS: u64 = 40_000;
    /// In the queue, and apart from it.
    const KEPT: u64 = 1024 + (16 << 10);
    let (host, _outbound, incoming) = start(Limits::default());
    let _serving = serve(incoming, ping(()));
    let Host {
        mut stdin,
        mut stdout,
    } = host;
    let (stuck, when_stuck) = oneshot::channel();
    let writing = tokio::spawn(async move {
        let mut stuck = Some(stuck);
        for id in 0..REQUESTS {
            let line = format!(
                "{}\n",
                json!({"jsonrpc": "2.0", "id": id, "method": "none"})
            );
            let mut write = Box::pin(stdin.write_all(line.as_bytes()));
            if write.as_mut().now_or_never().is_none() {
                if id > KEPT
                    && let Some(stuck) = stuck.take()
                {
                    stuck.send(()).unwrap();
                }
                write.await.unwrap();
            }
        }
        stdin
    });
    when_stuck.await.unwrap();
    for id in 0..REQUESTS {
        let line = stdout.next_line().await.unwrap().unwrap();
        let reply: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(reply["id"], id);
        assert_eq!(reply["error"]["code"], -32601);
    }
    writing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_in_flight_cannot_be_used_again_until_its_reply() {
    let (mut host, _outbound, incoming) = start(Limits::default());
    let mut router = ping(());
    hang(&mut router);
    let _serving = serve(incoming, router);

    for _ in 0..50 {
        host.request(1, "hang", Value::Null).await;
        host.request(1, "ping", json!({})).await;
        assert_eq!(host.next_error().await, (json!(1), -32600));
        host.cancel(1).await;
        assert_eq!(host.next_error().await, (json!(1), -32800));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_is_too_long_becomes_an_error() {
    let (mut host, outbound, incoming) = start(Limits::default());
    let mut router = ping(());
    router.on("big", async |_, (): (), _| {
        Ok::<_, ErrorReply>("x".repeat(16 << 20))
    });
    let _serving = serve(incoming, router);

    host.request(1, "big", Value::Null).await;
    let reply = host.next().await;
    assert_eq!(reply["error"]["code"], -32008);
    assert_eq!(reply["error"]["data"]["code"], "RESPONSE_TOO_BIG");
    let params = "x".repeat(16 << 20);
    let notified = outbound.notify("big", &params).await;
    assert!(matches!(notified, Err(NotSent::TooBig { .. })));
    assert_alive(&mut host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stray_replies_are_survived() {
    let (mut host, outbound, incoming) = start(Limits::default());
    let _serving = serve(incoming, ping(()));

    host.send(json!({"jsonrpc": "2.0", "id": 999, "result": 1}))
        .await;
    host.send(json!({"jsonrpc": "2.0", "id": "odd", "error": {"code": 1, "message": ""}}))
        .await;
    assert_alive(&mut host).await;
    let call = tokio::spawn(async move { outbound.call::<u64>("q", &json!({}), None).await });
    let id = host.next().await["id"].clone();
    for result in [5, 6] {
        host.send(json!({"jsonrpc": "2.0", "id": id, "result": result}))
            .await;
    }
    assert_eq!(call.await.unwrap().unwrap(), 5);
    assert_alive(&mut host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hosts_answers_become_results_or_typed_errors() {
    let (mut host, outbound, incoming) = start(Limits::default());
    let _serving = serve(incoming, ping(()));
    let error = |code: i64| json!({"error": {"code": code, "message": "m", "data": [1]}});
    for (answer, expected) in [
        (json!({"result": {"a": [1, 2]}}), "Ok({\"a\": [1, 2]})"),
        (
            json!({"result": {"a": [1, "hunter2"]}}),
            "`a[1]`: expected a whole number from 0 to 255, not string",
        ),
        (error(3001), "error 3001"),
        (error(-32800), "the host cancelled the call"),
    ] {
        let outbound = outbound.clone();
        let call = tokio::spawn(async move {
            outbound
                .call::<HashMap<String, Vec<u8>>>("q", &json!({}), None)
                .await
        });
        let mut reply = answer;
        reply["jsonrpc"] = "2.0".into();
        reply["id"] = host.next().await["id"].clone();
        host.send(reply).await;
        let result = match call.await.unwrap() {
            Ok(result) => format!("Ok({result:?})"),
            Err(error) => error.to_string(),
        };
        assert!(result.ends_with(expected), "{result}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_call_is_cancelled_on_the_wire() {
    let (mut host, outbound, incoming) = start(Limits::default());
    let _serving = serve(incoming, ping(()));
    let call = tokio::spawn(async move { outbound.call::<Value>("q", &json!({}), None).await });
    let id = host.next().await["id"].clone();
    call.abort();
    let expected = json!({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": id}});
    assert_eq!(host.next().await, expected);
    // The late answer is nobody's.
    host.send(json!({"jsonrpc": "2.0", "id": id, "result": 1}))
        .await;
    assert_alive(&mut host).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_past_its_deadline_is_cancelled_on_the_wire() {
    let (mut host, outbound, incoming) = start(Limits::default());
    let _serving = serve(incoming, ping(()));
    let deadline = Some(Duration::from_secs(600));
    let result = outbound.call::<Value>("q", &json!({}), deadline).await;
    assert!(matches!(result, Err(CallError::TimedOut)));
    // A real read: the paused clock would run into the watchdog.
    let mut lines = Vec::new();
    for _ in 0..2 {
        lines.push(host.stdout.next_line().await.unwrap().unwrap());
    }
    let lines: Vec<Value> = lines
        .iter()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines[1]["method"], "$/cancelRequest");
    assert_eq!(lines[1]["params"]["id"], lines[0]["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_request_cancels_its_nested_call() {
    let (mut host, outbound, incoming) = start(Limits::default());
    let mut router = Router::new(outbound);
    router.on(
        "ask",
        async |outbound: Arc<Outbound>, (): (), call: Call| {
            let params = json!({});
            tokio::select! {
                () = call.token.cancelled() => Err(ErrorReply::new(code::CANCELLED, "cancelled")),
                answer = outbound.call::<Value>("q", &params, None) => Ok(answer.unwrap()),
            }
        },
    );
    let _serving = serve(incoming, router);
    host.request(1, "ask", Value::Null).await;
    let question = host.next().await;
    host.cancel(1).await;
    let mut answers = [host.next().await, host.next().await];
    answers.sort_by_key(|message| message["id"].is_null());
    assert_eq!(answers[0]["error"]["code"], -32800);
    assert_eq!(answers[1]["params"]["id"], question["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn end_of_file_fails_pending_calls_and_a_drain_answers_the_rest() {
    let (mut host, outbound, incoming) = start(Limits::default());
    let mut router = Router::new(outbound.clone());
    ask(&mut router);
    router.on("hang", async |_, (): (), call: Call| {
        call.token.cancelled().await;
        Err::<(), _>(ErrorReply::new(code::CANCELLED, "cancelled"))
    });
    let serving = serve(incoming, router);
    host.request("ask", "ask", Value::Null).await;
    host.request("hang", "hang", Value::Null).await;
    assert_eq!(host.next().await["method"], "host/question");

    host.stdin.shutdown().await.unwrap();
    assert_eq!(host.next_error().await, (json!("ask"), -32603));
    let (end, incoming) = serving.await.unwrap();
    assert_eq!(end, End::Eof);
    let drained = incoming.drain(tokio::time::sleep(WATCHDOG)).await;
    let expected = Drained {
        unanswered: 0,
        written: true,
    };
    assert_eq!(drained, expected);
    assert_eq!(host.next_error().await, (json!("hang"), -32800));
    let late = outbound.call::<Value>("q", &json!({}), None).await;
    assert!(matches!(late, Err(CallError::Closed)));
}

#[tokio::test(flavor = "multi_thread")]
async fn end_of_file_fails_a_call_that_waits_for_room() {
    let (stdin, host_stdin) = StdStream::pair().unwrap();
    let gate = Gate::default();
    let (outbound, incoming) = Peer::start(stdin, gate.clone(), Limits::default()).unwrap();
    let serving = serve(incoming, ping(()));
    while outbound.try_notify("fill", &json!({})) {}
    // The writer may have taken a batch since; this fills the room it made.
    let mut fill = Box::pin(async { while outbound.notify("fill", &json!({})).await.is_ok() {} });
    assert!(fill.as_mut().now_or_never().is_none());
    let params = json!({});
    let mut call = Box::pin(outbound.call::<Value>("q", &params, None));
    assert!(call.as_mut().now_or_never().is_none());
    drop(host_stdin);
    assert!(matches!(call.await, Err(CallError::Closed)));
    assert_eq!(serving.await.unwrap().0, End::Eof);
    gate.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_token_ends_serving_and_a_stubborn_handler_is_counted() {
    let (mut host, _outbound, mut incoming) = start(Limits::default());
    let (started, mut on_started) = mpsc::channel(1);
    let mut router = Router::new(started);
    router.on(
        "stubborn",
        async |started: Arc<mpsc::Sender<()>>, (): (), _| {
            started.send(()).await.unwrap();
            std::future::pending::<Result<(), ErrorReply>>().await
        },
    );
    host.request(1, "stubborn", Value::Null).await;
    let shutdown = CancellationToken::new();
    let stop = async {
        on_started.recv().await.unwrap();
        shutdown.cancel();
    };
    let (end, ()) = tokio::join!(incoming.serve(&router, &shutdown), stop);
    assert_eq!(end, End::Stopped);
    let drained = incoming.drain(std::future::ready(())).await;
    assert_eq!(drained.unanswered, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_cannot_be_written_to_is_gone() {
    let (host, outbound, incoming) = start(Limits::default());
    let serving = serve(incoming, ping(()));
    let Host { stdin, stdout } = host;
    drop(stdout);
    // The first writes may still succeed; one of them finds the closed pipe.
    while outbound.notify("n", &json!({})).await.is_ok() {}
    outbound.gone().await;
    let (end, _) = serving.await.unwrap();
    assert_eq!(end, End::HostGone);
    assert!(!outbound.try_notify("n", &json!({})));
    drop(stdin);
}

/// A writer that blocks until it is opened.
#[derive(Clone, Default)]
struct Gate {
    state: Arc<Mutex<GateState>>,
    opened: Arc<Condvar>,
}

#[derive(Default)]
struct GateState {
    open: bool,
    written: Vec<u8>,
}

impl Gate {
    fn open(&self) {
        self.state.lock().unwrap().open = true;
        self.opened.notify_all();
    }

    fn written(&self) -> Vec<u8> {
        self.state.lock().unwrap().written.clone()
    }
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state.lock().unwrap();
        while !state.open {
            state = self.opened.wait(state).unwrap();
        }
        state.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl HostWriter for Gate {
    fn try_write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_writer_bounds_the_queue_and_loses_nothing() {
    let gate = Gate::default();
    let (stdin, _host_stdin) = StdStream::pair().unwrap();
    let limits = Limits {
        queue_bytes: 1 << 20,
        ..Limits::default()
    };
    let (outbound, _incoming) = Peer::start(stdin, gate.clone(), limits).unwrap();

    let padding = "x".repeat(1000);
    let accepted = Arc::new(AtomicUsize::new(0));
    let full = Arc::new(Notify::new());
    let sending = tokio::spawn({
        let (outbound, accepted, full) = (outbound.clone(), accepted.clone(), full.clone());
        async move {
            for n in 0..20_000 {
                let params = json!({"n": n, "padding": padding});
                let mut notify = Box::pin(outbound.notify("n", &params));
                match notify.as_mut().now_or_never() {
                    Some(sent) => sent.unwrap(),
                    None => {
                        full.notify_one();
                        notify.await.unwrap();
                    }
                }
                accepted.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    full.notified().await;
    // The budget, what the writer has in hand, and its buffer.
    let held = accepted.load(Ordering::Relaxed) * 1000;
    assert!(held <= (1 << 20) + (64 << 10), "{held} bytes");

    gate.open();
    sending.await.unwrap();
    outbound.flush().await.unwrap();
    let written = String::from_utf8(gate.written()).unwrap();
    let numbers: Vec<u64> = written
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["params"]["n"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert!(numbers.into_iter().eq(0..20_000));
}

/// Has so many messages of one kind to tell.
struct Talker {
    method: &'static str,
    padding: String,
    left: AtomicUsize,
}

impl Talker {
    fn new(method: &'static str, length: usize, count: usize) -> Arc<Self> {
        let padding = "x".repeat(length);
        let left = AtomicUsize::new(count);
        Arc::new(Self {
            method,
            padding,
            left,
        })
    }
}

impl Source for Talker {
    fn next(&self, to: &mut Notifier<'_>) -> bool {
        to.notify(self.method, &json!({"padding": self.padding}))
            .unwrap();
        self.left.fetch_sub(1, Ordering::Relaxed) > 1
    }
}

fn methods(written: Vec<u8>) -> Vec<String> {
    let text = String::from_utf8(written).unwrap();
    let method = |line| serde_json::from_str::<Value>(line).unwrap()["method"].take();
    text.lines()
        .map(|line| method(line).as_str().unwrap().to_owned())
        .collect()
}

/// On one thread, so that the writer has its turn when the test waits.
#[tokio::test]
async fn sources_take_turns_and_come_before_what_is_queued() {
    let gate = Gate::default();
    let (stdin, _host_stdin) = StdStream::pair().unwrap();
    let (outbound, _incoming) = Peer::start(stdin, gate.clone(), Limits::default()).unwrap();
    let flood = outbound.lane(Talker::new("flood", 100_000, 3));
    let token = outbound.lane(Talker::new("token", 1, 1));
    outbound.notify("reply", &json!({})).await.unwrap();
    for lane in [&flood, &token, &flood] {
        lane.ready().unwrap();
    }
    gate.open();
    outbound.flush().await.unwrap();
    while methods(gate.written()).len() < 5 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        methods(gate.written()),
        ["flood", "token", "reply", "flood", "flood"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_to_a_host_that_is_gone_says_so() {
    let (stdin, _host_stdin) = StdStream::pair().unwrap();
    let (outbound, _incoming) = Peer::start(stdin, Gate::default(), Limits::default()).unwrap();
    let lane = outbound.lane(Talker::new("flood", 100_000, 100));
    lane.ready().unwrap();
    let mut gone = Box::pin(lane.gone());
    assert!(gone.as_mut().now_or_never().is_none());
    // The writer hangs for good.
    outbound.give_up();
    gone.await;
    assert!(matches!(lane.ready(), Err(NotSent::Closed)));
}

/// What is written at once, and what has to wait for the host, are one text.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_reads_now_and_then_gets_everything_in_order() {
    for is_socket in [true, false] {
        let (stdin, _host_stdin) = StdStream::pair().unwrap();
        let (mut host, output): (Box<dyn io::Read + Send>, HostPipe) = if is_socket {
            let (ours, theirs) = StdStream::pair().unwrap();
            (Box::new(theirs), File::from(OwnedFd::from(ours)).into())
        } else {
            let (theirs, ours) = io::pipe().unwrap();
            (Box::new(theirs), ours.into())
        };
        let (outbound, incoming) = Peer::start(stdin, output, Limits::default()).unwrap();
        let reading = std::thread::spawn(move || {
            let mut read = Vec::new();
            let mut piece = vec![0; 7001];
            while let Ok(n @ 1..) = host.read(&mut piece) {
                read.extend_from_slice(&piece[..n]);
            }
            read
        });
        for n in 0..3000 {
            let params = json!({"n": n, "padding": "x".repeat(n % 50 * 20)});
            outbound.notify("n", &params).await.unwrap();
        }
        outbound
            .notify("n", &json!({"n": 3000, "padding": "x".repeat(5 << 20)}))
            .await
            .unwrap();
        outbound.flush().await.unwrap();
        drop((outbound, incoming));
        let read = tokio::task::spawn_blocking(|| reading.join().unwrap());
        let text = String::from_utf8(read.await.unwrap()).unwrap();
        let numbers = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["params"]["n"].as_u64());
        assert!(numbers.eq((0..=3000).map(Some)), "{is_socket}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lossy_news_is_lost_when_the_queue_is_full() {
    let gate = Gate::default();
    let (stdin, _host_stdin) = StdStream::pair().unwrap();
    let (outbound, _incoming) = Peer::start(stdin, gate.clone(), Limits::default()).unwrap();
    let mut sent = 0;
    while outbound.try_notify("log", &json!({})) {
        sent += 1;
    }
    gate.open();
    outbound.flush().await.unwrap();
    let lines = gate.written().iter().filter(|b| **b == b'\n').count();
    assert_eq!(lines, sent);
    assert!(outbound.try_notify("log", &json!({})));
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_are_handled_inline_and_in_order() {
    let (mut host, _outbound, incoming) = start(Limits::default());
    let (sender, mut receiver) = mpsc::channel(1000);
    let mut router = ping(sender);
    router.on_notification(
        "note",
        |sender: &Arc<mpsc::Sender<u64>>, params: [u64; 0]| {
            let [] = params;
            sender.try_send(0).unwrap();
        },
    );
    router.on_notification(
        "count",
        |sender: &Arc<mpsc::Sender<u64>>, n: HashMap<String, u64>| {
            sender.try_send(n["n"]).unwrap();
        },
    );
    let _serving = serve(incoming, router);
    host.send(json!({"jsonrpc": "2.0", "method": "note", "params": {"not": "fitting"}}))
        .await;
    for n in 1..=500 {
        host.send(json!({"jsonrpc": "2.0", "method": "count", "params": {"n": n}}))
            .await;
    }
    for n in 1..=500 {
        assert_eq!(receiver.recv().await, Some(n));
    }
    assert_alive(&mut host).await;
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// On one thread, so that all tasks log to this test's subscriber.
#[tokio::test]
async fn no_payload_is_logged_at_any_level() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(move || writer.clone())
        .finish();
    // While there is only one subscriber, tracing lets the thread that meets a log line first
    // decide for all threads; other tests' threads would turn the lines off.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let _logging = tracing::subscriber::set_default(subscriber);

    let (mut host, outbound, incoming) = start(Limits::default());
    let mut router = ping(outbound);
    ask(&mut router);
    router.on("fail", async |_, params: Value, _| {
        Err::<(), _>(ErrorReply {
            data: Some(params),
            ..ErrorReply::new(1, "canary")
        })
    });
    router.on("typed", async |_, _: HashMap<String, u8>, _| {
        Ok::<_, ErrorReply>(())
    });
    router.on_notification("note", |_, _: HashMap<String, u8>| {});
    let _serving = serve(incoming, router);

    host.send_raw(b"canary\n[\"canary\"]\n{\"canary\":1}\n")
        .await;
    for params in [json!({"x": "canary"}), json!("canary")] {
        for method in ["ping", "fail", "typed", "canary"] {
            host.request(1, method, params.clone()).await;
            while host.next().await["id"] != 1 {}
        }
        host.send(json!({"jsonrpc": "2.0", "method": "note", "params": params}))
            .await;
        host.send(json!({"jsonrpc": "2.0", "method": "canary", "params": params}))
            .await;
        host.cancel(params.clone()).await;
        host.send(json!({"jsonrpc": "2.0", "id": 77, "result": params}))
            .await;
    }
    host.request(2, "ask", Value::Null).await;
    let id = host.next().await["id"].clone();
    host.send(json!({"jsonrpc": "2.0", "id": id, "result": "canary"}))
        .await;
    assert_eq!(host.next().await["result"], "canary");
    assert_alive(&mut host).await;

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("skipped"), "{log}");
    assert!(!log.contains("canary"), "{log}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn no_lines_kill_the_peer(
        lines in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..100),
                r#"\{("(jsonrpc|id|method|params|result|error)":("2.0"|"ping"|-?[0-9]{1,21}|null|\{\}|\[\]),?){0,6}\}"#
                    .prop_map(String::into_bytes),
            ],
            0..40,
        ),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let (mut host, _outbound, incoming) = start(Limits::default());
            let _serving = serve(incoming, ping(()));
            for line in lines {
                host.send_raw(&line).await;
                host.send_raw(b"\n").await;
            }
            host.request("proptest", "ping", json!({})).await;
            while host.next().await["id"] != "proptest" {}
        });
    }
}
