//! Saved profiles: how to reach a machine, and the LLM server there.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConnectionStatus, OllamaSettings, Secret};

/// Params of `remote-llm/configure`.
///
/// Without `configId` a new profile is made. With one, `name`, `ssh` and `llm` replace
/// what was saved, each as a whole; an absent one stays as it is. Secrets follow their own
/// rule, see [`Secret`].
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigureParams {
    /// The profile to change, or the id wanted for a new one.
    #[serde(default, alias = "id")]
    pub config_id: Option<String>,
    /// For people.
    #[serde(default)]
    pub name: Option<String>,
    /// How to reach the machine.
    #[serde(default)]
    pub ssh: Option<SshParams>,
    /// The LLM server, as seen from that machine.
    #[serde(default)]
    pub llm: Option<LlmParams>,
}

/// How to reach a machine. Secrets and jump hosts come in and never go out: what goes out
/// is an [`SshView`].
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SshParams {
    /// A name, an address, or an alias from ssh_config.
    pub host: String,
    /// 22 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The user running the daemon when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// How to prove who we are.
    #[serde(default)]
    pub auth_method: AuthMethod,
    /// A private key file on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key_path: Option<String>,
    /// The certificate that goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_path: Option<String>,
    /// The agent's socket, instead of `SSH_AUTH_SOCK`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_agent: Option<String>,
    /// Offer the named key only, none of the agent's others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identities_only: Option<bool>,
    /// Where the password comes from; `password` can be given only if it is `saved`.
    #[serde(default)]
    pub password_source: SecretSource,
    /// Where the passphrase of the private key comes from; the same with `passphrase`.
    #[serde(default)]
    pub passphrase_source: SecretSource,
    /// A command whose pipes lead to the SSH server, instead of TCP or jump hosts. `%h`,
    /// `%p`, `%r` and `%n` stand for host, port, user and the name as given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_command: Option<String>,
    /// Whether `host` may be an alias of the user's ssh_config.
    #[serde(default = "yes")]
    pub use_ssh_config: bool,
    /// What to do with an unknown host key; what ssh_config says when absent, else `ask`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key_policy: Option<HostKeyPolicy>,
    /// Who speaks SSH.
    #[serde(default)]
    pub transport: Transport,
    /// Milliseconds for everything up to the accepted user, people's answers excluded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<u64>,
    /// Milliseconds between signs of life; 0 switches them off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keepalive_interval: Option<u64>,
    /// Unanswered signs of life before the connection counts as dead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keepalive_count_max: Option<u32>,
    /// How many connections there may be at once, from 1 (the default) to 4. One more is made
    /// only while the others are saturated, and if that asks nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// Milliseconds after which a connection that nobody uses is closed; 10 minutes if absent, 0
    /// keeps it open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<u64>,
    /// The account's password.
    #[serde(default, skip_serializing)]
    pub password: Secret,
    /// The passphrase of the private key.
    #[serde(default, skip_serializing)]
    pub passphrase: Secret,
    /// Machines on the way, the first to be reached first.
    #[serde(default, skip_serializing)]
    pub jump_hosts: Vec<Self>,
}

fn yes() -> bool {
    true
}

/// How to prove who we are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AuthMethod {
    /// Everything that is there, in OpenSSH's order.
    #[default]
    Auto,
    /// RFC 4252 `password`.
    Password,
    /// RFC 4252 `publickey` with a key file.
    PrivateKey,
    /// RFC 4252 `publickey` with the agent's keys.
    Agent,
    /// RFC 4256.
    KeyboardInteractive,
    /// RFC 4252 `none`; enough where the network itself proves who we are.
    None,
}

/// Where a password or a passphrase comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SecretSource {
    /// It was given once, and is kept; where there is none, a person is asked, and can have it kept.
    #[default]
    Saved,
    /// A person is asked for each sign-in. It is never kept.
    Ask,
    /// A program of this computer writes it to its standard output: the program and its
    /// arguments, which no shell sees. It has 60 s. One line break at the end is cut off.
    Command(Vec<String>),
}

/// Who speaks SSH to the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// The daemon itself. Where only the system's `ssh` could help, it says so; it never
    /// changes over by itself.
    #[default]
    Auto,
    /// The system's `ssh`, for GSSAPI, PKCS#11 and the like. It reads ssh_config itself; its
    /// questions for passwords, passphrases and codes come as `host/answer-prompt`, and a host
    /// key has to be known. On a jump host it has no effect: the last machine's counts.
    System,
}

/// What to do with a host key that no known_hosts file has. Changed and revoked keys are
/// refused under every policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HostKeyPolicy {
    /// Ask a person.
    Ask,
    /// Trust and remember it.
    AcceptNew,
    /// Refuse it.
    Strict,
}

/// The LLM server, as seen from the last hop. Secrets come in and never go out: what goes
/// out is an [`LlmView`].
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LlmParams {
    /// `http(s)://host:port/base`, or `unix:/path`.
    pub api_endpoint: String,
    /// Which API it speaks.
    #[serde(default)]
    pub api_type: ApiType,
    /// Sent with every request. `{conversationId}` in a value stands for the conversation's id; such
    /// a header is left out where there is no conversation.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The value of the `Host` header, where the server wants another one than the endpoint's
    /// `host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_header: Option<String>,
    /// The header that carries the conversation's id, for routers that keep caches warm;
    /// `X-Session-Id` when absent, none when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity_header: Option<String>,
    /// The model for prompts that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_model: Option<String>,
    /// Our names for the server's ids.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub model_aliases: BTreeMap<String, String>,
    /// What you know of models: it counts more than what the server says, and these models are
    /// offered even where the server lists none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelSettings>,
    /// How long to wait for what.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Of older configurations: milliseconds for connect and discovery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_timeout: Option<u64>,
    /// How often one failed request may be sent again before anything of its answer was told, for
    /// whatever reasons; 2 by default, 0 is never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
    /// Whether a request goes again, once, when the connection died before any answer although
    /// the server may have read it; `true` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_ambiguous: Option<bool>,
    /// For `https` endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
    /// What is asked of Ollama by its own API; without effect on others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ollama: Option<OllamaSettings>,
    /// Sent as a bearer token.
    #[serde(default, skip_serializing)]
    pub api_key: Secret,
    /// Headers whose values are secret.
    #[serde(default, skip_serializing)]
    pub secret_headers: BTreeMap<String, Secret>,
}

/// A model, typed by hand. What is absent is left to the server.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelSettings {
    /// As the server spells it.
    pub id: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Tokens that fit in prompt and answer together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u64>,
    /// Tokens that an answer may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    /// Whether it calls tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<bool>,
    /// Whether it sees images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vision: Option<bool>,
    /// Whether it thinks first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<bool>,
}

/// Which API an LLM server speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ApiType {
    /// Ollama's own where the server is Ollama, else `openai-compatible`.
    #[default]
    Auto,
    /// `/v1/chat/completions`. Ollama has it too, but its context can't be set there, and a prompt
    /// that is too long is cut in silence.
    OpenaiCompatible,
    /// Ollama's own, `/api/chat`.
    Ollama,
}

/// The clocks, in milliseconds; absent ones have the daemon's defaults. They stand still while a
/// person answers a question or the host does not read, and no tool's time is in them.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Timeouts {
    /// To an open byte stream, secured if it is to be, with the request sent; 10 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<u64>,
    /// From there to the first token; model loading and prefill fall in it; 10 minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<u64>,
    /// Silence between bytes after the first token; 2 minutes, and 5 of servers that are known to
    /// send no signs of life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_ms: Option<u64>,
    /// The whole request; none by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_ms: Option<u64>,
    /// Finding out what the server is and has; 10 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery_ms: Option<u64>,
}

/// TLS inside the tunnel.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsSettings {
    /// A PEM file with the CA, instead of the platform's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_path: Option<String>,
    /// The name in the certificate, when it is not the endpoint's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

/// Names a profile.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigRef {
    /// Its id.
    pub config_id: String,
}

/// A saved profile without its secrets.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigView {
    /// Its id.
    pub config_id: String,
    /// For people.
    pub name: String,
    /// How to reach the machine.
    pub ssh: SshView,
    /// The LLM server there.
    pub llm: LlmView,
    /// The model that prompts go to.
    pub selected_model: Option<String>,
    /// Its connection.
    pub status: ConnectionStatus,
    /// When the server last answered, RFC 3339; `null`: not since the daemon started.
    pub last_checked_at: Option<String>,
    /// Whether this user saved or approved it on this machine.
    pub trust: Trust,
    /// What the user should know about it.
    pub warnings: Vec<String>,
}

/// How to reach a machine, without secrets.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SshView {
    /// Everything that is not secret.
    #[serde(flatten)]
    pub settings: SshParams,
    /// A password is kept.
    pub has_password: bool,
    /// A passphrase is kept.
    pub has_passphrase: bool,
    /// Machines on the way.
    pub jump_hosts: Vec<Self>,
}

/// The LLM server, without secrets.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LlmView {
    /// Everything that is not secret.
    #[serde(flatten)]
    pub settings: LlmParams,
    /// An API key is kept.
    pub has_api_key: bool,
    /// The names of the secret headers that are kept.
    pub secret_header_names: Vec<String>,
}

/// Whether a profile may be used.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Trust {
    /// The verdict.
    pub state: TrustState,
    /// Of all that the profile says; what `trust-config` has to name.
    pub digest: String,
}

/// The verdict on a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TrustState {
    /// This user saved it or approved of it, on this machine, as it is now.
    Trusted,
    /// It came with the project, or was changed there since. It can be shown, saved as a whole,
    /// trusted and deleted, and nothing else.
    Untrusted,
}

/// Result of `remote-llm/list-configs`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ListConfigsResult {
    /// By name.
    pub configs: Vec<ConfigView>,
    /// Files that could not be read, each with its reason.
    pub problems: Vec<ConfigProblem>,
}

/// A profile's file that could not be read.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigProblem {
    /// The file's name without its ending.
    pub config_id: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Result of `remote-llm/delete-config`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeleteConfigResult {
    /// `false`: there was none.
    pub deleted: bool,
}

/// Params of `remote-llm/trust-config`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrustConfigParams {
    /// The profile.
    pub config_id: String,
    /// As `get-config` showed it; a profile that changed since is not trusted by it.
    pub digest: String,
}

/// Params of `remote-llm/config-changed`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigChangedParams {
    /// The profile.
    pub config_id: String,
    /// What happened to it.
    pub change: ConfigChange,
}

/// What happened to a profile.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ConfigChange {
    /// New or changed.
    Saved,
    /// Gone.
    Deleted,
}

/// Result of `remote-llm/list-presets`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ListPresetsResult {
    /// The common ones first.
    pub presets: Vec<Preset>,
}

/// A starting point for one kind of server.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Preset {
    /// Its id.
    pub id: String,
    /// For people.
    pub name: String,
    /// What to fill in.
    pub llm: LlmParams,
    /// What to know about it.
    pub notes: Vec<String>,
}

/// Result of `remote-llm/list-ssh-hosts`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ListSshHostsResult {
    /// In the order of the files.
    pub hosts: Vec<SshHost>,
    /// What was left out, and why.
    pub warnings: Vec<String>,
}

/// A host of the user's ssh_config. To use it, save a profile whose `ssh.host` is the alias.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SshHost {
    /// What the user types.
    pub alias: String,
    /// What it stands for; absent if it can't be resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh: Option<SshParams>,
    /// The machines on the way, by the names that ssh_config has for them.
    pub hops: Vec<String>,
    /// Why it can't be resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What the user should know about it, such as settings that have no effect here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The beginnings of a profile's `ssh`, with the jump hosts.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SshDraft {
    /// Everything but the jump hosts.
    #[serde(flatten)]
    pub settings: SshParams,
    /// Machines on the way, the first to be reached first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jump_hosts: Vec<SshParams>,
}

/// The beginnings of a profile's `llm`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LlmDraft {
    /// The LLM server as seen from the machine.
    pub api_endpoint: String,
}

/// Params of `remote-llm/parse-target`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ParseTargetParams {
    /// What the user pasted.
    pub text: String,
}

/// Result of `remote-llm/parse-target`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ParseTargetResult {
    /// What it says about the machine; `null`: nothing.
    pub ssh: Option<SshDraft>,
    /// What it says about the LLM server; `null`: nothing.
    pub llm: Option<LlmDraft>,
    /// What was left out, and why.
    pub warnings: Vec<String>,
}
