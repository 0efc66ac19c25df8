//! The wire and nothing else: every method, its params and its result, as plain serde types.
//!
//! One table per direction ties a method's name to its types; registration, calls to the
//! host and `schemas/protocol.schema.json` all read it, so they cannot drift apart.
//! No I/O and no logic beyond reading lenient input forms lives here.

mod config;
mod connection;
mod error;
mod event;
mod history;
mod lifecycle;
mod message;
mod model;
mod ollama;
mod prompt;
mod question;
pub mod schema;
mod secret;

pub use config::*;
pub use connection::*;
pub use error::*;
pub use event::*;
pub use history::*;
pub use lifecycle::*;
pub use message::*;
pub use model::*;
pub use ollama::*;
pub use prompt::*;
pub use question::*;
pub use secret::Secret;

/// The version of the contract; raised only when an old host would misread a new daemon.
/// Additions are announced as capabilities instead.
pub const VERSION: u32 = 1;

/// The most bytes one line may have, each way.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// A method that is answered.
pub trait Request {
    /// Its name on the wire.
    const METHOD: &'static str;
    /// What the caller sends.
    type Params;
    /// What a success answers.
    type Result;
}

/// A method that is not answered.
pub trait Notification {
    /// Its name on the wire.
    const METHOD: &'static str;
    /// What the sender tells.
    type Params;
}

/// Declares the methods of one direction, and `visit_…`, which shows them all to the schema.
macro_rules! methods {
    (requests $visit:ident { $($(#[$doc:meta])* $name:ident = $method:literal ($params:ty) -> $result:ty;)* }) => {
        $( $(#[$doc])* #[derive(Debug)] pub enum $name {}
           impl Request for $name { const METHOD: &'static str = $method; type Params = $params; type Result = $result; } )*
        fn $visit(schema: &mut schema::Document, section: &str) {
            $( schema.request::<$name>(section); )*
        }
    };
    (notifications $visit:ident { $($(#[$doc:meta])* $name:ident = $method:literal ($params:ty);)* }) => {
        $( $(#[$doc])* #[derive(Debug)] pub enum $name {}
           impl Notification for $name { const METHOD: &'static str = $method; type Params = $params; } )*
        fn $visit(schema: &mut schema::Document, section: &str) {
            $( schema.notification::<$name>(section); )*
        }
    };
}

methods! { requests visit_requests {
    /// First, and once.
    Initialize = "initialize" (InitializeParams) -> InitializeResult;
    /// Cancels everything, closes every connection, then answers.
    Shutdown = "shutdown" (Empty) -> Empty;
    /// Cancels a prompt by the id that the host chose for it.
    Cancel = "remote-llm/cancel" (CancelParams) -> CancelResult;

    /// Saves a profile, new or changed.
    Configure = "remote-llm/configure" (ConfigureParams) -> ConfigView;
    /// One saved profile, without its secrets.
    GetConfig = "remote-llm/get-config" (ConfigRef) -> ConfigView;
    /// All saved profiles, without their secrets.
    ListConfigs = "remote-llm/list-configs" (Empty) -> ListConfigsResult;
    /// Deletes a profile and its secrets, and closes its connection.
    DeleteConfig = "remote-llm/delete-config" (ConfigRef) -> DeleteConfigResult;
    /// Approves a profile that somebody else saved.
    TrustConfig = "remote-llm/trust-config" (TrustConfigParams) -> ConfigView;
    /// Starting points for the common servers.
    ListPresets = "remote-llm/list-presets" (Empty) -> ListPresetsResult;
    /// The hosts of the user's ssh_config.
    ListSshHosts = "remote-llm/list-ssh-hosts" (Empty) -> ListSshHostsResult;
    /// Reads an `ssh …` command, an alias, a URL or a config block.
    ParseTarget = "remote-llm/parse-target" (ParseTargetParams) -> ParseTargetResult;

    /// Tries the whole way, stage by stage; saves nothing.
    TestConnection = "remote-llm/test-connection" (TestConnectionParams) -> TestConnectionResult;
    /// Connects now instead of at the first use.
    Connect = "remote-llm/connect" (ConfigRef) -> ConnectionStatus;
    /// Closes the connection.
    Disconnect = "remote-llm/disconnect" (ConfigRef) -> ConnectionStatus;
    /// The connection as it is now.
    Status = "remote-llm/status" (ConfigRef) -> ConnectionStatus;
    /// What the server offers.
    ListModels = "remote-llm/list-models" (ListModelsParams) -> ListModelsResult;
    /// Remembers which model prompts of this profile go to.
    SelectModel = "remote-llm/select-model" (SelectModelParams) -> ConfigView;

    /// Runs a prompt to its end; no notifications.
    SubmitPrompt = "remote-llm/submit-prompt" (PromptParams) -> PromptResult;
    /// Runs a prompt to its end; every event is a [`StreamChunk`] before the reply.
    StreamPrompt = "remote-llm/stream-prompt" (PromptParams) -> PromptResult;
    /// The conversations of this project, newest first.
    ListConversations = "remote-llm/list-conversations" (Empty) -> ListConversationsResult;
    /// One conversation with all its messages.
    GetConversation = "remote-llm/get-conversation" (GetConversationParams) -> ConversationView;
    /// Forgets a conversation.
    DeleteConversation = "remote-llm/delete-conversation" (DeleteConversationParams) -> DeleteConversationResult;
    /// Runs a command on the remote machine, where `initialize` allowed it.
    ExecuteCommand = "remote-llm/execute-command" (ExecuteCommandParams) -> ExecuteCommandResult;

    /// The vault's state.
    VaultStatus = "remote-llm/vault-status" (Empty) -> VaultStatusResult;
    /// Opens a locked vault; with nothing, with what `initialize` had. Makes one where there is none.
    VaultUnlock = "remote-llm/vault-unlock" (VaultKey) -> VaultStatusResult;
    /// Gives the vault a new data key, and what opens it from now on, if that is named.
    VaultRotate = "remote-llm/vault-rotate" (VaultKey) -> VaultStatusResult;
    /// Puts the vault aside, deleting nothing, and makes an empty one if `initialize` or
    /// `vault-unlock` gave what opens it.
    VaultReset = "remote-llm/vault-reset" (VaultResetParams) -> VaultStatusResult;
} }

methods! { notifications visit_notifications_both {
    /// Cancels the request with this id; either side may send it.
    CancelRequest = "$/cancelRequest" (CancelRequestParams);
} }

methods! { notifications visit_notifications_in {
    /// The computer woke up: probe every connection now.
    SystemResumed = "remote-llm/system-resumed" (Empty);
    /// A tool call waits for a person to allow it, or no longer does: its clock stands still
    /// meanwhile.
    ToolWaiting = "remote-llm/tool-waiting" (ToolWaitingParams);
} }

methods! { notifications visit_notifications_out {
    /// One event of a running prompt.
    StreamChunk = "remote-llm/stream-chunk" (StreamChunkParams<'static>);
    /// A connection changed its state.
    ConnectionStatusChanged = "remote-llm/connection-status" (ConnectionStatus);
    /// A stage of a test has begun or is over.
    TestStage = "remote-llm/test-stage" (TestStageParams);
    /// A conversation has new messages.
    ConversationUpdated = "remote-llm/conversation-updated" (ConversationUpdatedParams);
    /// A profile was saved or deleted.
    ConfigChanged = "remote-llm/config-changed" (ConfigChangedParams);
    /// A log line, where `initialize` asked for them.
    Log = "remote-llm/log" (LogParams);
} }

methods! { requests visit_host_requests {
    /// Runs a tool on the user's machine.
    ExecuteTool = "host/execute-tool" (ExecuteToolParams) -> ExecuteToolResult;
    /// Asks a person whether an unknown host key is the right one.
    VerifyHostKey = "host/verify-host-key" (VerifyHostKeyParams) -> VerifyHostKeyResult;
    /// Asks a person for a password, a passphrase or a code.
    AnswerPrompt = "host/answer-prompt" (AnswerPromptParams) -> AnswerPromptResult;
} }
