//! Streams: their ends, their limits, their neighbours.

use std::io;

use russh::ChannelOpenFailure;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::server::{Event, OnChannel, Script, Server};
use super::*;

async fn session_with(channel: OnChannel) -> (Fixture, Server, Session) {
    let fixture = Fixture::new();
    let server = Server::start(Script {
        channel,
        ..Script::default()
    })
    .await;
    fixture.trust(&server);
    let session = fixture.connect(&fixture.target(&server)).await.unwrap();
    (fixture, server, session)
}

fn source<T: std::error::Error + Clone + 'static>(error: &io::Error) -> T {
    error
        .get_ref()
        .and_then(|source| source.downcast_ref::<T>())
        .unwrap_or_else(|| panic!("{error:?}"))
        .clone()
}

#[tokio::test]
async fn bytes_come_back_in_order() {
    let (_fixture, _server, session) = session_with(OnChannel::Echo).await;
    let stream = session.open(somewhere()).await.unwrap();
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| (n / 7) as u8).collect();
    let (mut reading, mut writing) = tokio::io::split(stream);
    let mut got = vec![0; sent.len()];
    let write = async {
        writing.write_all(&sent).await.unwrap();
        writing.flush().await.unwrap();
    };
    let read = async { reading.read_exact(&mut got).await.unwrap() };
    soon(async { tokio::join!(write, read) }).await;
    assert_eq!(got, sent);
}

#[tokio::test]
async fn a_unix_socket_opens_like_a_port() {
    let (_fixture, _server, session) = session_with(OnChannel::Say(b"hello")).await;
    let to = Destination::Unix {
        path: "/run/llm.sock".into(),
    };
    let mut stream = session.open(to).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "hello");
}

#[tokio::test]
async fn the_end_of_the_data_is_no_loss_and_shutdown_sends_no_eof() {
    let (_fixture, mut server, session) = session_with(OnChannel::Say(b"all")).await;
    let mut stream = session.open(somewhere()).await.unwrap();
    stream.write_all(b"request").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = Vec::new();
    soon(stream.read_to_end(&mut text)).await.unwrap();
    assert_eq!(text, b"all");
    drop(stream);
    soon(server.wait_for(&Event::Closed)).await;
    assert!(!server.events_so_far().contains(&Event::Eof));
}

#[tokio::test]
async fn a_lost_connection_is_an_error_and_not_the_end() {
    let (_fixture, server, session) = session_with(OnChannel::Echo).await;
    let mut stream = session.open(somewhere()).await.unwrap();
    stream.write_all(b"abc").await.unwrap();
    let mut text = [0; 3];
    soon(stream.read_exact(&mut text)).await.unwrap();
    server.cut();
    let error = soon(stream.read_u8()).await.unwrap_err();
    let lost: Lost = source(&error);
    assert!(lost.0.is_transient());
    let error = soon(stream.write_all(b"x")).await.unwrap_err();
    let _: Lost = source(&error);
    assert!(!session.is_alive());
    soon(session.closed()).await;
    assert!(session.open(somewhere()).await.unwrap_err().is_transient());
    assert!(session.latency().await.is_err());
}

#[tokio::test]
async fn a_writer_that_waits_for_the_window_learns_of_the_loss() {
    let (_fixture, server, session) = session_with(OnChannel::Silent).await;
    let mut stream = session.open(somewhere()).await.unwrap();
    let writing = tokio::spawn(async move {
        let chunk = vec![0; 64 * 1024];
        loop {
            if let Err(error) = stream.write_all(&chunk).await {
                return error;
            }
        }
    });
    // Until the loss, the writer is held back by the window: 256 KiB here.
    let other = session.open(somewhere()).await.unwrap();
    server.cut();
    let _: Lost = source(&soon(writing).await.unwrap());
    drop(other);
}

#[tokio::test]
async fn the_servers_goodbye_is_kept() {
    let (_fixture, server, session) = session_with(OnChannel::Echo).await;
    let mut stream = session.open(somewhere()).await.unwrap();
    server.disconnect("going down\x07").await;
    let lost: Lost = source(&soon(stream.read_u8()).await.unwrap_err());
    let Cause::Disconnected { message } = lost.0.cause else {
        panic!("{lost:?}");
    };
    assert_eq!(message.unwrap(), "going down\\u{7}");
}

#[tokio::test]
async fn a_password_in_the_servers_goodbye_is_not_kept() {
    let (_fixture, server, session) = session_with(OnChannel::Echo).await;
    let mut stream = session.open(somewhere()).await.unwrap();
    server.disconnect("the password was: secret").await;
    let lost: Lost = source(&soon(stream.read_u8()).await.unwrap_err());
    let Cause::Disconnected { message } = lost.0.cause else {
        panic!("{lost:?}");
    };
    assert_eq!(message.unwrap(), "the password was: [redacted]");
}

#[tokio::test]
async fn dropping_a_stream_closes_its_channel() {
    let (_fixture, mut server, session) = session_with(OnChannel::Flood(1000)).await;
    for _ in 0..20 {
        let mut stream = session.open(somewhere()).await.unwrap();
        stream.read_u8().await.unwrap();
        drop(stream);
        soon(server.wait_for(&Event::Closed)).await;
    }
    let stream = session.open(somewhere()).await.unwrap();
    soon(stream.close()).await;
    soon(server.wait_for(&Event::Closed)).await;
}

#[tokio::test]
async fn a_stream_that_opens_for_nobody_is_closed() {
    use futures_util::FutureExt as _;
    let (_fixture, mut server, session) = session_with(OnChannel::Echo).await;
    for _ in 0..20 {
        assert!(session.open(somewhere()).now_or_never().is_none());
    }
    for _ in 0..20 {
        soon(server.wait_for(&Event::Closed)).await;
    }
    assert!(session.latency().await.is_ok());
}

#[tokio::test]
async fn an_unread_stream_is_given_up_without_harming_its_neighbour() {
    let (_fixture, mut server, session) = session_with(OnChannel::Flood(32 * 1024)).await;
    let mut unread = session.open(somewhere()).await.unwrap();
    soon(server.wait_for(&Event::Closed)).await;
    let slow: SlowConsumer = source(&soon(unread.read_u8()).await.unwrap_err());
    assert!(slow.buffered > 8 * 1024 * 1024);
    let error = soon(async {
        loop {
            if let Err(error) = unread.write_all(b"x").await {
                return error;
            }
        }
    })
    .await;
    let _: SlowConsumer = source(&error);

    // A neighbour that reads is served all the while.
    let _unread = session.open(somewhere()).await.unwrap();
    let mut read = session.open(somewhere()).await.unwrap();
    let mut space = vec![0; 4 * 1024 * 1024];
    soon(read.read_exact(&mut space)).await.unwrap();
    assert!(session.latency().await.is_ok());
}

/// Four times what a stream may hold, from a server that is much faster than the reader.
#[tokio::test]
async fn a_reader_that_works_gets_everything_however_slow_it_is() {
    let (_fixture, _server, session) = session_with(OnChannel::Flood(32 * 1024)).await;
    let mut stream = session.open(somewhere()).await.unwrap();
    let mut space = vec![0; 64 * 1024];
    for _ in 0..512 {
        soon(stream.read_exact(&mut space)).await.unwrap();
        // What a piece means takes longer than to send it.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    drop(stream);
    assert!(session.latency().await.is_ok());
}

#[tokio::test]
async fn refusals_name_the_destination_and_the_reason() {
    for (refusal, transient) in [
        (ChannelOpenFailure::ConnectFailed, true),
        (ChannelOpenFailure::AdministrativelyProhibited, false),
        (ChannelOpenFailure::UnknownChannelType, false),
        (ChannelOpenFailure::ResourceShortage, true),
    ] {
        let (_fixture, _server, session) = session_with(OnChannel::Refuse(refusal.clone())).await;
        let error = session.open(somewhere()).await.unwrap_err();
        assert_eq!(error.is_transient(), transient, "{error}");
        let fits = matches!(
            (&refusal, &error.cause),
            (
                ChannelOpenFailure::ConnectFailed,
                Cause::DestinationRefused { .. }
            ) | (
                ChannelOpenFailure::AdministrativelyProhibited,
                Cause::ForwardingDenied { .. }
            ) | (
                ChannelOpenFailure::UnknownChannelType,
                Cause::ForwardingUnsupported { .. }
            ) | (
                ChannelOpenFailure::ResourceShortage,
                Cause::ServerFull { .. }
            )
        );
        assert!(fits, "{error:?}");
        assert!(error.to_string().contains("127.0.0.1:8080"));
    }
}

#[tokio::test]
async fn an_open_that_is_never_answered_times_out() {
    let (_fixture, _server, session) = session_with(OnChannel::Ignore).await;
    tokio::time::pause();
    let error = session.open(somewhere()).await.unwrap_err();
    assert!(
        matches!(error.cause, Cause::ChannelTimeout { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn closing_a_session_ends_its_streams_and_is_no_transient_error() {
    let (_fixture, mut server, session) = session_with(OnChannel::Echo).await;
    let mut stream = session.open(somewhere()).await.unwrap();
    soon(session.close()).await;
    let lost: Lost = source(&soon(stream.read_u8()).await.unwrap_err());
    assert!(matches!(lost.0.cause, Cause::Closed), "{lost:?}");
    soon(server.wait_for(&Event::Closed)).await;
}

#[tokio::test]
async fn a_session_ends_with_its_last_user() {
    let (_fixture, _server, session) = session_with(OnChannel::Echo).await;
    let gone = session.when_gone();
    let mut stream = session.open(somewhere()).await.unwrap();
    drop(session);
    stream.write_all(b"still").await.unwrap();
    let mut text = [0; 5];
    soon(stream.read_exact(&mut text)).await.unwrap();
    drop(stream);
    soon(gone).await;
}

#[tokio::test]
async fn channels_that_the_server_opens_are_refused() {
    let (_fixture, server, _session) = session_with(OnChannel::Echo).await;
    let handle = server.handle().await;
    let refused = |result: Result<_, russh::Error>| {
        matches!(result, Err(russh::Error::ChannelOpenFailure(_)))
    };
    assert!(refused(
        soon(handle.channel_open_forwarded_tcpip("h", 1, "o", 2))
            .await
            .map(drop)
    ));
    assert!(refused(soon(handle.channel_open_session()).await.map(drop)));
    assert!(refused(soon(handle.channel_open_agent()).await.map(drop)));
    assert!(refused(
        soon(handle.channel_open_x11("o", 2)).await.map(drop)
    ));
}
