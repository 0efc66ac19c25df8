//! Choosing a model: when the server is asked again, what the user knows better, and what is said
//! of a model that is not there.

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG, prompt, with};
use crate::support::daemon::Daemon;
use crate::support::llm_server::{Dialect, Reply, ollama};

async fn list(daemon: &Daemon, refresh: bool) -> Value {
    let params = json!({"configId": CONFIG, "refresh": refresh});
    daemon.ok("remote-llm/list-models", params).await
}

/// How often the server was asked for its list.
fn lists(bed: &Bed) -> usize {
    let exchanges = bed.llm.exchanges().into_iter();
    exchanges
        .filter(|exchange| exchange.request.path == "/v1/models")
        .count()
}

/// A daemon whose profile says this of models, too.
async fn daemon_with(bed: &Bed, llm: &Value) -> Daemon {
    let daemon = bed.daemon().await;
    let llm = with(bed.llm_params(), llm);
    bed.configure_with(&daemon, bed.ssh_params(), llm).await;
    daemon
}

/// The server lists these ids, and refuses to answer for any other.
fn offer(bed: &Bed, ids: &'static [&'static str]) {
    bed.llm.on_any(move |request| {
        if request.path.ends_with("/models") {
            let entry = |id: &&str| json!({"id": id, "object": "model", "owned_by": "acme"});
            let data: Vec<_> = ids.iter().map(entry).collect();
            let list = json!({"object": "list", "data": data});
            return Some(Reply::json(200, &list));
        }
        let model = request.body["model"].as_str()?;
        let known = ids.contains(&model);
        (!known).then(|| Reply::error(404, &format!("The model `{model}` does not exist.")))
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_asked_once_for_each_connection() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    let first = list(&daemon, false).await;
    let again = list(&daemon, false).await;
    assert_eq!(first, again);
    assert_eq!(lists(&bed), 1);

    list(&daemon, true).await;
    assert_eq!(lists(&bed), 2, "a refresh asks");

    let config = json!({"configId": CONFIG});
    daemon.ok("remote-llm/disconnect", config).await;
    list(&daemon, false).await;
    assert_eq!(lists(&bed), 3, "behind another connection may be another");
    list(&daemon, false).await;
    assert_eq!(lists(&bed), 3);
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_user_says_of_a_model_counts_more_than_what_the_server_does() {
    let bed = Bed::start().await;
    let typed = json!({"models": [
        {"id": "smol", "contextWindow": 1024, "maxOutputTokens": 256, "tools": true},
        {"id": "hidden", "name": "Hidden", "vision": true, "reasoning": false},
    ]});
    let daemon = daemon_with(&bed, &typed).await;
    let view = daemon
        .ok("remote-llm/get-config", json!({"configId": CONFIG}))
        .await;
    assert_eq!(view["llm"]["models"], typed["models"], "{view:#}");

    let result = list(&daemon, false).await;
    assert_eq!(result["warnings"], json!([]));
    let [smol, hidden] = result["models"].as_array().unwrap().as_slice() else {
        panic!("{result:#}");
    };
    assert_eq!(
        smol["contextWindow"],
        json!({"effective": 1024, "maximum": 8192, "source": "profile"})
    );
    assert_eq!(smol["maxOutputTokens"], 256);
    assert_eq!(smol["capabilities"]["tools"], true);
    // What was not typed in is still the server's.
    assert_eq!(smol["parameters"]["quantization"], "Q4_1");
    assert_eq!(smol["capabilities"]["vision"], false);
    assert_eq!(
        (&hidden["id"], &hidden["name"]),
        (&json!("hidden"), &json!("Hidden"))
    );
    assert_eq!(hidden["contextWindow"]["effective"], Value::Null);
    assert_eq!(hidden["state"], "unknown");
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ollama_loads_a_model_with_the_window_that_was_typed_in_for_it() {
    let bed = Bed::start().await;
    bed.llm.imitate(Dialect::Ollama);
    let typed = json!({
        "apiType": "auto", "ollama": {"numCtx": 512},
        "models": [{"id": "large:70b", "contextWindow": 16384}],
    });
    let daemon = daemon_with(&bed, &typed).await;
    let ask = with(prompt("p", "Hi."), &json!({"model": "large:70b"}));
    daemon.ok("remote-llm/stream-prompt", ask).await;
    let chats = bed.llm.chats();
    assert_eq!(chats[0].request.path, ollama::CHAT);
    assert_eq!(chats[0].request.body["options"]["num_ctx"], 16384);
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_list_has_the_models_that_were_typed_in() {
    let typed = json!({"models": [{"id": "mine", "contextWindow": 4096}]});
    for no_list in [
        Reply::error(404, "no such route"),
        Reply::error(405, "not allowed"),
        Reply::json(200, &json!({"hello": "world"})),
        Reply::html(200, "<html>hello</html>"),
    ] {
        let bed = Bed::start().await;
        let answer = no_list.clone();
        bed.llm.on_any(move |request| {
            let is_list = request.path.ends_with("/models");
            is_list.then(|| answer.clone())
        });
        let daemon = daemon_with(&bed, &typed).await;
        let result = list(&daemon, false).await;
        assert_eq!(result["models"][0]["id"], "mine", "{result:#}");
        assert_eq!(result["models"][0]["contextWindow"]["effective"], 4096);
        let warning = result["warnings"][0].as_str().unwrap();
        assert!(warning.contains("does not list its models"), "{warning}");

        let config = json!({"configId": CONFIG});
        let tested = daemon.ok("remote-llm/test-connection", config).await;
        assert_eq!(tested["success"], true, "{tested:#}");
        assert_eq!(tested["models"][0]["id"], "mine", "{tested:#}");
        let warnings = tested["warnings"].as_array().unwrap();
        assert!(warnings.contains(&json!(warning)), "{tested:#}");

        // And it answers.
        let ask = with(prompt("p", "Hi."), &json!({"model": "mine"}));
        daemon.ok("remote-llm/stream-prompt", ask).await;
        daemon.shut_down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn models_that_were_typed_in_hide_no_other_failure() {
    let bed = Bed::start().await;
    let daemon = daemon_with(&bed, &json!({"models": [{"id": "mine"}]})).await;
    for (reply, code) in [
        (Reply::error(401, "who are you?"), "API_AUTH_FAILED"),
        (Reply::error(503, "Loading model"), "API_MODEL_LOADING"),
        (Reply::error(500, "boom"), "API_ERROR"),
    ] {
        bed.llm.on_any(move |_| Some(reply.clone()));
        let params = json!({"configId": CONFIG, "refresh": true});
        let error = daemon.err("remote-llm/list-models", params).await;
        assert_eq!(error.code(), code, "{error:?}");
    }
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_typed_models_a_missing_list_is_an_error() {
    let bed = Bed::start().await;
    bed.llm.on_any(|request| {
        request
            .path
            .ends_with("/models")
            .then(|| Reply::error(404, "no"))
    });
    let daemon = bed.configured().await;
    let params = json!({"configId": CONFIG});
    let error = daemon.err("remote-llm/list-models", params).await;
    assert_eq!(error.code(), "API_PROTOCOL_ERROR", "{error:?}");
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_not_there_is_answered_with_near_names() {
    let bed = Bed::start().await;
    offer(
        &bed,
        &[
            "qwen3:4b",
            "qwen3:30b",
            "llama3.1:8b",
            "nomic-embed-text:latest",
        ],
    );
    let daemon = bed.configured().await;
    for (wanted, hint) in [
        ("qwen3", "Near names there: qwen3:4b, qwen3:30b."),
        ("lama3.1:8b", "Near names there: llama3.1:8b."),
        (
            "mistral:7b",
            "The server offers: qwen3:4b, qwen3:30b, llama3.1:8b, nomic-embed-text:latest.",
        ),
    ] {
        let ask = with(prompt(wanted, "Hi."), &json!({"model": wanted}));
        let error = daemon.err("remote-llm/stream-prompt", ask).await;
        assert_eq!(error.code(), "API_INVALID_MODEL", "{error:?}");
        assert!(error.message.contains(wanted), "{error:?}");
        assert_eq!(error.data["hint"], hint, "{error:?}");
    }
    assert_eq!(lists(&bed), 1, "what is known is not asked again");
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_model_is_told_also_when_the_list_can_not_be_had() {
    let bed = Bed::start().await;
    bed.llm.on_any(|request| {
        if request.path.ends_with("/models") {
            return Some(Reply::error(500, "boom"));
        }
        Some(Reply::error(404, "The model `gone` does not exist."))
    });
    let daemon = bed.configured().await;
    let ask = with(prompt("p", "Hi."), &json!({"model": "gone"}));
    let error = daemon.err("remote-llm/stream-prompt", ask).await;
    assert_eq!(error.code(), "API_INVALID_MODEL", "{error:?}");
    assert!(error.message.contains("gone"), "{error:?}");
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_model_in_a_profile_is_refused_with_its_field() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    for (models, field) in [
        (json!([{"id": ""}]), "llm.models[0].id"),
        (json!([{"id": "a"}, {"id": "a"}]), "llm.models[1].id"),
        (
            json!([{"id": "a", "contextWindow": 0}]),
            "llm.models[0].contextWindow",
        ),
    ] {
        let params = json!({
            "name": "x", "ssh": bed.ssh_params(),
            "llm": with(bed.llm_params(), &json!({"models": models})),
        });
        let error = daemon.err("remote-llm/configure", params).await;
        assert_eq!(error.code(), "CONFIG_INVALID", "{error:?}");
        assert_eq!(error.data["field"], field, "{error:?}");
    }
    daemon.shut_down().await;
}
