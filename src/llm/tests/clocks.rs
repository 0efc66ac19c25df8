//! The four clocks, on paused time.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use super::peer::{
    self, Connection, DONE, Peer, Refused, clocks, delta, drain, finish, outcome, prompt, server,
};
use crate::llm::{
    BoxFuture, ByteStream, ChatEvent, ChatStream, Clock, Dial, Error, Opener, Options, Phase,
    Server, ServerKind,
};

/// A stream whose head has come.
async fn begun(options: Options) -> (ChatStream<Refused>, Connection, Server<Refused>, Peer) {
    let (server, mut peer) = server(options);
    let (stream, connection) =
        tokio::join!(async { server.chat(prompt()).await.unwrap() }, async {
            let mut connection = peer.accept().await;
            connection.request().await;
            connection.stream_head().await;
            connection
        });
    (stream, connection, server, peer)
}

fn timed_out(error: Option<Error<Refused>>, expected: Clock) {
    match error {
        Some(Error::Timeout { clock, .. }) => assert_eq!(clock, expected),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_holds_its_head_runs_into_the_first_token_clock() {
    let (server, mut peer) = server(clocks(10, 600, 120, None));
    let start = Instant::now();
    let ((_, result), _connection) = tokio::join!(outcome(&server), async {
        let mut connection = peer.accept().await;
        connection.request().await;
        connection
    });
    timed_out(result.err(), Clock::FirstToken);
    assert_eq!(start.elapsed(), Duration::from_secs(600));
}

#[tokio::test(start_paused = true)]
async fn comments_and_role_deltas_do_not_stop_the_first_token_clock() {
    let (mut stream, mut connection, ..) = begun(clocks(10, 100, 10, None)).await;
    let start = Instant::now();
    let serve = async {
        loop {
            sleep(Duration::from_secs(15)).await;
            connection.chunk(": ping\n\n").await;
            let role = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
            connection.chunk(role).await;
        }
    };
    let (events, error) = tokio::select! {
        drained = drain(&mut stream) => drained,
        () = serve => unreachable!(),
    };
    assert_eq!(events, []);
    timed_out(error, Clock::FirstToken);
    assert_eq!(start.elapsed(), Duration::from_secs(100));
}

#[tokio::test(start_paused = true)]
async fn a_long_silence_before_the_first_output_is_no_idleness() {
    let (mut stream, mut connection, ..) = begun(clocks(10, 600, 60, None)).await;
    let ((_, error), ()) = tokio::join!(drain(&mut stream), async {
        for _ in 0..20 {
            sleep(Duration::from_secs(15)).await;
            connection.chunk(": ping - 2026\n\n").await;
        }
        connection
            .chunk(&(delta("Hi") + &finish("stop") + DONE))
            .await;
        connection.write("0\r\n\r\n").await;
    });
    assert!(error.is_none(), "{error:?}");
    assert_eq!(stream.timing().first_token, Some(Duration::from_secs(300)));
}

#[tokio::test(start_paused = true)]
async fn silence_after_the_first_output_is_idleness_and_keeps_the_text() {
    let (mut stream, mut connection, ..) = begun(clocks(10, 600, 120, None)).await;
    connection.chunk(&delta("par")).await;
    let start = Instant::now();
    let (_, error) = drain(&mut stream).await;
    timed_out(error, Clock::Idle);
    assert_eq!(start.elapsed(), Duration::from_secs(120));
    assert_eq!(stream.partial_text(), "par");
    connection.closed().await;
}

#[tokio::test(start_paused = true)]
async fn comments_keep_an_answer_alive_but_not_for_ever() {
    let (mut stream, mut connection, ..) = begun(clocks(10, 600, 120, None)).await;
    connection.chunk(&delta("par")).await;
    let start = Instant::now();
    let serve = async {
        loop {
            sleep(Duration::from_secs(30)).await;
            connection.chunk(":\n\n").await;
        }
    };
    let (_, error) = tokio::select! {
        drained = drain(&mut stream) => drained,
        () = serve => unreachable!(),
    };
    timed_out(error, Clock::Idle);
    assert_eq!(start.elapsed(), Duration::from_secs(600));
}

#[tokio::test(start_paused = true)]
async fn the_total_clock_ends_an_answer_that_goes_on() {
    let (mut stream, mut connection, ..) = begun(clocks(10, 600, 120, Some(100))).await;
    let serve = async {
        loop {
            connection.chunk(&delta("x")).await;
            sleep(Duration::from_millis(1500)).await;
        }
    };
    let (events, error) = tokio::select! {
        drained = drain(&mut stream) => drained,
        () = serve => unreachable!(),
    };
    timed_out(error, Clock::Total);
    assert_eq!(events.len(), 67);
    assert_eq!(stream.timing().total, Duration::from_secs(100));
}

#[tokio::test(start_paused = true)]
async fn the_total_clock_also_runs_before_the_head() {
    let (server, mut peer) = server(clocks(10, 600, 120, Some(50)));
    let ((_, result), _connection) = tokio::join!(outcome(&server), async {
        let mut connection = peer.accept().await;
        connection.request().await;
        connection
    });
    timed_out(result.err(), Clock::Total);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_read_the_request_runs_into_the_connect_clock() {
    let (server, mut peer) = server(clocks(10, 600, 120, None));
    server.recall(&peer::found_to_be(ServerKind::Generic));
    let mut request = prompt();
    request.system = Some("x".repeat(4 * 1024 * 1024));
    let start = Instant::now();
    let asking = async {
        let mut stream = server.chat(request).await.unwrap();
        drain(&mut stream).await.1
    };
    let (error, _connection) = tokio::join!(asking, peer.accept());
    timed_out(error, Clock::Connect);
    assert_eq!(start.elapsed(), Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_finished_answer_waits_five_seconds_for_its_end_and_a_done_one_does_not() {
    for (tail, wait) in [
        ("", Duration::from_secs(5)),
        (DONE, Duration::from_millis(100)),
    ] {
        let (mut stream, mut connection, ..) = begun(clocks(10, 600, 120, None)).await;
        connection
            .chunk(&(delta("all") + &finish("stop") + tail))
            .await;
        let start = Instant::now();
        let (events, error) = drain(&mut stream).await;
        assert!(error.is_none(), "{error:?}");
        assert!(matches!(events.last(), Some(ChatEvent::Finished(_))));
        assert_eq!(start.elapsed(), wait);
        connection.closed().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_takes_its_time_is_no_silence_of_the_server() {
    let (mut stream, mut connection, ..) = begun(clocks(10, 600, 120, None)).await;
    connection.chunk(&delta("a")).await;
    assert_eq!(
        stream.next().await.unwrap().unwrap(),
        ChatEvent::Text("a".into())
    );
    sleep(Duration::from_secs(1000)).await;
    let ((_, error), ()) = tokio::join!(drain(&mut stream), async {
        sleep(Duration::from_secs(100)).await;
        connection.chunk(&(delta("b") + &finish("stop"))).await;
        connection.write("0\r\n\r\n").await;
    });
    assert!(error.is_none(), "{error:?}");
    assert_eq!(stream.partial_text(), "ab");
}

#[tokio::test(start_paused = true)]
async fn asking_again_and_again_does_not_stop_the_idle_clock() {
    let (mut stream, mut connection, ..) = begun(clocks(10, 600, 120, None)).await;
    connection.chunk(&delta("a")).await;
    stream.next().await.unwrap().unwrap();
    let start = Instant::now();
    let error = loop {
        if let Ok(next) = tokio::time::timeout(Duration::from_secs(5), stream.next()).await {
            break next.unwrap().unwrap_err();
        }
    };
    timed_out(Some(error), Clock::Idle);
    assert_eq!(start.elapsed(), Duration::from_secs(120));
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_comments_does_not_outrun_the_clocks() {
    for (options, clock) in [
        (clocks(10, 100, 120, None), Clock::FirstToken),
        (clocks(10, 600, 120, Some(100)), Clock::Total),
    ] {
        let (mut stream, mut connection, ..) = begun(options).await;
        // Somebody waits, or no clock runs.
        timeout(Duration::ZERO, stream.next()).await.unwrap_err();
        // Already there when the deadline passes.
        for _ in 0..1000 {
            connection.chunk(":\n\n").await;
        }
        sleep(Duration::from_secs(101)).await;
        let (events, error) = drain(&mut stream).await;
        assert_eq!(events, []);
        timed_out(error, clock);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reason_with_every_piece_cuts_nothing_off() {
    let (mut stream, mut connection, _server, _peer) = begun(Options::default()).await;
    let talking = async move {
        for piece in ["a", "b", "c", "d"] {
            let text = delta(piece);
            let text = text.replace("}}]}", "},\"finish_reason\":\"stop\"}]}");
            connection.chunk(&text).await;
            sleep(Duration::from_secs(3)).await;
        }
        connection.chunk(DONE).await;
        connection
    };
    let ((_, error), _connection) = tokio::join!(drain(&mut stream), talking);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(stream.partial_text(), "abcd");
}

/// What is told of a wait, to the end of the stream, with the time of each.
async fn signs(stream: &mut ChatStream<Refused>) -> Vec<(u64, Option<Phase>)> {
    let mut signs = Vec::new();
    while let Some(event) = stream.next().await {
        if let ChatEvent::Waiting { phase, elapsed } = event.unwrap() {
            signs.push((elapsed.as_secs(), phase));
        }
    }
    signs
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_the_first_output_is_told_every_five_seconds_from_the_first_byte_or_before() {
    let (server, mut peer) = server(Options::default());
    let asking = async {
        let mut stream = server.chat(prompt()).await.unwrap();
        signs(&mut stream).await
    };
    let (signs, _connection) = tokio::join!(asking, async {
        let mut connection = peer.accept().await;
        connection.request().await;
        // The head comes late, a comment now and then, a role is no output.
        sleep(Duration::from_secs(11)).await;
        connection.stream_head().await;
        for _ in 0..2 {
            sleep(Duration::from_secs(4)).await;
            connection.chunk(":\n\n").await;
        }
        connection.chunk(&delta("Hi")).await;
        // No more signs: there is output.
        sleep(Duration::from_secs(6)).await;
        connection.chunk(&(finish("stop") + DONE)).await;
        connection.write("0\r\n\r\n").await;
        connection
    });
    assert_eq!(signs, [(5, None), (10, None), (15, None)]);
}

#[tokio::test(start_paused = true)]
async fn a_sign_repeats_what_was_last_told_of_the_server() {
    let (server, mut peer) = server(Options::default());
    let asking = async {
        let mut stream = server.chat(prompt()).await.unwrap();
        signs(&mut stream).await
    };
    let (signs, ()) = tokio::join!(asking, async {
        let mut connection = peer.accept().await;
        connection.request().await;
        connection
            .json(503, r#"{"error":{"message":"Loading model"}}"#)
            .await;
        connection.request().await;
        sleep(Duration::from_secs(6)).await;
        connection.answer("Hi").await;
    });
    // Told at 0 s, asked again 1.5 s later.
    assert_eq!(signs, [(5, Some(Phase::LoadingModel))]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_of_signs_gets_the_answer_all_the_same() {
    let (mut stream, mut connection, ..) = begun(Options::default()).await;
    let sign = stream.next().await.unwrap().unwrap();
    assert!(matches!(sign, ChatEvent::Waiting { .. }), "{sign:?}");
    connection
        .chunk(&(delta("Hi") + &finish("stop") + DONE))
        .await;
    connection.write("0\r\n\r\n").await;
    sleep(Duration::from_secs(60)).await;
    let mut told = Vec::new();
    while let Some(event) = stream.next().await {
        told.push(event.unwrap());
        sleep(Duration::from_secs(60)).await;
    }
    assert!(
        matches!(told[..], [ChatEvent::Text(_), ChatEvent::Finished(_)]),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn servers_without_signs_of_life_may_be_silent_for_longer_unless_the_user_says_how_long() {
    let set = Some(Duration::from_secs(7));
    for (kind, idle, seconds) in [
        (None, None, 120),
        (Some(ServerKind::LlamaCpp), None, 120),
        (Some(ServerKind::Vllm), None, 300),
        (Some(ServerKind::Vllm), set, 7),
        (Some(ServerKind::LlamaCpp), set, 7),
    ] {
        let mut options = Options::default();
        options.clocks.idle = idle;
        let (server, mut peer) = server(options);
        if let Some(kind) = kind {
            server.inner.learn(|learned| learned.is(kind));
        }
        let asking = async {
            let mut stream = server.chat(prompt()).await.unwrap();
            drain(&mut stream).await.1
        };
        let start = Instant::now();
        let (error, _connection) = tokio::join!(asking, async {
            let mut connection = peer.accept().await;
            connection.request().await;
            connection.stream_head().await;
            connection.chunk(&delta("par")).await;
            connection
        });
        timed_out(error, Clock::Idle);
        assert_eq!(start.elapsed(), Duration::from_secs(seconds), "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_does_not_listen_stops_the_first_token_and_the_total_clock() {
    for (options, clock) in [
        (clocks(10, 100, 120, None), Clock::FirstToken),
        (clocks(10, 600, 120, Some(100)), Clock::Total),
    ] {
        let (mut stream, _connection, ..) = begun(options).await;
        let start = Instant::now();
        // It takes 60 s to look at each of the signs that come after 5 s of listening.
        let error = loop {
            match stream.next().await.unwrap() {
                Ok(_) => sleep(Duration::from_secs(60)).await,
                Err(error) => break error,
            }
        };
        timed_out(Some(error), clock);
        let waited = Duration::from_secs(100);
        assert!(start.elapsed() > 10 * waited, "{:?}", start.elapsed());
    }
}

/// Opens nothing before somebody has answered a question, for which they take their time.
struct Asks(u64);

impl Opener<Refused> for Asks {
    fn reach(&self) -> BoxFuture<'_, Result<(), Refused>> {
        Box::pin(async {
            sleep(Duration::from_secs(self.0)).await;
            Ok(())
        })
    }

    fn open(&self, _to: &Dial) -> BoxFuture<'_, Result<Box<dyn ByteStream>, Refused>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_person_who_answers_a_question_on_the_way_stops_every_clock() {
    let asking = |options: Options| {
        let endpoint = "http://localhost".parse().unwrap();
        Server::new(endpoint, Arc::new(Asks(300)), options)
    };
    let start = Instant::now();
    let (_, result) = outcome(&asking(clocks(10, 50, 120, Some(100)))).await;
    timed_out(result.err(), Clock::Connect);
    assert_eq!(start.elapsed(), Duration::from_secs(310));

    let start = Instant::now();
    let error = asking(clocks(60, 50, 120, None))
        .discover()
        .await
        .unwrap_err();
    timed_out(Some(error), Clock::Connect);
    // The discovery clock.
    assert_eq!(start.elapsed(), Duration::from_secs(310));
}
