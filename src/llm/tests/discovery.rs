//! The asking itself: where, for how long, and what comes of it when there is no list.

use std::sync::{Arc, Mutex};

use tokio::time::{Duration, Instant};

use super::{
    captures::capture,
    peer::{clocks, json, prompt, server},
};
use crate::llm::{Error, Options, RefusalKind, ServerKind};

#[tokio::test(start_paused = true)]
async fn a_list_may_be_under_the_base_itself() {
    let (server, peer) = server(Options::default());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    tokio::spawn(peer.serve(move |line| {
        log.lock().unwrap().push(line.to_owned());
        match line {
            "GET /models HTTP/1.1" => json(200, r#"{"data":[{"id":"m"}]}"#).into(),
            _ => json(404, r#"{"error":"nothing of that kind"}"#).into(),
        }
    }));
    let discovery = server.discover().await.unwrap();
    assert_eq!(discovery.models.len(), 1);
    let asked = asked.lock().unwrap();
    assert_eq!(
        asked[..2],
        ["GET /v1/models HTTP/1.1", "GET /models HTTP/1.1"]
    );
    assert!(asked.len() <= 5, "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn no_list_is_an_error_that_says_why() {
    for (reply, kind) in [
        (capture("llama-server/loading-health"), RefusalKind::Loading),
        (capture("llama-server/apikey-missing"), RefusalKind::Auth),
        (capture("litellm/nokey-models"), RefusalKind::Other),
        (capture("llama-server/not-found"), RefusalKind::WrongPath),
        (
            b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n".to_vec(),
            RefusalKind::HostHeader,
        ),
    ] {
        let (server, peer) = server(Options::default());
        tokio::spawn(peer.serve(move |_| reply.clone()));
        match server.discover().await {
            Err(Error::Refused(refusal)) => assert_eq!(refusal.kind, kind),
            other => panic!("{other:?}"),
        }
    }
    let (server, peer) = server(Options::default());
    let page =
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 15\r\n\r\n<html>hi</html>";
    tokio::spawn(peer.serve(move |_| page.into()));
    let error = server.discover().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "expected JSON or an event stream, got text/html (it said: <html>hi</html>)"
    );
}

#[tokio::test(start_paused = true)]
async fn details_that_do_not_come_in_time_are_missing_and_the_list_is_not() {
    let (server, mut peer) = server(clocks(10, 600, 120, None));
    let (discovery, _connection) = tokio::join!(server.discover(), async {
        let mut connection = peer.accept().await;
        connection.request().await;
        connection.write(capture("vllm/models")).await;
        connection.request().await;
        connection
    });
    let discovery = discovery.unwrap();
    assert_eq!(
        (discovery.models.len(), discovery.server.version),
        (1, None)
    );
}

#[tokio::test(start_paused = true)]
async fn a_detail_is_not_waited_for_longer_than_the_list_is_worth() {
    let (server, mut peer) = server(Options::default());
    let begin = Instant::now();
    let (discovery, _connections) = tokio::join!(server.discover(), async {
        let mut connections = vec![peer.accept().await];
        connections[0].request().await;
        let list = json(200, r#"{"data":[{"id":"m","owned_by":"acme"}]}"#);
        connections[0].write(list).await;
        // Never answered; whatever is asked next has another connection.
        connections[0].request().await;
        let mut next = peer.accept().await;
        assert_eq!(begin.elapsed(), Duration::from_secs(5));
        next.request().await;
        connections.push(next);
        connections
    });
    let discovery = discovery.unwrap();
    assert_eq!(begin.elapsed(), Duration::from_secs(10));
    assert_eq!(discovery.models.len(), 1);
    assert_eq!(discovery.server.kind, ServerKind::Generic);
}

#[tokio::test(start_paused = true)]
async fn progress_is_asked_for_once_the_server_is_known_to_tell_it() {
    let (server, mut peer) = server(Options::default());
    let (discovery, mut connection) = tokio::join!(server.discover(), async {
        let mut connection = peer.accept().await;
        connection.request().await;
        connection.write(capture("llama-server/models")).await;
        connection.request().await;
        connection.write(capture("llama-server/props")).await;
        connection
    });
    discovery.unwrap();
    let (_stream, ()) = tokio::join!(server.chat(prompt()), async {
        assert!(
            connection
                .request()
                .await
                .contains(r#""return_progress":true"#)
        );
        connection.stream_head().await;
    });
}
