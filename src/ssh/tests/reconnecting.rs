//! A connection that was lost.

use std::sync::atomic::Ordering;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

use super::server::{Script, Server, random_key};
use super::*;

const LONG: Duration = Duration::from_secs(3600);

/// A pool with one connection.
struct Scene {
    fixture: Fixture,
    server: Server,
    pool: Pool,
    target: Target,
}

impl Scene {
    async fn connected(script: Script, prompter: Arc<dyn Prompter>) -> Self {
        let fixture = Fixture::new();
        let server = Server::start(script).await;
        fixture.trust(&server);
        let pool = Pool::new(fixture.environment.clone());
        let mut target = fixture.target(&server);
        target.hops[0].auth = AuthMethod::Auto;
        target.hops[0].identities_only = true;
        target.hops[0].identity_files = Some(Vec::new());
        let asked = pool.session(&target, prompter, LONG);
        soon(asked).await.unwrap();
        Self {
            fixture,
            server,
            pool,
            target,
        }
    }

    async fn ask(&self, patience: Duration) -> Result<Session, Error> {
        let asking = self
            .pool
            .session(&self.target, Arc::new(NoPrompter), patience);
        soon(asking).await
    }

    fn connections(&self) -> usize {
        self.server.connections.load(Ordering::SeqCst)
    }
}

/// Waits for a state.
async fn until(states: &mut watch::Receiver<State>, fits: impl FnMut(&State) -> bool) -> State {
    soon(states.wait_for(fits)).await.unwrap().clone()
}

fn is_ready(state: &State) -> bool {
    matches!(state, State::Ready { .. })
}

fn is_waiting(state: &State) -> bool {
    matches!(state, State::Reconnecting { next: Some(_), .. })
}

#[tokio::test]
async fn a_connection_that_is_watched_comes_back_by_itself() {
    let scene = Scene::connected(Script::default(), Arc::new(NoPrompter)).await;
    let mut states = scene.pool.watch(&scene.target);
    assert!(is_ready(&states.borrow_and_update()));
    scene.server.disconnect("restart").await;
    let state = until(&mut states, |state| !is_ready(state)).await;
    let State::Reconnecting { attempt, error, .. } = state else {
        panic!("{state:?}");
    };
    assert_eq!(attempt, 1);
    assert!(matches!(error.cause, Cause::Disconnected { .. }), "{error}");
    until(&mut states, is_ready).await;
    assert_eq!(scene.connections(), 2);
    assert!(scene.pool.current(&scene.target).is_some());
}

#[tokio::test]
async fn a_connection_that_nobody_watches_stays_lost_until_somebody_wants_it() {
    let scene = Scene::connected(Script::default(), Arc::new(NoPrompter)).await;
    let lost = scene.pool.current(&scene.target).unwrap();
    scene.server.disconnect("restart").await;
    soon(lost.closed()).await;
    let mut states = scene.pool.watch(&scene.target);
    until(&mut states, |state| matches!(state, State::Failed { .. })).await;
    assert_eq!(scene.connections(), 1);
    scene.ask(LONG).await.unwrap();
    assert_eq!(scene.connections(), 2);
}

#[tokio::test]
async fn a_login_that_took_a_person_is_not_repeated_unasked() {
    let script = Script {
        password: None,
        dialogue: vec![vec![("Code: ", true, "123456")]],
        ..Script::default()
    };
    let person = Answering::with([Ok(vec!["123456"]), Ok(vec!["123456"])]);
    let mut scene = Scene::connected(script, person.clone()).await;
    scene.target.hops[0].password = None;
    let mut states = scene.pool.watch(&scene.target);
    scene.server.disconnect("restart").await;
    until(&mut states, |state| {
        matches!(state, State::NeedsUser { .. })
    })
    .await;
    assert_eq!((scene.connections(), person.asked().len()), (1, 1));

    let again = scene.pool.session(&scene.target, person.clone(), LONG);
    soon(again).await.unwrap();
    assert!(is_ready(&states.borrow_and_update()));
    assert_eq!((scene.connections(), person.asked().len()), (2, 2));
}

#[tokio::test]
async fn a_machine_that_is_away_is_tried_until_it_is_back() {
    let key = random_key();
    let fixture = Fixture::new();
    let server = Server::start_with_key(Script::default(), key.clone()).await;
    fixture.trust(&server);
    let pool = Pool::new(fixture.environment.clone());
    let target = fixture.target(&server);
    let ask = |patience| pool.session(&target, Arc::new(NoPrompter), patience);
    ask(LONG).await.unwrap();
    let mut states = pool.watch(&target);
    let address = server.address;
    drop(server);
    until(&mut states, |state| {
        matches!(state, State::Reconnecting { attempt: 3, .. })
    })
    .await;

    // Those who want it wait for a while, and then learn why there is none.
    let error = soon(ask(Duration::from_millis(50))).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Refused { .. }), "{error}");
    let waiting = ask(LONG);
    let (session, _server) =
        soon(async { tokio::join!(waiting, Server::start_at(address, Script::default(), key)) })
            .await;
    session.unwrap();
    assert!(is_ready(&states.borrow_and_update()));
}

#[tokio::test]
async fn a_machine_that_comes_back_with_another_key_needs_the_user() {
    let scene = Scene::connected(Script::default(), Arc::new(NoPrompter)).await;
    let mut states = scene.pool.watch(&scene.target);
    let address = scene.server.address;
    scene.server.cut();
    until(&mut states, is_waiting).await;
    let other = Server::start_at(address, Script::default(), random_key()).await;
    let state = until(&mut states, |state| {
        matches!(state, State::NeedsUser { .. })
    })
    .await;
    let State::NeedsUser { error } = state else {
        panic!("{state:?}");
    };
    assert!(
        matches!(error.cause, Cause::HostKeyChanged { .. }),
        "{error}"
    );
    assert_eq!(other.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_server_that_hangs_up_before_the_login_is_left_alone_whoever_wants_it() {
    let scene = Scene::connected(Script::default(), Arc::new(NoPrompter)).await;
    let mut states = scene.pool.watch(&scene.target);
    let address = scene.server.address;
    scene.server.cut();
    until(&mut states, is_waiting).await;
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    drop(soon(listener.accept()).await.unwrap());
    let hung_up = |state: &State| match state {
        State::Reconnecting { error, next, .. } => {
            next.is_some() && matches!(error.cause, Cause::HandshakeClosed { .. })
        }
        _ => false,
    };
    let state = until(&mut states, hung_up).await;
    let State::Reconnecting {
        next: Some(next), ..
    } = state
    else {
        panic!("{state:?}");
    };
    let wait = next.saturating_duration_since(Instant::now());
    assert!(wait > Duration::from_secs(4), "{wait:?}");

    let error = scene.ask(Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(error.cause, Cause::HandshakeClosed { .. }));
    // A person's wish to wake it up changes nothing about that.
    scene.pool.probe(&scene.target).await;
    let knocked = tokio::time::timeout(Duration::from_millis(50), listener.accept());
    assert!(knocked.await.is_err());
}

#[tokio::test]
async fn disconnect_ends_the_tries() {
    let scene = Scene::connected(Script::default(), Arc::new(NoPrompter)).await;
    let mut states = scene.pool.watch(&scene.target);
    scene.server.cut();
    until(&mut states, is_waiting).await;
    soon(scene.pool.disconnect(&scene.target)).await;
    assert!(matches!(*states.borrow_and_update(), State::Off));
}

/// Which try a state belongs to.
fn attempt(state: &State) -> u32 {
    match state {
        State::Reconnecting { attempt, .. } => *attempt,
        _ => 0,
    }
}

/// With the clock stopped, so that hours pass in no time; a loopback port refuses at once.
#[tokio::test]
async fn tries_become_rare_wake_up_with_the_computer_and_end_when_nobody_uses_the_connection() {
    const IDLE: Duration = Duration::from_secs(600);
    let mut scene = Scene::connected(Script::default(), Arc::new(NoPrompter)).await;
    scene.target.idle = Some(IDLE);
    scene.pool = Pool::new(scene.fixture.environment.clone());
    let session = scene.ask(LONG).await.unwrap();
    let mut states = scene.pool.watch(&scene.target);
    scene.server.cut();
    until(&mut states, is_waiting).await;
    drop(session);

    tokio::time::pause();
    let begun = Instant::now();
    let mut waits = Vec::new();
    let mut early = 0;
    let state = loop {
        states.changed().await.unwrap();
        let state = states.borrow_and_update().clone();
        match state {
            State::Reconnecting {
                next: Some(next), ..
            } => {
                let wait = next.saturating_duration_since(Instant::now());
                if begun.elapsed() < Duration::from_secs(60) {
                    early += 1;
                    assert!(wait <= Duration::from_secs(2), "{wait:?}");
                } else if waits.len() == 3 {
                    // A long wait ends with the sleep.
                    let tried = attempt(&state);
                    let slept = Instant::now();
                    scene.pool.probe(&scene.target).await;
                    states
                        .wait_for(|state| attempt(state) > tried)
                        .await
                        .unwrap();
                    assert!(slept.elapsed() < Duration::from_secs(1));
                    waits.push(wait);
                } else {
                    waits.push(wait);
                }
            }
            State::Reconnecting { .. } => {}
            state => break state,
        }
    };
    assert!(matches!(state, State::Failed { .. }), "{state:?}");
    assert!(early > 30, "{early} tries in the first minute");
    assert!((20..200).contains(&waits.len()), "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= Duration::from_secs(30)));
    let took = begun.elapsed();
    assert!(
        took <= IDLE && took > IDLE - Duration::from_secs(40),
        "{took:?}"
    );
}

#[tokio::test]
async fn a_bastion_is_connected_again_by_those_behind_it() {
    let fixture = Fixture::new();
    let bastion = Server::start(Script {
        channel: super::server::OnChannel::Forward,
        ..Script::default()
    })
    .await;
    let machine = Server::start(Script::default()).await;
    fixture.trust(&bastion);
    fixture.trust(&machine);
    let target = Target::new(vec![hop(&bastion), hop(&machine)]);
    let pool = Pool::new(fixture.environment.clone());
    soon(pool.session(&target, Arc::new(NoPrompter), LONG))
        .await
        .unwrap();
    let mut states = pool.watch(&target);
    bastion.disconnect("restart").await;
    until(&mut states, |state| !is_ready(state)).await;
    until(&mut states, is_ready).await;
    assert_eq!(bastion.connections.load(Ordering::SeqCst), 2);
    assert_eq!(machine.connections.load(Ordering::SeqCst), 2);
}
