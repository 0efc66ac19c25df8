//! What the system sees of a profile that is not trusted: nothing.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG, prompt, with};
use crate::support::peer::{installed, is_here};
use crate::trust::{check_out, cloned};

/// Params for a method with which it would use the profile if it could. A method that is new has
/// to be thought of here. `None`: it is not about a profile, and looks at the user's own files.
fn params(bed: &Bed, method: &str) -> Option<Value> {
    let config = json!({"configId": CONFIG});
    let with_config = |more: Value| with(config.clone(), &more);
    Some(match method.strip_prefix("remote-llm/").unwrap_or(method) {
        "initialize" | "shutdown" | "list-ssh-hosts" | "parse-target" => return None,
        "cancel" => json!({"requestId": "p"}),
        "configure" => {
            with_config(json!({"ssh": with(bed.ssh_params(), &json!({"host": "evil"}))}))
        }
        "get-config" | "connect" | "disconnect" | "status" | "test-connection" => config.clone(),
        "list-configs" | "list-presets" | "vault-status" | "list-conversations" => json!({}),
        "trust-config" => with_config(json!({"digest": "0".repeat(64)})),
        "list-models" => with_config(json!({"refresh": true})),
        "select-model" => with_config(json!({"modelId": "m"})),
        "submit-prompt" | "stream-prompt" => prompt(method, "Hello?"),
        "get-conversation" | "delete-conversation" => json!({"conversationId": "c"}),
        "vault-unlock" | "vault-rotate" => json!({}),
        "vault-reset" => json!({"confirm": "no"}),
        // The last one.
        "delete-config" => config.clone(),
        other => panic!("{other} is new: what would it do with a profile?"),
    })
}

/// The lines of the log that came after `initialize` was answered.
fn after_the_beginning(log: &str) -> impl Iterator<Item = &str> {
    // The daemon opens its libraries before, and the vault's folder.
    log.lines()
        .skip_while(|line| !line.contains("profiles.lock"))
}

/// The path that a call opens, if it is one that opens.
fn opened(line: &str) -> Option<&str> {
    let (_, call) = line.split_once(char::is_whitespace)?;
    let call = call.trim_start();
    ["open(", "openat(", "openat2(", "creat("]
        .iter()
        .any(|name| call.starts_with(name))
        .then(|| call.split('"').nth(1))
        .flatten()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_is_not_trusted_opens_no_socket_and_no_file_but_its_own() {
    if !is_here("strace", installed(&["strace"])) {
        return;
    }
    let bed = Bed::start().await;
    bed.write_ssh_config("Host evil\nHostName evil.example\n");
    let canary = bed.write_private("home/.ssh/canary", "no key");
    let profile = cloned(
        &bed,
        &json!({
            "host": "evil", "useSshConfig": true, "authMethod": "privateKey",
            "privateKeyPath": canary, "certificatePath": canary, "identityAgent": canary,
            "passwordSource": {"command": ["cat", canary]},
            "passphraseSource": {"command": ["cat", canary]},
            "jumpHosts": [{"host": "gate.example", "privateKeyPath": canary, "proxyCommand": "false"}],
        }),
    );
    let llm = json!({"apiEndpoint": "https://llm.example", "tls": {"caPath": canary}});
    check_out(&bed, CONFIG, &with(profile, &json!({"llm": llm})));

    let log = bed.path("trace");
    let daemon = crate::support::daemon::Daemon::spawn(&bed.launch().traced(&log));
    let hello = daemon.ok("initialize", bed.hello()).await;
    // What is not about this profile is looked up first.
    let fresh = json!({"configId": "fresh", "name": "Fresh", "ssh": {"host": "x", "useSshConfig": false},
        "llm": bed.llm_params()});
    daemon.ok("remote-llm/configure", fresh).await;
    let mut methods: Vec<_> = hello["capabilities"]["methods"]
        .as_array()
        .unwrap()
        .iter()
        .map(|method| method.as_str().unwrap())
        .collect();
    methods.sort_by_key(|&method| method == "remote-llm/delete-config");
    let mut refused = 0;
    for method in methods {
        let Some(params) = params(&bed, method) else {
            continue;
        };
        if let Err(error) = daemon.call(method, params).await
            && error.code() == "CONFIG_UNTRUSTED"
        {
            refused += 1;
        }
    }
    assert_eq!(refused, 8, "another number of methods uses profiles now");
    daemon.shut_down().await;

    let log = std::fs::read_to_string(&log).unwrap();
    // Names of temporary files are random, and the C library's memory looks at the system.
    let system = [
        "/dev/urandom",
        "/proc/sys/vm/overcommit_memory",
        "/sys/devices/system/cpu/online",
    ];
    let system = system.map(PathBuf::from);
    let own = [bed.path("data"), bed.project()];
    let mut opens = 0;
    for line in after_the_beginning(&log) {
        for call in [
            "socket(",
            "connect(",
            "sendto(",
            "sendmsg(",
            "execve(",
            "execveat(",
        ] {
            assert!(!line.contains(&format!(" {call}")), "{line}");
        }
        if let Some(path) = opened(line) {
            opens += 1;
            let path = Path::new(path);
            let is_own = own.iter().chain(&system).any(|own| path.starts_with(own));
            assert!(is_own, "{line}");
        }
    }
    assert!(opens > 0, "nothing was noted: {log}");
    assert!(!log.contains("canary"), "the key's path was touched");
}
