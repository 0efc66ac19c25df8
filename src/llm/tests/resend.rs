//! Requests that are sent again, and those that are not.

use std::{
    collections::VecDeque,
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::duplex,
    time::{Instant, advance, timeout},
};

use super::{
    peer::{
        self, Act, Asked, answer, begun, clocks, delta, drain, header, json, never_again, outcome,
        prompt, server,
    },
    transport::after_one_answer,
};
use crate::llm::{
    Block, BoxFuture, ByteStream, Carrier, ChatEvent, Clock, Completion, Dial, Error, Opener,
    Options, Phase, RefusalKind, Retries, Server,
};

pub(super) fn say(text: &str) -> Act {
    Act::Say(answer(text))
}

/// Closes without a word.
fn close() -> Act {
    Act::Break(String::new())
}

fn refuse(status: u16, headers: &str) -> Act {
    let body = r#"{"error":{"message":"not now"}}"#;
    Act::Say(json(status, body).replace(" X\r\n", &format!(" X\r\n{headers}")))
}

fn retries(max: u32, ambiguous: bool) -> Options {
    Options {
        retries: Retries { max, ambiguous },
        ..Options::default()
    }
}

pub(super) type Outcome = (Vec<ChatEvent>, Result<Completion, Error<peer::Refused>>);

pub(super) async fn ask(
    options: Options,
    script: impl IntoIterator<Item = Act>,
) -> (Outcome, Asked) {
    let (server, peer) = server(options);
    let asked = peer.play(script);
    (outcome(&server).await, asked)
}

/// How many requests a failing server gets, and the error that is told in the end.
async fn failing(options: Options, act: Act) -> (usize, Error<peer::Refused>) {
    let ((_, result), asked) = ask(options, vec![act; 20]).await;
    (asked.requests().len(), result.unwrap_err())
}

pub(super) fn text(completion: &Completion) -> &str {
    match &completion.content[..] {
        [Block::Text { text }] => text,
        other => panic!("{other:?}"),
    }
}

/// The warnings, each of which has to come before a word of the answer.
pub(super) fn warnings(events: &[ChatEvent]) -> Vec<&str> {
    let told = events.iter().position(ChatEvent::is_output);
    let warnings = events.iter().enumerate().filter_map(|(at, event)| {
        let ChatEvent::Warning(warning) = event else {
            return None;
        };
        assert!(told.is_none_or(|told| at < told), "{events:?}");
        Some(warning.as_str())
    });
    warnings.collect()
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_dies_without_an_answer_is_replaced_once() {
    for died in ["", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\ncontent-type: text/ev"] {
        let act = Act::Break(died.to_owned());
        let ((events, result), asked) = ask(Options::default(), [act.clone(), say("two")]).await;
        assert_eq!(text(&result.unwrap()), "two");
        assert_eq!(
            events,
            [
                ChatEvent::Warning(
                    "the server closed the connection without an answer; the request is sent \
                     again at once (attempt 2)"
                        .to_owned()
                ),
                ChatEvent::Status {
                    phase: Phase::Queued,
                    progress: None
                },
                ChatEvent::Text("two".to_owned()),
            ]
        );
        let requests = asked.requests();
        assert_eq!(requests.len(), 2);
        assert_eq!(requests[0], requests[1], "the id and the body are the same");

        let (times, error) = failing(Options::default(), act).await;
        assert_eq!(times, 2);
        assert!(matches!(error, Error::NoReply { .. }), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_may_have_been_read_is_not_sent_again_where_that_is_not_wanted() {
    let (times, error) = failing(retries(10, false), close()).await;
    assert_eq!(times, 1);
    assert!(matches!(error, Error::NoReply { .. }), "{error:?}");
    // What was refused, or came to nothing, is another matter.
    let (times, _) = failing(retries(10, false), Act::Break(begun(""))).await;
    assert_eq!(times, 2);
}

#[tokio::test(start_paused = true)]
async fn a_kept_connection_that_closes_under_the_question_is_replaced_at_once() {
    let (server, peer, mut connection) = after_one_answer(Options::default()).await;
    let asked = peer.play([say("two")]);
    let start = Instant::now();
    let ((events, result), ()) = tokio::join!(outcome(&server), async {
        connection.request().await;
        drop(connection);
    });
    assert_eq!(text(&result.unwrap()), "two");
    assert_eq!(warnings(&events).len(), 1);
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(asked.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_could_not_be_sent_again_is_not_put_at_the_risk_of_a_kept_connection() {
    for options in [retries(0, true), retries(2, false)] {
        let (server, peer, _kept) = after_one_answer(options).await;
        let asked = peer.play([say("two")]);
        assert_eq!(text(&outcome(&server).await.1.unwrap()), "two");
        assert_eq!(asked.requests().len(), 1);
    }
}

/// Two connections are kept and both are dead: the second is not tried with what the first may
/// have carried already.
#[tokio::test(start_paused = true)]
async fn a_request_is_sent_again_on_a_connection_of_its_own() {
    let (server, mut peer) = server(Options::default());
    let serve = async {
        let mut both = (peer.accept().await, peer.accept().await);
        both.0.request().await;
        both.1.request().await;
        both.0.write(answer("a")).await;
        both.1.write(answer("b")).await;
        both
    };
    let ((_, first), (_, second), mut both) =
        tokio::join!(outcome(&server), outcome(&server), serve);
    first.and(second).unwrap();
    let ((_, result), ()) = tokio::join!(outcome(&server), async {
        tokio::select! {
            _ = both.0.request() => {}
            _ = both.1.request() => {}
        }
        drop(both);
        let mut connection = peer.accept().await;
        connection.request().await;
        connection.answer("c").await;
    });
    assert_eq!(text(&result.unwrap()), "c");
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_is_waited_for_as_long_as_it_says() {
    let script = [
        refuse(429, "retry-after: 2\r\n"),
        refuse(503, "retry-after-ms: 500\r\n"),
        say("now"),
    ];
    let ((events, result), asked) = ask(Options::default(), script).await;
    assert_eq!(text(&result.unwrap()), "now");
    assert_eq!(
        warnings(&events),
        [
            "the server answered HTTP 429 (not now); the request is sent again in 2 s (attempt 2)",
            "the server answered HTTP 503 (not now); the request is sent again in 0.5 s (attempt 3)",
        ]
    );
    assert_eq!(asked.gaps(), [2000, 500].map(Duration::from_millis));
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_that_says_nothing_is_asked_ever_more_rarely() {
    let ((_, result), asked) = ask(retries(10, true), vec![refuse(429, ""); 20]).await;
    assert!(matches!(result, Err(Error::Refused(refusal)) if refusal.status == Some(429)));
    let gaps = asked.gaps();
    // Five a minute: a single question has used the server's budget up.
    assert_eq!(gaps.len(), 5);
    for (gap, seconds) in gaps.into_iter().zip([1, 2, 4, 8, 16]) {
        let middle = Duration::from_secs(seconds);
        assert!(
            gap.abs_diff(middle) <= middle / 5 + Duration::from_millis(1),
            "{gap:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn each_refusal_is_asked_again_as_often_as_the_table_says() {
    for (act, times) in [
        (refuse(500, ""), 2),
        (refuse(502, ""), 5),
        (refuse(504, ""), 5),
        (refuse(408, ""), 5),
        (refuse(409, ""), 2),
        (refuse(503, "retry-after: 61\r\n"), 1),
        (refuse(429, "retry-after: 600\r\n"), 1),
        (refuse(501, ""), 1),
        (refuse(422, ""), 1),
        (refuse(401, ""), 1),
        (Act::Say(json(200, r#"{"error":"no"}"#)), 1),
        (
            Act::Say(begun(
                "data: {\"error\":{\"message\":\"no\",\"code\":503}}\n\n",
            )),
            1,
        ),
        (
            Act::Say(json(500, r#"{"error":"image input is not supported"}"#)),
            1,
        ),
        (Act::Say(json(302, "")), 1),
        (
            Act::Say(
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 0\r\n\r\n"
                    .to_owned(),
            ),
            1,
        ),
        (Act::Break("SSH-2.0-x\r\n".to_owned()), 1),
    ] {
        let (asked, error) = failing(retries(4, true), act).await;
        assert_eq!(asked, times, "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_again_where_the_profile_says_never() {
    for act in [
        close(),
        Act::Break(begun("")),
        refuse(429, "retry-after: 0\r\n"),
        refuse(503, ""),
        refuse(500, ""),
        refuse(409, ""),
    ] {
        let ((events, result), asked) = ask(never_again(), vec![act; 2]).await;
        result.unwrap_err();
        assert_eq!(asked.requests().len(), 1);
        assert_eq!(events, []);
    }
}

/// What the profile allows is for all reasons together.
#[tokio::test(start_paused = true)]
async fn the_most_resends_are_counted_over_all_kinds() {
    let kinds = || {
        [
            close(),
            refuse(500, ""),
            Act::Break(begun("")),
            refuse(409, ""),
            say("ok"),
        ]
    };
    for max in 0..4 {
        let ((_, result), asked) = ask(retries(max, true), kinds()).await;
        result.unwrap_err();
        assert_eq!(asked.requests().len(), max as usize + 1);
    }
    let ((events, result), asked) = ask(retries(4, true), kinds()).await;
    assert_eq!(text(&result.unwrap()), "ok");
    assert_eq!(asked.requests().len(), 5);
    assert!(warnings(&events)[3].ends_with("(attempt 5)"), "{events:?}");
}

/// A first attempt that told of its progress, its counts, its model and half a call, and died.
#[tokio::test(start_paused = true)]
async fn nothing_of_a_dead_attempt_is_in_the_answer() {
    let dead = concat!(
        "data: {\"model\":\"dead\",\"prompt_progress\":{\"total\":4,\"processed\":2},",
        "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
        "data: {\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":9},\"choices\":[]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"dead\",",
        "\"function\":{\"arguments\":\"{}\"}}]}}]}\n\n",
    );
    let (server, peer) = server(Options::default());
    let asked = peer.play([Act::Break(begun(dead)), say("alive")]);
    let mut stream = server.chat(prompt()).await.unwrap();
    let progress = stream.next().await.unwrap().unwrap();
    assert!(
        matches!(
            progress,
            ChatEvent::Status {
                phase: Phase::Prefill,
                ..
            }
        ),
        "{progress:?}"
    );
    assert!(stream.usage().is_some());
    let warning = stream.next().await.unwrap().unwrap();
    assert!(
        matches!(&warning, ChatEvent::Warning(text) if text.starts_with("the answer was cut off; ")),
        "{warning:?}"
    );
    assert_eq!(asked.requests().len(), 1, "it is told before it is done");
    assert_eq!(stream.usage(), None);
    let (mut events, error) = drain(&mut stream).await;
    assert!(error.is_none(), "{error:?}");
    let Some(ChatEvent::Finished(completion)) = events.pop() else {
        panic!("{events:?}");
    };
    assert_eq!(text(&completion), "alive");
    assert_eq!((completion.usage, completion.model), (None, None));
    assert_eq!(completion.invalid_calls, []);
    let queued = ChatEvent::Status {
        phase: Phase::Queued,
        progress: None,
    };
    assert_eq!(events, [queued, ChatEvent::Text("alive".to_owned())]);
    assert_eq!(asked.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_begun_is_never_asked_for_again() {
    let call = "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\
        \"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}}]}\n\n";
    let thought =
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n";
    for output in [&delta("par"), call, thought] {
        for end in ["", "0\r\n\r\n"] {
            let act = Act::Break(begun(output) + end);
            let (times, error) = failing(Options::default(), act).await;
            assert_eq!(times, 1);
            assert!(matches!(error, Error::Interrupted { .. }), "{error:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_word_is_asked_for_once_more() {
    let whole = r#"{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}"#;
    let without_length = "HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n";
    let mut cut = json(200, whole);
    cut.truncate(cut.len() - 1);
    for act in [
        Act::Break(begun("")),
        Act::Break(begun(": ping\n\n")),
        // Python servers answer some failures so.
        Act::Say(begun("") + "0\r\n\r\n"),
        Act::Break(cut),
        Act::Break(format!("{without_length}{}", &whole[..40])),
    ] {
        let ((events, result), asked) = ask(Options::default(), [act.clone(), say("two")]).await;
        assert_eq!(text(&result.unwrap()), "two", "{act:?}");
        assert_eq!(warnings(&events).len(), 1);
        assert_eq!(asked.requests().len(), 2);
        let (times, error) = failing(Options::default(), act).await;
        assert_eq!(times, 2);
        assert!(matches!(error, Error::Interrupted { .. }), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_learned_is_not_asked_again_and_a_loading_model_does_not_count() {
    let rejection = r#"{"error":{"message":"unknown field stream_options"}}"#;
    let loading = r#"{"error":{"message":"Loading model"}}"#;
    let script = [
        Act::Say(json(400, rejection)),
        Act::Say(json(503, loading)),
        close(),
        Act::Say(json(503, loading)),
        say("ok"),
    ];
    let ((events, result), asked) = ask(retries(1, true), script).await;
    assert_eq!(text(&result.unwrap()), "ok");
    let phases: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            ChatEvent::Status { phase, .. } => Some(*phase),
            _ => None,
        })
        .collect();
    assert_eq!(
        phases,
        [Phase::LoadingModel, Phase::Queued, Phase::LoadingModel]
    );
    let told = |request: &String| request.contains("stream_options");
    let requests = asked.requests();
    assert_eq!(
        requests.iter().map(told).collect::<Vec<_>>(),
        [true, false, false, false, false]
    );
    let id = header(&requests[0], "x-request-id");
    assert!(
        requests
            .iter()
            .all(|request| header(request, "x-request-id") == id)
    );
}

#[tokio::test(start_paused = true)]
async fn each_question_has_its_own_id_unless_the_profile_names_one() {
    let (server, peer) = server(Options::default());
    let asked = peer.play([say("a"), say("b")]);
    for _ in 0..2 {
        outcome(&server).await.1.unwrap();
    }
    let requests = asked.requests();
    let ids: Vec<_> = requests
        .iter()
        .map(|request| header(request, "x-request-id"))
        .collect();
    assert!(ids[0].is_some() && ids[0] != ids[1], "{ids:?}");

    let options = Options {
        headers: vec![("X-Request-ID".to_owned(), "mine".to_owned())],
        ..Options::default()
    };
    let ((_, result), asked) = ask(options, [close(), say("a")]).await;
    result.unwrap();
    for request in asked.requests() {
        assert_eq!(header(&request, "x-request-id"), Some("mine"));
    }
}

// --- time ---------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn sending_again_buys_no_time() {
    for (options, expected) in [
        (clocks(10, 100, 20, None), Clock::FirstToken),
        (clocks(10, 600, 20, Some(100)), Clock::Total),
    ] {
        let (server, mut peer) = server(options);
        let start = Instant::now();
        let serve = async {
            let mut first = peer.accept().await;
            first.request().await;
            advance(Duration::from_secs(70)).await;
            drop(first);
            let mut second = peer.accept().await;
            second.request().await;
            second.stream_head().await;
            second.closed().await;
        };
        let ((_, result), ()) = tokio::join!(outcome(&server), serve);
        assert!(
            matches!(result, Err(Error::Timeout { clock, limit })
                if clock == expected && limit == Duration::from_secs(100)),
            "{result:?}"
        );
        assert_eq!(start.elapsed(), Duration::from_secs(100));
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_would_outlast_the_deadline_is_not_begun() {
    let start = Instant::now();
    let act = refuse(429, "retry-after: 30\r\n");
    for options in [clocks(10, 30, 10, None), clocks(10, 600, 10, Some(30))] {
        let (times, error) = failing(options, act.clone()).await;
        assert_eq!(times, 1);
        assert!(
            matches!(&error, Error::Refused(refusal) if refusal.kind == RefusalKind::RateLimited)
        );
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_not_asked_again() {
    let (server, peer) = server(clocks(10, 100, 20, None));
    let asked = peer.play([]);
    let (events, result) = outcome(&server).await;
    assert!(
        matches!(
            result,
            Err(Error::Timeout {
                clock: Clock::FirstToken,
                ..
            })
        ),
        "{result:?}"
    );
    assert_eq!(events, []);
    assert_eq!(asked.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_dropped_while_it_waits_sends_nothing_any_more() {
    let (server, peer) = server(Options::default());
    let asked = peer.play([refuse(429, "retry-after: 5\r\n"), say("late")]);
    let mut stream = server.chat(prompt()).await.unwrap();
    for _ in 0..2 {
        stream.next().await.unwrap().unwrap();
    }
    let waited = timeout(Duration::from_secs(3), stream.next()).await;
    assert!(waited.is_err(), "{waited:?}");
    drop(stream);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(asked.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_next_dropped_while_it_asks_again_does_not_ask_twice() {
    let (server, mut peer) = server(Options::default());
    let (stream, ()) = tokio::join!(server.chat(prompt()), async {
        peer.accept().await.request().await;
    });
    let mut stream = stream.unwrap();
    for _ in 0..2 {
        stream.next().await.unwrap().unwrap();
    }
    let (waited, mut connection) =
        tokio::join!(timeout(Duration::from_secs(3), stream.next()), async {
            let mut connection = peer.accept().await;
            connection.request().await;
            connection
        });
    assert!(waited.is_err(), "{waited:?}");
    connection.answer("all").await;
    let (_, error) = drain(&mut stream).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(stream.partial_text(), "all");
    assert!(peer.is_idle());
}

// --- the server's budget ------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_server_that_fails_everything_is_not_asked_everything_twice() {
    let (server, peer) = server(Options::default());
    let asked = peer.play(vec![close(); 1000]);
    for _ in 0..49 {
        outcome(&server).await.1.unwrap_err();
    }
    assert_eq!(asked.requests().len(), 49 + 5);
    // Beyond it, a question fails as if it could not be sent again.
    let start = Instant::now();
    let (events, result) = outcome(&server).await;
    assert!(matches!(result, Err(Error::NoReply { .. })), "{result:?}");
    assert_eq!((events, start.elapsed()), (Vec::new(), Duration::ZERO));
    advance(Duration::from_secs(60)).await;
    outcome(&server).await.1.unwrap_err();
    assert_eq!(asked.requests().len(), 50 + 5 + 2);
}

// --- the carrier --------------------------------------------------------------------------------

#[derive(Debug, thiserror::Error)]
#[error("no way there")]
struct NoWay {
    transient: bool,
}

impl Carrier for NoWay {
    fn is_transient(&self) -> bool {
        self.transient
    }
}

/// What opening a stream comes to.
#[derive(Debug, Clone, Copy)]
enum Way {
    Answers,
    /// Closed before a byte was taken.
    Dead,
    Fails {
        transient: bool,
    },
    Hangs,
}

/// Opens as scripted, and as the last one when the script is over.
struct Ways {
    script: Mutex<VecDeque<Way>>,
    opened: Mutex<Vec<Instant>>,
}

impl Opener<NoWay> for Ways {
    fn open(&self, _to: &Dial) -> BoxFuture<'_, Result<Box<dyn ByteStream>, NoWay>> {
        self.opened.lock().unwrap().push(Instant::now());
        let way = {
            let mut script = self.script.lock().unwrap();
            if script.len() > 1 {
                script.pop_front()
            } else {
                script.front().copied()
            }
        };
        Box::pin(async move {
            let (near, mut far) = duplex(64 * 1024);
            match way.unwrap() {
                Way::Fails { transient } => return Err(NoWay { transient }),
                Way::Hangs => pending().await,
                Way::Dead => {}
                Way::Answers => {
                    tokio::spawn(async move {
                        let mut request = vec![0; 4096];
                        tokio::io::AsyncReadExt::read(&mut far, &mut request)
                            .await
                            .unwrap();
                        let answer = answer("here");
                        tokio::io::AsyncWriteExt::write_all(&mut far, answer.as_bytes())
                            .await
                            .unwrap();
                    });
                }
            }
            Ok(Box::new(near) as Box<dyn ByteStream>)
        })
    }
}

/// What comes of a question over these ways, and the times between the openings.
async fn over(
    options: Options,
    script: impl IntoIterator<Item = Way>,
) -> (Vec<ChatEvent>, Option<Error<NoWay>>, Vec<Duration>) {
    let ways = Arc::new(Ways {
        script: Mutex::new(script.into_iter().collect()),
        opened: Mutex::default(),
    });
    let endpoint = "http://localhost".parse().unwrap();
    let server = Server::new(endpoint, Arc::clone(&ways) as Arc<dyn Opener<_>>, options);
    let mut events = Vec::new();
    let error = match server.chat(prompt()).await {
        Err(error) => Some(error),
        Ok(mut stream) => loop {
            match stream.next().await {
                None => break None,
                Some(Ok(event)) => events.push(event),
                Some(Err(error)) => break Some(error),
            }
        },
    };
    let opened = ways.opened.lock().unwrap();
    let gaps = opened.windows(2).map(|pair| pair[1] - pair[0]).collect();
    (events, error, gaps)
}

#[tokio::test(start_paused = true)]
async fn a_way_that_fails_for_a_passing_reason_is_tried_four_times_in_all() {
    let failing = Way::Fails { transient: true };
    for way in [failing, Way::Dead] {
        let (events, error, gaps) = over(retries(10, false), [way]).await;
        assert_eq!(warnings(&events).len(), 3, "{way:?} {events:?}");
        assert_eq!(gaps.len(), 3);
        for (gap, milliseconds) in gaps.into_iter().zip([250, 500, 1000]) {
            let middle = Duration::from_millis(milliseconds);
            assert!(
                gap.abs_diff(middle) <= middle / 5 + Duration::from_millis(1),
                "{gap:?}"
            );
        }
        assert!(error.unwrap().is_transient());
        let (events, error, gaps) = over(retries(10, false), [way, way, way, Way::Answers]).await;
        assert!(error.is_none(), "{error:?}");
        assert_eq!((warnings(&events).len(), gaps.len()), (3, 3));
    }
    let (events, ..) = over(retries(10, false), [failing, Way::Answers]).await;
    let warning = warnings(&events)[0];
    let (what, when) = warning.split_once("; ").unwrap();
    assert_eq!(what, "no connection to the server (no way there)");
    assert!(
        when.starts_with("the request is sent again in 0."),
        "{when}"
    );
    assert!(when.ends_with(" s (attempt 2)"), "{when}");
}

#[tokio::test(start_paused = true)]
async fn a_way_that_only_a_person_can_mend_is_tried_once() {
    let (events, error, gaps) = over(Options::default(), [Way::Fails { transient: false }]).await;
    assert_eq!((events, gaps), (Vec::new(), Vec::new()));
    assert!(matches!(error, Some(Error::Open(_))), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_way_that_hangs_has_the_connect_clock_once() {
    let start = Instant::now();
    let (_, error, gaps) = over(clocks(10, 600, 60, None), [Way::Hangs]).await;
    let ran_out = |error: &Option<Error<_>>| match error {
        Some(Error::Timeout { clock, .. }) => *clock == Clock::Connect,
        _ => false,
    };
    assert!(ran_out(&error), "{error:?}");
    assert_eq!(gaps.len(), 0);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(11), "{took:?}");
}
