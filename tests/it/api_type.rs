//! Which API prompts go by: what a profile says of it, and what is told of it.

use serde_json::json;

use crate::support::bed::{Bed, CONFIG, with};
use crate::support::llm_server::Dialect;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_profile_asks_of_ollama_is_kept_shown_and_checked() {
    let bed = Bed::start().await;
    let settings = json!({"numCtx": 8192, "keepAlive": "10m", "think": "high"});
    let daemon = bed
        .configured_with(&json!({"apiType": "ollama", "ollama": settings}))
        .await;
    daemon.shut_down().await;
    let daemon = bed.daemon().await;
    let config = json!({"configId": CONFIG});
    let view = daemon.ok("remote-llm/get-config", config).await;
    assert_eq!(view["llm"]["apiType"], "ollama");
    assert_eq!(view["llm"]["ollama"], settings);
    assert_eq!(view["warnings"], json!([]));

    for (wrong, code, field, allowed) in [
        (
            json!({"numCtx": 100}),
            "CONFIG_INVALID",
            "llm.ollama.numCtx",
            "256",
        ),
        (
            json!({"keepAlive": "soon"}),
            "CONFIG_INVALID",
            "llm.ollama.keepAlive",
            "10m",
        ),
        (
            json!({"keepAlive": 1.5}),
            "INVALID_PARAMS",
            "llm.ollama.keepAlive",
            "10m",
        ),
        (
            json!({"think": "loudly"}),
            "INVALID_PARAMS",
            "llm.ollama.think",
            "low, medium, high, max",
        ),
    ] {
        let llm = with(bed.llm_params(), &json!({"ollama": wrong}));
        let params = json!({"configId": CONFIG, "llm": llm});
        let error = daemon.err("remote-llm/configure", params).await;
        assert_eq!(error.code(), code, "{error:?}");
        assert_eq!(error.data["field"], field, "{error:?}");
        assert!(error.message.contains(allowed), "{error:?}");
    }

    let llm = with(bed.llm_params(), &json!({"ollama": settings}));
    let view = bed.configure_with(&daemon, bed.ssh_params(), llm).await;
    let warning = view["warnings"][0].as_str().unwrap();
    assert!(warning.contains("no effect"), "{warning}");
}

#[tokio::test(flavor = "multi_thread")]
async fn which_api_is_used_is_told_with_its_reason() {
    let bed = Bed::start().await;
    for (dialect, asked, used, reason) in [
        (
            Dialect::Ollama,
            "auto",
            "ollama",
            "the server is Ollama 0.6.2",
        ),
        (
            Dialect::Ollama,
            "openai-compatible",
            "openai-compatible",
            "the profile asks for it; the server is Ollama 0.6.2",
        ),
        (
            Dialect::Vllm,
            "auto",
            "openai-compatible",
            "the server is vllm 0.32.0",
        ),
        (Dialect::Vllm, "ollama", "ollama", "looks like vllm"),
    ] {
        bed.llm.imitate(dialect);
        let daemon = bed.configured_with(&json!({"apiType": asked})).await;
        let config = json!({"configId": CONFIG});
        let models = daemon.ok("remote-llm/list-models", config.clone()).await;
        let tested = daemon.ok("remote-llm/test-connection", config).await;
        for server in [&models["server"], &tested["server"]] {
            assert_eq!(server["apiType"], used, "{asked}: {server}");
            let told = server["apiTypeReason"].as_str().unwrap();
            assert!(told.contains(reason), "{asked}: {told}");
        }
        let stages = tested["stages"].as_array().unwrap();
        let server = stages.iter().find(|stage| stage["name"] == "server");
        let detail = server.unwrap()["detail"].as_str().unwrap();
        assert!(detail.contains(reason), "{asked}: {detail}");
    }
}
