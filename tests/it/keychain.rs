//! A vault whose key is in the system's own store: GNOME's keyring, on a bus of the test's own.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG, prompt, with};
use crate::support::daemon::{Daemon, Launch};
use crate::support::peer::is_here;
use crate::support::peer::keyring::{self, Keyring};

const KEYCHAIN: &str = r#"{"keychain": true}"#;

/// A world with a keyring; `None`: there is none on this machine.
async fn start() -> Option<(Bed, Keyring)> {
    if !is_here("gnome-keyring", keyring::available()) {
        return None;
    }
    Some((Bed::start().await, Keyring::start()))
}

fn keychain() -> Value {
    serde_json::from_str(KEYCHAIN).unwrap()
}

/// A daemon that was told where the vault's key is, and what it says of the vault.
async fn opened(bed: &Bed, launch: &Launch) -> (Daemon, Value) {
    let daemon = Daemon::spawn(launch);
    let hello = with(bed.hello(), &json!({"vault": keychain()}));
    let hello = daemon.ok("initialize", hello).await;
    (daemon, hello["vault"].clone())
}

/// Saves a password and an API key.
async fn save(bed: &Bed, daemon: &Daemon) {
    let ssh = with(bed.ssh_params(), &json!({"authMethod": "password"}));
    let llm = with(bed.llm_params(), &json!({"apiKey": "sk-kept"}));
    let view = bed.configure_with(daemon, ssh, llm).await;
    assert_eq!(view["warnings"], json!([]));
}

/// A vault in the keyring with two secrets, whose daemon is gone; and its entry's name.
async fn saved(bed: &Bed, keyring: &Keyring) -> String {
    let (daemon, status) = opened(bed, &keyring.around(bed.launch())).await;
    assert_eq!(status["state"], "unlocked", "{status}");
    save(bed, &daemon).await;
    daemon.shut_down().await;
    only_entry(keyring)
}

fn only_entry(keyring: &Keyring) -> String {
    let entries = keyring.entries();
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries.concat()
}

fn file(bed: &Bed) -> Vec<u8> {
    std::fs::read(bed.path("data/remote-llm/vault.json")).unwrap()
}

/// A locked vault: its file is as it was, and what needs nothing of it works.
async fn is_locked(bed: &Bed, keyring: &Keyring, code: &str, says: &str) -> Daemon {
    let before = file(bed);
    let (daemon, status) = opened(bed, &keyring.around(bed.launch())).await;
    assert_eq!(status["state"], "locked", "{status}");
    assert_eq!(status["problem"]["data"]["code"], code, "{status}");
    let message = status["problem"]["message"].as_str().unwrap();
    assert!(message.contains(says), "{message}");
    let error = daemon.err("remote-llm/connect", json!({"configId": CONFIG}));
    assert_eq!(error.await.code(), code);
    // Typed again, it is good for this session.
    let ssh = with(bed.ssh_params(), &json!({"authMethod": "password"}));
    let view = bed.configure_with(&daemon, ssh, bed.llm_params()).await;
    let warnings = view["warnings"].as_array().unwrap();
    assert!(warnings[0].as_str().unwrap().contains("locked"), "{view}");
    let status = daemon.ok("remote-llm/connect", json!({"configId": CONFIG}));
    assert_eq!(status.await["state"], "ready");
    assert_eq!(file(bed), before);
    daemon
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_there_for_the_next_daemon_and_its_key_nowhere_else() {
    let Some((bed, keyring)) = start().await else {
        return;
    };
    let entry = saved(&bed, &keyring).await;
    let launch = keyring
        .around(bed.launch())
        .argument("--log")
        .argument("trace");
    let (daemon, status) = opened(&bed, &launch).await;
    assert_eq!(status["state"], "unlocked", "{status}");
    assert_eq!(status["keySource"], "keychain");
    assert_eq!(status["entries"], 2);
    let params = with(prompt("p", "Hello?"), &json!({"model": "smol"}));
    daemon.ok("remote-llm/submit-prompt", params).await;
    let asked = bed.llm.chats();
    let last = &asked.last().unwrap().request;
    assert_eq!(last.header("authorization"), Some("Bearer sk-kept"));
    let key = keyring.secret(&entry);
    assert_eq!(key.len(), 44, "32 bytes in base64");
    let written = String::from_utf8(file(&bed)).unwrap() + &daemon.stderr();
    assert!(!written.contains(&key));
    daemon.shut_down().await;
    assert_eq!(
        only_entry(&keyring),
        entry,
        "nothing was made a second time"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyring_that_was_killed_locks_the_vault_until_it_is_back() {
    let Some((bed, mut keyring)) = start().await else {
        return;
    };
    saved(&bed, &keyring).await;
    keyring.kill();
    let code = "VAULT_KEYCHAIN_UNAVAILABLE";
    let daemon = is_locked(&bed, &keyring, code, "org.freedesktop.secrets").await;
    let error = daemon.err("remote-llm/vault-unlock", json!({})).await;
    assert_eq!(error.code(), code);
    keyring.begin();
    let status = daemon.ok("remote-llm/vault-unlock", json!({})).await;
    assert_eq!(status["state"], "unlocked", "{status}");
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_keyring_that_nobody_unlocks_locks_the_vault() {
    let Some((bed, keyring)) = start().await else {
        return;
    };
    saved(&bed, &keyring).await;
    keyring.lock();
    let daemon = is_locked(&bed, &keyring, "VAULT_LOCKED", "was not unlocked").await;
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_gone_is_a_lost_key_and_a_reset_begins_anew() {
    let Some((bed, keyring)) = start().await else {
        return;
    };
    let entry = saved(&bed, &keyring).await;
    keyring.remove(&entry);
    let daemon = is_locked(&bed, &keyring, "VAULT_KEY_LOST", &entry).await;
    assert_eq!(
        keyring.entries(),
        [""; 0],
        "no key is made while a vault is there"
    );
    let status = daemon.ok("remote-llm/vault-status", json!({})).await;
    let reset = json!({"confirm": status["vaultId"]});
    let status = daemon.ok("remote-llm/vault-reset", reset).await;
    assert_eq!(status["state"], "unlocked", "{status}");
    assert_ne!(only_entry(&keyring), entry);
    save(&bed, &daemon).await;
    daemon.shut_down().await;
    let (daemon, status) = opened(&bed, &keyring.around(bed.launch())).await;
    assert_eq!(status["entries"], 2, "{status}");
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_with_something_else_in_it_is_a_wrong_key() {
    let Some((bed, keyring)) = start().await else {
        return;
    };
    let entry = saved(&bed, &keyring).await;
    let key = keyring.secret(&entry);
    for other in ["AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "no key"] {
        keyring.overwrite(&entry, other);
        let daemon = is_locked(&bed, &keyring, "VAULT_KEY_MISMATCH", &entry).await;
        assert_eq!(keyring.secret(&entry), other, "it is left alone, too");
        daemon.shut_down().await;
    }
    keyring.overwrite(&entry, &key);
    let (daemon, status) = opened(&bed, &keyring.around(bed.launch())).await;
    assert_eq!(status["state"], "unlocked", "{status}");
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_session_nothing_is_made_and_secrets_live_as_long_as_the_daemon() {
    let bed = Bed::start().await;
    let (daemon, status) = opened(&bed, &bed.launch()).await;
    assert_eq!(status["state"], "locked", "{status}");
    let problem = &status["problem"];
    assert_eq!(problem["data"]["code"], "VAULT_KEYCHAIN_UNAVAILABLE");
    assert!(status["vaultId"].is_null(), "{status}");
    bed.configure_with(&daemon, bed.ssh_params(), bed.llm_params())
        .await;
    let status = daemon.ok("remote-llm/connect", json!({"configId": CONFIG}));
    assert_eq!(status.await["state"], "ready");
    assert!(!bed.path("data/remote-llm/vault.json").exists());
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_changes_its_key_to_the_keyring_and_away_from_it() {
    let Some((bed, keyring)) = start().await else {
        return;
    };
    let first = saved(&bed, &keyring).await;
    let (daemon, _) = opened(&bed, &keyring.around(bed.launch())).await;
    let status = daemon.ok("remote-llm/vault-rotate", keychain()).await;
    assert_eq!(status["keySource"], "keychain");
    let second = only_entry(&keyring);
    assert_ne!(second, first);
    let passphrase = json!({"passphrase": "correct horse"});
    let status = daemon.ok("remote-llm/vault-rotate", passphrase).await;
    assert_eq!(status["keySource"], "passphrase");
    assert_eq!(keyring.entries(), [""; 0], "its key opens nothing any more");
    let status = daemon.ok("remote-llm/vault-rotate", keychain()).await;
    assert_eq!(status["state"], "unlocked");
    daemon.shut_down().await;
    assert_ne!(only_entry(&keyring), second);
    let (daemon, status) = opened(&bed, &keyring.around(bed.launch())).await;
    assert_eq!(
        (&status["state"], &status["entries"]),
        (&json!("unlocked"), &json!(2))
    );
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_opens_it_by_itself_and_says_what_is_wrong() {
    let Some((bed, mut keyring)) = start().await else {
        return;
    };
    saved(&bed, &keyring).await;
    let doctor = keyring
        .around(bed.launch())
        .argument("doctor")
        .argument(CONFIG)
        .argument("--json")
        .argument("--project")
        .argument(bed.project().to_str().unwrap())
        .argument("--data-dir")
        .argument(bed.path("data").to_str().unwrap());
    let examine = async || {
        let mut command = doctor.command();
        let work = move || command.stdin(Stdio::null()).output().unwrap();
        let output = tokio::task::spawn_blocking(work).await.unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let found = examine().await;
    assert_eq!(found["success"], true, "{found:#}");
    assert_eq!(found["vault"], "unlocked");
    keyring.kill();
    let found = examine().await;
    assert_eq!(found["success"], false, "{found:#}");
    assert!(
        found.to_string().contains("VAULT_KEYCHAIN_UNAVAILABLE"),
        "{found:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_windows_that_begin_at_once_have_one_vault_and_one_entry() {
    let Some((bed, keyring)) = start().await else {
        return;
    };
    let launch = keyring.around(bed.launch());
    let ((one, first), (two, second)) = tokio::join!(opened(&bed, &launch), opened(&bed, &launch));
    assert_eq!(first["state"], "unlocked", "{first}");
    assert_eq!(second["state"], "unlocked", "{second}");
    assert_eq!(first["vaultId"], second["vaultId"]);
    only_entry(&keyring);
    one.shut_down().await;
    two.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_answer_can_be_given_up() {
    let bed = Bed::start().await;
    // It listens, and says nothing.
    let silent = bed.path("silent");
    let _listener = std::os::unix::net::UnixListener::bind(&silent).unwrap();
    let address = format!("unix:path={}", silent.display());
    let launch = bed
        .launch()
        .environment("DBUS_SESSION_BUS_ADDRESS", &address);
    let daemon = Daemon::spawn(&launch);
    daemon.ok("initialize", bed.hello()).await;
    let ticket = daemon.send("remote-llm/vault-unlock", keychain()).await;
    // Others are not kept waiting by it.
    daemon.ok("remote-llm/list-configs", json!({})).await;
    daemon.cancel(&ticket).await;
    let error = daemon.reply(&ticket).await.unwrap_err();
    assert_eq!(error.code(), "CANCELLED");
    daemon.shut_down().await;
}
