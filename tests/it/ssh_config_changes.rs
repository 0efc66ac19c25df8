//! ssh_config is somebody else's file: it may be broken, change at any time, lead nowhere, and
//! the `ssh` that reads it may be broken, too.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG, set_mode, with};
use crate::support::peer::is_here;
use crate::support::peer::sshd::{self, Sshd};
use crate::support::processes::wait_gone;

fn profile(bed: &Bed, ssh: &Value) -> Value {
    json!({"configId": CONFIG, "name": "Lab", "ssh": ssh, "llm": bed.llm_params()})
}

/// The bed's own server, as ssh_config says it.
fn configured(bed: &Bed) -> Value {
    with(
        bed.ssh_params(),
        &json!({"host": "box", "port": null, "useSshConfig": true}),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_is_told_with_its_line_and_the_profile_is_saved_all_the_same() {
    let bed = Bed::start().await;
    let good = format!(
        "Host box\n  HostName 127.0.0.1\n  Port {}\n",
        bed.ssh.port()
    );
    for launch in bed.both_ways() {
        let file = bed.write_ssh_config(&format!("{good}  ForwardTheAgent yes\n"));
        let daemon = bed.launched(&launch).await;
        let params = profile(&bed, &configured(&bed));
        let saved = daemon.ok("remote-llm/configure", params).await;
        let config = json!({"configId": CONFIG});
        let error = daemon.err("remote-llm/connect", config.clone()).await;
        assert_eq!(error.code(), "SSH_CONFIG_INVALID", "{error:?}");
        let tested = daemon
            .ok("remote-llm/test-connection", config.clone())
            .await;
        assert_eq!(tested["error"]["data"]["code"], "SSH_CONFIG_INVALID");
        assert_eq!(tested["stages"][0]["status"], "failed", "{tested:#}");
        let place = file.display().to_string();
        for text in [&saved["warnings"].to_string(), &error.message] {
            assert!(text.contains(&place), "{launch:?}: {text}");
            let is_there = text.contains(":4:") || text.contains("line 4");
            assert!(is_there, "{launch:?}: {text}");
            assert!(text.to_lowercase().contains("forwardtheagent"), "{text}");
        }
        let listed = daemon.ok("remote-llm/list-configs", json!({})).await;
        assert_eq!(listed["configs"][0]["configId"], CONFIG, "{listed:#}");
        // Mended, it works: nothing is saved anew.
        bed.write_ssh_config(&good);
        let status = daemon.ok("remote-llm/connect", config).await;
        assert_eq!(status["state"], "ready", "{status:#}");
        daemon.shut_down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_others_may_write_is_refused() {
    let bed = Bed::start().await;
    for launch in bed.both_ways() {
        let file = bed.write_ssh_config(&format!(
            "Host box\n  HostName 127.0.0.1\n  Port {}\n",
            bed.ssh.port()
        ));
        set_mode(&file, 0o666);
        let daemon = bed.launched(&launch).await;
        let result = bed.test(&daemon, configured(&bed)).await;
        let code = &result["error"]["data"]["code"];
        assert_eq!(code, "SSH_CONFIG_INVALID", "{launch:?}: {result:#}");
        daemon.shut_down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_holds_from_the_next_connect_on() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let (one, other) = (Sshd::start(&[]), Sshd::start(&[]));
    bed.write_known_hosts(&(one.host_key_line() + &other.host_key_line()));
    bed.write_ssh_config(&one.block("box"));
    let daemon = bed.daemon().await;
    let params = profile(&bed, &json!({"host": "box"}));
    daemon.ok("remote-llm/configure", params).await;
    let config = json!({"configId": CONFIG});
    daemon.ok("remote-llm/connect", config.clone()).await;
    bed.write_ssh_config(&other.block("box"));
    // A connection that stands is not broken by it.
    daemon.ok("remote-llm/list-models", config.clone()).await;
    assert_eq!((one.logins(), other.logins()), (1, 0));
    daemon.ok("remote-llm/disconnect", config.clone()).await;
    daemon.ok("remote-llm/connect", config).await;
    assert_eq!((one.logins(), other.logins()), (1, 1));
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ssh_that_hangs_is_given_up_and_the_file_read_without_it() {
    let bed = Bed::start().await;
    bed.write_ssh_config(&format!(
        "Host box\n  HostName 127.0.0.1\n  Port {}\n",
        bed.ssh.port()
    ));
    let daemon = bed
        .launched(&bed.launch_with_ssh("exec /bin/sleep 1000"))
        .await;
    let begun = Instant::now();
    let result = bed.test(&daemon, configured(&bed)).await;
    assert_eq!(result["success"], true, "{result:#}");
    assert!(begun.elapsed() < Duration::from_secs(15));
    let told = result["warnings"].to_string();
    assert!(told.contains("ssh -G could not be used"), "{told}");

    // For a while it is not asked again.
    let begun = Instant::now();
    let result = bed.test(&daemon, configured(&bed)).await;
    assert_eq!(result["success"], true, "{result:#}");
    assert!(begun.elapsed() < Duration::from_secs(4));
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_to_wait_for_an_ssh_that_hangs() {
    let bed = Bed::start().await;
    bed.write_ssh_config("Host box\n  HostName 127.0.0.1\n");
    let daemon = bed
        .launched(&bed.launch_with_ssh("exec /bin/sleep 1000"))
        .await;
    let params = json!({"ssh": configured(&bed)});
    let ticket = daemon.send("remote-llm/test-connection", params).await;
    let cancelled = Instant::now();
    daemon.cancel(&ticket).await;
    let error = daemon.reply(&ticket).await.unwrap_err();
    assert_eq!(error.code(), "CANCELLED");
    assert!(cancelled.elapsed() < Duration::from_secs(3));
    let children = daemon.children();
    daemon.shut_down().await;
    wait_gone(&children, Duration::from_secs(5)).await;
}

/// A `Match exec` that hangs costs its host seconds; many of them do not add up.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_many_hosts_is_not_waited_for_longer_than_one_of_few() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let more: Vec<_> = (0..30).map(|number| format!("Host h{number}\n")).collect();
    bed.write_ssh_config(&format!(
        "{}Match host h* exec \"exec /bin/sleep 1000\"\n  User nobody\n",
        more.concat()
    ));
    let daemon = bed.daemon().await;
    let begun = Instant::now();
    let listed = daemon.ok("remote-llm/list-ssh-hosts", json!({})).await;
    assert!(begun.elapsed() < Duration::from_secs(20));
    let hosts = listed["hosts"].as_array().unwrap();
    assert_eq!(hosts.len(), 30, "{listed:#}");
    let problem = hosts[29]["problem"].as_str().unwrap_or_default();
    assert!(problem.contains("too long"), "{listed:#}");
    let children = daemon.children();
    daemon.shut_down().await;
    wait_gone(&children, Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ssh_that_floods_or_speaks_nonsense_is_given_up() {
    let bed = Bed::start().await;
    bed.write_ssh_config(&format!(
        "Host box\n  HostName 127.0.0.1\n  Port {}\n",
        bed.ssh.port()
    ));
    for script in [
        "while :; do echo 'hostname gone.invalid and much more'; done",
        "while :; do echo 'and much more' >&2; done",
        "echo '\\033]0;hello\\007'; exit 0",
        "exit 255",
        "kill -9 $$",
    ] {
        let daemon = bed.launched(&bed.launch_with_ssh(script)).await;
        let begun = Instant::now();
        let result = bed.test(&daemon, configured(&bed)).await;
        assert_eq!(result["success"], true, "{script}: {result:#}");
        assert!(begun.elapsed() < Duration::from_secs(15), "{script}");
        let told = result["warnings"].to_string();
        assert!(
            told.contains("ssh -G could not be used"),
            "{script}: {told}"
        );
        daemon.shut_down().await;
    }
}
