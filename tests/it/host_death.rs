//! A host that is killed: the daemon is gone half a second later, whatever it was doing, and
//! leaves nothing behind.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::bed::{Bed, CONFIG, by_key, prompt, read_tool, with};
use crate::support::daemon::{Answer, Daemon, PATIENCE};
use crate::support::llm_server::{Call, Reply, Step, script};
use crate::support::peer::is_here;
use crate::support::peer::sshd::{self, Sshd};
use crate::support::ssh_server::Greeting;

/// The contract's limit.
const GONE: Duration = Duration::from_millis(500);

/// The same where its pipes do not tell.
const NOTICED: Duration = Duration::from_secs(3);

/// How often each host is killed.
const KILLS: usize = 3;

/// An initialised daemon with a host that can be killed.
async fn hosted(bed: &Bed) -> Daemon {
    let daemon = Daemon::with_mortal_host(&bed.launch()).await;
    daemon.ok("initialize", bed.hello()).await;
    daemon
}

/// The same with the profile.
async fn configured(bed: &Bed) -> Daemon {
    let daemon = hosted(bed).await;
    bed.configure(&daemon).await;
    daemon
}

/// The same with prompts that are being answered.
async fn talking(bed: &Bed) -> Daemon {
    bed.llm.on_chat(|_| {
        Reply::Stream(vec![
            script::role(),
            Step::Tokens {
                count: None,
                every: Duration::from_millis(20),
                text: |number| format!("word{number} "),
            },
        ])
    });
    let daemon = configured(bed).await;
    for name in ["p", "q", "r"] {
        daemon
            .send("remote-llm/stream-prompt", prompt(name, "Talk."))
            .await;
    }
    for name in ["p", "q", "r"] {
        daemon.wait_text(name).await;
    }
    daemon
}

fn measured(what: &str, took: Duration) {
    crate::support::measured(&format!("gone after its host's death, {what}: {took:?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_is_gone_at_once_while_streams_run() {
    let bed = Bed::alone().await;
    for _ in 0..KILLS {
        let daemon = talking(&bed).await;
        measured("streams", daemon.outlives_its_host(GONE).await);
        assert!(bed.llm.wait_open(0, GONE).await.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_ssh_server_does_not_keep_it() {
    let bed = Bed::alone().await;
    for _ in 0..KILLS {
        let daemon = talking(&bed).await;
        bed.ssh.freeze();
        // More than the pipes on the way take.
        let long = prompt("long", &"x".repeat(8 * 1024 * 1024));
        daemon.send("remote-llm/stream-prompt", long).await;
        daemon.ok("remote-llm/list-configs", json!({})).await;
        measured("frozen", daemon.outlives_its_host(GONE).await);
        bed.ssh.thaw();
        bed.ssh.cut();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connect_under_way_does_not_keep_it() {
    let bed = Bed::alone().await;
    bed.ssh.greet(Greeting::Silent);
    for kill in 1..=KILLS {
        let daemon = configured(&bed).await;
        let config = json!({"configId": CONFIG});
        daemon.send("remote-llm/connect", config.clone()).await;
        daemon.send("remote-llm/test-connection", config).await;
        let waiting = |seen: &crate::support::ssh_server::Seen| seen.connections == 2 * kill;
        let connecting = bed
            .ssh
            .wait(Duration::from_secs(10), |seen| waiting(seen).then_some(()));
        connecting.await.unwrap();
        measured("connecting", daemon.outlives_its_host(GONE).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn open_questions_and_tool_calls_do_not_keep_it() {
    let bed = Bed::alone().await;
    bed.llm.on_chat(|_| {
        Reply::calls(&[Call {
            id: "a",
            name: "Read",
            arguments: &["{\"path\":\"a\"}"],
        }])
    });
    for _ in 0..KILLS {
        bed.write_known_hosts(&bed.ssh.known_hosts_line());
        let daemon = configured(&bed).await;
        daemon.answer_with(|_| Answer::Later);
        let tools = with(prompt("p", "Read a."), &json!({"tools": [read_tool()]}));
        daemon.send("remote-llm/stream-prompt", tools).await;
        daemon.wait_question("host/execute-tool", 1).await;
        bed.write_known_hosts("");
        let test = json!({"configId": CONFIG});
        daemon.send("remote-llm/test-connection", test).await;
        daemon.wait_question("host/verify-host-key", 1).await;
        measured("questions", daemon.outlives_its_host(GONE).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_system_s_ssh_goes_with_it() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::alone().await;
    let sshd = Sshd::start(&[]);
    bed.write_known_hosts(&sshd.host_key_line());
    bed.llm
        .on_chat(|_| Reply::Stream(vec![script::role(), script::text("so far"), Step::Silence]));
    for frozen in [false, true].repeat(KILLS) {
        let daemon = hosted(&bed).await;
        let ssh = by_key(sshd.username(), sshd.port(), &sshd.keys.ed25519);
        let ssh = with(ssh, &json!({"transport": "system"}));
        bed.configure_with(&daemon, ssh, bed.llm_params()).await;
        let question = with(prompt("p", "Talk."), &json!({"model": "smol"}));
        daemon.send("remote-llm/stream-prompt", question).await;
        daemon.wait_text("p").await;
        assert!(!daemon.children().is_empty());
        if frozen {
            sshd.freeze();
        }
        measured("system ssh", daemon.outlives_its_host(GONE).await);
        if frozen {
            sshd.thaw();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_command_that_will_not_go_goes_all_the_same() {
    let bed = Bed::alone().await;
    let script = bed.write_private("stubborn", "trap '' HUP TERM\nsleep 600\n");
    let command = format!("/bin/sh {}", script.display());
    let ssh = with(bed.ssh_params(), &json!({"proxyCommand": command}));
    for _ in 0..KILLS {
        let daemon = hosted(&bed).await;
        bed.configure_with(&daemon, ssh.clone(), bed.llm_params())
            .await;
        daemon
            .send("remote-llm/connect", json!({"configId": CONFIG}))
            .await;
        let deadline = Instant::now() + PATIENCE;
        while daemon.children().len() < 2 {
            assert!(Instant::now() < deadline, "the command does not start");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        measured("stubborn child", daemon.outlives_its_host(GONE).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standard_input_that_somebody_else_holds_does_not_keep_it() {
    let bed = Bed::alone().await;
    for _ in 0..KILLS {
        let daemon = configured(&bed).await;
        daemon
            .ok("remote-llm/connect", json!({"configId": CONFIG}))
            .await;
        let took = daemon.outlives_its_host_on_held_stdin(GONE).await;
        measured("stdin held", took);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pipes_that_somebody_else_holds_do_not_keep_it_for_long() {
    let bed = Bed::alone().await;
    let daemon = talking(&bed).await;
    let took = daemon.outlives_its_host_on_held_pipes(NOTICED).await;
    measured("both pipes held", took);
}
