//! Reaching the machine: every way in, and every way to fail with its own code.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::bed::{Bed, CONFIG, PASSWORD, USER, set_mode, with};
use crate::support::daemon::{Answer, Daemon, RpcError};
use crate::support::llm_server::Reply;
use crate::support::peer::agent::{self, Agent};
use crate::support::peer::is_here;
use crate::support::ssh_server::{Forwarding, Greeting, Key, Login, Question};

/// The stages of a way without jump hosts, in order.
const STAGES: [&str; 9] = [
    "resolve",
    "tcp",
    "ssh-handshake",
    "host-key",
    "auth",
    "forward",
    "http",
    "server",
    "models",
];

/// Tests an unsaved profile.
async fn test(bed: &Bed, daemon: &Daemon, ssh: Value) -> Value {
    let params = json!({"ssh": ssh, "llm": bed.llm_params()});
    daemon.ok("remote-llm/test-connection", params).await
}

/// A test that fails at `stage` with one of `codes`: stages before it passed, later ones were
/// skipped, and the sentence is one for a person.
async fn fails(bed: &Bed, daemon: &Daemon, ssh: Value, stage: &str, codes: &[&str]) -> RpcError {
    let result = test(bed, daemon, ssh).await;
    assert_eq!(result["success"], false, "{result:#}");
    let error = RpcError::new(&result["error"]);
    assert!(codes.contains(&error.code()), "{codes:?}: {result:#}");
    let at = STAGES.iter().position(|name| *name == stage).unwrap();
    for (number, name) in STAGES.iter().enumerate() {
        let status = stage_of(&result, name)["status"].as_str().unwrap();
        let wanted = match number.cmp(&at) {
            std::cmp::Ordering::Less => "passed",
            std::cmp::Ordering::Equal => "failed",
            std::cmp::Ordering::Greater => "skipped",
        };
        assert_eq!(status, wanted, "stage {name}: {result:#}");
    }
    assert_eq!(
        stage_of(&result, stage)["error"]["data"]["code"],
        error.code()
    );
    assert_is_a_sentence(&error);
    error
}

fn stage_of<'a>(result: &'a Value, name: &str) -> &'a Value {
    let stages = result["stages"].as_array().unwrap();
    stages
        .iter()
        .find(|stage| stage["name"] == name)
        .unwrap_or_else(|| panic!("no stage {name} in {result:#}"))
}

fn assert_is_a_sentence(error: &RpcError) {
    let message = &error.message;
    assert!(message.len() > 15, "{error:?}");
    assert!(!message.contains(PASSWORD), "{error:?}");
    for banned in ["Failed to authenticate", "not logged in", "token expired"] {
        assert!(!message.contains(banned), "Puffin reacts to {banned:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_connection_passes_every_stage_and_saves_nothing() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    let result = test(&bed, &daemon, bed.ssh_params()).await;
    assert_eq!(result["success"], true, "{result:#}");
    let names: Vec<_> = result["stages"].as_array().unwrap().iter().collect();
    let names: Vec<_> = names.iter().map(|stage| &stage["name"]).collect();
    assert_eq!(names, STAGES);
    for name in STAGES {
        let stage = stage_of(&result, name);
        assert_eq!(stage["status"], "passed", "{stage}");
        assert!(stage["durationMs"].is_u64(), "{stage}");
        assert!(!stage["detail"].as_str().unwrap().is_empty(), "{stage}");
    }
    let auth = result["authMethod"].as_str().unwrap();
    assert!(auth.starts_with("password"), "{auth}");
    let key = bed.ssh.host_key();
    assert_eq!(result["hostKey"]["fingerprint"], key.fingerprint());
    assert_eq!(result["server"]["kind"], "llama.cpp");
    assert_eq!(result["models"][0]["id"], "smol");
    assert!(!bed.project().join(".puffin").exists());
    let over = bed.ssh.wait(Duration::from_secs(5), |seen| {
        (seen.live_connections == 0).then_some(())
    });
    assert!(over.await.is_some(), "the test left its connection open");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_llm_address_only_the_ssh_stages_are_tested() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    let params = json!({"ssh": bed.ssh_params()});
    let result = daemon.ok("remote-llm/test-connection", params).await;
    assert_eq!(result["success"], true, "{result:#}");
    assert_eq!(stage_of(&result, "auth")["status"], "passed");
    assert!(bed.llm.exchanges().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_profile_is_tested_with_its_saved_password() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    let params = json!({"configId": CONFIG});
    let result = daemon.ok("remote-llm/test-connection", params).await;
    assert_eq!(result["success"], true, "{result:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_and_not_tried_again() {
    let bed = Bed::start().await;
    let daemon = bed.daemon_with(bed.hello_with(&json!({}))).await;
    let ssh = with(bed.ssh_params(), &json!({"password": "wrong"}));
    let error = fails(&bed, &daemon, ssh, "auth", &["SSH_AUTH_FAILED"]).await;
    assert_eq!(error.data["retryable"], false);
    assert!(error.message.contains(USER), "{}", error.message);
    let attempts = bed.ssh.seen().auth_attempts;
    let passwords = attempts.iter().filter(|method| **method == "password");
    assert_eq!(passwords.count(), 1, "{attempts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_password_is_asked_for() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    daemon.answer_with(|_| Answer::prompts(&[PASSWORD]));
    let ssh = with(bed.ssh_params(), &json!({"password": null}));
    let result = test(&bed, &daemon, ssh).await;
    assert_eq!(result["success"], true, "{result:#}");
    let asked = daemon.questions("host/answer-prompt");
    let params = &asked[0].question.params;
    assert_eq!(params["kind"], "password");
    assert_eq!(params["attempt"], 1);
    assert_eq!(params["prompts"][0]["echo"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_port_is_told() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    let port = {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let ssh = with(bed.ssh_params(), &json!({"port": port}));
    let error = fails(&bed, &daemon, ssh, "tcp", &["SSH_UNREACHABLE"]).await;
    assert!(
        error.message.contains(&port.to_string()),
        "{}",
        error.message
    );
}

/// Where packets to 192.0.2.0/24 are dropped it times out, where they are rejected it is told.
#[tokio::test(flavor = "multi_thread")]
async fn an_unroutable_address_is_told_in_time() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    let ssh = with(
        bed.ssh_params(),
        &json!({"host": "192.0.2.1", "connectTimeout": 1500}),
    );
    let begin = Instant::now();
    let codes = ["SSH_CONNECTION_TIMEOUT", "SSH_UNREACHABLE"];
    fails(&bed, &daemon, ssh, "tcp", &codes).await;
    assert!(begin.elapsed() < Duration::from_secs(6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_without_an_address_is_told() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    let ssh = with(bed.ssh_params(), &json!({"host": "no-such-host.invalid"}));
    let error = fails(&bed, &daemon, ssh, "resolve", &["SSH_UNREACHABLE"]).await;
    assert!(error.message.contains("no-such-host.invalid"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_is_given_up() {
    let bed = Bed::start().await;
    bed.ssh.greet(Greeting::Silent);
    let daemon = bed.daemon().await;
    let ssh = with(bed.ssh_params(), &json!({"connectTimeout": 1500}));
    let begin = Instant::now();
    let codes = ["SSH_CONNECTION_TIMEOUT"];
    fails(&bed, &daemon, ssh, "ssh-handshake", &codes).await;
    assert!(begin.elapsed() < Duration::from_secs(6));
}

#[tokio::test(flavor = "multi_thread")]
async fn something_else_than_ssh_is_told_with_its_own_words() {
    let bed = Bed::start().await;
    bed.ssh
        .greet(Greeting::Text("HTTP/1.1 400 Bad Request\r\n\r\n"));
    let daemon = bed.daemon().await;
    let codes = ["SSH_PROTOCOL_ERROR"];
    fails(&bed, &daemon, bed.ssh_params(), "ssh-handshake", &codes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forbids_forwarding_is_told_from_a_closed_port_behind_it() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    bed.ssh.forward(Forwarding::Prohibited);
    let codes = ["SSH_FORWARD_DENIED"];
    fails(&bed, &daemon, bed.ssh_params(), "forward", &codes).await;
    bed.ssh.forward(Forwarding::Refused);
    let codes = ["API_UNAVAILABLE"];
    let error = fails(&bed, &daemon, bed.ssh_params(), "forward", &codes).await;
    let port = bed.llm.port().to_string();
    assert!(error.message.contains(&port), "{}", error.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_never_answered_is_given_up() {
    let bed = Bed::start().await;
    bed.ssh.forward(Forwarding::Unanswered);
    let daemon = bed.daemon().await;
    let begin = Instant::now();
    let codes = ["API_UNAVAILABLE", "SSH_CHANNEL_ERROR"];
    fails(&bed, &daemon, bed.ssh_params(), "forward", &codes).await;
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_server_that_is_no_llm_server_is_told() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    let cases = [
        (
            Reply::html(200, "<html>Log in</html>"),
            "API_PROTOCOL_ERROR",
            200,
        ),
        (
            Reply::html(404, "<html>Not here</html>"),
            "API_UNAVAILABLE API_ERROR API_PROTOCOL_ERROR",
            404,
        ),
        (Reply::error(500, "boom"), "API_ERROR", 500),
        (Reply::error(401, "no key"), "API_AUTH_FAILED", 401),
    ];
    for (reply, codes, status) in cases {
        bed.llm.on_any(move |_| Some(reply.clone()));
        let result = test(&bed, &daemon, bed.ssh_params()).await;
        assert_eq!(result["success"], false, "{result:#}");
        let error = RpcError::new(&result["error"]);
        assert!(
            codes.split(' ').any(|code| code == error.code()),
            "{status}: {result:#}"
        );
        if status != 200 {
            assert_eq!(error.data["httpStatus"], status, "{error:?}");
        }
        assert_eq!(stage_of(&result, "forward")["status"], "passed");
        assert_is_a_sentence(&error);
    }
}

// --- ways in --------------------------------------------------------------------------------

async fn with_key(file: &str, passphrase: Option<&str>) -> (Bed, Value, std::path::PathBuf) {
    let key = Key::generate();
    let bed = Bed::with_login(Login::key(USER, &key)).await;
    let path = bed.write_private(file, &key.private_file(passphrase).unwrap());
    let ssh = json!({
        "host": "127.0.0.1", "port": bed.ssh.port(), "username": USER, "useSshConfig": false,
        "authMethod": "privateKey", "privateKeyPath": path,
    });
    (bed, ssh, path)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_lets_in() {
    let (bed, ssh, _) = with_key("key", None).await;
    let daemon = bed.daemon().await;
    let result = test(&bed, &daemon, ssh).await;
    assert_eq!(result["success"], true, "{result:#}");
    let auth = result["authMethod"].as_str().unwrap();
    assert!(auth.contains("publickey"), "{auth}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_a_given_passphrase_lets_in_without_a_question() {
    let (bed, ssh, _) = with_key("key", Some("frase")).await;
    let daemon = bed.daemon().await;
    let ssh = with(ssh, &json!({"passphrase": "frase"}));
    let result = test(&bed, &daemon, ssh).await;
    assert_eq!(result["success"], true, "{result:#}");
    assert!(daemon.questions("host/answer-prompt").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_passphrase_is_asked_for_until_it_is_right() {
    let (bed, ssh, _) = with_key("key", Some("frase")).await;
    let daemon = bed.daemon().await;
    daemon.answer_with(|question| {
        let first = question.params["attempt"] == 1;
        Answer::prompts(&[if first { "wrong" } else { "frase" }])
    });
    let result = test(&bed, &daemon, ssh).await;
    assert_eq!(result["success"], true, "{result:#}");
    let asked = daemon.questions("host/answer-prompt");
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].question.params["kind"], "passphrase");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_cannot_be_used_says_why() {
    let (bed, ssh, path) = with_key("key", Some("frase")).await;
    let daemon = bed.daemon_with(bed.hello_with(&json!({}))).await;
    let wrong = with(ssh.clone(), &json!({"passphrase": "wrong"}));
    fails(&bed, &daemon, wrong, "auth", &["SSH_KEY_UNUSABLE"]).await;
    fails(&bed, &daemon, ssh.clone(), "auth", &["SSH_KEY_UNUSABLE"]).await;

    let missing = with(ssh.clone(), &json!({"privateKeyPath": bed.path("nothing")}));
    fails(&bed, &daemon, missing, "auth", &["SSH_KEY_UNUSABLE"]).await;

    let public = bed.write_private("key.pub", &(Key::generate().public_line() + "\n"));
    let public = with(ssh.clone(), &json!({"privateKeyPath": public}));
    let error = fails(&bed, &daemon, public, "auth", &["SSH_KEY_UNUSABLE"]).await;
    assert!(error.message.contains("public key"), "{}", error.message);

    set_mode(&path, 0o644);
    let ssh = with(ssh, &json!({"passphrase": "frase"}));
    fails(&bed, &daemon, ssh, "auth", &["SSH_KEY_PERMISSIONS"]).await;
}

fn rounds() -> Vec<Vec<Question>> {
    let question = |text, echo, answer| Question { text, echo, answer };
    vec![
        vec![question("Password: ", false, "first")],
        vec![
            question("Token: ", false, "123456"),
            question("Place: ", true, "home"),
        ],
    ]
}

async fn with_questions(key_first: Option<&Key>) -> Bed {
    Bed::with_login(Login {
        user: USER.to_owned(),
        authorized_keys: key_first.iter().map(|key| key.public_line()).collect(),
        questions: rounds(),
        key_then_questions: key_first.is_some(),
        ..Login::default()
    })
    .await
}

fn answer_rounds(daemon: &Daemon) {
    daemon.answer_with(|question| match question.params["prompts"].as_array() {
        Some(prompts) if prompts.len() == 2 => Answer::prompts(&["123456", "home"]),
        _ => Answer::prompts(&["first"]),
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn every_round_of_questions_reaches_the_person_word_for_word() {
    let bed = with_questions(None).await;
    let daemon = bed.daemon().await;
    answer_rounds(&daemon);
    let ssh = with(
        bed.ssh_params(),
        &json!({"authMethod": "keyboardInteractive", "password": null}),
    );
    let result = test(&bed, &daemon, ssh).await;
    assert_eq!(result["success"], true, "{result:#}");
    let asked = daemon.questions("host/answer-prompt");
    assert_eq!(asked.len(), 2);
    let first = &asked[0].question.params;
    assert_eq!(first["kind"], "keyboard-interactive");
    assert_eq!(first["host"], "127.0.0.1");
    assert_eq!(first["name"], "Second factor");
    assert_eq!(first["instruction"], "Answer to go on");
    assert_eq!(first["canRemember"], false);
    assert_eq!(
        asked[1].question.params["prompts"],
        json!([{"text": "Token: ", "echo": false}, {"text": "Place: ", "echo": true}])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_and_then_a_code_let_in() {
    let key = Key::generate();
    let bed = with_questions(Some(&key)).await;
    let path = bed.write_private("key", &key.private_file(None).unwrap());
    let daemon = bed.daemon().await;
    answer_rounds(&daemon);
    let ssh = json!({
        "host": "127.0.0.1", "port": bed.ssh.port(), "username": USER, "useSshConfig": false,
        "authMethod": "auto", "privateKeyPath": path,
    });
    let result = test(&bed, &daemon, ssh).await;
    assert_eq!(result["success"], true, "{result:#}");
    assert_eq!(daemon.questions("host/answer-prompt").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_closes_the_question_ends_the_attempt() {
    let bed = with_questions(None).await;
    let daemon = bed.daemon().await;
    daemon.answer_with(|_| Answer::Result(json!({"cancelled": true})));
    let ssh = with(
        bed.ssh_params(),
        &json!({"authMethod": "keyboardInteractive", "password": null}),
    );
    fails(&bed, &daemon, ssh, "auth", &["SSH_PROMPT_CANCELLED"]).await;
    assert_eq!(daemon.questions("host/answer-prompt").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_nothing_lets_in() {
    let bed = Bed::with_login(Login {
        user: USER.to_owned(),
        none: true,
        ..Login::default()
    })
    .await;
    let daemon = bed.daemon().await;
    let ssh = with(
        bed.ssh_params(),
        &json!({"authMethod": "none", "password": null}),
    );
    let result = test(&bed, &daemon, ssh).await;
    assert_eq!(result["success"], true, "{result:#}");
    assert_eq!(bed.ssh.seen().auth_attempts, ["none"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_key_lets_in() {
    if !is_here("ssh-agent", agent::available()) {
        return;
    }
    let (bed, ssh, path) = with_key("key", None).await;
    let agent = Agent::start(&[&path]);
    std::fs::remove_file(&path).unwrap();
    let launch = bed.launch();
    let launch = launch.environment("SSH_AUTH_SOCK", agent.socket().to_str().unwrap());
    let daemon = Daemon::spawn(&launch);
    daemon.ok("initialize", bed.hello()).await;
    let ssh = with(ssh, &json!({"authMethod": "agent", "privateKeyPath": null}));
    let result = test(&bed, &daemon, ssh).await;
    assert_eq!(result["success"], true, "{result:#}");
}

// --- one connection -------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn fifty_cold_requests_share_one_connection_and_one_login() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    let mut tickets = Vec::new();
    for _ in 0..50 {
        let params = json!({"configId": CONFIG, "refresh": true});
        tickets.push(daemon.send("remote-llm/list-models", params).await);
    }
    for ticket in &tickets {
        daemon.reply(ticket).await.unwrap();
    }
    let seen = bed.ssh.seen();
    assert_eq!((seen.connections, seen.logins), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_disconnect_and_status_tell_the_truth() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    let config = json!({"configId": CONFIG});
    let status = daemon.ok("remote-llm/status", config.clone()).await;
    assert_eq!(status["state"], "off");
    let status = daemon.ok("remote-llm/connect", config.clone()).await;
    assert_eq!(status["state"], "ready", "{status:#}");
    assert_eq!(bed.ssh.seen().live_connections, 1);
    let status = daemon.ok("remote-llm/disconnect", config).await;
    assert_eq!(status["state"], "off");
    let closed = bed.ssh.wait(Duration::from_secs(5), |seen| {
        (seen.live_connections == 0).then_some(())
    });
    assert!(closed.await.is_some());
    let states = daemon.read(|traffic| {
        let mut states: Vec<_> = traffic
            .notifications
            .iter()
            .filter(|line| line["method"] == "remote-llm/connection-status")
            .map(|line| line["params"]["state"].as_str().unwrap().to_owned())
            .collect();
        states.dedup();
        states
    });
    assert_eq!(states, ["connecting", "ready", "off"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_made_again_at_the_next_use() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    let params = json!({"configId": CONFIG, "refresh": true});
    daemon.ok("remote-llm/list-models", params.clone()).await;
    bed.ssh.cut();
    daemon.ok("remote-llm/list-models", params).await;
    assert_eq!(bed.ssh.seen().connections, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_is_saved_again_is_still_connected() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    let config = json!({"configId": CONFIG});
    daemon.ok("remote-llm/connect", config).await;
    let renamed = json!({"configId": CONFIG, "name": "Renamed"});
    let saved = daemon.ok("remote-llm/configure", renamed).await;
    assert_eq!(saved["name"], "Renamed");
    assert_eq!(saved["status"]["state"], "ready");
    let moved = json!({"configId": CONFIG, "ssh": {"host": "other.invalid", "username": "ai"}});
    let saved = daemon.ok("remote-llm/configure", moved).await;
    assert_eq!(saved["status"]["state"], "off");
}
