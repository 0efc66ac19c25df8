//! Beginning, end and cancelling.

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::error::ErrorObject;

/// No params, or nothing to tell.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
pub struct Empty {}

/// Params of `initialize`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InitializeParams {
    /// The version the host speaks; the daemon answers with the one it will speak.
    pub protocol_version: u32,
    /// Who the host is, for the log.
    pub client: Party,
    /// The open project; profiles live below it. Without one they live in memory.
    #[serde(default)]
    pub project_dir: Option<String>,
    /// Where the daemon keeps its own files; else the platform's data directory.
    #[serde(default)]
    pub data_dir: Option<String>,
    /// How to open the vault. Without it, secrets live as long as the daemon.
    #[serde(default)]
    pub vault: Option<VaultKey>,
    /// What the host can be asked for.
    #[serde(default)]
    pub capabilities: HostCapabilities,
    /// Asks for `remote-llm/log` notifications.
    #[serde(default)]
    pub log: Option<LogOptions>,
    /// What is kept of conversations.
    #[serde(default)]
    pub history: HistoryOptions,
    /// What is noted in the audit trail.
    #[serde(default)]
    pub audit: AuditOptions,
}

/// What is noted in the audit trail, in `dataDir`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AuditOptions {
    /// `false`: nothing.
    pub enabled: bool,
    /// `true`: what was asked, answered, passed to tools and returned by them, too, without
    /// secrets. For finding out what goes wrong.
    pub content: bool,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            content: false,
        }
    }
}

/// What is kept of conversations.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HistoryOptions {
    /// `false`: they end with the daemon, and no file is touched. Without a `projectDir` they do
    /// so anyway.
    pub enabled: bool,
    /// The least recently changed go first; 10 to 100,000.
    #[schemars(range(min = 10, max = 100_000))]
    pub max_conversations: usize,
    /// Of all together, roughly; 1 MiB to 4 GiB.
    #[schemars(range(min = 1_048_576, max = 4_294_967_295_u64))]
    pub max_bytes: usize,
}

impl Default for HistoryOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            max_conversations: 10_000,
            max_bytes: 1024 * 1024 * 1024,
        }
    }
}

/// A program's name and version.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
pub struct Party {
    /// Its name.
    pub name: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
}

/// What opens the vault, from the host's own key store, from a person, or from the system's key
/// store: one of the three, or nothing.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultKey {
    /// 32 random bytes in base64, which the host keeps where the system keeps secrets.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub key: Option<SecretString>,
    /// A passphrase, which a person knows.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub passphrase: Option<SecretString>,
    /// `true`: the daemon keeps a key in the system's key store itself (Secret Service, Keychain,
    /// Credential Manager). For hosts that can't; a person may be asked to unlock it.
    #[serde(default)]
    pub keychain: bool,
}

/// What the host can be asked for; absent is `false`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostCapabilities {
    /// `host/execute-tool`.
    pub execute_tool: bool,
    /// `host/verify-host-key`.
    pub verify_host_key: bool,
    /// `host/answer-prompt`.
    pub answer_prompt: bool,
    /// Allows `remote-llm/execute-command`.
    pub remote_commands: bool,
}

/// Which log lines the host wants.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub struct LogOptions {
    /// The lowest level to send.
    pub level: LogLevel,
}

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something is odd.
    Warn,
    /// What happens.
    Info,
    /// Why it happens.
    Debug,
    /// Each step.
    Trace,
}

/// Result of `initialize`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InitializeResult {
    /// The version the daemon will speak.
    pub protocol_version: u32,
    /// The daemon.
    pub server: Party,
    /// What this daemon offers beyond the first version.
    pub capabilities: DaemonCapabilities,
    /// Whether secrets outlive the daemon.
    pub vault: VaultStatusResult,
    /// The bounds that a host may want to know.
    pub limits: Limits,
}

/// What the daemon offers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DaemonCapabilities {
    /// Every method that is built; others of the protocol answer `NOT_IMPLEMENTED`.
    pub methods: Vec<String>,
}

/// The daemon's bounds.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// The longest line, each way.
    pub max_message_bytes: usize,
    /// Requests that may be in flight at once.
    pub max_in_flight: usize,
    /// Prompts that there may be at once, running and waiting; they are requests, too.
    pub max_prompts: usize,
}

/// Params of `remote-llm/cancel`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CancelParams {
    /// The prompt's own id.
    pub request_id: String,
}

/// Result of `remote-llm/cancel`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CancelResult {
    /// `false`: no prompt of that id is running.
    pub cancelled: bool,
}

/// Params of `$/cancelRequest`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub struct CancelRequestParams {
    /// The JSON-RPC id of the request.
    pub id: RequestId,
}

/// A JSON-RPC id.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum RequestId {
    /// A number.
    Number(u64),
    /// A string.
    String(String),
}

/// Params of `remote-llm/log`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LogParams {
    /// How much it matters.
    pub level: LogLevel,
    /// The part of the daemon.
    pub target: String,
    /// The line; never a secret, a prompt or a tool's output.
    pub message: String,
}

/// The vault's state; result of every `vault-*` method.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultStatusResult {
    /// Whether secrets can be read and kept.
    pub state: VaultState,
    /// What opens it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_source: Option<VaultKeySource>,
    /// How many secrets are kept, of all projects.
    pub entries: usize,
    /// Its id; `vault-reset` wants it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vault_id: Option<String>,
    /// Why it is locked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<ErrorObject>,
    /// What the user should know about it.
    pub warnings: Vec<VaultWarning>,
}

/// Something about the vault that the user should know.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct VaultWarning {
    /// For programs.
    pub code: VaultWarningCode,
    /// For people.
    pub message: String,
}

/// What the user should know about the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum VaultWarningCode {
    /// The file was damaged; what was there before its last change is used.
    VaultRecovered,
}

/// What opens a vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VaultKeySource {
    /// The host's key.
    Host,
    /// A passphrase.
    Passphrase,
    /// A key in the system's key store.
    Keychain,
}

/// Whether secrets can be read and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VaultState {
    /// Open.
    Unlocked,
    /// There is a vault, and it can't be read or written now. What is entered lives as long as
    /// the daemon.
    Locked,
    /// There is no vault. Secrets live as long as the daemon.
    SessionOnly,
}

/// Params of `vault-reset`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultResetParams {
    /// The vault's id, so that nothing is reset by accident.
    pub confirm: String,
}
