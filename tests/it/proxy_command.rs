//! Proxy commands of profiles and of ssh_config, in front of a real sshd: what they say is kept,
//! and they end with their connection.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG, by_key, prompt, with};
use crate::support::daemon::{Daemon, RpcError};
use crate::support::llm_server::{Reply, Step, script};
use crate::support::peer::sshd::{self, Sshd};
use crate::support::peer::{find, is_here};
use crate::support::processes::{command_line, kill, wait_gone};

/// Bash alone can be a TCP client; it ends when either side does. Tells that it runs.
const RELAY: &str = "/bin/bash -c 'exec 3<>/dev/tcp/127.0.0.1/%p 4<&0; \
                     echo \"relaying to %n as %r\" >&2; \
                     cat <&4 >&3 & cat <&3 & wait -n; kill $(jobs -p)'";

/// How long what is no longer wanted may be there.
const GONE: Duration = Duration::from_secs(5);

fn proxied(sshd: &Sshd, command: &str) -> Value {
    let ssh = by_key(sshd.username(), sshd.port(), &sshd.keys.ed25519);
    with(
        ssh,
        &json!({"host": "box.invalid", "proxyCommand": command}),
    )
}

/// A server that is known as `box.invalid`, which nothing but a proxy command can reach.
fn sshd(bed: &Bed) -> Sshd {
    let sshd = Sshd::start(&[]);
    bed.write_known_hosts(&sshd.host_key_line_of("box.invalid", "ed25519"));
    sshd
}

async fn talkative(bed: &Bed) -> Daemon {
    bed.launched(&bed.launch().argument("--log").argument("info"))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profiles_command_leads_to_the_server_and_what_it_says_is_logged() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = sshd(&bed);
    let daemon = talkative(&bed).await;
    bed.configure_with(&daemon, proxied(&sshd, RELAY), bed.llm_params())
        .await;
    let question = with(prompt("p", "Hello?"), &json!({"model": "smol"}));
    daemon.ok("remote-llm/stream-prompt", question).await;
    assert_eq!(daemon.text("p"), "Hello from the scripted server.");
    let log = daemon.stderr();
    let said = format!("relaying to box.invalid as {}", sshd.username());
    assert!(log.contains(&said), "{log}");
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_never_stops_complaining_does_not_fill_the_log() {
    let bed = Bed::start().await;
    let daemon = talkative(&bed).await;
    let complaints = "sh -c 'yes complaint | head -n 5000 >&2'";
    let ssh = json!({"host": "box.invalid", "username": "ai", "proxyCommand": complaints});
    bed.configure_with(&daemon, ssh, bed.llm_params()).await;
    let error = daemon
        .err("remote-llm/connect", json!({"configId": CONFIG}))
        .await;
    assert_eq!(error.code(), "SSH_PROXY_COMMAND_FAILED", "{error:?}");
    let begun = std::time::Instant::now();
    while !daemon.stderr().contains("is not logged") {
        assert!(begun.elapsed() < GONE, "{}", daemon.stderr());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let log = daemon.stderr();
    let lines = log.lines().filter(|line| line.contains("complaint"));
    assert_eq!(lines.count(), 100, "{log}");
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_config_may_name_the_command_and_another_machine_may_be_behind_it() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let bastion = Sshd::start_for("bastion", &[]);
    let target = Sshd::start(&[]);
    bed.write_known_hosts(&(bastion.host_key_line() + &target.host_key_line()));
    // As people had it before there was ProxyJump: a second ssh, with the file of its own home.
    let file = bed.path("home/.ssh/config");
    bed.write_ssh_config(&format!(
        "{}  UserKnownHostsFile {}\n{}  ProxyCommand ssh -F {} -W %h:%p outer\n",
        bastion.block("outer"),
        bed.known_hosts().display(),
        target.block("box"),
        file.display()
    ));
    for launch in [
        bed.launch(),
        // The command finds its program all the same.
        bed.launch_with_nothing(),
    ] {
        let is_bare = !launch.environment.is_empty();
        if is_bare {
            let text = std::fs::read_to_string(&file).unwrap();
            let ssh = format!("Command {}", find("ssh").unwrap().display());
            bed.write_ssh_config(&text.replace("Command ssh", &ssh));
        }
        let daemon = bed.launched(&launch).await;
        let result = bed.test(&daemon, json!({"host": "box"})).await;
        assert_eq!(result["success"], true, "{launch:?}: {result:#}");
        daemon.shut_down().await;
    }
    assert_eq!((bastion.logins(), target.logins()), (2, 2));
}

// --- the end --------------------------------------------------------------------------------

/// A daemon that is connected through the command, and all processes of that.
async fn connected(bed: &Bed, sshd: &Sshd) -> (Daemon, Vec<u32>) {
    let daemon = bed.daemon().await;
    bed.configure_with(&daemon, proxied(sshd, RELAY), bed.llm_params())
        .await;
    let config = json!({"configId": CONFIG});
    daemon.ok("remote-llm/connect", config).await;
    let children = daemon.children();
    let is_relay = |id: &&u32| command_line(**id).first().is_some_and(|word| word == "cat");
    assert_eq!(children.iter().filter(is_relay).count(), 2, "{children:?}");
    (daemon, children)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_ends_with_its_connection_however_that_ends() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = sshd(&bed);

    let (daemon, children) = connected(&bed, &sshd).await;
    let config = json!({"configId": CONFIG});
    daemon.ok("remote-llm/disconnect", config).await;
    wait_gone(&children, GONE).await;
    daemon.shut_down().await;

    let (daemon, children) = connected(&bed, &sshd).await;
    daemon.shut_down().await;
    wait_gone(&children, GONE).await;

    let (daemon, children) = connected(&bed, &sshd).await;
    daemon.signal("KILL").await;
    wait_gone(&children, GONE).await;

    let (daemon, children) = connected(&bed, &sshd).await;
    sshd.kill_sessions();
    wait_gone(&children, GONE).await;
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_killed_in_mid_stream_is_an_interruption() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = sshd(&bed);
    let (daemon, children) = connected(&bed, &sshd).await;
    bed.llm
        .on_chat(|_| Reply::Stream(vec![script::role(), script::text("so far"), Step::Silence]));
    let question = with(prompt("p", "Talk."), &json!({"model": "smol"}));
    let ticket = daemon.send("remote-llm/stream-prompt", question).await;
    daemon.wait_text("p").await;
    kill(&children);
    let error = daemon.reply(&ticket).await.unwrap_err();
    assert_eq!(error.code(), "STREAM_INTERRUPTED", "{error:?}");
    assert_eq!(error.data["partial"], "so far");
    daemon.shut_down().await;
}

// --- commands that fail ---------------------------------------------------------------------

async fn fails(bed: &Bed, daemon: &Daemon, sshd: &Sshd, command: &str) -> RpcError {
    let result = bed.test(daemon, proxied(sshd, command)).await;
    assert_eq!(result["success"], false, "{command}: {result:#}");
    RpcError::new(&result["error"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_fails_is_told_with_its_last_words() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = sshd(&bed);
    let daemon = bed.daemon().await;
    for (command, said) in [
        (
            "sh -c 'echo first >&2; echo no way through >&2; exit 7'",
            "(exit status: 7; it said: no way through)",
        ),
        ("no-such-program-here %h %p", "not found"),
        ("sh -c 'printf \"\\033[2Jcleared\" >&2; exit 1'", "cleared"),
    ] {
        let error = fails(&bed, &daemon, &sshd, command).await;
        assert_eq!(error.code(), "SSH_PROXY_COMMAND_FAILED", "{error:?}");
        assert_eq!(error.data["stage"], "ssh-handshake", "{command}: {error:?}");
        assert!(error.message.contains(said), "{command}: {}", error.message);
        assert!(!error.message.contains('\u{1b}'), "{command}");
    }
    // An unknown token is ssh's mistake to make, before anything is started.
    let error = fails(&bed, &daemon, &sshd, "nc %z %p").await;
    assert_eq!(error.code(), "SSH_CONFIG_INVALID", "{error:?}");
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_hangs_or_leaves_children_behind_is_ended() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = sshd(&bed);
    let daemon = bed.daemon().await;
    let command = "sh -c 'sleep 1000 & sleep 1000'";
    let ssh = with(proxied(&sshd, command), &json!({"connectTimeout": 1500}));
    let ticket = daemon
        .send("remote-llm/test-connection", json!({"ssh": ssh}))
        .await;
    let children = wait_children(&daemon, 2).await;
    let result = daemon.reply(&ticket).await.unwrap();
    let error = RpcError::new(&result["error"]);
    assert_eq!(error.code(), "SSH_CONNECTION_TIMEOUT", "{error:?}");
    wait_gone(&children, GONE).await;
    daemon.shut_down().await;
}

/// Waits until so many processes sleep below the daemon.
async fn wait_children(daemon: &Daemon, count: usize) -> Vec<u32> {
    let is_asleep = |id: &&u32| {
        let words = command_line(**id);
        words
            .first()
            .is_some_and(|word| Path::new(word).ends_with("sleep"))
    };
    loop {
        let children = daemon.children();
        if children.iter().filter(is_asleep).count() == count {
            return children;
        }
        assert!(!daemon.read(|traffic| traffic.ended));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
