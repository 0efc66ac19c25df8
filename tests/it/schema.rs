//! The schema in the repository is the one the types make.

use std::collections::BTreeSet;
use std::path::Path;

use puffin_remote_llm::protocol;

#[test]
fn the_schema_in_the_repository_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/protocol.schema.json");
    let document = serde_json::to_string_pretty(&protocol::schema::document()).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, document).unwrap();
        return;
    }
    let present = std::fs::read_to_string(&path).unwrap_or_default();
    // Not `assert_eq!`: two such documents on a terminal help nobody.
    assert!(
        present == document,
        "schemas/protocol.schema.json is out of date; \
         `UPDATE_SCHEMAS=1 cargo test --test it schema` rewrites it"
    );
}

/// As `puffin-remote-llm schema | head` does it: the schema is longer than what a pipe holds.
#[cfg(unix)]
#[test]
fn a_reader_that_had_enough_of_the_schema_is_no_failure() {
    let mut printing = std::process::Command::new(crate::support::daemon::binary())
        .arg("schema")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(printing.stdout.take());
    let ended = printing.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    assert_eq!(said, "");
}

#[test]
fn the_schema_lists_every_method_of_the_contract() {
    let document = protocol::schema::document();
    let methods = |direction: &str| -> BTreeSet<String> {
        let methods = document["methods"][direction].as_object().unwrap();
        methods.keys().cloned().collect()
    };
    let inward = methods("hostToDaemon");
    for method in [
        "initialize",
        "shutdown",
        "$/cancelRequest",
        "remote-llm/cancel",
    ] {
        assert!(inward.contains(method), "{method}");
    }
    let outward = methods("daemonToHost");
    for method in [
        "host/execute-tool",
        "host/verify-host-key",
        "host/answer-prompt",
        "remote-llm/stream-chunk",
        "remote-llm/connection-status",
    ] {
        assert!(outward.contains(method), "{method}");
    }
}

/// Hosts compare these strings; a renamed one is a break.
#[test]
fn the_spelling_of_error_codes_is_frozen() {
    let document = protocol::schema::document();
    let text = document["$defs"]["ErrorCode"].to_string();
    for code in "SSH_AUTH_FAILED SSH_CONNECTION_TIMEOUT SSH_CHANNEL_ERROR SSH_DISCONNECTED \
        SSH_UNREACHABLE SSH_PROTOCOL_ERROR SSH_HOST_KEY_UNKNOWN SSH_HOST_KEY_CHANGED \
        SSH_HOST_KEY_REVOKED SSH_HOST_KEY_REJECTED SSH_KEY_UNUSABLE SSH_KEY_PERMISSIONS \
        SSH_FORWARD_DENIED SSH_CONFIG_INVALID SSH_AGENT_UNAVAILABLE SSH_TOO_MANY_KEYS \
        SSH_PASSWORD_EXPIRED SSH_PROMPT_CANCELLED SSH_PROMPT_TIMEOUT SSH_PROMPT_UNAVAILABLE \
        API_UNAVAILABLE API_INVALID_MODEL API_RATE_LIMITED \
        API_ERROR API_AUTH_FAILED API_CONTEXT_OVERFLOW API_MODEL_LOADING API_TOOLS_UNSUPPORTED \
        API_PROTOCOL_ERROR STREAM_INTERRUPTED SLOW_CONSUMER TIMEOUT_FIRST_TOKEN TIMEOUT_IDLE \
        TIMEOUT_TOTAL TIMEOUT_CONNECT TIMEOUT_DISCOVERY API_TLS_FAILED TOOL_NOT_FOUND TOOL_EXECUTION_FAILED TOOL_TIMEOUT TOOL_INVALID_INPUT \
        TOOL_DENIED TOOL_CANCELLED TOOL_LOOP_DETECTED TOOL_LIMIT_EXCEEDED CONFIG_NOT_FOUND \
        CONFIG_INVALID CONFIG_UNTRUSTED VAULT_LOCKED VAULT_KEY_MISMATCH VAULT_CORRUPT \
        VAULT_TOO_NEW VAULT_KEYCHAIN_UNAVAILABLE VAULT_KEY_LOST SECRET_BINDING_MISMATCH STORE_BUSY STORE_IO HOST_UNAVAILABLE HOST_BUSY \
        INVALID_REQUEST METHOD_NOT_FOUND INVALID_PARAMS INTERNAL_ERROR NOT_INITIALIZED \
        TOO_MANY_REQUESTS CANCELLED NOT_IMPLEMENTED"
        .split_whitespace()
    {
        assert!(text.contains(&format!("\"{code}\"")), "{code} is gone");
    }
}
