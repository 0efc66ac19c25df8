//! One saved LLM server and the way to it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use super::ollama::Ollama;
use super::read::from_json;
use super::source::SecretSource;
use super::unknown::Unknown;

/// What the user saved. Names on file and wire are camelCase; absent means the default.
///
/// `Deserialize` reads as [`from_json`] does and drops its warnings. Neither checks more than
/// shapes; [`super::validate`] does.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// `[A-Za-z0-9][A-Za-z0-9_-]{0,63}`, the file's name. Empty asks [`super::Store::save`] for
    /// one made from `name`.
    pub id: String,
    /// For people.
    pub name: String,
    /// The machine.
    pub ssh: SshProfile,
    /// The LLM server, as seen from the machine.
    pub llm: LlmProfile,
    /// The model chosen last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selected_model: Option<String>,
    /// Fields of other versions, kept on rewrite.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// A machine reached over SSH, or a hop on the way to one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SshProfile {
    /// A name, an address, or an alias of ssh_config.
    pub host: String,
    /// `None`: what ssh_config says, else 22.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// `None`: what ssh_config says, else the local user's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// How to log in.
    #[serde(skip_serializing_if = "is_default")]
    pub auth_method: AuthMethod,
    /// May start with `~`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key_path: Option<String>,
    /// May start with `~`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_path: Option<String>,
    /// The agent's socket. May start with `~`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_agent: Option<String>,
    /// Offers only the key named, not the agent's others. `None`: what ssh_config says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identities_only: Option<bool>,
    /// Where the password comes from.
    #[serde(skip_serializing_if = "is_default")]
    pub password_source: SecretSource,
    /// Where the passphrase of the private key comes from.
    #[serde(skip_serializing_if = "is_default")]
    pub passphrase_source: SecretSource,
    /// Hops on the way, in order. A hop has none of its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jump_hosts: Vec<Self>,
    /// A command whose pipes lead to the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_command: Option<String>,
    /// Whether ssh_config is consulted for what is absent here.
    #[serde(skip_serializing_if = "is_true")]
    pub use_ssh_config: bool,
    /// What to do about unknown host keys. `None`: what ssh_config says, else ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_key_policy: Option<HostKeyPolicy>,
    /// Who speaks SSH.
    #[serde(skip_serializing_if = "is_default")]
    pub transport: Transport,
    /// Milliseconds.
    #[serde(rename = "connectTimeout", skip_serializing_if = "Option::is_none")]
    pub connect_timeout_ms: Option<u64>,
    /// Milliseconds; 0 turns keepalives off.
    #[serde(rename = "keepaliveInterval", skip_serializing_if = "Option::is_none")]
    pub keepalive_interval_ms: Option<u64>,
    /// Keepalives without an answer after which the connection counts as dead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keepalive_count_max: Option<u32>,
    /// Connections at once. A hop has none of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// Milliseconds until an unused connection is closed; 0: never. A hop has none of its own.
    #[serde(rename = "idleTimeout", skip_serializing_if = "Option::is_none")]
    pub idle_timeout_ms: Option<u64>,
    /// Fields of other versions, kept on rewrite.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// An LLM server.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LlmProfile {
    /// `http(s)://host:port/base` or `unix:/path`, as seen from the last hop.
    pub api_endpoint: String,
    /// Which API the server speaks.
    #[serde(skip_serializing_if = "is_default")]
    pub api_type: ApiType,
    /// Headers that are no secret.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// What `Host` says. `None`: the endpoint's host and port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_header: Option<String>,
    /// The header that carries a conversation's id; empty is none. For servers that keep caches by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity_header: Option<String>,
    /// The model used when none was chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_model: Option<String>,
    /// Short names for models.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub model_aliases: BTreeMap<String, String>,
    /// What the user says of models, whatever the server does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelProfile>,
    /// The clocks.
    #[serde(skip_serializing_if = "is_default")]
    pub timeouts: Timeouts,
    /// Of older configurations, in milliseconds: stands for connect and discovery only.
    #[serde(rename = "requestTimeout", skip_serializing_if = "Option::is_none")]
    pub request_timeout_ms: Option<u64>,
    /// How often one failed request is sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
    /// Whether that may be one that the server has read, for all that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_ambiguous: Option<bool>,
    /// For `https` endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// What is asked of Ollama by its own API.
    #[serde(skip_serializing_if = "is_default")]
    pub ollama: Ollama,
    /// Fields of other versions, kept on rewrite.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// A model that the user typed in. `None` is what the server says.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelProfile {
    /// As the server spells it.
    pub id: String,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Tokens that fit in prompt and answer together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u64>,
    /// Tokens that an answer may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    /// Whether it calls tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<bool>,
    /// Whether it sees images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vision: Option<bool>,
    /// Whether it thinks first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<bool>,
    /// Fields of other versions, kept on rewrite.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// Limits of waiting, in milliseconds. `None` is the daemon's default.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeouts {
    /// For a stream to the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<u64>,
    /// For the first token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<u64>,
    /// Between bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_ms: Option<u64>,
    /// For the whole prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_ms: Option<u64>,
    /// For what the server is and has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discovery_ms: Option<u64>,
    /// Fields of other versions, kept on rewrite.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// How a server proves who it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// A file of certificates to trust. May start with `~`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_path: Option<String>,
    /// The name expected in the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Fields of other versions, kept on rewrite.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// How to log in to a machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AuthMethod {
    /// Whatever works, keys first.
    #[default]
    Auto,
    /// A password.
    Password,
    /// A key file.
    PrivateKey,
    /// The keys of an agent.
    Agent,
    /// The server's questions.
    KeyboardInteractive,
    /// Nothing: the server knows by other means.
    None,
}

/// What to do about a host key that is not known yet. Changed and revoked keys always fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostKeyPolicy {
    /// Ask the user.
    Ask,
    /// Remember it without asking.
    AcceptNew,
    /// Fail.
    Strict,
}

/// Who speaks SSH.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// The daemon.
    #[default]
    Auto,
    /// The system's `ssh`.
    System,
}

/// Which API a server speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApiType {
    /// Found out by asking.
    #[default]
    Auto,
    /// `/v1/chat/completions` and its kin.
    OpenaiCompatible,
    /// Ollama's own.
    Ollama,
}

// === impl Profile ===

impl<'de> Deserialize<'de> for Profile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let (profile, _warnings) = from_json(value).map_err(de::Error::custom)?;
        Ok(profile)
    }
}

// === impl SshProfile ===

impl Default for SshProfile {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: None,
            username: None,
            auth_method: AuthMethod::Auto,
            private_key_path: None,
            certificate_path: None,
            identity_agent: None,
            identities_only: None,
            password_source: SecretSource::Saved,
            passphrase_source: SecretSource::Saved,
            jump_hosts: Vec::new(),
            proxy_command: None,
            use_ssh_config: true,
            host_key_policy: None,
            transport: Transport::Auto,
            connect_timeout_ms: None,
            keepalive_interval_ms: None,
            keepalive_count_max: None,
            max_connections: None,
            idle_timeout_ms: None,
            unknown: Unknown::default(),
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_true(value: &bool) -> bool {
    *value
}
