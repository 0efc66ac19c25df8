//! A lost connection comes back by itself, tells the host how it does, and asks nobody unasked.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG, PASSWORD, USER, prompt, with};
use crate::support::daemon::{Answer, Daemon};
use crate::support::fault_proxy::{Admission, End, Fault, FaultProxy};
use crate::support::llm_server::Reply;
use crate::support::ssh_server::{Login, Question};

/// A profile that is connected through a proxy.
struct Scene {
    bed: Bed,
    proxy: FaultProxy,
    daemon: Daemon,
}

impl Scene {
    async fn connected(login: Login, ssh: Value) -> Self {
        let bed = Bed::with_login(login).await;
        let proxy = FaultProxy::before(bed.ssh.port()).await.unwrap();
        let key = bed.ssh.host_key().public_line();
        bed.write_known_hosts(&format!("[127.0.0.1]:{} {key}\n", proxy.port()));
        let daemon = bed.daemon().await;
        daemon.answer_with(|_| Answer::prompts(&["123456"]));
        let ssh = with(with(bed.ssh_params(), &json!({"port": proxy.port()})), &ssh);
        let llm = with(
            bed.llm_params(),
            &json!({"timeouts": {"connectMs": 1500}, "maxRetries": 0}),
        );
        bed.configure_with(&daemon, ssh, llm).await;
        let status = daemon.ok("remote-llm/connect", json!({"configId": CONFIG}));
        assert_eq!(status.await["state"], "ready");
        Self { bed, proxy, daemon }
    }

    async fn with_password() -> Self {
        Self::connected(Login::password(USER, PASSWORD), json!({})).await
    }

    /// The states so far, those that follow each other once.
    fn states(&self) -> Vec<String> {
        let mut states: Vec<_> = self
            .statuses()
            .iter()
            .map(|status| status["state"].as_str().unwrap().to_owned())
            .collect();
        states.dedup();
        states
    }

    fn statuses(&self) -> Vec<Value> {
        self.daemon.read(|traffic| {
            let notifications = traffic.notifications.iter();
            notifications
                .filter(|message| message["method"] == "remote-llm/connection-status")
                .map(|message| message["params"].clone())
                .collect()
        })
    }

    /// Waits for a status after the first `seen` ones.
    async fn status(&self, seen: usize, fits: impl Fn(&Value) -> bool) -> Value {
        self.daemon
            .wait("a connection status", |traffic| {
                let notifications = traffic.notifications.iter();
                notifications
                    .filter(|message| message["method"] == "remote-llm/connection-status")
                    .skip(seen)
                    .map(|message| &message["params"])
                    .find(|status| fits(status))
                    .cloned()
            })
            .await
    }

    fn question(name: &str) -> Value {
        with(prompt(name, "Are you there?"), &json!({"model": "smol"}))
    }
}

fn is(state: &'static str) -> impl Fn(&Value) -> bool {
    move |status| status["state"] == state
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_comes_back_without_anybody_asking() {
    let scene = Scene::with_password().await;
    let seen = scene.statuses().len();
    scene.proxy.end(End::Reset);
    let lost = scene.status(seen, is("reconnecting")).await;
    assert_eq!(lost["attempt"], 1, "{lost}");
    assert_eq!(lost["error"]["data"]["code"], "SSH_DISCONNECTED", "{lost}");
    scene.status(seen, is("ready")).await;
    assert_eq!(scene.bed.ssh.seen().logins, 2);
    assert_eq!(
        scene.states(),
        ["connecting", "ready", "reconnecting", "ready"]
    );
    scene
        .daemon
        .ok("remote-llm/stream-prompt", Scene::question("p"))
        .await;
    assert_eq!(scene.bed.ssh.seen().logins, 2);
    scene.daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_away_is_told_with_the_number_and_the_time_of_the_next_try() {
    let scene = Scene::with_password().await;
    let seen = scene.statuses().len();
    scene.proxy.admit(Admission::Refused).await;
    scene.proxy.end(End::Close);
    let third = scene
        .status(seen, |status| {
            status["attempt"] == 3 && status["retryInMs"].is_u64()
        })
        .await;
    assert_eq!(third["error"]["data"]["code"], "SSH_UNREACHABLE", "{third}");
    assert!(third["retryInMs"].as_u64().unwrap() <= 2000, "{third}");

    // Requests wait for as long as the profile says, and then say what is wrong.
    let begun = Instant::now();
    let error = scene
        .daemon
        .err("remote-llm/stream-prompt", Scene::question("p"));
    let error = error.await;
    assert_eq!(error.code(), "SSH_UNREACHABLE", "{error:?}");
    assert_eq!(error.data["retryable"], true);
    assert!(begun.elapsed() < Duration::from_secs(10));

    // One that is cancelled waits no longer, and one that waits long enough is answered.
    let cancelled = scene
        .daemon
        .send("remote-llm/submit-prompt", Scene::question("q"));
    let cancelled = cancelled.await;
    let waiting = scene
        .daemon
        .send("remote-llm/submit-prompt", Scene::question("r"));
    let waiting = waiting.await;
    scene.daemon.cancel(&cancelled).await;
    assert_eq!(
        scene.daemon.reply(&cancelled).await.unwrap_err().code(),
        "CANCELLED"
    );
    scene.proxy.admit(Admission::Open).await;
    scene.daemon.reply(&waiting).await.unwrap();
    scene.status(seen, is("ready")).await;
    assert_eq!(scene.bed.llm.chats().len(), 1);
    scene.daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_a_code_is_not_asked_again_until_somebody_wants_the_connection() {
    let question = Question {
        text: "Code: ",
        echo: false,
        answer: "123456",
    };
    let login = Login {
        user: USER.to_owned(),
        questions: vec![vec![question]],
        ..Login::default()
    };
    let ssh = json!({"authMethod": "keyboardInteractive", "password": null});
    let scene = Scene::connected(login, ssh).await;
    let seen = scene.statuses().len();
    scene.proxy.end(End::Reset);
    let status = scene.status(seen, is("needs-user")).await;
    let hint = status["error"]["data"]["hint"].as_str().unwrap_or_default();
    assert!(hint.contains("Connect again"), "{status:#}");
    assert_eq!(scene.bed.ssh.seen().logins, 1);
    assert_eq!(scene.daemon.questions("host/answer-prompt").len(), 1);

    scene
        .daemon
        .ok("remote-llm/stream-prompt", Scene::question("p"))
        .await;
    assert_eq!(scene.daemon.questions("host/answer-prompt").len(), 2);
    scene.daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_comes_back_with_another_key_is_left_to_the_user() {
    let scene = Scene::with_password().await;
    let seen = scene.statuses().len();
    scene.bed.ssh.change_host_key();
    scene.proxy.end(End::Reset);
    let status = scene.status(seen, is("needs-user")).await;
    assert_eq!(
        status["error"]["data"]["code"], "SSH_HOST_KEY_CHANGED",
        "{status}"
    );
    let tries = scene.bed.ssh.seen().connections;
    assert_eq!(tries, 2);
    scene.daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_sleep_a_dead_connection_is_found_within_seconds_and_a_living_one_is_kept() {
    let scene = Scene::with_password().await;
    scene
        .daemon
        .notify("remote-llm/system-resumed", json!({}))
        .await;
    scene
        .daemon
        .ok("remote-llm/stream-prompt", Scene::question("p"))
        .await;
    assert_eq!(scene.bed.ssh.seen().logins, 1);

    let seen = scene.statuses().len();
    // The other side has forgotten us, and says nothing; new connections are fine.
    scene.proxy.set_both(Fault::dead());
    let streaming = scene
        .daemon
        .send("remote-llm/stream-prompt", Scene::question("q"));
    let streaming = streaming.await;
    let begun = Instant::now();
    scene
        .daemon
        .notify("remote-llm/system-resumed", json!({}))
        .await;
    scene.status(seen, is("reconnecting")).await;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    scene.proxy.clear();
    scene.status(seen, is("ready")).await;
    // What had been sent to nobody is told as failed, or was sent again.
    let _either = scene.daemon.reply(&streaming).await;
    scene
        .daemon
        .ok("remote-llm/stream-prompt", Scene::question("r"))
        .await;
    scene.daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_is_told_once_and_disconnect_ends_the_tries() {
    let scene = Scene::with_password().await;
    scene.bed.llm.on_chat(|_| Reply::text(&["Yes."]));
    for name in ["a", "b", "c"] {
        scene
            .daemon
            .ok("remote-llm/stream-prompt", Scene::question(name))
            .await;
    }
    assert_eq!(scene.states(), ["connecting", "ready"]);
    let seen = scene.statuses().len();
    scene.proxy.admit(Admission::Refused).await;
    scene.proxy.end(End::Close);
    scene.status(seen, |status| status["attempt"] == 2).await;
    let config = json!({"configId": CONFIG});
    let status = scene
        .daemon
        .ok("remote-llm/disconnect", config.clone())
        .await;
    assert_eq!(status["state"], "off");
    assert_eq!(scene.statuses().last().unwrap()["state"], "off");
    scene.proxy.admit(Admission::Open).await;
    let again = scene.daemon.ok("remote-llm/connect", config).await;
    assert_eq!(again["state"], "ready");
    assert_eq!(scene.bed.ssh.seen().logins, 2);

    let statuses = scene.statuses();
    for pair in statuses.windows(2) {
        let [mut one, mut other] = [pair[0].clone(), pair[1].clone()];
        for status in [&mut one, &mut other] {
            let fields = status.as_object_mut().unwrap();
            if fields.contains_key("retryInMs") {
                fields["retryInMs"] = json!(0);
            }
        }
        assert_ne!(one, other, "told twice");
    }
    scene.daemon.shut_down().await;
}

/// Two profiles of one machine: what one of them learns of the connection, both do.
#[tokio::test(flavor = "multi_thread")]
async fn profiles_that_share_a_connection_share_its_fate() {
    let scene = Scene::with_password().await;
    let ssh = with(scene.bed.ssh_params(), &json!({"port": scene.proxy.port()}));
    let other = json!({
        "configId": "other", "name": "Other", "ssh": ssh, "llm": scene.bed.llm_params(),
    });
    scene.daemon.ok("remote-llm/configure", other).await;
    let status = scene
        .daemon
        .ok("remote-llm/connect", json!({"configId": "other"}));
    assert_eq!(status.await["state"], "ready");
    assert_eq!(scene.bed.ssh.seen().logins, 1);
    let seen = scene.statuses().len();
    scene.proxy.end(End::Reset);
    for config in [CONFIG, "other"] {
        for state in ["reconnecting", "ready"] {
            let of = |status: &Value| status["configId"] == config && status["state"] == state;
            scene.status(seen, of).await;
        }
    }
    assert_eq!(scene.bed.ssh.seen().logins, 2);
    scene.daemon.shut_down().await;
}
