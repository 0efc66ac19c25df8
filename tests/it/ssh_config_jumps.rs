//! ProxyJump of ssh_config through real sshds, each reached as its own entry says.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bed::{Bed, by_key};
use crate::support::daemon::RpcError;
use crate::support::peer::is_here;
use crate::support::peer::sshd::{self, Sshd};

fn alias(name: &str) -> Value {
    json!({ "host": name })
}

/// An entry with a host key of its own name, so that hops can't be taken for each other.
fn entry(sshd: &Sshd, name: &str, more: &str) -> String {
    format!(
        "{}  HostKeyAlias key-of-{name}\n  {more}\n",
        sshd.block(name)
    )
}

fn known(servers: &[(&Sshd, &str)]) -> String {
    let line = |(sshd, name): &(&Sshd, &str)| {
        let line = sshd.host_key_line();
        let (_, key) = line.split_once(' ').unwrap();
        format!("key-of-{name} {key}")
    };
    servers.iter().map(line).collect()
}

/// The three stages of hops that say their names.
fn hosts(result: &Value) -> Vec<u64> {
    let stages = result["stages"].as_array().unwrap();
    let auth = stages.iter().filter(|stage| stage["name"] == "auth");
    auth.map(|stage| stage["hop"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_and_two_jumps_are_each_reached_as_their_own_entry_says() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let (outer, inner) = (Sshd::start_for("outer", &[]), Sshd::start_for("inner", &[]));
    let target = Sshd::start(&[]);
    bed.write_known_hosts(&known(&[
        (&outer, "outer"),
        (&inner, "inner"),
        (&target, "near"),
        (&target, "far"),
        (&target, "list"),
    ]));
    bed.write_ssh_config(
        &[
            entry(&outer, "outer", ""),
            entry(&inner, "inner", "ProxyJump outer"),
            entry(&target, "near", "ProxyJump outer"),
            entry(&target, "far", "ProxyJump inner"),
            // The file's own ProxyJump of `inner` does not count here, as with `ssh -J`.
            entry(&target, "list", "ProxyJump outer,inner"),
        ]
        .concat(),
    );
    for launch in bed.both_ways() {
        let before = [&outer, &inner, &target].map(Sshd::logins);
        let daemon = bed.launched(&launch).await;
        for (name, hops) in [("near", 2), ("far", 3), ("list", 3)] {
            let result = bed.test(&daemon, alias(name)).await;
            assert_eq!(result["success"], true, "{launch:?}: {name}: {result:#}");
            assert_eq!(hosts(&result), Vec::from_iter(1..=hops), "{name}");
        }
        daemon.shut_down().await;
        let after = [&outer, &inner, &target].map(Sshd::logins);
        let new: Vec<_> = after.iter().zip(before).map(|(a, b)| a - b).collect();
        assert_eq!(new, [3, 2, 3], "{launch:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profiles_own_jump_hosts_replace_the_files() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let bastion = Sshd::start_for("bastion", &[]);
    let target = Sshd::start(&[]);
    bed.write_known_hosts(&(bastion.host_key_line() + &known(&[(&target, "box")])));
    bed.write_ssh_config(&entry(&target, "box", "ProxyJump nowhere.invalid"));
    let daemon = bed.daemon().await;
    let jump = by_key(bastion.username(), bastion.port(), &bastion.keys.ed25519);
    let ssh = json!({"host": "box", "jumpHosts": [jump]});
    let result = bed.test(&daemon, ssh).await;
    assert_eq!(result["success"], true, "{result:#}");
    assert_eq!((bastion.logins(), target.logins()), (1, 1));
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circle_of_jumps_is_told_quickly() {
    let bed = Bed::start().await;
    bed.write_ssh_config(
        "Host a\n  ProxyJump b\nHost b\n  ProxyJump c\nHost c\n  ProxyJump a\n\
         Host self\n  ProxyJump self\n",
    );
    for launch in bed.both_ways() {
        let daemon = bed.launched(&launch).await;
        for name in ["a", "self"] {
            let begun = Instant::now();
            let result = bed.test(&daemon, alias(name)).await;
            let error = RpcError::new(&result["error"]);
            assert_eq!(error.code(), "SSH_CONFIG_INVALID", "{launch:?}: {error:?}");
            let message = &error.message;
            assert!(
                message.contains("ProxyJump"),
                "{launch:?}: {name}: {message}"
            );
            assert!(begun.elapsed() < Duration::from_secs(10), "{launch:?}");
        }
        daemon.shut_down().await;
    }
}
