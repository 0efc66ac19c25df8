//! The proxy itself: what it carries arrives as it was sent, and what it breaks is broken so.

use std::io;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Admission, Cut, End, Fault, FaultProxy, PerWay, Way};

const SOON: Duration = Duration::from_secs(20);
/// Long enough for what must not happen to happen.
const MOMENT: Duration = Duration::from_millis(300);

/// A server that has accepted one connection through the proxy, and its client.
async fn connected(proxy: &FaultProxy, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(("127.0.0.1", proxy.port()));
    let (client, server) = tokio::join!(client, listener.accept());
    (client.unwrap(), server.unwrap().0)
}

async fn world() -> (FaultProxy, TcpListener) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let proxy = FaultProxy::before(listener.local_addr().unwrap().port()).await;
    (proxy.unwrap(), listener)
}

fn bytes(length: usize, seed: u8) -> Vec<u8> {
    (0..length)
        .map(|n| (n / 251) as u8 ^ n as u8 ^ seed)
        .collect()
}

async fn send(mut to: tokio::net::tcp::OwnedWriteHalf, bytes: Vec<u8>) {
    to.write_all(&bytes).await.unwrap();
    to.shutdown().await.unwrap();
}

/// Until the end, or the error that came instead.
async fn receive(mut from: impl tokio::io::AsyncRead + Unpin) -> (Vec<u8>, io::Result<()>) {
    let mut all = Vec::new();
    let end = tokio::time::timeout(SOON, from.read_to_end(&mut all)).await;
    (all, end.expect("it ends").map(drop))
}

fn any_fault() -> impl Strategy<Value = Fault> {
    (
        0..20_u64,
        0..20_u64,
        any::<u64>(),
        prop::option::of(200_000..5_000_000_u64),
        1..100_000_usize,
    )
        .prop_map(|(delay, jitter, seed, rate, buffer)| Fault {
            delay: Duration::from_millis(delay),
            jitter: Duration::from_millis(jitter),
            seed,
            rate,
            // A small buffer and a long delay together take their time.
            buffer: buffer.max(delay as usize * 4096),
            ..Fault::default()
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sent_arrives_once_and_in_order_under_changing_faults(
        up in any_fault(), down in any_fault(), later in any_fault(), stalled in any::<bool>(),
        lengths in (0..300_000_usize, 0..300_000_usize),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let (proxy, listener) = world().await;
            proxy.set(Way::Up, up);
            proxy.set(Way::Down, down);
            let (client, server) = connected(&proxy, &listener).await;
            let (client_reads, client_writes) = client.into_split();
            let (server_reads, server_writes) = server.into_split();
            let (there, back) = (bytes(lengths.0, 1), bytes(lengths.1, 2));
            let change = async {
                tokio::task::yield_now().await;
                if stalled {
                    proxy.set_both(Fault::stall());
                    tokio::task::yield_now().await;
                }
                proxy.set_both(later);
            };
            let (_, _, (there_got, there_end), (back_got, back_end), ()) = tokio::join!(
                send(client_writes, there.clone()),
                send(server_writes, back.clone()),
                receive(server_reads),
                receive(client_reads),
                change,
            );
            assert!(there_end.is_ok() && back_end.is_ok());
            assert!(there_got == there && back_got == back);
            let all_gone = proxy.wait(SOON, |seen| (seen.live == 0).then_some(*seen)).await;
            let carried = PerWay { up: there.len() as u64, down: back.len() as u64 };
            assert_eq!(all_gone.unwrap().delivered, carried);
        });
    }
}

#[tokio::test]
async fn a_rate_and_a_delay_take_their_time_and_hold_the_sender_back() {
    let (proxy, listener) = world().await;
    let delay = Duration::from_millis(200);
    proxy.set(
        Way::Up,
        Fault {
            delay,
            ..Fault::rate(200_000)
        },
    );
    let (client, server) = connected(&proxy, &listener).await;
    let begun = Instant::now();
    let (_client_reads, client_writes) = client.into_split();
    tokio::spawn(send(client_writes, bytes(100_000, 0)));
    let (got, end) = receive(server).await;
    assert!(end.is_ok() && got == bytes(100_000, 0));
    // 20 ms less for the first burst.
    let least = delay + Duration::from_millis(480);
    assert!(begun.elapsed() >= least, "{:?}", begun.elapsed());

    proxy.set(Way::Up, Fault::stall());
    let (mut client, _server) = connected(&proxy, &listener).await;
    // More than all buffers of both kernels and the proxy: it must come to a stop.
    let flood = async {
        loop {
            client.write_all(&[0; 65536]).await.unwrap();
        }
    };
    assert!(tokio::time::timeout(MOMENT, flood).await.is_err());
    assert!(proxy.seen().taken.up <= 100_000 + Fault::stall().buffer as u64);
}

#[tokio::test]
async fn a_stalled_way_delivers_nothing_until_it_is_cleared_and_then_everything() {
    let (proxy, listener) = world().await;
    proxy.set(Way::Up, Fault::stall());
    let (mut client, mut server) = connected(&proxy, &listener).await;
    client.write_all(b"late").await.unwrap();
    client.shutdown().await.unwrap();
    let mut space = [0; 9];
    let early = tokio::time::timeout(MOMENT, server.read(&mut space)).await;
    assert!(early.is_err(), "{early:?}");
    // The other way goes on.
    server.write_all(b"well").await.unwrap();
    client.read_exact(&mut space[..4]).await.unwrap();
    proxy.clear();
    let (got, end) = receive(server).await;
    assert!(end.is_ok());
    assert_eq!(got, b"late");
}

#[tokio::test]
async fn a_dead_way_takes_all_and_never_tells_the_end() {
    let (proxy, listener) = world().await;
    proxy.set(Way::Up, Fault::dead());
    let (mut client, mut server) = connected(&proxy, &listener).await;
    client.write_all(&bytes(3_000_000, 0)).await.unwrap();
    drop(client);
    let taken = |seen: &super::Seen| (seen.taken.up == 3_000_000).then_some(());
    assert!(proxy.wait(SOON, taken).await.is_some());
    proxy.clear();
    let mut space = [0; 1];
    let told = tokio::time::timeout(MOMENT, server.read(&mut space)).await;
    assert!(told.is_err(), "{told:?}");
    assert_eq!(proxy.seen().delivered.up, 0);
}

#[tokio::test]
async fn a_cut_comes_after_exactly_so_many_bytes_and_once_if_so_wanted() {
    for (end, after) in [(End::Close, 0), (End::Close, 70_001), (End::Reset, 1)] {
        let (proxy, listener) = world().await;
        let once = Cut {
            after,
            end,
            once: true,
        };
        proxy.set(Way::Down, Fault::cut(once));
        let (client, mut server) = connected(&proxy, &listener).await;
        // The cut may come before the end of it.
        let _cut = server.write_all(&bytes(200_000, 3)).await;
        let (got, ended) = receive(client).await;
        assert_eq!(got.len() as u64, after);
        assert_eq!(ended.is_err(), end == End::Reset, "{ended:?}");
        let (_, ended) = receive(server).await;
        assert_eq!(ended.is_err(), end == End::Reset, "{ended:?}");

        let (client, mut server) = connected(&proxy, &listener).await;
        server.write_all(&bytes(200_000, 3)).await.unwrap();
        drop(server);
        assert_eq!(receive(client).await.0.len(), 200_000);
        assert_eq!(proxy.seen().cuts, 1);
    }
}

#[tokio::test]
async fn an_end_reaches_both_sides_and_no_later_connection() {
    for end in [End::Reset, End::Close] {
        let (proxy, listener) = world().await;
        let (client, server) = connected(&proxy, &listener).await;
        proxy.end(end);
        for side in [client, server] {
            let (_, ended) = receive(side).await;
            assert_eq!(ended.is_err(), end == End::Reset, "{end:?}: {ended:?}");
        }
        let gone = |seen: &super::Seen| (seen.live == 0).then_some(());
        assert!(proxy.wait(SOON, gone).await.is_some());
        let (mut client, mut server) = connected(&proxy, &listener).await;
        client.write_all(b"new").await.unwrap();
        server.read_exact(&mut [0; 3]).await.unwrap();
    }
}

#[tokio::test]
async fn a_broken_side_is_a_broken_connection_to_the_other() {
    let (proxy, listener) = world().await;
    let (client, server) = connected(&proxy, &listener).await;
    super::connection::reset(&server);
    drop(server);
    let (_, ended) = receive(client).await;
    assert!(ended.is_err());
}

#[tokio::test]
async fn a_connection_is_refused_or_left_alone_as_told() {
    let (proxy, listener) = world().await;
    let connect = || TcpStream::connect(("127.0.0.1", proxy.port()));
    for _ in 0..3 {
        proxy.admit(Admission::Refused).await;
        let refused = connect().await.unwrap_err().kind();
        assert_eq!(refused, io::ErrorKind::ConnectionRefused);
        proxy.admit(Admission::Silent).await;
        let mut silent = connect().await.unwrap();
        silent.write_all(b"anybody?").await.unwrap();
        let answer = tokio::time::timeout(MOMENT, silent.read_u8()).await;
        assert!(answer.is_err(), "{answer:?}");
        proxy.end(End::Reset);
        assert!(receive(silent).await.1.is_err());
    }
    proxy.admit(Admission::Open).await;
    let (mut client, mut server) = connected(&proxy, &listener).await;
    client.write_all(b"open").await.unwrap();
    server.read_exact(&mut [0; 4]).await.unwrap();
}
