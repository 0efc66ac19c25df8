//! The system's `ssh` as the transport: the same job, and every failure under its own code.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG, by_key, prompt, with};
use crate::support::daemon::{Daemon, RpcError, Ticket};
use crate::support::llm_server::{Reply, Step, script};
use crate::support::peer::is_here;
use crate::support::peer::sshd::{self, Sshd};
use crate::support::processes::{command_line, kill, wait_gone};
use crate::support::row::{Row, run};
use crate::support::ssh_server::Key;

/// The contract's limit for the LLM server to see the end of a cancelled prompt is 200 ms; here
/// two processes have to end first.
const CLOSE: Duration = Duration::from_millis(500);

/// Where keys that were accepted are recorded.
const OWN_KNOWN_HOSTS: &str = "data/remote-llm/known_hosts";

fn system(ssh: Value) -> Value {
    with(ssh, &json!({"transport": "system"}))
}

fn way(sshd: &Sshd) -> Value {
    system(by_key(sshd.username(), sshd.port(), &sshd.keys.ed25519))
}

async fn configured(bed: &Bed, sshd: &Sshd) -> Daemon {
    bed.write_known_hosts(&sshd.host_key_line());
    let daemon = bed.daemon().await;
    bed.configure_with(&daemon, way(sshd), bed.llm_params())
        .await;
    let params = json!({"configId": CONFIG, "modelId": "smol"});
    daemon.ok("remote-llm/select-model", params).await;
    daemon
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_a_user_does_works_through_it() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let (sshd, bastion) = (Sshd::start(&[]), Sshd::start_for("bastion", &[]));
    bed.write_known_hosts(&(sshd.host_key_line() + &bastion.host_key_line()));
    bed.write_ssh_config(&format!(
        "{}{}  ProxyJump outer\n",
        bastion.block("outer"),
        sshd.block("box")
    ));
    let jump = by_key(bastion.username(), bastion.port(), &bastion.keys.ed25519);
    let method = "publickey,";
    run(
        &bed,
        vec![
            Row::new("key", way(&sshd), method),
            Row::new("alias", system(json!({"host": "box"})), method),
            Row::new(
                "jump",
                with(way(&sshd), &json!({"jumpHosts": [jump]})),
                method,
            ),
        ],
    )
    .await;
    assert_eq!(bastion.logins(), 4, "two for each of two profiles");
}

#[tokio::test(flavor = "multi_thread")]
async fn prompts_beside_each_other_share_one_sign_in() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(&[]);
    let daemon = configured(&bed, &sshd).await;
    bed.llm.on_chat(|request| {
        let question = request.messages()[0]["content"]
            .as_str()
            .unwrap_or_default();
        Reply::text(&["About ", question])
    });
    let mut tickets = Vec::new();
    for number in 0..6 {
        let name = format!("p{number}");
        let question = prompt(&name, &format!("number {number}"));
        let ticket = daemon.send("remote-llm/stream-prompt", question).await;
        tickets.push((name, number, ticket));
    }
    for (name, number, ticket) in &tickets {
        daemon.reply(ticket).await.unwrap();
        assert_eq!(daemon.text(name), format!("About number {number}"));
    }
    assert_eq!(sshd.logins(), 1, "{}", sshd.log());
    daemon.shut_down().await;
}

// --- ends -----------------------------------------------------------------------------------

async fn talking(bed: &Bed, daemon: &Daemon, end: Step) -> Ticket {
    bed.llm
        .on_chat(move |_| Reply::Stream(vec![script::role(), script::text("so far"), end.clone()]));
    let question = prompt("p", "Talk.");
    let ticket = daemon.send("remote-llm/stream-prompt", question).await;
    daemon.wait_text("p").await;
    ticket
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_prompt_stops_the_server_at_once() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::alone().await;
    let sshd = Sshd::start(&[]);
    let daemon = configured(&bed, &sshd).await;
    let ticket = talking(&bed, &daemon, Step::Silence).await;
    let when = Instant::now();
    daemon.cancel(&ticket).await;
    let abandoned = bed.llm.wait(Duration::from_secs(10), |all| {
        all.iter().find_map(|exchange| exchange.abandoned)
    });
    let abandoned = abandoned.await.expect("the LLM server was left talking");
    let took = abandoned.saturating_duration_since(when);
    assert!(took <= CLOSE, "the LLM server saw it after {took:?}");
    let error = daemon.reply(&ticket).await.unwrap_err();
    assert_eq!(error.code(), "CANCELLED", "{error:?}");
    assert_eq!(error.data["partial"], "so far");
    // The connection is none the worse for it.
    bed.llm.on_chat(|_| Reply::text(&["Here I am."]));
    let question = prompt("q", "Still there?");
    daemon.ok("remote-llm/stream-prompt", question).await;
    assert_eq!(daemon.text("q"), "Here I am.");
    assert_eq!(sshd.logins(), 1);
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_session_is_an_interruption_and_never_an_answer() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(&[]);
    let daemon = configured(&bed, &sshd).await;
    let ticket = talking(&bed, &daemon, Step::Silence).await;
    sshd.kill_sessions();
    let error = daemon.reply(&ticket).await.unwrap_err();
    assert_eq!(error.code(), "STREAM_INTERRUPTED", "{error:?}");
    assert_eq!(error.data["partial"], "so far");
    let kinds = daemon.kinds("p");
    assert_eq!(kinds.last().unwrap(), "failed", "{kinds:?}");
    assert!(!kinds.contains(&"finished".to_owned()), "{kinds:?}");
    assert_eq!(bed.llm.chats().len(), 1, "it was sent again");
    // The next prompt makes a connection of its own.
    bed.llm.on_chat(|_| Reply::text(&["Here I am."]));
    let question = prompt("q", "Still there?");
    daemon.ok("remote-llm/stream-prompt", question).await;
    assert_eq!(daemon.text("q"), "Here I am.");
    assert_eq!(sshd.logins(), 2);
    daemon.shut_down().await;
}

/// Of two kinds of processes: the connection's, and the stream's.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_is_an_interruption_and_never_an_answer() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(&[]);
    for (option, logins) in [("-M", 2), ("-W", 1)] {
        let before = sshd.logins();
        let daemon = configured(&bed, &sshd).await;
        let ticket = talking(&bed, &daemon, Step::Silence).await;
        let is_it = |id: &u32| {
            let line = command_line(*id);
            line[0].ends_with("/ssh") && line.iter().any(|word| word == option)
        };
        let mut ids = daemon.children();
        ids.retain(is_it);
        assert_eq!(ids.len(), 1, "{option}");
        kill(&ids);
        let error = daemon.reply(&ticket).await.unwrap_err();
        assert_eq!(error.code(), "STREAM_INTERRUPTED", "{option}: {error:?}");
        assert_eq!(error.data["partial"], "so far", "{option}");
        let kinds = daemon.kinds("p");
        assert_eq!(kinds.last().unwrap(), "failed", "{option}: {kinds:?}");
        bed.llm.on_chat(|_| Reply::text(&["Here I am."]));
        let question = prompt("q", "Still there?");
        daemon.ok("remote-llm/stream-prompt", question).await;
        assert_eq!(daemon.text("q"), "Here I am.", "{option}");
        assert_eq!(sshd.logins() - before, logins, "{option}");
        daemon.shut_down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_and_fast_answer_arrives_whole() {
    const WORDS: u64 = 5000;
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(&[]);
    let daemon = configured(&bed, &sshd).await;
    let word = |number| format!("word{number} ");
    bed.llm.on_chat(move |_| {
        let tokens = Step::Tokens {
            count: Some(WORDS),
            every: Duration::ZERO,
            text: word,
        };
        let mut steps = vec![script::role(), tokens];
        steps.extend(script::finish("stop", 1, WORDS));
        Reply::Stream(steps)
    });
    let question = prompt("p", "Talk.");
    daemon.ok("remote-llm/stream-prompt", question).await;
    let expected: String = (0..WORDS).map(word).collect();
    assert!(
        daemon.text("p") == expected,
        "{} bytes",
        daemon.text("p").len()
    );
    daemon.shut_down().await;
}

// --- refusals -------------------------------------------------------------------------------

/// A test that fails, without a question to anybody.
async fn fails(bed: &Bed, daemon: &Daemon, ssh: Value, stage: &str) -> RpcError {
    let result = bed.test(daemon, ssh).await;
    assert_eq!(result["success"], false, "{result:#}");
    let stages = result["stages"].as_array().unwrap();
    let failed = stages.iter().find(|stage| stage["status"] == "failed");
    assert_eq!(failed.unwrap()["name"], stage, "{result:#}");
    for question in ["host/verify-host-key", "host/answer-prompt"] {
        assert!(daemon.questions(question).is_empty(), "{question}");
    }
    assert!(bed.llm.exchanges().is_empty());
    RpcError::new(&result["error"])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_and_a_changed_host_key_are_refused_unasked() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(&["LogLevel DEBUG"]);
    bed.write_known_hosts("");
    // Whatever ssh_config says: there is no "off".
    bed.write_ssh_config("Host *\n  StrictHostKeyChecking no\n");
    let daemon = bed.daemon().await;
    for file in [false, true] {
        let ssh = with(way(&sshd), &json!({"useSshConfig": file}));
        let error = fails(&bed, &daemon, ssh, "host-key").await;
        assert_eq!(error.code(), "SSH_HOST_KEY_UNKNOWN", "{error:?}");
        assert!(error.message.contains("known"), "{}", error.message);
    }
    let other = Key::generate().public_line();
    bed.write_known_hosts(&format!("[127.0.0.1]:{} {other}\n", sshd.port()));
    let error = fails(&bed, &daemon, way(&sshd), "host-key").await;
    assert_eq!(error.code(), "SSH_HOST_KEY_CHANGED", "{error:?}");
    daemon.shut_down().await;
    let log = sshd.log();
    assert!(!log.contains("userauth-request"), "{log}");
    assert!(!bed.path(OWN_KNOWN_HOSTS).exists(), "a key was accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_be_accepted_is_known_to_both_transports_then() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(&[]);
    bed.write_known_hosts("");
    let daemon = bed.daemon().await;
    for policy in ["accept-new", "strict"] {
        for transport in ["system", "auto"] {
            let choice = json!({"hostKeyPolicy": policy, "transport": transport});
            let result = bed.test(&daemon, with(way(&sshd), &choice)).await;
            assert_eq!(result["success"], true, "{choice}: {result:#}");
        }
    }
    assert!(bed.path(OWN_KNOWN_HOSTS).exists());
    let users = std::fs::read_to_string(bed.known_hosts()).unwrap();
    assert_eq!(users, "", "the user's own file is left alone");
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_forbidden_forwarding_and_a_closed_port_are_told_apart() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(&["AllowTcpForwarding no"]);
    bed.write_known_hosts(&sshd.host_key_line());
    let daemon = bed.daemon().await;
    let stranger = bed.write_private("stranger", &Key::generate().private_file(None).unwrap());
    let ssh = with(way(&sshd), &json!({ "privateKeyPath": stranger }));
    let error = fails(&bed, &daemon, ssh, "auth").await;
    assert_eq!(error.code(), "SSH_AUTH_FAILED", "{error:?}");

    let error = fails(&bed, &daemon, way(&sshd), "forward").await;
    assert_eq!(error.code(), "SSH_FORWARD_DENIED", "{error:?}");

    let port = {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.local_addr().unwrap().port()
    };
    let ssh = with(way(&sshd), &json!({ "port": port }));
    let error = fails(&bed, &daemon, ssh, "tcp").await;
    assert_eq!(error.code(), "SSH_UNREACHABLE", "{error:?}");

    let ssh = with(way(&sshd), &json!({"host": "no-such-host.invalid"}));
    let error = fails(&bed, &daemon, ssh, "tcp").await;
    assert_eq!(error.code(), "SSH_UNREACHABLE", "{error:?}");
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_ssh_says_so() {
    let bed = Bed::start().await;
    let daemon = bed.launched(&bed.launch_with_nothing()).await;
    let ssh = system(bed.ssh_params());
    let error = fails(&bed, &daemon, ssh, "tcp").await;
    assert_eq!(error.code(), "SSH_SYSTEM_FAILED", "{error:?}");
    assert!(error.message.contains("auto"), "{}", error.message);
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ssh_that_hangs_or_fails_does_not_hang_a_connect() {
    let bed = Bed::start().await;
    let ssh = with(system(bed.ssh_params()), &json!({"connectTimeout": 1500}));
    for (program, code) in [
        ("exec /bin/sleep 1000", "SSH_CONNECTION_TIMEOUT"),
        ("while :; do echo flood >&2; done", "SSH_CONNECTION_TIMEOUT"),
        ("echo something odd >&2; exit 3", "SSH_SYSTEM_FAILED"),
        ("exit 0", "SSH_SYSTEM_FAILED"),
    ] {
        let daemon = bed.launched(&bed.launch_with_ssh(program)).await;
        let begun = Instant::now();
        let result = bed.test(&daemon, ssh.clone()).await;
        let error = RpcError::new(&result["error"]);
        assert_eq!(error.code(), code, "{program}: {error:?}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{program}");
        let children = daemon.children();
        daemon.shut_down().await;
        wait_gone(&children, Duration::from_secs(5)).await;
    }
}
