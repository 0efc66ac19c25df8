//! Profiles: saved, read back, changed and deleted; with no secret in any file.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG, with};

fn profile_path(bed: &Bed, id: &str) -> std::path::PathBuf {
    bed.project()
        .join(format!(".puffin/config/remote-llm/{id}.json"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_saved_in_the_project_without_its_secrets() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    let llm = with(bed.llm_params(), &json!({"apiKey": "sk-it"}));
    let view = bed.configure_with(&daemon, bed.ssh_params(), llm).await;
    assert_eq!(view["configId"], CONFIG);
    assert_eq!(view["name"], "Lab");
    assert_eq!(view["ssh"]["host"], "127.0.0.1");
    assert_eq!(view["ssh"]["port"], bed.ssh.port());
    assert_eq!(view["ssh"]["hasPassword"], true);
    assert_eq!(view["ssh"]["hasPassphrase"], false);
    assert_eq!(view["llm"]["hasApiKey"], true);
    assert_eq!(view["llm"]["apiEndpoint"], bed.llm.endpoint());
    for secret in ["password", "passphrase"] {
        assert!(view["ssh"].get(secret).is_none(), "{secret} went out");
    }
    let path = profile_path(&bed, CONFIG);
    let saved: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(saved["ssh"]["host"], "127.0.0.1");
    assert!(!saved.to_string().contains("sk-it"));
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn absent_keeps_a_secret_and_null_clears_it() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    bed.configure(&daemon).await;
    let mut ssh = bed.ssh_params();
    ssh.as_object_mut().unwrap().remove("password");
    let kept = bed
        .configure_with(&daemon, ssh.clone(), bed.llm_params())
        .await;
    assert_eq!(kept["ssh"]["hasPassword"], true);
    let ssh = with(ssh, &json!({"password": null}));
    let cleared = bed.configure_with(&daemon, ssh, bed.llm_params()).await;
    assert_eq!(cleared["ssh"]["hasPassword"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_and_its_model_outlive_the_daemon_and_session_secrets_do_not() {
    let bed = Bed::start().await;
    bed.configured().await.shut_down().await;
    let daemon = bed.daemon().await;
    let view = daemon
        .ok("remote-llm/get-config", json!({"configId": CONFIG}))
        .await;
    assert_eq!(view["selectedModel"], "smol");
    assert_eq!(view["ssh"]["username"], "ai");
    assert_eq!(view["ssh"]["hasPassword"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_are_listed_and_deleted() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    let other = json!({
        "configId": "other", "name": "Other", "ssh": bed.ssh_params(), "llm": bed.llm_params(),
    });
    daemon.ok("remote-llm/configure", other).await;
    let list = daemon.ok("remote-llm/list-configs", json!({})).await;
    let mut ids: Vec<_> = list["configs"].as_array().unwrap().iter().collect();
    ids.sort_by_key(|view| view["configId"].to_string());
    let ids: Vec<_> = ids.iter().map(|view| &view["configId"]).collect();
    assert_eq!(ids, ["lab", "other"]);
    let gone = daemon
        .ok("remote-llm/delete-config", json!({"configId": "other"}))
        .await;
    assert_eq!(gone["deleted"], true);
    let error = daemon
        .err("remote-llm/get-config", json!({"configId": "other"}))
        .await;
    assert_eq!(error.code(), "CONFIG_NOT_FOUND");
    assert!((4000..5000).contains(&error.number));
    assert!(!profile_path(&bed, "other").exists());
    let again = daemon
        .ok("remote-llm/delete-config", json!({"configId": "other"}))
        .await;
    assert_eq!(again["deleted"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_profile_gets_an_id() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    let params = json!({"name": "New", "ssh": bed.ssh_params(), "llm": bed.llm_params()});
    let view = daemon.ok("remote-llm/configure", params).await;
    let id = view["configId"].as_str().unwrap();
    assert!(!id.is_empty());
    assert!(profile_path(&bed, id).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_field_is_named() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    let good = (bed.ssh_params(), bed.llm_params());
    let cases = [
        (
            with(good.0.clone(), &json!({"host": ""})),
            good.1.clone(),
            "host",
        ),
        (
            with(good.0.clone(), &json!({"port": 0})),
            good.1.clone(),
            "port",
        ),
        (
            good.0.clone(),
            with(good.1.clone(), &json!({"apiEndpoint": "not a url"})),
            "apiEndpoint",
        ),
        (
            good.0.clone(),
            with(
                good.1.clone(),
                &json!({"apiEndpoint": "http://user:pw@h:1"}),
            ),
            "apiEndpoint",
        ),
        (
            good.0.clone(),
            with(good.1.clone(), &json!({"apiKey": "sk-1\n"})),
            "apiKey",
        ),
        (
            good.0.clone(),
            with(good.1.clone(), &json!({"secretHeaders": {"X Y": "1"}})),
            "x y",
        ),
    ];
    for (ssh, llm, field) in cases {
        let params = json!({"configId": "bad", "name": "Bad", "ssh": ssh, "llm": llm});
        let error = daemon.err("remote-llm/configure", params).await;
        assert_eq!(error.code(), "CONFIG_INVALID", "{field}: {error:?}");
        let named = error.data["field"].as_str().unwrap_or_default();
        assert!(named.ends_with(field), "{field}: {error:?}");
    }
    assert!(!profile_path(&bed, "bad").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_nobody_knows_are_told_of() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    let ssh = with(bed.ssh_params(), &json!({"prot": 22, "hasPassword": true}));
    let view = bed.configure_with(&daemon, ssh, bed.llm_params()).await;
    let told = "ssh.prot: This field is not known, and was not saved.";
    assert_eq!(view["warnings"], json!([told]));

    // In a file they stay, for the version that knows them.
    let path = profile_path(&bed, CONFIG);
    let mut file: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(file["version"], 1);
    file["ssh"]["later"] = json!({"x": 1});
    std::fs::write(&path, file.to_string()).unwrap();
    bed.configure(&daemon).await;
    let view = daemon
        .ok("remote-llm/get-config", json!({"configId": CONFIG}))
        .await;
    let warning = view["warnings"][0].as_str().unwrap();
    assert!(warning.starts_with("ssh.later: "), "{warning}");
    let file: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(file["ssh"]["later"], json!({"x": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_cannot_lead_out_of_the_project() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    for id in ["../escape", "a/b", "..", "", "a\u{0}b"] {
        let params = json!({
            "configId": id, "name": "Escape", "ssh": bed.ssh_params(), "llm": bed.llm_params(),
        });
        let error = daemon.err("remote-llm/configure", params).await;
        assert!(
            matches!(error.code(), "CONFIG_INVALID" | "INVALID_PARAMS"),
            "{id:?}: {error:?}"
        );
    }
    assert!(!bed.path("project/.puffin/config/escape.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_does_not_hide_the_others() {
    let bed = Bed::start().await;
    bed.configured().await.shut_down().await;
    std::fs::write(profile_path(&bed, "broken"), "{ not json").unwrap();
    let daemon = bed.daemon().await;
    let list = daemon.ok("remote-llm/list-configs", json!({})).await;
    assert_eq!(list["configs"].as_array().unwrap().len(), 1);
    assert_eq!(list["problems"][0]["configId"], "broken");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_changes_at_once_leave_one_whole_file() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    let mut tickets = Vec::new();
    for number in 0..20 {
        let params = json!({
            "configId": CONFIG, "name": format!("Name {number}"), "ssh": bed.ssh_params(), "llm": bed.llm_params(),
        });
        tickets.push(daemon.send("remote-llm/configure", params).await);
    }
    for ticket in &tickets {
        daemon.reply(ticket).await.unwrap();
    }
    let path = profile_path(&bed, CONFIG);
    let saved: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert!(saved["name"].as_str().unwrap().starts_with("Name "));
    let files = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(files, 1, "a temporary file was left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_project_profiles_live_in_memory() {
    let bed = Bed::start().await;
    let mut hello = bed.hello();
    hello.as_object_mut().unwrap().remove("projectDir");
    let daemon = bed.daemon_with(hello).await;
    bed.configure(&daemon).await;
    let list = daemon.ok("remote-llm/list-configs", json!({})).await;
    assert_eq!(list["configs"].as_array().unwrap().len(), 1);
    assert!(!bed.project().join(".puffin").exists());
}
