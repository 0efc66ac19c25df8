//! Testing, making and watching connections.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ErrorObject, LlmParams, Model, ServerInfo, SshParams, StageName};

/// Params of `remote-llm/test-connection`: a saved profile, or what a form holds now.
/// With both, the form's values count and absent secrets are the saved ones.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestConnectionParams {
    /// A saved profile.
    #[serde(default)]
    pub config_id: Option<String>,
    /// An unsaved one.
    #[serde(default)]
    pub ssh: Option<SshParams>,
    /// Its LLM server; without it the test ends after the SSH stages.
    #[serde(default)]
    pub llm: Option<LlmParams>,
    /// The host's own name for this test: with it, `remote-llm/test-stage` tells how far it is.
    #[serde(default)]
    pub request_id: Option<String>,
}

/// Result of `remote-llm/test-connection`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestConnectionResult {
    /// Every stage that was wanted passed.
    pub success: bool,
    /// The first failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorObject>,
    /// In the order of the way.
    pub stages: Vec<Stage>,
    /// How the last hop accepted the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_method: Option<String>,
    /// The last hop's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_key: Option<HostKey>,
    /// The LLM server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerInfo>,
    /// Its models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<Model>>,
    /// What the user should know about the way, such as settings of ssh_config that have no
    /// effect here.
    pub warnings: Vec<String>,
}

/// Params of `remote-llm/test-stage`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestStageParams {
    /// The test, as the host named it.
    pub request_id: String,
    /// What is new.
    pub stage: StageProgress,
}

/// A stage of a test that is not over yet.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StageProgress {
    /// Which one.
    pub name: StageName,
    /// Of which hop, from 1; absent after the SSH stages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hop: Option<usize>,
    /// Machines on the way, the last one included.
    pub hops: usize,
    /// How far it is.
    pub status: StageState,
    /// How long it took, once it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// A sentence for a person; empty while the stage is under way.
    pub detail: String,
}

/// How far a stage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StageState {
    /// Under way.
    Started,
    /// Good.
    Passed,
    /// Bad: the result, which follows, says why.
    Failed,
    /// Not needed here.
    Skipped,
}

/// One stage of a test.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    /// Which one.
    pub name: StageName,
    /// Which hop of the way, from 1; absent after the SSH stages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hop: Option<usize>,
    /// How it went.
    pub status: StageStatus,
    /// How long it took; absent when skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// A sentence for a person.
    pub detail: String,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorObject>,
}

/// How a stage went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StageStatus {
    /// Good.
    Passed,
    /// Bad.
    Failed,
    /// Not tried.
    Skipped,
}

/// A host key, as people compare it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct HostKey {
    /// `ssh-ed25519`, ….
    #[serde(rename = "type")]
    pub key_type: String,
    /// `SHA256:…`.
    pub fingerprint: String,
}

/// A profile's connection; also params of `remote-llm/connection-status`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionStatus {
    /// The profile.
    pub config_id: String,
    /// What it is doing.
    pub state: ConnectionState,
    /// While connecting or reconnecting: the stage, and at which host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// When ready: one round trip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// When reconnecting: which try since the loss, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// When reconnecting: how long until that try; absent while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_in_ms: Option<u64>,
    /// Why it failed or needs the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorObject>,
    /// Since when it is in this state, RFC 3339.
    pub since: String,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionState {
    /// None, and none wanted.
    Off,
    /// On its way.
    Connecting,
    /// Usable.
    Ready,
    /// Lost, and on its way again.
    Reconnecting,
    /// Only a person can help: a key, a password, a code.
    NeedsUser,
    /// Given up.
    Failed,
}

/// Params of `remote-llm/execute-command`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecuteCommandParams {
    /// The profile whose machine runs it.
    pub config_id: String,
    /// For the account's shell there.
    pub command: String,
    /// After this long it is stopped.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// What is kept of each output.
    #[serde(default)]
    pub max_output_bytes: Option<usize>,
}

/// Result of `remote-llm/execute-command`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecuteCommandResult {
    /// `null`: a signal ended it.
    pub exit_code: Option<u32>,
    /// The signal that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// Whether more came than was kept.
    pub truncated: bool,
}
