//! A stream that ends properly with nothing in it: how llama-cpp-python's server, for one, fails
//! once it has sent its head.

use super::{
    peer::{Act, begun, json, outcome, server},
    resend::{ask, say, text, warnings},
};
use crate::llm::{Error, Options, RefusalKind};

/// So that a server that fails silently in a stream can say why. Whatever else was cut may do
/// better in the second stream.
#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_without_an_event_is_asked_for_in_one_piece() {
    let overflow = r#"{"error":{"message":"This model's maximum context length is 2048 tokens. However, you requested 12016 tokens (12000 in the messages, 16 in the completion).","code":"context_length_exceeded"}}"#;
    let whole = r#"{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}"#;
    for comment in ["", ": ping\n\n"] {
        let empty = || Act::Say(begun(comment) + "0\r\n\r\n");
        let script = [empty(), Act::Say(json(400, overflow))];
        let ((events, result), asked) = ask(Options::default(), script).await;
        let Err(Error::Refused(refusal)) = result else {
            panic!("{result:?}");
        };
        let kind = RefusalKind::ContextOverflow {
            needed: Some(12016),
            available: Some(2048),
        };
        assert_eq!(refusal.kind, kind);
        assert_eq!(warnings(&events).len(), 1);
        let requests = asked.requests();
        assert_eq!(requests.len(), 2);
        assert!(requests[0].contains(r#""stream":true"#), "{requests:?}");
        assert!(requests[1].contains(r#""stream":false"#), "{requests:?}");
        assert!(!requests[1].contains("stream_options"), "{requests:?}");

        let script = [empty(), Act::Say(json(200, whole))];
        let ((_, result), _) = ask(Options::default(), script).await;
        assert_eq!(text(&result.unwrap()), "Hi");
    }
    // The connection died; a half event is content.
    for act in [
        Act::Break(begun(": ping\n\n")),
        Act::Say(begun("data: {}\n\n") + "0\r\n\r\n"),
    ] {
        let ((_, result), asked) = ask(Options::default(), [act, say("two")]).await;
        assert_eq!(text(&result.unwrap()), "two");
        let requests = asked.requests();
        assert!(requests[1].contains(r#""stream":true"#), "{requests:?}");
    }
}

/// The next question is asked as ever.
#[tokio::test(start_paused = true)]
async fn that_a_stream_was_empty_is_not_remembered() {
    let (server, peer) = server(Options::default());
    let script = [Act::Say(begun("") + "0\r\n\r\n"), say("one"), say("two")];
    let asked = peer.play(script);
    assert_eq!(text(&outcome(&server).await.1.unwrap()), "one");
    assert_eq!(text(&outcome(&server).await.1.unwrap()), "two");
    let requests = asked.requests();
    assert!(requests[2].contains(r#""stream":true"#), "{requests:?}");
}
