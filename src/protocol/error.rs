//! The errors a host can meet.

use schemars::JsonSchema;
use serde::Serialize;

/// A JSON-RPC error object; also inside events, test stages and connection states.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ErrorObject {
    /// The number of the family; programs read `data.code`.
    pub code: i32,
    /// A sentence for a person: what happened, at which hop, what to do next.
    pub message: String,
    /// Everything a program may want to know.
    pub data: Box<ErrorData>,
}

/// The part of an error that programs read.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorData {
    /// The contract: these spellings never change.
    pub code: ErrorCode,
    /// Whether the same request may succeed later without anybody changing anything.
    pub retryable: bool,
    /// The profile it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_id: Option<String>,
    /// The prompt it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The conversation of that prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// The hop that failed, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hop: Option<usize>,
    /// That hop's name and port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The stage that failed, spelt as in `test-connection`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageName>,
    /// What the user can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The status line's number, where the LLM server answered one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// The field of the params that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The fingerprint that the server showed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The text that had arrived when the prompt failed or was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial: Option<String>,
}

impl ErrorData {
    /// Only the code; everything else unknown.
    #[must_use]
    pub fn new(code: ErrorCode, retryable: bool) -> Self {
        Self {
            code,
            retryable,
            config_id: None,
            request_id: None,
            conversation_id: None,
            hop: None,
            host: None,
            stage: None,
            hint: None,
            http_status: None,
            field: None,
            fingerprint: None,
            partial: None,
        }
    }
}

/// A stage of the way to a model; the order is the order of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StageName {
    /// The host's name became addresses.
    Resolve,
    /// A TCP connection.
    Tcp,
    /// SSH version and key exchange.
    SshHandshake,
    /// The host key is the right one.
    HostKey,
    /// The user was accepted.
    Auth,
    /// The SSH server opened a channel to the LLM server.
    Forward,
    /// The LLM server proved who it is; only for `https` endpoints.
    Tls,
    /// Something there speaks HTTP.
    Http,
    /// It is an LLM server that we know how to talk to.
    Server,
    /// It listed its models.
    Models,
    /// The chosen model answered.
    Model,
    /// The chosen model called a tool.
    Tools,
}

/// What went wrong. The spelling is the contract; the number names the family:
/// 1000 ssh, 2000 api, 3000 tool, 4000 config, 5000 host, negative JSON-RPC's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[repr(i32)]
pub enum ErrorCode {
    /// The machine refused the user with every method we could offer.
    SshAuthFailed = 1001,
    /// No answer in time while connecting.
    SshConnectionTimeout = 1002,
    /// A channel could not be opened or broke, for no better known reason.
    SshChannelError = 1003,
    /// The machine or the network ended the connection.
    SshDisconnected = 1004,
    /// No way to the machine: no address, no route, or nothing listens.
    SshUnreachable = 1005,
    /// What answers is not an SSH server, or shares no algorithm with us.
    SshProtocolError = 1006,
    /// The key is not known and nobody could be asked.
    SshHostKeyUnknown = 1007,
    /// The key is not the recorded one.
    SshHostKeyChanged = 1008,
    /// The key is marked as revoked.
    SshHostKeyRevoked = 1009,
    /// The person refused the key.
    SshHostKeyRejected = 1010,
    /// A private key can't be used: missing, wrong passphrase, unknown format.
    SshKeyUnusable = 1011,
    /// Others may read the private key.
    SshKeyPermissions = 1012,
    /// The SSH server may not open that channel.
    SshForwardDenied = 1013,
    /// The user's ssh configuration, or known_hosts, can't be used.
    SshConfigInvalid = 1014,
    /// The proxy command can't be started, or ended before there was a connection.
    SshProxyCommandFailed = 1030,
    /// The profile has a command for a password or a passphrase, and it gave none.
    SshSecretCommandFailed = 1032,
    /// The system's `ssh` can't be started, or failed in a way that has no other code.
    SshSystemFailed = 1031,
    /// The SSH agent was chosen, and it is not there, holds no fitting key or does not work.
    SshAgentUnavailable = 1020,
    /// The machine hung up on the keys before the right one had its turn.
    SshTooManyKeys = 1021,
    /// The password has to be changed in a terminal first.
    SshPasswordExpired = 1022,
    /// The person closed the question.
    SshPromptCancelled = 1023,
    /// The person did not answer in time.
    SshPromptTimeout = 1024,
    /// A person would have to answer, and can't be asked, or the answer does not fit.
    SshPromptUnavailable = 1025,

    /// The LLM server can't be reached through the tunnel, or is down.
    ApiUnavailable = 2001,
    /// No such model.
    ApiInvalidModel = 2002,
    /// Busy; try later.
    ApiRateLimited = 2003,
    /// The LLM server answered an error of its own.
    ApiError = 2004,
    /// The LLM server wants another API key.
    ApiAuthFailed = 2005,
    /// The prompt does not fit in the model's context.
    ApiContextOverflow = 2006,
    /// The model is still being loaded.
    ApiModelLoading = 2007,
    /// The server or the model can't call tools as it was started.
    ApiToolsUnsupported = 2008,
    /// The answer is not what an LLM server says.
    ApiProtocolError = 2009,
    /// The answer was cut off.
    StreamInterrupted = 2010,
    /// The host reads slower than we can keep.
    SlowConsumer = 2011,
    /// No first token in time.
    TimeoutFirstToken = 2012,
    /// Silence in the middle of an answer.
    TimeoutIdle = 2013,
    /// The whole prompt took too long.
    TimeoutTotal = 2014,
    /// No connection to the LLM server in time, or it did not take the request.
    TimeoutConnect = 2015,
    /// The LLM server did not say in time what it is and has.
    TimeoutDiscovery = 2016,
    /// No TLS with the LLM server: its certificate, the settings, or what it speaks.
    ApiTlsFailed = 2017,
    /// The server can't go on with an answer that was cut short.
    ApiContinueUnsupported = 2018,

    /// No such tool.
    ToolNotFound = 3001,
    /// The tool failed.
    ToolExecutionFailed = 3002,
    /// The tool took too long.
    ToolTimeout = 3003,
    /// The arguments do not fit the tool.
    ToolInvalidInput = 3004,
    /// The person said no.
    ToolDenied = 3005,
    /// The tool was cancelled.
    ToolCancelled = 3006,
    /// The model repeats the same call.
    ToolLoopDetected = 3007,
    /// More rounds or calls than allowed.
    ToolLimitExceeded = 3008,

    /// No such profile or conversation.
    ConfigNotFound = 4001,
    /// A field is wrong.
    ConfigInvalid = 4002,
    /// Somebody else saved this profile.
    ConfigUntrusted = 4003,
    /// The vault's key is not there.
    VaultLocked = 4004,
    /// Another key than the vault's.
    VaultKeyMismatch = 4005,
    /// The vault's file is damaged.
    VaultCorrupt = 4006,
    /// A newer version wrote the vault.
    VaultTooNew = 4007,
    /// The profile points elsewhere than when its secret was saved.
    SecretBindingMismatch = 4008,
    /// Another process holds the file.
    StoreBusy = 4009,
    /// The disk refused.
    StoreIo = 4010,
    /// The system's key store, which has the vault's key, is not there or does not work.
    VaultKeychainUnavailable = 4011,
    /// The system's key store works, and the vault's key is not in it any more.
    VaultKeyLost = 4012,

    /// The host can't do what is needed, or is gone.
    HostUnavailable = 5001,
    /// Too much at once.
    HostBusy = 5002,

    /// Not a JSON-RPC 2.0 request.
    InvalidRequest = -32600,
    /// No such method.
    MethodNotFound = -32601,
    /// The params do not fit; `field` names the place.
    InvalidParams = -32602,
    /// A defect of the daemon.
    InternalError = -32603,
    /// `initialize` comes first.
    NotInitialized = -32002,
    /// A reply over the message limit.
    ResponseTooBig = -32008,
    /// Too many requests in flight.
    TooManyRequests = -32009,
    /// Cancelled as asked.
    Cancelled = -32800,
    /// A method of the protocol that this version does not offer yet; its number is −32601.
    NotImplemented = -32604,
}

impl ErrorCode {
    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> i32 {
        match self {
            Self::NotImplemented => Self::MethodNotFound as i32,
            code => code as i32,
        }
    }
}
