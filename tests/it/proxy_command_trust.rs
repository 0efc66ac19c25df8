//! A profile that came with a project, and was not saved by this user, starts no program.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG, PASSWORD, prompt, with};
use crate::support::daemon::{Daemon, RpcError};

/// Leaves a trace and leads nowhere.
fn command(trace: &Path) -> String {
    format!("touch '{}'", trace.display())
}

fn relay(bed: &Bed, trace: &Path) -> String {
    format!(
        "/bin/bash -c 'touch {}; exec 3<>/dev/tcp/127.0.0.1/{} 4<&0; \
         cat <&4 >&3 & cat <&3 & wait -n; kill $(jobs -p)'",
        trace.display(),
        bed.ssh.port()
    )
}

/// Where profiles of a project lie.
fn file(bed: &Bed, config_id: &str) -> PathBuf {
    let folder = bed.project().join(".puffin/config/remote-llm");
    folder.join(format!("{config_id}.json"))
}

/// Puts a profile into the project as a checkout would.
fn check_out(bed: &Bed, config_id: &str, profile: &Value) {
    let file = file(bed, config_id);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, profile.to_string()).unwrap();
}

fn is_untrusted(error: &RpcError, field: &str) {
    assert_eq!(error.code(), "CONFIG_UNTRUSTED", "{error:?}");
    assert_eq!(error.data["field"], field, "{error:?}");
}

/// Every method that would go to the machine, and none does.
async fn refuses_everything(daemon: &Daemon, field: &str) {
    let config = json!({"configId": CONFIG});
    for method in [
        "connect",
        "test-connection",
        "list-models",
        "refresh-models",
    ] {
        let method = format!("remote-llm/{method}");
        match daemon.call(&method, config.clone()).await {
            Err(error) if error.number == -32601 => {}
            Err(error) => is_untrusted(&error, field),
            Ok(result) => panic!("{method}: {result:#}"),
        }
    }
    let question = with(prompt("p", "Hello?"), &json!({"model": "smol"}));
    let error = daemon.err("remote-llm/stream-prompt", question).await;
    is_untrusted(&error, field);
    assert!(daemon.children().is_empty());
}

fn profile(bed: &Bed, command: &str) -> Value {
    let ssh = with(
        bed.ssh_params(),
        &json!({"password": null, "proxyCommand": command}),
    );
    json!({"configId": CONFIG, "name": "Lab", "ssh": ssh, "llm": bed.llm_params()})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_came_with_the_project_is_not_run_until_it_is_saved_here() {
    let bed = Bed::start().await;
    let trace = bed.path("trace");
    let profile = profile(&bed, &relay(&bed, &trace));
    // What a file looks like is the daemon's to say.
    let daemon = bed.daemon().await;
    daemon.ok("remote-llm/configure", profile.clone()).await;
    let text = std::fs::read_to_string(file(&bed, CONFIG)).unwrap();
    daemon.shut_down().await;
    std::fs::remove_dir_all(bed.path("data")).unwrap();
    std::fs::remove_dir_all(bed.project().join(".puffin")).unwrap();
    check_out(&bed, CONFIG, &serde_json::from_str(&text).unwrap());

    let daemon = bed.daemon().await;
    let view = daemon
        .ok("remote-llm/get-config", json!({"configId": CONFIG}))
        .await;
    assert!(view["ssh"]["proxyCommand"].is_string(), "{view:#}");
    refuses_everything(&daemon, "ssh.proxyCommand").await;
    assert!(!trace.exists());

    // The user looked at it and saved it: now it is the user's.
    let secret = json!({"password": PASSWORD});
    let ssh = with(view["ssh"].clone(), &secret);
    let ssh = without(ssh, &["hasPassword", "hasPassphrase"]);
    let params = json!({"configId": CONFIG, "ssh": ssh});
    daemon.ok("remote-llm/configure", params).await;
    let config = json!({"configId": CONFIG});
    let status = daemon.ok("remote-llm/connect", config.clone()).await;
    assert_eq!(status["state"], "ready", "{status:#}");
    assert!(trace.exists());
    daemon.shut_down().await;

    // It stays so, but passwords are not kept.
    let daemon = bed.daemon().await;
    daemon.answer_with(|_| crate::support::daemon::Answer::prompts(&[PASSWORD]));
    let status = daemon.ok("remote-llm/connect", config).await;
    assert_eq!(status["state"], "ready", "{status:#}");
    daemon.shut_down().await;
}

fn without(mut value: Value, fields: &[&str]) -> Value {
    let object = value.as_object_mut().unwrap();
    object.retain(|name, _| !fields.contains(&name.as_str()));
    value
}

#[tokio::test(flavor = "multi_thread")]
async fn another_command_than_the_one_that_was_saved_is_not_run() {
    let bed = Bed::start().await;
    let trace = bed.path("trace");
    let daemon = bed.daemon().await;
    let saved = profile(&bed, "false");
    daemon.ok("remote-llm/configure", saved).await;
    let path = file(&bed, CONFIG);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut other: Value = serde_json::from_str(&text).unwrap();
    other["ssh"]["proxyCommand"] = json!(command(&trace));
    check_out(&bed, CONFIG, &other);
    refuses_everything(&daemon, "ssh.proxyCommand").await;

    // Nor is a jump host's, or the approved one of another profile.
    let jump = json!({"host": "gate", "proxyCommand": command(&trace)});
    other["ssh"]["proxyCommand"] = Value::Null;
    other["ssh"]["jumpHosts"] = json!([jump]);
    check_out(&bed, CONFIG, &other);
    refuses_everything(&daemon, "ssh.jumpHosts[0].proxyCommand").await;
    let copy: Value = serde_json::from_str(&text).unwrap();
    check_out(&bed, "copy", &copy);
    let params = json!({"configId": "copy"});
    let error = daemon.err("remote-llm/connect", params).await;
    is_untrusted(&error, "ssh.proxyCommand");
    assert!(!trace.exists());
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_something_else_approves_only_what_the_user_saw() {
    let bed = Bed::start().await;
    let trace = bed.path("trace");
    let daemon = bed.daemon().await;
    daemon
        .ok("remote-llm/configure", profile(&bed, "false"))
        .await;
    let text = std::fs::read_to_string(file(&bed, CONFIG)).unwrap();
    let mut other: Value = serde_json::from_str(&text).unwrap();
    other["ssh"]["proxyCommand"] = json!(command(&trace));
    check_out(&bed, CONFIG, &other);
    // The form had no `ssh` in it, so nobody looked at the command.
    let params = json!({"configId": CONFIG, "name": "New name"});
    let _answer = daemon.call("remote-llm/configure", params).await;
    refuses_everything(&daemon, "ssh.proxyCommand").await;
    let params = json!({"configId": CONFIG, "modelId": "smol"});
    let _answer = daemon.call("remote-llm/select-model", params).await;
    refuses_everything(&daemon, "ssh.proxyCommand").await;
    assert!(!trace.exists());
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_can_be_ended_whatever_became_of_its_file() {
    let bed = Bed::start().await;
    let trace = bed.path("trace");
    let daemon = bed.configured().await;
    let config = json!({"configId": CONFIG});
    for method in ["disconnect", "delete-config"] {
        bed.configure(&daemon).await;
        daemon.ok("remote-llm/connect", config.clone()).await;
        let text = std::fs::read_to_string(file(&bed, CONFIG)).unwrap();
        let mut other: Value = serde_json::from_str(&text).unwrap();
        other["ssh"]["proxyCommand"] = json!(command(&trace));
        check_out(&bed, CONFIG, &other);
        let method = format!("remote-llm/{method}");
        daemon.ok(&method, config.clone()).await;
        let over = bed.ssh.wait(Duration::from_secs(5), |seen| {
            (seen.live_connections == 0).then_some(())
        });
        assert!(over.await.is_some(), "{method} left the connection open");
    }
    assert!(!trace.exists());
    daemon.shut_down().await;
}
