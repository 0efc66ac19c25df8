//! A profile that came with a project, or was changed there, is not used until the user trusts it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG, PASSWORD, prompt, with};
use crate::support::daemon::{Answer, Daemon, RpcError};

/// Leaves a trace and leads to the SSH server.
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
pub(crate) fn check_out(bed: &Bed, config_id: &str, profile: &Value) {
    let file = file(bed, config_id);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, profile.to_string()).unwrap();
}

/// A profile for the test's servers, as it stands in a file.
pub(crate) fn cloned(bed: &Bed, ssh: &Value) -> Value {
    let mut all = with(bed.ssh_params(), ssh);
    all.as_object_mut().unwrap().remove("password");
    json!({"name": "Lab", "ssh": all, "llm": bed.llm_params(), "selectedModel": "smol"})
}

fn is_untrusted(error: &RpcError) {
    assert_eq!(error.code(), "CONFIG_UNTRUSTED", "{error:?}");
    assert_eq!(error.data["configId"], CONFIG, "{error:?}");
}

/// Every method that would use the profile, or change a part of what nobody has looked at.
async fn refuses_everything(bed: &Bed, daemon: &Daemon) {
    let ssh = bed.ssh_params();
    for (method, params) in [
        ("connect", json!({})),
        ("test-connection", json!({})),
        ("test-connection", json!({"ssh": ssh})),
        ("list-models", json!({})),
        ("list-models", json!({"refresh": true})),
        ("select-model", json!({"modelId": "smol"})),
        ("submit-prompt", with(prompt("p", "Hello?"), &json!({}))),
        ("stream-prompt", with(prompt("q", "Hello?"), &json!({}))),
        ("configure", json!({"name": "Mine"})),
        ("configure", json!({"ssh": ssh})),
        (
            "configure",
            json!({"llm": with(bed.llm_params(), &json!({"apiKey": "k"}))}),
        ),
    ] {
        let params = with(params, &json!({"configId": CONFIG}));
        let error = daemon
            .err(&format!("remote-llm/{method}"), params.clone())
            .await;
        is_untrusted(&error);
    }
    let view = shown(daemon).await;
    assert_eq!(view["trust"]["state"], "untrusted", "{view:#}");
    assert_eq!(view["llm"]["hasApiKey"], false, "{view:#}");
    assert!(daemon.children().is_empty());
}

async fn shown(daemon: &Daemon) -> Value {
    let config = json!({"configId": CONFIG});
    daemon.ok("remote-llm/get-config", config).await
}

async fn trust(daemon: &Daemon) -> Value {
    let digest = shown(daemon).await["trust"]["digest"].clone();
    let params = json!({"configId": CONFIG, "digest": digest});
    daemon.ok("remote-llm/trust-config", params).await
}

/// Connects; the person at the host knows the password.
async fn connects(daemon: &Daemon) {
    daemon.answer_with(|_| Answer::prompts(&[PASSWORD]));
    let config = json!({"configId": CONFIG});
    let status = daemon.ok("remote-llm/connect", config).await;
    assert_eq!(status["state"], "ready", "{status:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_came_with_the_project_is_not_used_until_it_is_trusted() {
    let bed = Bed::start().await;
    let trace = bed.path("trace");
    let profile = cloned(&bed, &json!({"proxyCommand": relay(&bed, &trace)}));
    check_out(&bed, CONFIG, &profile);
    let daemon = bed.daemon().await;
    let list = daemon.ok("remote-llm/list-configs", json!({})).await;
    assert_eq!(list["configs"][0]["trust"]["state"], "untrusted");
    assert!(list["configs"][0]["ssh"]["proxyCommand"].is_string());
    refuses_everything(&bed, &daemon).await;
    assert!(!trace.exists());

    let view = trust(&daemon).await;
    assert_eq!(view["trust"]["state"], "trusted", "{view:#}");
    connects(&daemon).await;
    assert!(trace.exists());
    daemon.shut_down().await;
    // It stays so.
    let daemon = bed.daemon().await;
    connects(&daemon).await;
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_was_saved_as_a_whole_is_the_users() {
    let bed = Bed::start().await;
    check_out(&bed, CONFIG, &cloned(&bed, &json!({"host": "evil"})));
    let daemon = bed.daemon().await;
    bed.configure(&daemon).await;
    assert_eq!(shown(&daemon).await["trust"]["state"], "trusted");
    connects(&daemon).await;
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_from_outside_revokes_trust() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    let text = std::fs::read_to_string(file(&bed, CONFIG)).unwrap();
    let saved: Value = serde_json::from_str(&text).unwrap();
    for (pointer, value) in [
        ("/name", json!("Other")),
        ("/ssh/host", json!("evil")),
        ("/ssh/proxyCommand", json!("false")),
        ("/ssh/jumpHosts", json!([{"host": "gate"}])),
        ("/llm/apiEndpoint", json!("http://evil")),
        ("/llm/headers", json!({"X-Team": "a"})),
        ("/selectedModel", json!("other")),
        ("/later", json!(1)),
    ] {
        let mut other = saved.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        other.pointer_mut(parent).unwrap()[name] = value;
        check_out(&bed, CONFIG, &other);
        refuses_everything(&bed, &daemon).await;
    }
    // What the user had saved is the user's again.
    std::fs::write(file(&bed, CONFIG), text).unwrap();
    connects(&daemon).await;
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_since_it_was_shown_is_not_trusted() {
    let bed = Bed::start().await;
    check_out(&bed, CONFIG, &cloned(&bed, &json!({})));
    let daemon = bed.daemon().await;
    let digest = shown(&daemon).await["trust"]["digest"].clone();
    check_out(&bed, CONFIG, &cloned(&bed, &json!({"host": "evil"})));
    let params = json!({"configId": CONFIG, "digest": digest});
    let error = daemon.err("remote-llm/trust-config", params.clone()).await;
    is_untrusted(&error);
    refuses_everything(&bed, &daemon).await;
    let params = with(params, &json!({"configId": "nobody"}));
    let error = daemon.err("remote-llm/trust-config", params).await;
    assert_eq!(error.code(), "CONFIG_NOT_FOUND");
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_trusted_profile_is_not_trusted() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    let text = std::fs::read_to_string(file(&bed, CONFIG)).unwrap();
    std::fs::write(file(&bed, "copy"), text).unwrap();
    let params = json!({"configId": "copy"});
    let error = daemon.err("remote-llm/connect", params).await;
    assert_eq!(error.code(), "CONFIG_UNTRUSTED", "{error:?}");
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_can_be_ended_whatever_became_of_its_file() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    let config = json!({"configId": CONFIG});
    for method in ["disconnect", "delete-config"] {
        bed.configure(&daemon).await;
        daemon.ok("remote-llm/connect", config.clone()).await;
        check_out(&bed, CONFIG, &cloned(&bed, &json!({"host": "evil"})));
        let method = format!("remote-llm/{method}");
        daemon.ok(&method, config.clone()).await;
        let over = bed.ssh.wait(Duration::from_secs(5), |seen| {
            (seen.live_connections == 0).then_some(())
        });
        assert!(over.await.is_some(), "{method} left the connection open");
    }
    daemon.shut_down().await;
}
