//! What the daemon asks the host for.

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Content;

/// Params of `host/execute-tool`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecuteToolParams {
    /// The prompt that needs it.
    pub request_id: String,
    /// Its conversation.
    pub conversation_id: String,
    /// Unique within the prompt.
    pub tool_call_id: String,
    /// One of the prompt's tools.
    pub name: String,
    /// The arguments, always an object.
    pub input: Map<String, Value>,
    /// After this long the daemon cancels the call. Time in which it waits for a person, as told
    /// with `remote-llm/tool-waiting`, does not count.
    pub timeout_ms: u64,
    /// The model had read what a tool returned when it made this call, and may be following what
    /// stood there: worth telling whoever is asked to allow it.
    pub after_untrusted_read: bool,
}

/// Params of `remote-llm/tool-waiting`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ToolWaitingParams {
    /// The prompt, as in `host/execute-tool`.
    pub request_id: String,
    /// The call, as in `host/execute-tool`.
    pub tool_call_id: String,
    /// `true`: a person is asked to allow it; `false`: no more, whatever they said.
    pub waiting: bool,
}

/// Result of `host/execute-tool`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecuteToolResult {
    /// What the tool says, for the model.
    #[serde(default)]
    pub content: Content,
    /// Whether that is a failure.
    #[serde(default)]
    pub is_error: bool,
    /// The person did not allow it: nothing was run (the same as the error `TOOL_DENIED`).
    #[serde(default)]
    pub denied: bool,
    /// The person wants the whole prompt to end, as with `$/cancelRequest`.
    #[serde(default)]
    pub abort: bool,
}

/// Params of `host/verify-host-key`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifyHostKeyParams {
    /// The profile, when it is saved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_id: Option<String>,
    /// Which hop of the way, from 1.
    pub hop: usize,
    /// How many hops the way has.
    pub hops: usize,
    /// The name the key is asked under.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// `ssh-ed25519`, ….
    pub key_type: String,
    /// `SHA256:…`.
    pub fingerprint: String,
    /// Why it is asked.
    pub reason: HostKeyReason,
    /// A name under which this very key is already known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_elsewhere: Option<String>,
}

/// Why a host key is asked about. Changed and revoked keys never are: they fail.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HostKeyReason {
    /// First contact.
    Unknown,
    /// The host is known by a key of another type.
    NewType,
}

/// Result of `host/verify-host-key`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct VerifyHostKeyResult {
    /// The verdict.
    pub decision: HostKeyDecision,
    /// The fingerprint that the person saw; another one counts as `reject`.
    pub fingerprint: String,
}

/// What the person said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HostKeyDecision {
    /// Connect, and remember the key.
    Accept,
    /// Connect, and remember it until the daemon ends.
    AcceptOnce,
    /// Do not connect.
    Reject,
}

/// Params of `host/answer-prompt`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnswerPromptParams {
    /// The profile, when it is saved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_id: Option<String>,
    /// Which hop of the way, from 1.
    pub hop: usize,
    /// The machine that asks.
    pub host: String,
    /// What kind of answer it wants.
    pub kind: PromptKind,
    /// The server's title. Text from the server: show it as plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The server's instruction. Text from the server: show it as plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instruction: Option<String>,
    /// One answer is wanted for each.
    pub prompts: Vec<PromptField>,
    /// From 1; more than 1 means that the last answer was refused.
    pub attempt: u32,
    /// Whether "remember" may be offered; never for one-time codes.
    pub can_remember: bool,
}

/// What kind of answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PromptKind {
    /// The account's password.
    Password,
    /// The passphrase of a private key on this machine.
    Passphrase,
    /// Whatever the server asks (RFC 4256).
    KeyboardInteractive,
}

/// One field to fill.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PromptField {
    /// What to show.
    pub text: String,
    /// Whether the answer may be visible while it is typed.
    pub echo: bool,
}

/// Result of `host/answer-prompt`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnswerPromptResult {
    /// One answer a prompt.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub answers: Vec<SecretString>,
    /// Keep it (password and passphrase only).
    #[serde(default)]
    pub remember: bool,
    /// The person closed the question.
    #[serde(default)]
    pub cancelled: bool,
}
