//! The pool and jump hosts.

use std::sync::atomic::Ordering;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::server::{Event, OnChannel, Script, Server};
use super::*;

const LONG: Duration = Duration::from_secs(3600);

fn pool(fixture: &Fixture) -> Pool {
    Pool::new(fixture.environment.clone())
}

async fn ask(pool: &Pool, target: &Target) -> Result<Session, Error> {
    pool.session(target, Arc::new(NoPrompter), LONG).await
}

#[tokio::test]
async fn a_hundred_cold_requests_connect_once() {
    let fixture = Fixture::new();
    let server = Server::start(Script::default()).await;
    fixture.trust(&server);
    let pool = pool(&fixture);
    let target = fixture.target(&server);
    let asking = (0..100).map(|_| ask(&pool, &target));
    let sessions = soon(futures_util::future::join_all(asking)).await;
    assert!(sessions.iter().all(Result::is_ok));
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    assert!(pool.current(&target).is_some());

    // Another password is no other route.
    let mut same = target.clone();
    same.hops[0].password = Some("other".into());
    assert!(pool.current(&same).is_some());
    same.hops[0].username = "somebody".into();
    assert!(pool.current(&same).is_none());
}

#[tokio::test]
async fn everybody_gets_the_same_error_and_the_next_one_tries_again() {
    let fixture = Fixture::new();
    let server = Server::start(Script::default()).await;
    fixture.trust(&server);
    let pool = pool(&fixture);
    let mut target = fixture.target(&server);
    target.hops[0].password = Some("wrong".into());
    let (a, b) = soon(async { tokio::join!(ask(&pool, &target), ask(&pool, &target)) }).await;
    for result in [a, b] {
        assert!(matches!(
            result.unwrap_err().cause,
            Cause::AuthFailed { .. }
        ));
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    soon(ask(&pool, &fixture.target(&server))).await.unwrap();
}

#[tokio::test]
async fn a_connect_that_nobody_waits_for_is_stopped() {
    let fixture = Fixture::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = Target::new(vec![Hop::new("127.0.0.1", port, "ai")]);
    let pool = pool(&fixture);
    let mut socket = {
        let asking = ask(&pool, &target);
        tokio::pin!(asking);
        tokio::select! {
            accepted = listener.accept() => accepted.unwrap().0,
            _ = &mut asking => panic!("cannot connect to a silent server"),
        }
    };
    // The client's banner, and then its end.
    let mut said = Vec::new();
    let _ = soon(socket.read_to_end(&mut said)).await;
    assert!(said.starts_with(b"SSH-2.0-test\r\n") || said.is_empty());
}

#[tokio::test]
async fn a_dead_connection_is_replaced() {
    let fixture = Fixture::new();
    let server = Server::start(Script::default()).await;
    fixture.trust(&server);
    let pool = pool(&fixture);
    let target = fixture.target(&server);
    let first = ask(&pool, &target).await.unwrap();
    server.disconnect("restart").await;
    soon(first.closed()).await;
    assert!(pool.current(&target).is_none());
    let second = soon(ask(&pool, &target)).await.unwrap();
    assert!(second.is_alive());
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_used_one_is_not() {
    let fixture = Fixture::new();
    let server = Server::start(Script::default()).await;
    fixture.trust(&server);
    let pool = pool(&fixture);
    let mut target = fixture.target(&server);
    target.idle = Some(Duration::from_millis(50));
    let session = ask(&pool, &target).await.unwrap();
    let stream = session.open(somewhere()).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(3)).await;
    tokio::time::resume();
    assert!(session.latency().await.is_ok());
    drop(stream);
    soon(session.closed()).await;
    assert!(pool.current(&target).is_none());
}

#[tokio::test]
async fn to_be_given_a_connection_is_to_use_it() {
    let fixture = Fixture::new();
    let server = Server::start(Script::default()).await;
    fixture.trust(&server);
    let pool = pool(&fixture);
    let target = fixture.target(&server);
    let session = ask(&pool, &target).await.unwrap();
    let mut activity = session.activity();
    activity.borrow_and_update();
    assert!(pool.current(&target).is_some());
    assert!(activity.has_changed().unwrap());
    activity.borrow_and_update();
    ask(&pool, &target).await.unwrap();
    assert!(activity.has_changed().unwrap());
}

#[tokio::test]
async fn a_worn_connection_is_replaced_and_its_streams_live_on() {
    let fixture = Fixture::new();
    let mut server = Server::start(Script::default()).await;
    fixture.trust(&server);
    let pool = pool(&fixture);
    let target = fixture.target(&server);
    let worn = ask(&pool, &target).await.unwrap();
    let mut stream = worn.open(somewhere()).await.unwrap();
    while !worn.is_worn() {
        worn.open(somewhere()).await.unwrap().close().await;
        soon(server.wait_for(&Event::Closed)).await;
    }
    // It will do until there is another one.
    assert!(ask(&pool, &target).await.unwrap().is(&worn));
    let fresh = soon(async {
        loop {
            if let Some(session) = pool.current(&target) {
                return session;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!fresh.is(&worn));
    stream.write_all(b"still").await.unwrap();
    let mut text = [0; 5];
    soon(stream.read_exact(&mut text)).await.unwrap();
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
    // With its last stream it goes.
    drop(stream);
    soon(worn.closed()).await;
    assert!(fresh.is_alive());
}

/// Takes so long to open a channel, as far as the connection knows.
fn saturate(session: &Session) {
    for took in [1, 900, 900, 900, 900, 900, 900, 900] {
        session.link().opened(Duration::from_millis(took));
    }
}

#[tokio::test]
async fn a_saturated_connection_gets_another_one_beside_it_if_the_profile_wants_that() {
    let fixture = Fixture::new();
    let server = Server::start(Script::default()).await;
    fixture.trust(&server);
    let pool = pool(&fixture);
    let mut target = fixture.target(&server);
    target.max_connections = 2;
    let first = ask(&pool, &target).await.unwrap();
    let _stream = first.open(somewhere()).await.unwrap();
    saturate(&first);
    let second = soon(async {
        loop {
            let session = pool.current(&target).unwrap();
            if !session.is(&first) {
                return session;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    saturate(&first);
    saturate(&second);
    let mut states = pool.watch(&target);
    soon(pool.probe(&target)).await;
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);

    // As long as one is left, there is a connection.
    second.give_up();
    soon(second.closed()).await;
    soon(pool.probe(&target)).await;
    assert!(pool.current(&target).unwrap().is(&first));
    assert!(matches!(*states.borrow_and_update(), State::Ready { .. }));
}

#[tokio::test]
async fn disconnect_stops_a_connect_under_way() {
    let fixture = Fixture::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = Target::new(vec![Hop::new("127.0.0.1", port, "ai")]);
    let pool = pool(&fixture);
    let stopping = async {
        let _socket = listener.accept().await.unwrap();
        pool.disconnect(&target).await;
    };
    let (result, ()) = soon(async { tokio::join!(ask(&pool, &target), stopping) }).await;
    assert!(matches!(result.unwrap_err().cause, Cause::Closed));
}

#[tokio::test]
async fn disconnect_and_shutdown_end_connections() {
    let fixture = Fixture::new();
    let server = Server::start(Script::default()).await;
    fixture.trust(&server);
    let pool = pool(&fixture);
    let target = fixture.target(&server);
    let session = ask(&pool, &target).await.unwrap();
    soon(pool.disconnect(&target)).await;
    assert!(!session.is_alive());

    let session = ask(&pool, &target).await.unwrap();
    soon(pool.shutdown()).await;
    assert!(!session.is_alive());
    let error = ask(&pool, &target).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Closed), "{error:?}");
}

#[tokio::test]
async fn a_machine_behind_a_jump_host_is_reached_under_its_own_name() {
    let fixture = Fixture::new();
    let bastion = Server::start(Script {
        channel: OnChannel::Forward,
        ..Script::default()
    })
    .await;
    let mut machine = Server::start(Script::default()).await;
    fixture.trust(&bastion);
    let target = Target::new(vec![hop(&bastion), hop(&machine)]);
    let pool = pool(&fixture);

    // The machine's own key is judged, not the bastion's.
    let error = soon(ask(&pool, &target)).await.unwrap_err();
    assert_eq!(error.place.hop, 1);
    assert!(
        matches!(error.cause, Cause::HostKeyUnknown { .. }),
        "{error:?}"
    );

    fixture.trust(&machine);
    let session = soon(ask(&pool, &target)).await.unwrap();
    assert_eq!(bastion.connections.load(Ordering::SeqCst), 1);
    let mut stream = session.open(somewhere()).await.unwrap();
    stream.write_all(b"through").await.unwrap();
    let mut text = [0; 7];
    soon(stream.read_exact(&mut text)).await.unwrap();
    assert_eq!(&text, b"through");
    soon(machine.wait_for(&Event::Data(7))).await;

    // The bastion is shared with those who go there only.
    let first_hop = Target::new(vec![hop(&bastion)]);
    assert!(pool.current(&first_hop).is_some());

    // Without the bastion, nothing is left, and it is the one to be named.
    bastion.cut();
    assert!(soon(stream.read_u8()).await.is_err());
    let error = soon(session.closed()).await;
    assert_eq!(
        (error.place.hop, error.place.port),
        (0, bastion.address.port()),
        "{error:?}"
    );
}

#[tokio::test]
async fn what_the_jump_host_cannot_reach_names_both() {
    let fixture = Fixture::new();
    let bastion = Server::start(Script {
        channel: OnChannel::Refuse(russh::ChannelOpenFailure::ConnectFailed),
        ..Script::default()
    })
    .await;
    fixture.trust(&bastion);
    let target = Target::new(vec![hop(&bastion), Hop::new("gpu1", 22, "ai")]);
    let recording = Arc::new(Recording::default());
    let error = connect(
        &target,
        fixture.environment.clone(),
        Arc::new(NoPrompter),
        recording.clone(),
    )
    .await
    .unwrap_err();
    assert_eq!((error.place.hop, error.place.host.as_str()), (1, "gpu1"));
    let Cause::NotReachedThrough { via, .. } = &error.cause else {
        panic!("{error:?}");
    };
    assert_eq!(via.port, bastion.address.port());
    let told = recording.told();
    assert_eq!(
        told[told.len() - 3..],
        ["1 Resolve skipped", "1 Tcp started", "1 Tcp failed"]
    );
}

#[tokio::test]
async fn a_jump_host_that_may_not_forward_is_at_fault_itself() {
    let fixture = Fixture::new();
    let bastion = Server::start(Script {
        channel: OnChannel::Refuse(russh::ChannelOpenFailure::AdministrativelyProhibited),
        ..Script::default()
    })
    .await;
    fixture.trust(&bastion);
    let target = Target::new(vec![hop(&bastion), Hop::new("gpu1", 22, "ai")]);
    let error = soon(fixture.connect(&target)).await.unwrap_err();
    assert_eq!((error.place.hop, error.place.hops), (0, 2));
    assert_eq!(error.place.port, bastion.address.port());
    let Cause::ForwardingDenied { destination } = &error.cause else {
        panic!("{error:?}");
    };
    assert_eq!(destination.to_string(), "gpu1:22");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_target_without_hops_is_an_error() {
    let fixture = Fixture::new();
    let target = Target::new(vec![]);
    let pool = pool(&fixture);
    for result in [ask(&pool, &target).await, fixture.connect(&target).await] {
        assert!(matches!(result.unwrap_err().cause, Cause::NoRoute));
    }
}
