//! The vault: what is typed once is there after a restart, for who has the key, and for nobody
//! else.

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG, prompt, with};
use crate::support::daemon::Daemon;

/// 32 bytes each.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHiA=";

async fn daemon(bed: &Bed, vault: Value) -> (Daemon, Value) {
    let daemon = Daemon::spawn(&bed.launch());
    let hello = with(bed.hello(), &json!({"vault": vault}));
    let hello = daemon.ok("initialize", hello).await;
    (daemon, hello["vault"].clone())
}

/// A daemon that has gone, and left its secrets.
async fn saved(bed: &Bed, vault: Value) {
    let (daemon, status) = daemon(bed, vault).await;
    assert_eq!(status["state"], "unlocked", "{status}");
    let ssh = with(bed.ssh_params(), &json!({"authMethod": "password"}));
    let llm = with(
        bed.llm_params(),
        &json!({"apiKey": "sk-kept", "secretHeaders": {"X-Gate": "open"}}),
    );
    let view = bed.configure_with(&daemon, ssh, llm).await;
    assert_eq!(view["warnings"], json!([]));
    daemon.shut_down().await;
}

fn file(bed: &Bed) -> std::path::PathBuf {
    bed.path("data/remote-llm/vault.json")
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_used_after_a_restart_without_asking() {
    let bed = Bed::start().await;
    saved(&bed, json!({"key": KEY})).await;
    let (daemon, status) = daemon(&bed, json!({"key": KEY})).await;
    assert_eq!(status["state"], "unlocked");
    assert_eq!(status["keySource"], "host");
    assert_eq!(status["entries"], 3);
    let view = daemon
        .ok("remote-llm/get-config", json!({"configId": CONFIG}))
        .await;
    assert_eq!(view["ssh"]["hasPassword"], true);
    assert_eq!(view["llm"]["hasApiKey"], true);
    assert_eq!(view["llm"]["secretHeaderNames"], json!(["x-gate"]));
    let params = with(prompt("p", "Hello?"), &json!({"model": "smol"}));
    daemon.ok("remote-llm/submit-prompt", params).await;
    let asked = bed.llm.chats();
    let last = &asked.last().unwrap().request;
    assert_eq!(last.header("authorization"), Some("Bearer sk-kept"));
    assert_eq!(last.header("x-gate"), Some("open"));
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_vault_says_so_and_takes_nothing_away() {
    let bed = Bed::start().await;
    saved(&bed, json!({"key": KEY})).await;
    let before = std::fs::read(file(&bed)).unwrap();
    for (vault, code) in [
        (json!({}), "VAULT_LOCKED"),
        (json!({"passphrase": "no"}), "VAULT_LOCKED"),
        (json!({"key": OTHER}), "VAULT_KEY_MISMATCH"),
    ] {
        let (daemon, status) = daemon(&bed, vault).await;
        assert_eq!(status["state"], "locked");
        assert_eq!(status["problem"]["data"]["code"], code);
        let config = json!({"configId": CONFIG});
        let error = daemon.err("remote-llm/connect", config.clone()).await;
        assert_eq!(error.code(), code);
        // Typed again, it is good for this session, and tells that it is not kept.
        let ssh = with(bed.ssh_params(), &json!({"authMethod": "password"}));
        let view = bed.configure_with(&daemon, ssh, bed.llm_params()).await;
        let warnings = view["warnings"].as_array().unwrap();
        assert!(warnings[0].as_str().unwrap().contains("locked"), "{view}");
        let status = daemon.ok("remote-llm/connect", config).await;
        assert_eq!(status["state"], "ready");
        daemon.shut_down().await;
        assert_eq!(std::fs::read(file(&bed)).unwrap(), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_says_that_a_vault_of_a_newer_program_was_not_read() {
    let bed = Bed::start().await;
    saved(&bed, json!({"key": KEY})).await;
    let mut vault: Value = serde_json::from_slice(&std::fs::read(file(&bed)).unwrap()).unwrap();
    vault["version"] = json!(2);
    let newer = vault.to_string();
    std::fs::write(file(&bed), &newer).unwrap();
    let (daemon, status) = daemon(&bed, json!({"key": KEY})).await;
    assert_eq!(status["problem"]["data"]["code"], "VAULT_TOO_NEW");
    let config = json!({"configId": CONFIG});
    let tested = daemon.ok("remote-llm/test-connection", config).await;
    let warnings = tested["warnings"].as_array().unwrap();
    let said = |warning: &Value| warning.as_str().unwrap().contains("may be in the vault");
    assert!(warnings.iter().any(said), "{tested:#}");
    daemon.shut_down().await;
    assert_eq!(std::fs::read_to_string(file(&bed)).unwrap(), newer);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_typed_while_it_was_locked_is_kept_once_it_is_unlocked() {
    let bed = Bed::start().await;
    saved(&bed, json!({"passphrase": "correct horse"})).await;
    let (locked, status) = daemon(&bed, json!({})).await;
    assert_eq!(status["keySource"], "passphrase");
    let llm = with(bed.llm_params(), &json!({"apiKey": "sk-typed"}));
    bed.configure_with(&locked, bed.ssh_params(), llm).await;
    let wrong = json!({"passphrase": "wrong horse"});
    let error = locked.err("remote-llm/vault-unlock", wrong).await;
    assert_eq!(error.code(), "VAULT_KEY_MISMATCH");
    let right = json!({"passphrase": "correct horse"});
    let status = locked.ok("remote-llm/vault-unlock", right.clone()).await;
    assert_eq!(status["state"], "unlocked");
    locked.shut_down().await;
    let (next, _) = daemon(&bed, right).await;
    let params = with(prompt("p", "Hello?"), &json!({"model": "smol"}));
    next.ok("remote-llm/submit-prompt", params).await;
    let asked = bed.llm.chats();
    let last = &asked.last().unwrap().request;
    assert_eq!(last.header("authorization"), Some("Bearer sk-typed"));
    next.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_takes_its_secrets_along_when_it_goes_and_nowhere_else() {
    let bed = Bed::start().await;
    saved(&bed, json!({"key": KEY})).await;
    let (daemon, _) = daemon(&bed, json!({"key": KEY})).await;
    let path = bed
        .project()
        .join(format!(".puffin/config/remote-llm/{CONFIG}.json"));
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("127.0.0.1", "localhost")).unwrap();
    let config = json!({"configId": CONFIG});
    let error = daemon.err("remote-llm/connect", config.clone()).await;
    assert_eq!(error.code(), "CONFIG_UNTRUSTED", "{error:?}");
    let digest =
        daemon.ok("remote-llm/get-config", config.clone()).await["trust"]["digest"].clone();
    let trusted = with(config.clone(), &json!({"digest": digest}));
    daemon.ok("remote-llm/trust-config", trusted).await;
    let error = daemon.err("remote-llm/connect", config.clone()).await;
    assert_eq!(error.code(), "SECRET_BINDING_MISMATCH", "{error:?}");
    assert_eq!(error.data["field"], "ssh.password");
    daemon.ok("remote-llm/delete-config", config).await;
    let status = daemon.ok("remote-llm/vault-status", json!({})).await;
    assert_eq!(status["entries"], 0);
    for name in ["vault.json", "vault.json.bak"] {
        let text = std::fs::read_to_string(file(&bed).with_file_name(name)).unwrap();
        assert!(!text.contains("llm.apiKey"), "{name}");
    }
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secrets_of_a_jump_host_go_when_it_is_taken_out() {
    let bed = Bed::start().await;
    let (daemon, _) = daemon(&bed, json!({"key": KEY})).await;
    let entries = async || daemon.ok("remote-llm/vault-status", json!({})).await["entries"].clone();
    let hop = json!({"host": "bastion", "password": "canary", "passphrase": "canary"});
    let ssh = with(
        bed.ssh_params(),
        &json!({"password": "canary", "jumpHosts": [hop, hop]}),
    );
    bed.configure_with(&daemon, ssh, bed.llm_params()).await;
    assert_eq!(entries().await, 5);
    let ssh = with(
        bed.ssh_params(),
        &json!({"jumpHosts": [{"host": "bastion"}]}),
    );
    bed.configure_with(&daemon, ssh, bed.llm_params()).await;
    assert_eq!(entries().await, 3);
    bed.configure_with(&daemon, bed.ssh_params(), bed.llm_params())
        .await;
    assert_eq!(entries().await, 1);
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_can_be_changed_and_the_vault_put_aside() {
    let bed = Bed::start().await;
    saved(&bed, json!({"key": KEY})).await;
    let (first, _) = daemon(&bed, json!({"key": KEY})).await;
    let passphrase = json!({"passphrase": "from now on"});
    let status = first
        .ok("remote-llm/vault-rotate", passphrase.clone())
        .await;
    assert_eq!(status["keySource"], "passphrase");
    assert_eq!(status["entries"], 3);
    first.shut_down().await;
    let (next, _) = daemon(&bed, passphrase).await;
    let status = next
        .ok("remote-llm/connect", json!({"configId": CONFIG}))
        .await;
    assert_eq!(status["state"], "ready");
    let error = next
        .err("remote-llm/vault-reset", json!({"confirm": "yes"}))
        .await;
    assert_eq!(error.code(), "INVALID_PARAMS");
    let status = next.ok("remote-llm/vault-status", json!({})).await;
    let confirm = json!({"confirm": status["vaultId"]});
    let status = next.ok("remote-llm/vault-reset", confirm).await;
    assert_eq!(status["entries"], 0);
    assert_eq!(status["state"], "unlocked");
    next.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_none_is_told_by_its_field() {
    let bed = Bed::start().await;
    for (vault, field) in [
        (json!({"key": "AAAA"}), "vault.key"),
        (json!({"passphrase": ""}), "vault.passphrase"),
        (json!({"key": KEY, "passphrase": "p"}), "vault.passphrase"),
    ] {
        let daemon = Daemon::spawn(&bed.launch());
        let hello = with(bed.hello(), &json!({"vault": vault}));
        let error = daemon.err("initialize", hello).await;
        assert_eq!(error.code(), "INVALID_PARAMS");
        assert_eq!(error.data["field"], field);
    }
    assert!(!file(&bed).exists());
}

/// Two windows at once, each secret another one. `PUFFIN_UPDATES` says how many each: 100 unless it
/// does; 1,000 take half a minute.
#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_lose_none_of_each_others_secrets() {
    let updates = std::env::var("PUFFIN_UPDATES").map_or(100, |updates| updates.parse().unwrap());
    let bed = Bed::start().await;
    let vault = json!({"key": KEY});
    let (left, _) = daemon(&bed, vault.clone()).await;
    let (right, _) = daemon(&bed, vault.clone()).await;
    let ssh = json!({"host": "127.0.0.1", "username": "ai", "useSshConfig": false});
    let change = async |daemon: &Daemon, side: &str| {
        for number in 0..updates {
            let header = format!("X-{}", number / 20);
            let secret = json!({"secretHeaders": {header: format!("{side} {number}")}});
            let config_id = format!("{side}-{}", number % 20);
            let params = json!({"configId": config_id, "ssh": ssh,
                "llm": with(bed.llm_params(), &secret)});
            daemon.ok("remote-llm/configure", params).await;
        }
    };
    tokio::join!(change(&left, "left"), change(&right, "right"));
    left.shut_down().await;
    right.shut_down().await;
    let (next, status) = daemon(&bed, vault).await;
    assert_eq!(status["entries"], 2 * updates, "{status:#}");
    let text = std::fs::read_to_string(file(&bed)).unwrap();
    let written: Value = serde_json::from_str(&text).unwrap();
    // One write made it; none was made twice, and none took another's place.
    assert_eq!(written["epoch"], 1 + 2 * updates);
    next.shut_down().await;
}
