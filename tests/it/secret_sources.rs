//! Secrets that nobody keeps: typed for each sign-in, or written by a command of this computer.

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG, USER, by_key, set_mode, ssh_to, with};
use crate::support::daemon::{Answer, Daemon, Question};
use crate::support::peer::is_here;
use crate::support::peer::keys::PASSPHRASE;
use crate::support::peer::sshd::{self, Sshd};
use crate::support::ssh_server::{Key, Login, SshServer};
use crate::trust::{check_out, cloned};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SECRET: &str = "kanarekSourceQ7Zt3Wx9 'x\" ü";

/// A world whose server wants [`SECRET`], and a daemon with a vault.
async fn world() -> (Bed, Daemon) {
    let bed = Bed::with_login(Login::password(USER, SECRET)).await;
    let daemon = daemon(&bed).await;
    (bed, daemon)
}

async fn daemon(bed: &Bed) -> Daemon {
    let hello = with(bed.hello(), &json!({"vault": {"key": KEY}}));
    let daemon = bed.daemon_with(hello).await;
    daemon.answer_with(person);
    daemon
}

/// Types the secret, and would have it kept.
fn person(question: &Question) -> Answer {
    assert_eq!(question.method, "host/answer-prompt");
    Answer::Result(json!({"answers": [SECRET], "remember": true}))
}

fn password_from(bed: &Bed, source: Value) -> Value {
    let how = json!({"authMethod": "password", "passwordSource": source});
    with(ssh_to(USER, bed.ssh.port()), &how)
}

/// A program that writes what is in `file`, and notes how often it ran.
fn program(bed: &Bed, name: &str, secret: &str) -> Value {
    let (file, runs) = (bed.path(&format!("{name}.txt")), bed.path("runs"));
    std::fs::write(&file, secret).unwrap();
    let script = format!(
        "#!/bin/sh\necho \"$1\" >> '{}'\ncat '{}'\n",
        runs.display(),
        file.display()
    );
    let program = bed.write_private(name, &script);
    set_mode(&program, 0o700);
    json!({"command": [program, "an argument; exit 9 $(exit 9)"]})
}

fn runs(bed: &Bed) -> usize {
    let runs = std::fs::read_to_string(bed.path("runs")).unwrap_or_default();
    for line in runs.lines() {
        assert_eq!(line, "an argument; exit 9 $(exit 9)");
    }
    runs.lines().count()
}

async fn reconnected(daemon: &Daemon, config_id: &str) {
    let config = json!({"configId": config_id});
    daemon.ok("remote-llm/disconnect", config.clone()).await;
    let status = daemon.ok("remote-llm/connect", config).await;
    assert_eq!(status["state"], "ready", "{status:#}");
}

/// Nothing was kept, whatever was typed or written.
async fn kept_nothing(bed: &Bed, daemon: &Daemon) {
    let status = daemon.ok("remote-llm/vault-status", json!({})).await;
    assert_eq!(status["entries"], 0, "{status:#}");
    let config = json!({"configId": CONFIG});
    let view = daemon.ok("remote-llm/get-config", config).await;
    assert_eq!(view["ssh"]["hasPassword"], false, "{view:#}");
    let file = format!(".puffin/config/remote-llm/{CONFIG}.json");
    let text = std::fs::read_to_string(bed.project().join(file)).unwrap();
    assert!(text.contains("passwordSource") && !text.contains("kanarek"));
    assert!(!daemon.transcript().contains("kanarek"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_asked_for_each_time_is_never_kept() {
    let (bed, daemon) = world().await;
    let ssh = password_from(&bed, json!("ask"));
    let view = bed.configure_with(&daemon, ssh, bed.llm_params()).await;
    assert_eq!(view["ssh"]["passwordSource"], "ask");
    for times in 1..=2 {
        reconnected(&daemon, CONFIG).await;
        let asked = daemon.questions("host/answer-prompt");
        assert_eq!(asked.len(), times);
        assert_eq!(asked[times - 1].question.params["canRemember"], false);
    }
    kept_nothing(&bed, &daemon).await;
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_s_output_is_the_password() {
    let (bed, daemon) = world().await;
    let command = program(&bed, "secret", &format!("{SECRET}\n"));
    let ssh = password_from(&bed, command.clone());
    let view = bed.configure_with(&daemon, ssh, bed.llm_params()).await;
    assert_eq!(view["ssh"]["passwordSource"], command);
    assert_eq!(runs(&bed), 0, "it runs when it is needed, and not before");
    for times in 1..=2 {
        reconnected(&daemon, CONFIG).await;
        assert_eq!(runs(&bed), times);
    }
    assert!(daemon.questions("host/answer-prompt").is_empty());
    kept_nothing(&bed, &daemon).await;
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_s_password_that_is_refused_is_asked_for_and_not_kept() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(&[]);
    // Where there are no accounts of the test's own, there is no password either.
    let Some(password) = sshd.password() else {
        return;
    };
    bed.write_known_hosts(&sshd.host_key_line());
    let daemon = daemon(&bed).await;
    daemon.answer_with(move |_| Answer::Result(json!({"answers": [password], "remember": true})));
    let source = program(&bed, "secret", "outdated");
    let source = json!({"authMethod": "password", "passwordSource": source});
    let ssh = with(ssh_to(sshd.username(), sshd.port()), &source);
    bed.configure_with(&daemon, ssh, bed.llm_params()).await;
    reconnected(&daemon, CONFIG).await;
    let asked = daemon.questions("host/answer-prompt");
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].question.params["attempt"], 2);
    assert_eq!(asked[0].question.params["canRemember"], false);
    assert_eq!(runs(&bed), 1);
    kept_nothing(&bed, &daemon).await;
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_fails_is_named_with_its_last_words_and_nobody_is_asked() {
    let (bed, daemon) = world().await;
    let before = bed.ssh.seen().auth_attempts.len();
    for (script, says) in [
        (
            "echo the store is locked >&2; exit 4",
            "the store is locked",
        ),
        ("true", "wrote nothing"),
        ("yes", "more than"),
    ] {
        let source = json!({"command": ["sh", "-c", script]});
        let result = bed.test(&daemon, password_from(&bed, source)).await;
        let error = &result["error"];
        assert_eq!(
            error["data"]["code"], "SSH_SECRET_COMMAND_FAILED",
            "{result:#}"
        );
        assert_eq!(error["data"]["stage"], "auth");
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains(says) && message.contains(", sh,"),
            "{message}"
        );
        assert!(!message.contains("-c"), "{message}");
    }
    let source = json!({"command": ["puffin-no-such-program"]});
    let result = bed.test(&daemon, password_from(&bed, source)).await;
    let message = result["error"]["message"].as_str().unwrap();
    assert!(message.contains("can't be started"), "{message}");
    assert!(daemon.questions("host/answer-prompt").is_empty());
    let attempts = bed.ssh.seen().auth_attempts;
    assert!(!attempts[before..].contains(&"password"), "{attempts:?}");
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_goes_when_it_is_to_come_from_elsewhere() {
    let (bed, daemon) = world().await;
    let saved = password_from(&bed, json!("saved"));
    let saved = with(saved, &json!({"password": SECRET}));
    let view = bed
        .configure_with(&daemon, saved.clone(), bed.llm_params())
        .await;
    assert_eq!(view["ssh"]["hasPassword"], true);
    let both = with(saved, &json!({"passwordSource": "ask"}));
    let params = json!({"configId": CONFIG, "ssh": both});
    let error = daemon.err("remote-llm/configure", params).await;
    assert_eq!(error.code(), "CONFIG_INVALID");
    assert_eq!(error.data["field"], "ssh.password");
    let ask = password_from(&bed, json!("ask"));
    bed.configure_with(&daemon, ask, bed.llm_params()).await;
    kept_nothing(&bed, &daemon).await;
    for (source, field) in [
        (json!({"command": []}), "ssh.passwordSource.command"),
        (json!({"command": ["bin/x"]}), "ssh.passwordSource.command"),
        (json!("prompt"), "ssh.passwordSource"),
    ] {
        let params = json!({"configId": CONFIG, "ssh": password_from(&bed, source)});
        let error = daemon.err("remote-llm/configure", params).await;
        assert_eq!(error.data["field"], field, "{error:?}");
    }
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_came_with_the_project_does_not_run() {
    let bed = Bed::with_login(Login::password(USER, SECRET)).await;
    let ssh = password_from(&bed, program(&bed, "secret", SECRET));
    check_out(&bed, CONFIG, &cloned(&bed, &ssh));
    let daemon = daemon(&bed).await;
    let config = json!({"configId": CONFIG});
    for method in ["connect", "test-connection", "list-models"] {
        let method = format!("remote-llm/{method}");
        let error = daemon.err(&method, config.clone()).await;
        assert_eq!(error.code(), "CONFIG_UNTRUSTED");
    }
    assert_eq!(runs(&bed), 0);
    let view = daemon.ok("remote-llm/get-config", config.clone()).await;
    let trust = json!({"digest": view["trust"]["digest"]});
    daemon
        .ok("remote-llm/trust-config", with(config, &trust))
        .await;
    reconnected(&daemon, CONFIG).await;
    assert_eq!(runs(&bed), 1);

    // Another command is another profile.
    let file = format!(".puffin/config/remote-llm/{CONFIG}.json");
    let path = bed.project().join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("an argument", "another")).unwrap();
    let config = json!({"configId": CONFIG});
    daemon.ok("remote-llm/disconnect", config.clone()).await;
    let error = daemon.err("remote-llm/connect", config).await;
    assert_eq!(error.code(), "CONFIG_UNTRUSTED");
    assert_eq!(runs(&bed), 1);
    daemon.shut_down().await;
}

/// Every hop has a source of its own, and keys have one for their passphrases.
#[tokio::test(flavor = "multi_thread")]
async fn jump_hosts_and_keys_have_their_own_sources() {
    let (bed, daemon) = world().await;
    let key = Key::generate();
    let gate = SshServer::start(Login::key(USER, &key)).await.unwrap();
    bed.write_known_hosts(&(bed.ssh.known_hosts_line() + &gate.known_hosts_line()));
    let locked = bed.write_private("key", &key.private_file(Some("open, key")).unwrap());
    let passphrase = program(&bed, "passphrase", "open, key\n");
    let hop = json!({"passphraseSource": passphrase});
    let hop = with(by_key(USER, gate.port(), &locked), &hop);
    let ssh = password_from(&bed, json!("ask"));
    let ssh = with(ssh, &json!({"jumpHosts": [hop]}));
    bed.configure_with(&daemon, ssh, bed.llm_params()).await;
    reconnected(&daemon, CONFIG).await;
    assert_eq!(runs(&bed), 1);
    assert_eq!(daemon.questions("host/answer-prompt").len(), 1);
    kept_nothing(&bed, &daemon).await;
    daemon.shut_down().await;
}

/// OpenSSH's server, by the daemon itself and by the system's `ssh`.
#[tokio::test(flavor = "multi_thread")]
async fn openssh_takes_what_a_command_writes() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(&[]);
    bed.write_known_hosts(&sshd.host_key_line());
    let passphrase = program(&bed, "passphrase", &format!("{PASSPHRASE}\n"));
    let key = by_key(sshd.username(), sshd.port(), &sshd.keys.ed25519_locked);
    let mut ways = vec![with(key, &json!({"passphraseSource": passphrase}))];
    if let Some(password) = sshd.password() {
        let password = program(&bed, "password", password);
        let source = json!({"authMethod": "password", "passwordSource": password});
        ways.push(with(ssh_to(sshd.username(), sshd.port()), &source));
    }
    let daemon = daemon(&bed).await;
    let mut expected = 0;
    for (number, way) in ways.into_iter().enumerate() {
        for transport in ["auto", "system"] {
            let id = format!("{transport}-{number}");
            let ssh = with(way.clone(), &json!({ "transport": transport }));
            let params = json!({"configId": id, "name": id, "ssh": ssh, "llm": bed.llm_params()});
            daemon.ok("remote-llm/configure", params).await;
            reconnected(&daemon, &id).await;
            expected += 1;
            assert_eq!(runs(&bed), expected, "{id}");
        }
    }
    assert!(daemon.questions("host/answer-prompt").is_empty());
    daemon.shut_down().await;
}
