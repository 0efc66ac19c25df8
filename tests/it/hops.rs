//! Two and three hops through real sshds: each has its own user, its own key for us, and its own
//! host key under its own name.

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG, by_key, prompt, ssh_to, with};
use crate::support::daemon::{Answer, Daemon, RpcError};
use crate::support::llm_server::Reply;
use crate::support::peer::agent::{self, Agent};
use crate::support::peer::is_here;
use crate::support::peer::keys::PASSPHRASE;
use crate::support::peer::sshd::{self, Sshd};
use crate::support::ssh_server::Key;

/// The name of a hop on the way. A target is called 127.0.0.1, so that sentences can be told apart.
const BASTION: &str = "localhost";

fn address(name: &str, sshd: &Sshd) -> Value {
    with(
        ssh_to(sshd.username(), sshd.port()),
        &json!({ "host": name }),
    )
}

/// How to get to the last of these servers through the others.
fn way(servers: &[&Sshd]) -> Value {
    let (target, before) = servers.split_last().unwrap();
    let hop = |sshd: &Sshd| by_key(sshd.username(), sshd.port(), &sshd.keys.ed25519);
    let bastions: Vec<_> = before
        .iter()
        .map(|sshd| with(hop(sshd), &json!({"host": BASTION})))
        .collect();
    with(hop(target), &json!({ "jumpHosts": bastions }))
}

/// The known_hosts lines that make the way known.
fn known(servers: &[&Sshd]) -> String {
    let (target, before) = servers.split_last().unwrap();
    let mut lines = target.host_key_line();
    for sshd in before {
        lines += &sshd.host_key_line_of(BASTION, "ed25519");
    }
    lines
}

async fn fails(bed: &Bed, daemon: &Daemon, servers: &[&Sshd]) -> RpcError {
    let params = json!({"ssh": way(servers), "llm": bed.llm_params()});
    let result = daemon.ok("remote-llm/test-connection", params).await;
    assert_eq!(result["success"], false, "{result:#}");
    RpcError::new(&result["error"])
}

/// Nobody but the lab itself, which looks whether it answers and never tries to log in.
fn was_left_alone(sshd: &Sshd) {
    let log = sshd.log();
    assert!(!log.contains("userauth-request"), "{log}");
    assert_eq!(log.matches("Connection from").count(), 1, "{log}");
}

async fn answers(bed: &Bed, daemon: &Daemon, servers: &[&Sshd]) {
    bed.llm
        .on_chat(|_| Reply::text(&["From", " far", " away."]));
    bed.configure_with(daemon, way(servers), bed.llm_params())
        .await;
    let params = with(prompt("far", "Where are you?"), &json!({"model": "smol"}));
    daemon.ok("remote-llm/stream-prompt", params).await;
    assert_eq!(daemon.text("far"), "From far away.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_behind_one_and_two_bastions_answers() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let (outer, inner) = (Sshd::start_for("outer", &[]), Sshd::start_for("inner", &[]));
    let target = Sshd::start(&[]);
    for servers in [vec![&outer, &target], vec![&outer, &inner, &target]] {
        bed.write_known_hosts(&known(&servers));
        let daemon = bed.daemon().await;
        answers(&bed, &daemon, &servers).await;
        assert!(daemon.questions("host/verify-host-key").is_empty());
        daemon.shut_down().await;
    }
    assert_eq!(
        (outer.logins(), inner.logins(), target.logins()),
        (2, 1, 2),
        "each login is at the server it is meant for"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hop_is_asked_about_under_its_own_name() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    bed.write_known_hosts("");
    let (outer, inner) = (Sshd::start_for("outer", &[]), Sshd::start_for("inner", &[]));
    let target = Sshd::start(&[]);
    let daemon = bed.daemon().await;
    daemon.answer_with(|question| Answer::host_key(question, "accept"));
    answers(&bed, &daemon, &[&outer, &inner, &target]).await;
    let asked = daemon.questions("host/verify-host-key");
    let asked: Vec<_> = asked.iter().map(|asked| &asked.question.params).collect();
    let place = |question: &Value| json!([question["hop"], question["host"], question["port"]]);
    let places: Vec<_> = asked.iter().map(|question| place(question)).collect();
    assert_eq!(
        places,
        [
            json!([1, BASTION, outer.port()]),
            json!([2, BASTION, inner.port()]),
            json!([3, "127.0.0.1", target.port()]),
        ]
    );
    assert_eq!(
        Vec::from_iter(asked.iter().map(|question| question["fingerprint"].clone())),
        [&outer, &inner, &target].map(|sshd| json!(sshd.fingerprint()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hop_has_its_own_way_in_and_its_own_questions() {
    if !is_here("sshd with PAM", sshd::pam_available()) || !is_here("ssh-agent", agent::available())
    {
        return;
    }
    let bed = Bed::start().await;
    let (outer, inner) = (
        Sshd::start_for("outer", sshd::PAM),
        Sshd::start_for("inner", &[]),
    );
    let target = Sshd::start(&[]);
    let servers = [&outer, &inner, &target];
    bed.write_known_hosts(&known(&servers));
    let agent = Agent::start(&[&inner.keys.rsa]);
    let mut ssh = way(&servers);
    ssh["privateKeyPath"] = json!(target.keys.ed25519_locked);
    let hop = |sshd: &Sshd, way: Value| with(address(BASTION, sshd), &way);
    ssh["jumpHosts"] = json!([
        hop(&outer, json!({"authMethod": "keyboardInteractive"})),
        hop(
            &inner,
            json!({"authMethod": "agent", "identityAgent": agent.socket()})
        ),
    ]);
    let daemon = bed.daemon().await;
    let password = outer.password().unwrap();
    daemon.answer_with(move |question| match question.params["hop"].as_u64() {
        Some(1) => Answer::prompts(&[password]),
        Some(3) => Answer::prompts(&[PASSPHRASE]),
        _ => Answer::error(5002, "HOST_BUSY", "an unexpected question"),
    });
    let params = json!({"ssh": ssh, "llm": bed.llm_params()});
    let result = daemon.ok("remote-llm/test-connection", params).await;
    assert_eq!(result["success"], true, "{result:#}");
    let asked = daemon.questions("host/answer-prompt");
    let asked: Vec<_> = asked
        .iter()
        .map(|asked| json!([asked.question.params["hop"], asked.question.params["kind"]]))
        .collect();
    assert_eq!(
        asked,
        [json!([1, "keyboard-interactive"]), json!([3, "passphrase"])]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bastion_whose_key_changed_is_refused_under_its_own_name() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let bastion = Sshd::start_for("bastion", &["LogLevel DEBUG"]);
    let target = Sshd::start(&["LogLevel DEBUG"]);
    let before = Key::generate();
    let line = format!("[{BASTION}]:{} {}\n", bastion.port(), before.public_line());
    bed.write_known_hosts(&(line + &target.host_key_line()));
    let daemon = bed.daemon().await;
    daemon.answer_with(|question| Answer::host_key(question, "accept"));
    let error = fails(&bed, &daemon, &[&bastion, &target]).await;
    assert_eq!(error.code(), "SSH_HOST_KEY_CHANGED", "{error:?}");
    assert_eq!(error.data["hop"], 1, "{error:?}");
    let place = format!("{BASTION}:{}", bastion.port());
    for part in [place, before.fingerprint(), bastion.fingerprint()] {
        assert!(error.message.contains(&part), "{part}: {}", error.message);
    }
    assert!(daemon.questions("host/verify-host-key").is_empty());
    daemon.shut_down().await;
    assert!(!bastion.log().contains("userauth-request"));
    was_left_alone(&target);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_whose_key_changed_is_refused_behind_a_good_bastion() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let bastion = Sshd::start_for("bastion", &[]);
    let target = Sshd::start(&["LogLevel DEBUG"]);
    let before = Key::generate();
    let line = format!("[127.0.0.1]:{} {}\n", target.port(), before.public_line());
    bed.write_known_hosts(&(line + &bastion.host_key_line_of(BASTION, "ed25519")));
    let daemon = bed.daemon().await;
    let error = fails(&bed, &daemon, &[&bastion, &target]).await;
    assert_eq!(error.code(), "SSH_HOST_KEY_CHANGED", "{error:?}");
    assert_eq!(error.data["hop"], 2, "{error:?}");
    let place = format!("127.0.0.1:{}", target.port());
    assert!(error.message.contains(&place), "{}", error.message);
    daemon.shut_down().await;
    assert_eq!(bastion.logins(), 1);
    assert!(!target.log().contains("userauth-request"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bastion_that_forbids_forwarding_is_named() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    for config in [["AllowTcpForwarding no"], ["PermitOpen 127.0.0.1:1"]] {
        let bed = Bed::start().await;
        let bastion = Sshd::start_for("bastion", &config);
        let target = Sshd::start(&["LogLevel DEBUG"]);
        let servers = [&bastion, &target];
        bed.write_known_hosts(&known(&servers));
        let daemon = bed.daemon().await;
        let error = fails(&bed, &daemon, &servers).await;
        assert_eq!(error.code(), "SSH_FORWARD_DENIED", "{error:?}");
        assert_eq!(error.data["hop"], 1, "{error:?}");
        assert!(error.message.contains(BASTION), "{}", error.message);
        let hint = error.data["hint"].as_str().unwrap_or_default();
        for option in ["AllowTcpForwarding", "PermitOpen"] {
            assert!(hint.contains(option), "{option}: {hint}");
        }
        daemon.shut_down().await;
        was_left_alone(&target);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_profiles_behind_one_bastion_share_its_connection() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let bastion = Sshd::start_for("bastion", &[]);
    let (one, other) = (Sshd::start(&[]), Sshd::start(&[]));
    bed.write_known_hosts(&(known(&[&bastion, &one]) + &other.host_key_line()));
    let daemon = bed.daemon().await;
    let mut tickets = Vec::new();
    for (name, target) in [("one", &one), ("other", &other)] {
        let params = json!({
            "configId": name, "name": name, "ssh": way(&[&bastion, target]),
            "llm": bed.llm_params(),
        });
        daemon.ok("remote-llm/configure", params).await;
    }
    for name in ["one", "other"] {
        let params = json!({"configId": name});
        tickets.push(daemon.send("remote-llm/list-models", params).await);
    }
    for ticket in &tickets {
        daemon.reply(ticket).await.unwrap();
    }
    daemon.shut_down().await;
    let logins = [&bastion, &one, &other].map(Sshd::logins);
    assert_eq!(logins, [1, 1, 1]);
    let connections = bastion.log().matches("Connection from").count();
    assert_eq!(connections, 2, "the lab's and ours: {}", bastion.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_told_with_the_hop_that_refused_it() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let bastion = Sshd::start_for("bastion", &[]);
    let target = Sshd::start(&[]);
    let servers = [&bastion, &target];
    bed.write_known_hosts(&known(&servers));
    let daemon = bed.daemon_with(bed.hello_with(&json!({}))).await;
    bed.configure_with(&daemon, way(&servers), bed.llm_params())
        .await;
    // The key of the one does not open the other.
    let mut swapped = way(&servers);
    swapped["jumpHosts"][0]["privateKeyPath"] = json!(target.keys.ed25519);
    let params = json!({"configId": CONFIG, "name": "Lab", "ssh": swapped});
    daemon.ok("remote-llm/configure", params).await;
    let params = json!({"configId": CONFIG});
    let error = daemon.err("remote-llm/connect", params).await;
    assert_eq!(error.code(), "SSH_AUTH_FAILED", "{error:?}");
    assert_eq!(error.data["hop"], 1, "{error:?}");
    assert!(error.message.contains(BASTION), "{}", error.message);
    assert_eq!(target.logins(), 0);
}
