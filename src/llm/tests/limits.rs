//! A server that sends too much, or bytes that are no text.

use super::peer::{
    DONE, Refused, begun, delta, drain, finish, json, never_again, outcome, prompt, server,
};
use crate::llm::{ChatEvent, Completion, Error};

const MIB: usize = 1024 * 1024;

/// What a question to a server that answers so comes to.
async fn asked(answer: impl Into<Vec<u8>>) -> (Vec<ChatEvent>, Result<Completion, Error<Refused>>) {
    let (server, peer) = server(never_again());
    let answer = answer.into();
    tokio::spawn(peer.serve(move |_| answer.clone()));
    outcome(&server).await
}

fn warnings(events: &[ChatEvent]) -> usize {
    let is_warning = |event: &&ChatEvent| matches!(event, ChatEvent::Warning(_));
    events.iter().filter(is_warning).count()
}

#[tokio::test(start_paused = true)]
async fn an_endless_stream_ends_in_an_error_that_keeps_the_text() {
    let (server, mut peer) = server(never_again());
    let (mut stream, mut connection) =
        tokio::join!(async { server.chat(prompt()).await.unwrap() }, async {
            let mut connection = peer.accept().await;
            connection.request().await;
            connection.write(begun(&delta("kept"))).await;
            connection
        });
    let flood = tokio::spawn(async move {
        let comment = format!(": {}\n", "x".repeat(MIB / 2));
        let chunk = format!("{:x}\r\n{comment}\r\n", comment.len());
        let mut sent = 0;
        while connection.try_write(&chunk).await {
            sent += comment.len();
            assert!(sent < 280 * MIB, "the connection is not closed");
        }
        sent
    });
    let (events, error) = drain(&mut stream).await;
    assert_eq!(
        error.unwrap().to_string(),
        "the answer is longer than 268435456 bytes"
    );
    assert_eq!(stream.partial_text(), "kept");
    assert!(matches!(events.as_slice(), [ChatEvent::Text(text)] if text == "kept"));
    assert!(flood.await.unwrap() >= 255 * MIB);
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_one_piece_is_bounded_closer_than_a_stream() {
    let body = "x".repeat(33 * MIB);
    let (server, mut peer) = server(never_again());
    let (error, ()) = tokio::join!(
        async {
            let mut stream = server.chat(prompt()).await.unwrap();
            drain(&mut stream).await.1
        },
        async {
            let mut connection = peer.accept().await;
            connection.request().await;
            let _closed = connection.try_write(&json(200, &body)).await;
        }
    );
    assert_eq!(
        error.unwrap().to_string(),
        "the answer is longer than 33554432 bytes"
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_one_piece_may_be_longer_than_a_line() {
    let text = "x".repeat(3 * MIB);
    let body =
        format!(r#"{{"choices":[{{"message":{{"content":"{text}"}},"finish_reason":"stop"}}]}}"#);
    let (events, completion) = asked(json(200, &body)).await;
    assert!(completion.is_ok(), "{:?}", completion.err());
    assert!(events.contains(&ChatEvent::Text(text)));
}

#[tokio::test(start_paused = true)]
async fn json_nested_too_deeply_is_refused_by_name_wherever_it_comes() {
    let deep = format!("{{\"x\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
    for answer in [json(200, &deep), begun(&format!("data: {deep}\n\n"))] {
        let (_, failed) = asked(answer).await;
        let said = failed.unwrap_err().to_string();
        assert!(said.contains("nested deeper than 64 levels"), "{said}");
    }
    let (server, peer) = server(never_again());
    tokio::spawn(peer.serve(move |_| json(200, &format!("{{\"data\":{deep}}}")).into()));
    let said = server.discover().await.unwrap_err().to_string();
    assert!(
        said.starts_with("the model list cannot be read: nested deeper than 64 levels"),
        "{said}"
    );
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_not_utf8_are_replaced_and_warned_of_once() {
    let spoil = |answer: String| {
        let mut bytes = answer.into_bytes();
        for byte in &mut bytes {
            if *byte == b'#' {
                *byte = 0xff;
            }
        }
        bytes
    };
    let body = r##"{"choices":[{"message":{"content":"a#b##"},"finish_reason":"stop"}]}"##;
    let ended = |data: String| begun(&data) + "0\r\n\r\n";
    for answer in [
        json(200, body),
        ended(delta("a#") + &delta("b##") + &finish("stop") + DONE),
        // Only the end of the body makes the last of them known.
        ended(delta("a#b#") + &finish("stop") + delta("#").trim_end()),
    ] {
        let (events, completion) = asked(spoil(answer)).await;
        assert!(completion.is_ok(), "{:?}", completion.err());
        let text: String = events
            .iter()
            .filter_map(|event| match event {
                ChatEvent::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(text, "a\u{fffd}b\u{fffd}\u{fffd}");
        assert_eq!(warnings(&events), 1, "{events:?}");
    }
}
