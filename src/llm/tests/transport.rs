//! Connections: when one is kept, when it is not, and how it ends.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, advance},
};

use super::peer::{
    self, Connection, Peer, Refused, clocks, delta, drain, finish, outcome, prompt, server,
};
use crate::llm::{
    Block, BoxFuture, ByteStream, ChatEvent, Dial, Error, Message, Opener, Options, Phase,
    RefusalKind, Role, Server, ServerKind, StopReason, TlsFailure,
};

async fn finished(stream: &mut crate::llm::ChatStream<Refused>) -> crate::llm::Completion {
    match drain(stream).await {
        (mut events, None) => match events.pop() {
            Some(ChatEvent::Finished(completion)) => completion,
            other => panic!("{other:?}"),
        },
        (_, Some(error)) => panic!("{error:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_request_says_what_servers_want_to_hear() {
    let (server, mut peer) = server(Options {
        api_key: Some("sk-1".into()),
        headers: vec![("X-Team".into(), "red".into())],
        host_header: Some("llm.internal".into()),
        affinity_header: Some("X-Session-Id".into()),
        ..Options::default()
    });
    let mut request = prompt();
    request.affinity = Some("c1".into());
    let chat = tokio::spawn(async move { server.chat(request).await.map(drop) });
    let mut connection = peer.accept().await;
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true}}"#;
    let expected = [
        "POST /v1/chat/completions HTTP/1.1",
        concat!("user-agent: puffin-remote-llm/", env!("CARGO_PKG_VERSION")),
        "authorization: Bearer sk-1",
        "x-team: red",
        "x-session-id: c1",
        "x-request-id: ?",
        "host: llm.internal",
        "accept: text/event-stream, application/json",
        "accept-encoding: identity",
        "content-type: application/json",
        "content-length: 111",
        "",
        body,
    ];
    let request = connection.request().await;
    let id = peer::header(&request, "x-request-id").unwrap();
    uuid::Uuid::parse_str(id).unwrap();
    assert_eq!(request.replace(id, "?"), expected.join("\r\n"));
    connection.stream_head().await;
    chat.await.unwrap().unwrap();
}

/// A server that has answered once, and the connection it did so on, still open.
pub(super) async fn after_one_answer(options: Options) -> (Server<Refused>, Peer, Connection) {
    let (server, mut peer) = server(options);
    let (mut first, connection) =
        tokio::join!(async { server.chat(prompt()).await.unwrap() }, async {
            let mut connection = peer.accept().await;
            connection.request().await;
            connection.answer("one").await;
            connection
        });
    assert_eq!(finished(&mut first).await.stop_reason, StopReason::EndTurn);
    (server, peer, connection)
}

#[tokio::test(start_paused = true)]
async fn a_finished_answer_leaves_its_connection_for_the_next_question() {
    let (server, peer, mut connection) = after_one_answer(Options::default()).await;
    advance(Duration::from_millis(3900)).await;
    let (mut second, ()) = tokio::join!(async { server.chat(prompt()).await.unwrap() }, async {
        connection.request().await;
        connection.answer("two").await;
    });
    assert_eq!(second.timing().connect, Duration::ZERO);
    finished(&mut second).await;
    assert_eq!(second.partial_text(), "two");
    assert!(peer.is_idle());
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_after_four_seconds() {
    let (server, mut peer, mut connection) = after_one_answer(Options::default()).await;
    let kept = Instant::now();
    connection.closed().await;
    assert_eq!(kept.elapsed(), Duration::from_secs(4));
    let (_second, ()) = tokio::join!(async { server.chat(prompt()).await.unwrap() }, async {
        let mut connection = peer.accept().await;
        connection.request().await;
        connection.stream_head().await;
    });
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_the_server_closed_meanwhile_is_not_used() {
    let (server, mut peer) = server(Options::default());
    let (mut first, ()) = tokio::join!(async { server.chat(prompt()).await.unwrap() }, async {
        let mut connection = peer.accept().await;
        connection.request().await;
        connection.answer("one").await;
    });
    finished(&mut first).await;
    let (mut second, ()) = tokio::join!(async { server.chat(prompt()).await.unwrap() }, async {
        let mut connection = peer.accept().await;
        connection.request().await;
        connection.answer("two").await;
    });
    assert_eq!(finished(&mut second).await.stop_reason, StopReason::EndTurn);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_not_kept_when_the_server_says_so() {
    for head in ["connection: close\r\n", "keep-alive: timeout=1\r\n"] {
        let (server, mut peer) = server(Options::default());
        let (mut stream, mut connection) = tokio::join!(
            async { server.chat(prompt()).await.unwrap() },
            async {
                let mut connection = peer.accept().await;
                connection.request().await;
                let body = delta("a") + &finish("stop");
                let length = body.len();
                connection
                .write(format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{head}content-length: {length}\r\n\r\n{body}"
                ))
                .await;
                connection
            }
        );
        finished(&mut stream).await;
        let start = Instant::now();
        connection.closed().await;
        assert_eq!(start.elapsed(), Duration::ZERO, "{head}");
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_a_stream_closes_its_connection_at_once() {
    let (server, mut peer) = server(Options::default());
    let (mut stream, mut connection) =
        tokio::join!(async { server.chat(prompt()).await.unwrap() }, async {
            let mut connection = peer.accept().await;
            connection.request().await;
            connection.stream_head().await;
            connection.chunk(&delta("par")).await;
            connection
        });
    assert_eq!(
        stream.next().await.unwrap().unwrap(),
        ChatEvent::Text("par".into())
    );
    let start = Instant::now();
    drop(stream);
    connection.closed().await;
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn giving_up_before_the_head_closes_the_connection_and_sends_nothing_again() {
    let (server, mut peer) = server(Options::default());
    let chat = tokio::spawn({
        let server = server.clone();
        async move { server.chat(prompt()).await.map(drop) }
    });
    let mut connection = peer.accept().await;
    connection.request().await;
    chat.abort();
    connection.closed().await;
    assert!(peer.is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_next_loses_nothing() {
    let (server, mut peer) = server(Options::default());
    let (mut stream, mut connection) =
        tokio::join!(async { server.chat(prompt()).await.unwrap() }, async {
            let mut connection = peer.accept().await;
            connection.request().await;
            connection.stream_head().await;
            connection
        });
    for word in ["a", "b"] {
        let waited = tokio::time::timeout(Duration::from_secs(1), stream.next()).await;
        assert!(waited.is_err());
        connection.chunk(&delta(word)).await;
        assert_eq!(
            stream.next().await.unwrap().unwrap(),
            ChatEvent::Text(word.into())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_cut_in_the_middle_is_interrupted_and_keeps_its_text() {
    for tail in ["", "5\r\nda", "5"] {
        let (server, mut peer) = server(Options::default());
        let (mut stream, ()) =
            tokio::join!(async { server.chat(prompt()).await.unwrap() }, async {
                let mut connection = peer.accept().await;
                connection.request().await;
                connection.stream_head().await;
                connection.chunk(&delta("par")).await;
                connection.write(tail).await;
            });
        let (events, error) = drain(&mut stream).await;
        assert_eq!(events, [ChatEvent::Text("par".into())]);
        assert!(
            matches!(error, Some(Error::Interrupted { .. })),
            "{error:?}"
        );
        assert_eq!(stream.partial_text(), "par");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clean_end_without_a_reason_is_interrupted_too() {
    let (server, mut peer) = server(Options::default());
    let (mut stream, mut connection) =
        tokio::join!(async { server.chat(prompt()).await.unwrap() }, async {
            let mut connection = peer.accept().await;
            connection.request().await;
            connection.stream_head().await;
            connection.chunk(&delta("par")).await;
            connection.write("0\r\n\r\n").await;
            connection
        });
    let (_, error) = drain(&mut stream).await;
    assert!(
        matches!(&error, Some(error @ Error::Interrupted { source: None }) if !error.is_transient())
    );
    connection.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_cut_after_the_reason_for_stopping_costs_nothing() {
    let (server, mut peer) = server(Options::default());
    let (mut stream, ()) = tokio::join!(async { server.chat(prompt()).await.unwrap() }, async {
        let mut connection = peer.accept().await;
        connection.request().await;
        connection.stream_head().await;
        connection.chunk(&(delta("all") + &finish("stop"))).await;
    });
    assert_eq!(finished(&mut stream).await.stop_reason, StopReason::EndTurn);
}

#[tokio::test(start_paused = true)]
async fn an_http_1_0_answer_ends_with_its_connection() {
    let (server, mut peer) = server(Options::default());
    let (mut stream, ()) = tokio::join!(async { server.chat(prompt()).await.unwrap() }, async {
        let mut connection = peer.accept().await;
        connection.request().await;
        connection
            .write("HTTP/1.0 200 OK\r\nServer: BaseHTTP/0.6 Python/3.12\r\nContent-Type: text/event-stream\r\n\r\n")
            .await;
        connection
            .write(delta("all") + finish("stop").trim_end())
            .await;
    });
    finished(&mut stream).await;
    assert_eq!(stream.partial_text(), "all");
}

#[tokio::test(start_paused = true)]
async fn half_an_event_at_the_end_of_an_http_1_0_answer_is_a_cut() {
    let head = "HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    let half = "data: {\"choices\":[{\"index\":0,\"del";
    let answer = |body: String| async move {
        let (server, mut peer) = server(Options::default());
        let (mut stream, ()) =
            tokio::join!(async { server.chat(prompt()).await.unwrap() }, async {
                let mut connection = peer.accept().await;
                connection.request().await;
                connection.write(format!("{head}{body}{half}")).await;
            });
        let (_, error) = drain(&mut stream).await;
        (stream.partial_text().to_owned(), error)
    };
    let (text, error) = answer(delta("par")).await;
    assert_eq!(text, "par");
    assert!(
        matches!(error, Some(Error::Interrupted { source: None })),
        "{error:?}"
    );
    let (text, error) = answer(delta("all") + &finish("stop")).await;
    assert_eq!(text, "all");
    assert!(error.is_none(), "{error:?}");
}

/// The error of a server that answers with these bytes and closes.
async fn error_of(reply: &str) -> Error<Refused> {
    let (server, mut peer) = server(Options {
        api_key: Some("sk-canary-1".into()),
        ..Options::default()
    });
    let serve = async {
        loop {
            let mut connection = peer.accept().await;
            connection.request().await;
            connection.write(reply).await;
        }
    };
    let chat = async {
        let mut stream = server.chat(prompt()).await?;
        let (_, error) = drain(&mut stream).await;
        Err::<(), _>(error.unwrap())
    };
    tokio::select! {
        error = chat => error.unwrap_err(),
        () = serve => unreachable!(),
    }
}

#[tokio::test(start_paused = true)]
async fn each_wrong_answer_has_its_own_error() {
    let error =
        error_of("HTTP/1.1 302 Found\r\nlocation: http://evil/\r\ncontent-length: 0\r\n\r\n").await;
    assert!(
        matches!(&error, Error::Redirected { status: 302, location: Some(to) } if to == "http://evil/")
    );

    let error = error_of("HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\n\r\n<html>Log in with sk-canary-1</html>").await;
    assert_eq!(
        error.to_string(),
        "expected JSON or an event stream, got text/html; charset=utf-8 (it said: <html>Log in with [redacted]</html>)"
    );

    let error = error_of(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n\r\n\x1f",
    )
    .await;
    assert_eq!(
        error.to_string(),
        "the answer is encoded as gzip, which was not asked for"
    );

    let error = error_of("SSH-2.0-OpenSSH_9.2\r\n").await;
    assert_eq!(
        error.to_string(),
        "what listens there does not speak HTTP (it said: SSH-2.0-OpenSSH_9.2)"
    );

    let error = error_of("\x15\x03\x01\x00\x02\x02\x46").await;
    assert!(matches!(error, Error::Tls(TlsFailure::Wanted)), "{error:?}");

    let error = error_of("").await;
    assert!(matches!(&error, error @ Error::NoReply { .. } if error.is_transient()));

    let error = error_of(&peer::json(200, "{\"error\":\"unable to load model\"}")).await;
    assert!(matches!(&error, Error::Refused(refusal) if refusal.message == "unable to load model"));

    let error = error_of(&peer::json(200, "{]")).await;
    assert!(
        matches!(&error, Error::Protocol(problem) if problem.starts_with("the answer is not JSON")),
        "{error}"
    );

    let error = error_of(&peer::json(404, "{\"detail\":\"Not Found\"}")).await;
    assert!(matches!(&error, Error::Refused(refusal) if refusal.kind == RefusalKind::WrongPath));

    let error =
        error_of("HTTP/1.1 401 U\r\ncontent-type: text/plain\r\n\r\nBad key Bearer sk-canary-1")
            .await;
    assert!(
        matches!(&error, Error::Refused(refusal) if refusal.message == "Bad key Bearer [redacted]")
    );
    assert!(!format!("{error:?}").contains("canary"));

    let head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(70_000));
    assert_eq!(
        error_of(&head).await.to_string(),
        "the head of the answer is malformed or too large"
    );
    let head = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(101));
    assert_eq!(
        error_of(&head).await.to_string(),
        "the head of the answer is malformed or too large"
    );

    let line = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {}",
        "x".repeat(1024 * 1024)
    );
    assert_eq!(
        error_of(&line).await.to_string(),
        "a line of the answer is longer than 1048576 bytes"
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_speaks_first_does_not_speak_http() {
    let (server, mut peer) = server(Options::default());
    let (result, _connection) = tokio::join!(server.chat(prompt()), async {
        let mut connection = peer.accept().await;
        connection.write("SSH-2.0-OpenSSH_9.2\r\n").await;
        connection
    });
    assert!(
        matches!(&result, Err(Error::NotHttp { said }) if said == "SSH-2.0-OpenSSH_9.2"),
        "{result:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_one_piece_is_read_as_one_delta() {
    let (server, mut peer) = server(Options::default());
    let body = r#"{"model":"m2","choices":[{"message":{"content":"Hi","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
    let (mut stream, ()) = tokio::join!(async { server.chat(prompt()).await.unwrap() }, async {
        let mut connection = peer.accept().await;
        connection.request().await;
        connection.json(200, body).await;
    });
    let completion = finished(&mut stream).await;
    assert_eq!(
        (completion.stop_reason, completion.content.len()),
        (StopReason::ToolUse, 2)
    );
    assert_eq!(completion.model.as_deref(), Some("m2"));
    assert_eq!(completion.usage.unwrap().input_tokens, Some(3));
}

#[tokio::test(start_paused = true)]
async fn rejected_stream_options_are_left_out_from_then_on() {
    let (server, mut peer) = server(Options::default());
    let rejection = r#"{"detail":[{"type":"extra_forbidden","loc":["body","stream_options","include_usage"],"msg":"Extra inputs are not permitted"}]}"#;
    let (mut stream, mut connection) =
        tokio::join!(async { server.chat(prompt()).await.unwrap() }, async {
            let mut connection = peer.accept().await;
            assert!(connection.request().await.contains("stream_options"));
            connection.json(422, rejection).await;
            assert!(!connection.request().await.contains("stream_options"));
            connection.answer("ok").await;
            connection
        });
    finished(&mut stream).await;
    let (_stream, ()) = tokio::join!(async { server.chat(prompt()).await.unwrap() }, async {
        assert!(!connection.request().await.contains("stream_options"));
        connection.answer("ok").await;
    });
}

#[tokio::test(start_paused = true)]
async fn null_content_becomes_empty_text_for_a_server_that_refuses_it() {
    let (server, mut peer) = server(Options::default());
    let mut request = prompt();
    request.messages.push(Message {
        role: Role::Assistant,
        content: vec![Block::ToolUse {
            id: "a".into(),
            name: "f".into(),
            input: serde_json::json!({}),
        }],
    });
    let (stream, mut connection) = tokio::join!(
        async { server.chat(request.clone()).await.unwrap() },
        async {
            let mut connection = peer.accept().await;
            assert!(connection.request().await.contains("\"content\":null"));
            let rejection =
                "{\"error\":{\"message\":\"messages.1.content: Input should be a valid string\"}}";
            connection.json(500, rejection).await;
            assert!(
                connection
                    .request()
                    .await
                    .contains("\"content\":\"\",\"tool_calls\"")
            );
            connection.stream_head().await;
            connection
        }
    );
    drop(stream);
    connection.closed().await;
    let (_stream, ()) = tokio::join!(async { server.chat(request).await.unwrap() }, async {
        let mut connection = peer.accept().await;
        assert!(!connection.request().await.contains("\"content\":null"));
        connection.stream_head().await;
    });
}

#[tokio::test(start_paused = true)]
async fn a_request_larger_than_every_buffer_arrives_whole() {
    let (server, mut peer) = server(Options::default());
    server.recall(&peer::found_to_be(ServerKind::Generic));
    let mut request = prompt();
    request.system = Some("x".repeat(3 * 1024 * 1024));
    let (_stream, ()) = tokio::join!(async { server.chat(request).await.unwrap() }, async {
        let mut connection = peer.accept().await;
        assert!(connection.request().await.len() > 3 * 1024 * 1024);
        connection.stream_head().await;
    });
}

#[tokio::test(start_paused = true)]
async fn another_prefix_is_tried_when_the_path_is_not_there() {
    let (server, mut peer) = server(Options::default());
    let (_stream, ()) = tokio::join!(async { server.chat(prompt()).await.unwrap() }, async {
        let mut connection = peer.accept().await;
        assert!(
            connection
                .request()
                .await
                .starts_with("POST /v1/chat/completions ")
        );
        connection.json(404, "{\"detail\":\"Not Found\"}").await;
        assert!(
            connection
                .request()
                .await
                .starts_with("POST /chat/completions ")
        );
        connection.stream_head().await;
    });
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_loading_is_waited_for() {
    let (server, mut peer) = server(Options::default());
    let loading = r#"{"error":{"message":"Loading model","type":"unavailable_error","code":503}}"#;
    let serve = async {
        let mut connection = peer.accept().await;
        for _ in 0..3 {
            connection.request().await;
            connection.json(503, loading).await;
        }
        connection.request().await;
        connection.answer("ready").await;
    };
    let chat = async {
        let mut stream = server.chat(prompt()).await.unwrap();
        let (events, error) = drain(&mut stream).await;
        assert!(error.is_none());
        let status = ChatEvent::Status {
            phase: Phase::LoadingModel,
            progress: None,
        };
        assert_eq!(events[..3], [status.clone(), status.clone(), status]);
        assert_eq!(stream.partial_text(), "ready");
        assert_eq!(
            stream.timing().first_token,
            Some(Duration::from_millis(4500))
        );
    };
    tokio::join!(serve, chat);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_loads_for_too_long_is_an_error_about_loading() {
    let (server, peer) = server(clocks(10, 60, 10, None));
    tokio::spawn(
        peer.serve(|_| peer::json(503, "{\"error\":{\"message\":\"Loading model\"}}").into()),
    );
    let start = Instant::now();
    let mut stream = server.chat(prompt()).await.unwrap();
    let (_, error) = drain(&mut stream).await;
    assert!(
        matches!(&error, Some(Error::Refused(refusal)) if refusal.kind == RefusalKind::Loading)
    );
    assert!(start.elapsed() <= Duration::from_secs(60));
}

/// Counts writes, and never opens anything else.
struct Counting {
    stream: tokio::io::DuplexStream,
    writes: Arc<AtomicUsize>,
}

impl AsyncRead for Counting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        panic!("the request side is never half-closed")
    }
}

struct CountingOpener {
    stream: std::sync::Mutex<Option<Counting>>,
}

impl Opener<Refused> for CountingOpener {
    fn open(&self, _to: &Dial) -> BoxFuture<'_, Result<Box<dyn ByteStream>, Refused>> {
        let stream = self.stream.lock().unwrap().take().ok_or(Refused);
        Box::pin(async { Ok(Box::new(stream?) as Box<dyn ByteStream>) })
    }
}

#[tokio::test(start_paused = true)]
async fn head_and_small_body_leave_in_one_write_and_the_request_side_stays_open() {
    let (near, mut far) = tokio::io::duplex(64 * 1024);
    let writes = Arc::new(AtomicUsize::new(0));
    let stream = std::sync::Mutex::new(Some(Counting {
        stream: near,
        writes: Arc::clone(&writes),
    }));
    let endpoint = "http://localhost".parse().unwrap();
    let server = Server::new(
        endpoint,
        Arc::new(CountingOpener { stream }),
        Options::default(),
    );
    let reply = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\n"
        .to_owned()
        + &delta("a")
        + &finish("stop");
    let serve = async move {
        let mut sink = [0; 4096];
        tokio::io::AsyncReadExt::read(&mut far, &mut sink)
            .await
            .unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut far, reply.as_bytes())
            .await
            .unwrap();
    };
    let (stream, ()) = tokio::join!(server.chat(prompt()), serve);
    let (_, error) = drain(&mut stream.unwrap()).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(writes.load(Ordering::Relaxed), 1);
    // The only stream is gone: the carrier's own error comes through.
    let error = outcome(&server).await.1.unwrap_err();
    assert!(matches!(&error, error @ Error::Open(Refused) if error.is_transient()));
}

/// What a carrier puts into its I/O errors.
#[derive(Debug, thiserror::Error)]
#[error("keepalive lost")]
struct Lost;

/// Takes every write; once asked, gives the scripted bytes and then the carrier's error.
struct Failing {
    script: &'static [u8],
    asked: bool,
    reader: Option<Waker>,
}

impl AsyncRead for Failing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.asked {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if self.script.is_empty() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, Lost)));
        }
        buf.put_slice(std::mem::take(&mut self.script));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Failing {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.asked = true;
        self.reader.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Opener<Refused> for &'static [u8] {
    fn open(&self, _to: &Dial) -> BoxFuture<'_, Result<Box<dyn ByteStream>, Refused>> {
        Box::pin(async {
            Ok(Box::new(Failing {
                script: self,
                asked: false,
                reader: None,
            }) as Box<dyn ByteStream>)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn the_carriers_own_error_comes_through() {
    fn is_lost(source: Option<&io::Error>) -> bool {
        source
            .and_then(io::Error::get_ref)
            .is_some_and(|inner| inner.is::<Lost>())
    }
    let endpoint = || "http://localhost".parse().unwrap();
    let begun: &'static [u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"par\"}}]}\n\n";
    let server = Server::new(endpoint(), Arc::new(begun), Options::default());
    let mut stream = server.chat(prompt()).await.unwrap();
    let (events, error) = drain(&mut stream).await;
    assert_eq!(events, [ChatEvent::Text("par".into())]);
    match error {
        Some(Error::Interrupted { source }) => assert!(is_lost(source.as_ref()), "{source:?}"),
        other => panic!("{other:?}"),
    }

    let cut: &'static [u8] = b"HTTP/1.1 200";
    let server = Server::new(endpoint(), Arc::new(cut), Options::default());
    match outcome(&server).await.1 {
        Err(Error::NoReply { source }) => assert!(is_lost(source.as_ref()), "{source:?}"),
        other => panic!("{other:?}"),
    }
}
