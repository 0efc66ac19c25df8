//! What the server offers, with its true context window.

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG, with};
use crate::support::daemon::Daemon;
use crate::support::llm_server::{Dialect, Reply};

async fn list(daemon: &Daemon) -> Value {
    let params = json!({"configId": CONFIG, "refresh": true});
    daemon.ok("remote-llm/list-models", params).await
}

/// A daemon whose profile finds out by itself what the server is.
async fn detecting(bed: &Bed, dialect: Dialect) -> Daemon {
    bed.llm.imitate(dialect);
    let daemon = bed.daemon().await;
    let llm = with(bed.llm_params(), &json!({"apiType": "auto"}));
    bed.configure_with(&daemon, bed.ssh_params(), llm).await;
    daemon
}

#[tokio::test(flavor = "multi_thread")]
async fn llama_cpp_tells_its_slot_and_its_training_context() {
    let bed = Bed::start().await;
    let daemon = detecting(&bed, Dialect::LlamaCpp).await;
    let result = list(&daemon).await;
    assert_eq!(result["server"]["kind"], "llama.cpp");
    let model = &result["models"][0];
    assert_eq!(model["id"], "smol");
    assert_eq!(model["contextWindow"]["effective"], 4096);
    assert_eq!(model["contextWindow"]["maximum"], 8192);
    assert_eq!(model["parameters"]["count"], 134_515_008);
    assert_eq!(model["parameters"]["sizeBytes"], 96_576_768);
    assert_eq!(model["parameters"]["quantization"], "Q4_1");
}

#[tokio::test(flavor = "multi_thread")]
async fn vllm_tells_its_maximum_length() {
    let bed = Bed::start().await;
    let daemon = detecting(&bed, Dialect::Vllm).await;
    let result = list(&daemon).await;
    assert_eq!(result["server"]["kind"], "vllm");
    let model = &result["models"][0];
    assert_eq!(model["contextWindow"]["effective"], 2048);
    assert_eq!(model["parameters"]["count"], Value::Null, "never a guess");
}

#[tokio::test(flavor = "multi_thread")]
async fn ollama_tells_what_is_loaded_and_with_how_much() {
    let bed = Bed::start().await;
    let daemon = detecting(&bed, Dialect::Ollama).await;
    let result = list(&daemon).await;
    assert_eq!(result["server"]["kind"], "ollama");
    assert_eq!(result["server"]["version"], "0.6.2");
    let models = result["models"].as_array().unwrap();
    let find = |id: &str| models.iter().find(|model| model["id"] == id).unwrap();
    let loaded = find("smol:latest");
    assert_eq!(loaded["contextWindow"]["effective"], 4096, "{loaded:#}");
    assert_eq!(loaded["state"], "loaded", "{loaded:#}");
    assert_eq!(loaded["parameters"]["quantization"], "Q4_1", "{loaded:#}");
    assert_ne!(find("large:70b")["state"], "loaded");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_list_is_no_error() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    bed.llm.on_any(|request| {
        let models = request.path.ends_with("/models");
        models.then(|| Reply::json(200, &json!({"object": "list", "data": []})))
    });
    assert_eq!(list(&daemon).await["models"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selected_model_is_the_one_that_prompts_ask_for() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    let params = json!({"configId": CONFIG, "modelId": "other/model:7b"});
    let view = daemon.ok("remote-llm/select-model", params).await;
    assert_eq!(view["selectedModel"], "other/model:7b");
    daemon
        .ok(
            "remote-llm/submit-prompt",
            crate::support::bed::prompt("p", "Hi."),
        )
        .await;
    let asked = bed.llm.chats();
    assert_eq!(asked[0].request.body["model"], "other/model:7b");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_and_the_headers_go_with_every_request() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    let llm = with(
        bed.llm_params(),
        &json!({
            "apiKey": "sk-it", "headers": {"X-Team": "lab"}, "secretHeaders": {"X-Gate": "s3cret"},
        }),
    );
    bed.configure_with(&daemon, bed.ssh_params(), llm).await;
    list(&daemon).await;
    for exchange in bed.llm.exchanges() {
        let request = &exchange.request;
        assert_eq!(request.header("authorization"), Some("Bearer sk-it"));
        assert_eq!(request.header("x-team"), Some("lab"));
        assert_eq!(request.header("x-gate"), Some("s3cret"));
        let host = format!("127.0.0.1:{}", bed.llm.port());
        assert_eq!(request.header("host"), Some(host.as_str()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_ask_at_once_cost_the_server_one_answer() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    let mut tickets = Vec::new();
    for _ in 0..20 {
        let params = json!({"configId": CONFIG, "refresh": true});
        tickets.push(daemon.send("remote-llm/list-models", params).await);
    }
    for ticket in &tickets {
        daemon.reply(ticket).await.unwrap();
    }
    let lists = bed.llm.exchanges().into_iter();
    let lists = lists
        .filter(|exchange| exchange.request.path == "/v1/models")
        .count();
    assert!(lists < tickets.len(), "{lists} lists");
}
