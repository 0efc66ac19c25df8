//! Two windows on one project, and editors beside them: everybody sees every change.

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG, prompt, with};
use crate::support::daemon::Daemon;
use crate::support::llm_server::LlmServer;
use crate::trust::{check_out, cloned};

/// The changes that a window was told of, so far.
fn news(daemon: &Daemon) -> Vec<(String, String)> {
    daemon.read(|traffic| {
        let changes = traffic
            .notifications
            .iter()
            .filter(|told| told["method"] == "remote-llm/config-changed");
        changes
            .map(|told| {
                let word = |name: &str| told["params"][name].as_str().unwrap().to_owned();
                (word("configId"), word("change"))
            })
            .collect()
    })
}

/// Waits until a window was told so many changes, and no more.
async fn told(daemon: &Daemon, expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|&(id, change)| (id.to_owned(), change.to_owned()))
        .collect();
    daemon
        .wait("a change", |traffic| {
            let count = traffic
                .notifications
                .iter()
                .filter(|told| told["method"] == "remote-llm/config-changed");
            (count.count() >= expected.len()).then_some(())
        })
        .await;
    assert_eq!(news(daemon), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_window_is_told_of_what_this_one_does() {
    let bed = Bed::start().await;
    let (one, two) = (bed.daemon().await, bed.daemon().await);
    bed.configure_with(&one, bed.ssh_params(), bed.llm_params())
        .await;
    told(&one, &[(CONFIG, "saved")]).await;
    told(&two, &[(CONFIG, "saved")]).await;
    let config = json!({"configId": CONFIG});
    let view = two.ok("remote-llm/get-config", config.clone()).await;
    assert_eq!(view["trust"]["state"], "trusted", "{view:#}");
    two.ok("remote-llm/delete-config", config).await;
    let all = [(CONFIG, "saved"), (CONFIG, "deleted")];
    told(&two, &all).await;
    told(&one, &all).await;
    one.shut_down().await;
    two.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_prompt_goes_where_the_other_window_said() {
    let bed = Bed::start().await;
    let other = LlmServer::start().await.unwrap();
    let one = bed.configured().await;
    one.ok("remote-llm/submit-prompt", prompt("a", "Hello?"))
        .await;
    let two = bed.daemon().await;
    let llm = with(bed.llm_params(), &json!({"apiEndpoint": other.endpoint()}));
    let params = json!({"configId": CONFIG, "llm": llm});
    two.ok("remote-llm/configure", params).await;
    one.ok("remote-llm/submit-prompt", prompt("b", "Hello?"))
        .await;
    assert_eq!((bed.llm.chats().len(), other.chats().len()), (1, 1));
    one.shut_down().await;
    two.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_two_windows_at_once_are_all_kept() {
    let bed = Bed::start().await;
    let (one, two) = (bed.configured().await, bed.daemon().await);
    let mut tickets = Vec::new();
    for number in 0..20 {
        // Each window changes another part of one profile.
        let name = json!({"configId": CONFIG, "name": format!("Name {number}")});
        let model = json!({"configId": CONFIG, "modelId": format!("model-{number}")});
        tickets.push((&one, one.send("remote-llm/configure", name).await));
        tickets.push((&two, two.send("remote-llm/select-model", model).await));
    }
    for (daemon, ticket) in &tickets {
        daemon.reply(ticket).await.unwrap();
    }
    let view = one
        .ok("remote-llm/get-config", json!({"configId": CONFIG}))
        .await;
    let last = |name: &str| view[name].as_str().unwrap().to_owned();
    assert_eq!(
        (last("name"), last("selectedModel")),
        ("Name 19".to_owned(), "model-19".to_owned())
    );
    assert_eq!(view["trust"]["state"], "trusted");
    one.shut_down().await;
    two.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_editor_and_a_checkout_are_noticed() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    check_out(&bed, CONFIG, &cloned(&bed, &json!({})));
    told(&daemon, &[(CONFIG, "saved")]).await;
    check_out(&bed, CONFIG, &cloned(&bed, &json!({"port": 22})));
    told(&daemon, &[(CONFIG, "saved"), (CONFIG, "saved")]).await;
    std::fs::remove_dir_all(bed.project().join(".puffin")).unwrap();
    let all = [(CONFIG, "saved"), (CONFIG, "saved"), (CONFIG, "deleted")];
    told(&daemon, &all).await;
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_waits_in_vain_for_another_says_so_and_saves_nothing() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    let lock = std::fs::File::open(bed.path("data/remote-llm/profiles.lock")).unwrap();
    lock.lock().unwrap();
    let params = json!({"configId": CONFIG, "name": "New"});
    let error = daemon.err("remote-llm/configure", params.clone()).await;
    assert_eq!(error.code(), "STORE_BUSY", "{error:?}");
    assert_eq!(error.data["retryable"], true);
    drop(lock);
    let view: Value = daemon.ok("remote-llm/configure", params).await;
    assert_eq!(view["name"], "New");
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_preset_can_be_saved_as_it_is() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    let list = daemon.ok("remote-llm/list-presets", json!({})).await;
    let presets = list["presets"].as_array().unwrap();
    let port = |id: &str| {
        let preset = presets.iter().find(|preset| preset["id"] == id).unwrap();
        let endpoint = preset["llm"]["apiEndpoint"].as_str().unwrap();
        endpoint.rsplit_once(':').unwrap().1.to_owned()
    };
    assert_eq!(
        [
            "ollama",
            "vllm",
            "llama-cpp",
            "lm-studio",
            "sglang",
            "litellm"
        ]
        .map(port),
        ["11434", "8000", "8080", "1234", "30000", "4000"]
    );
    for preset in presets {
        let params = json!({"name": preset["name"], "ssh": {"host": "gpu", "useSshConfig": false},
            "llm": preset["llm"]});
        daemon.ok("remote-llm/configure", params).await;
    }
    daemon.shut_down().await;
}
