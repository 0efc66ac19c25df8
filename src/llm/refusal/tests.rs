use super::*;

fn refused(status: u16, body: &str) -> Refusal {
    of_response(
        status,
        body.as_bytes(),
        None,
        &Redactor::new(["sk-canary-123".into()]),
    )
}

fn overflow(needed: u64, available: u64) -> RefusalKind {
    RefusalKind::ContextOverflow {
        needed: Some(needed),
        available: Some(available),
    }
}

#[test]
fn every_known_refusal_is_sorted_by_what_would_help() {
    use RefusalKind::*;
    const VLLM_TOOLS: Option<&str> =
        Some("start vLLM with --enable-auto-tool-choice and --tool-call-parser");
    for (status, body, kind) in [
        (401, "", Auth),
        (401, r#"{"error":"Unauthorized"}"#, Auth),
        (401, r#"{"detail":"Unauthorized"}"#, Auth),
        (
            400,
            r#"{"error":{"message":"","type":"no_db_connection","code":"400"}}"#,
            Auth,
        ),
        (403, "", HostHeader),
        (403, r#"{"error":"forbidden"}"#, Auth),
        (400, r#"{"detail":"Invalid host header"}"#, HostHeader),
        (404, r#"{"detail":"Not Found"}"#, WrongPath),
        (
            404,
            r#"{"error":{"message":"File Not Found","type":"not_found_error","code":404}}"#,
            WrongPath,
        ),
        (404, "404 page not found", WrongPath),
        (405, r#"{"detail":"Method Not Allowed"}"#, WrongPath),
        (
            404,
            r#"{"error":{"message":"model 'x' not found","type":"api_error"}}"#,
            InvalidModel,
        ),
        (
            400,
            r#"{"error":{"message":"model 'x' not found","type":"invalid_request_error"}}"#,
            InvalidModel,
        ),
        (
            400,
            r#"{"error":{"message":"model is not loaded"}}"#,
            InvalidModel,
        ),
        (
            503,
            r#"{"error":{"message":"Loading model","type":"unavailable_error","code":503}}"#,
            Loading,
        ),
        (
            503,
            r#"{"error":"server busy, please try again.  maximum pending requests exceeded"}"#,
            RateLimited,
        ),
        (
            503,
            r#"{"detail":{"msg":"Server is busy; please try again later."}}"#,
            RateLimited,
        ),
        (
            429,
            r#"{"error":"Model is overloaded","error_type":"overloaded"}"#,
            RateLimited,
        ),
        (503, "no healthy upstream", Unavailable),
        (
            502,
            "<html><title>502 Bad Gateway</title></html>",
            Unavailable,
        ),
        (504, "", Unavailable),
        (500, "Internal Server Error", Other),
        (
            501,
            r#"{"error":{"message":"This server does not support embeddings"}}"#,
            Other,
        ),
        (
            400,
            r#"{"object":"error","message":"x is bad","code":400}"#,
            Other,
        ),
        (
            400,
            r#"{"error":{"message":"\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set"}}"#,
            ToolsUnsupported { hint: VLLM_TOOLS },
        ),
        (
            400,
            r#"{"error":{"message":"registry.ollama.ai/library/gemma:2b does not support tools"}}"#,
            ToolsUnsupported {
                hint: Some(OTHER_MODEL),
            },
        ),
        (
            500,
            r#"{"error":{"message":"tools param requires --jinja flag"}}"#,
            ToolsUnsupported {
                hint: Some("start llama-server with --jinja"),
            },
        ),
        (
            500,
            r#"{"error":{"message":"image input is not supported - hint: …"}}"#,
            ImagesUnsupported,
        ),
        (
            422,
            r#"{"error":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens. Reduce the length","error_type":"validation"}"#,
            overflow(5000, 4096),
        ),
        (
            400,
            r#"{"error":{"message":"This model's maximum context length is 4,097 tokens. However, your messages resulted in 5,000 tokens.","code":"context_length_exceeded"}}"#,
            overflow(5000, 4097),
        ),
        (
            400,
            r#"{"error":{"message":"Requested tokens (5000) exceed context window of 2048","code":"context_length_exceeded"}}"#,
            overflow(5000, 2048),
        ),
        (
            400,
            r#"{"error":{"message":"max_tokens exceeds 10; name too long"}}"#,
            Other,
        ),
        (
            422,
            r#"{"detail":[{"type":"extra_forbidden","loc":["body","stream_options","include_usage"],"msg":"Extra inputs are not permitted"}]}"#,
            Other,
        ),
    ] {
        assert_eq!(refused(status, body).kind, kind, "{status} {body}");
    }
}

#[test]
fn a_validation_error_names_the_place() {
    let body = r#"{"detail":[{"type":"extra_forbidden","loc":["body","stream_options",0],"msg":"not permitted"}]}"#;
    assert_eq!(
        refused(422, body).message,
        "body.stream_options.0: not permitted"
    );
}

#[test]
fn the_message_is_one_clean_line_without_secrets_or_tracebacks() {
    let body = r#"{"error":{"message":"key sk-canary-123\u001b[0m is\nwrong\n\n  File \"/srv/app.py\", line 3"}}"#;
    assert_eq!(
        refused(401, body).message,
        "key [redacted]\\u{1b}[0m is wrong"
    );
    assert_eq!(refused(500, "").message, "HTTP 500 without an explanation");
    assert_eq!(
        refused(502, "<html><title>Bad gateway</title>").message,
        "an HTML page \"Bad gateway\""
    );
}

#[test]
fn an_error_within_a_stream_is_told_from_a_chunk() {
    let said = |event: Option<&str>, json: &str| {
        error_in(event, &serde_json::from_str(json).unwrap()).map(|said| said.message)
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        said(None, r#"{"error":{"message":"boom","code":500}}"#),
        some("boom")
    );
    assert_eq!(
        said(None, r#"{"error":"unable to load model"}"#),
        some("unable to load model")
    );
    assert_eq!(
        said(None, r#"{"object":"error","message":"x","code":400}"#),
        some("x")
    );
    assert_eq!(
        said(None, r#"{"type":"error","error":{"message":"y"}}"#),
        some("y")
    );
    assert_eq!(said(Some("error"), r#"{"message":"z"}"#), some("z"));
    assert_eq!(said(None, r#"{"error":{}}"#), some(""));
    assert_eq!(said(None, r#"{"choices":[],"error":null}"#), None);
    assert_eq!(said(Some("message"), r#"{"choices":[]}"#), None);
}

#[test]
fn within_a_stream_the_errors_own_code_counts_as_its_status() {
    let json = serde_json::json!({"error": {"message": "slow down", "code": "429"}});
    let refusal = in_stream(&from_json(&json), &Redactor::default());
    assert_eq!(
        (refusal.kind, refusal.status),
        (RefusalKind::RateLimited, None)
    );
}

#[test]
fn an_error_that_is_the_text_of_another_is_read_as_the_inner_one() {
    let inner = r#"{"error":{"code":400,"message":"request (5012 tokens) exceeds the available context size (4096 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":5012,"n_ctx":4096}}"#;
    let sentence =
        "request (5012 tokens) exceeds the available context size (4096 tokens), try increasing it";
    // Ollama's own API, and its OpenAI-compatible one.
    for body in [
        serde_json::json!({ "error": inner }),
        serde_json::json!({"error": {"message": inner, "type": "invalid_request_error", "code": null}}),
    ] {
        let refusal = refused(400, &body.to_string());
        assert_eq!(refusal.message, sentence);
        assert_eq!(refusal.kind, overflow(5012, 4096));
        let said = error_in(None, &body).unwrap();
        let refusal = in_stream(&said, &Redactor::default());
        assert_eq!(refusal.kind, overflow(5012, 4096));
    }
    // What only looks like one is shown as it is.
    for text in [
        "{",
        "{}",
        "{\"a\":1}",
        "{\"error\":{}}",
        "[1]",
        "{\"error\":\"\"}",
    ] {
        let body = serde_json::json!({ "error": text });
        assert_eq!(refused(400, &body.to_string()).message, text);
    }
}
