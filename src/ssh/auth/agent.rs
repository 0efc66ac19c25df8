//! The SSH agent: which keys it holds, and its signatures. Every call has a
//! deadline, and the agent itself is never forwarded.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::{AgentClient, AgentStream};
use russh::keys::{Error as KeyError, HashAlg};
use russh::{AgentAuthError, SendError, Signer};
use tokio::time::timeout;

use crate::ssh::clock::Clock;
use crate::ssh::error::AgentProblem;
use crate::ssh::prompt::PromptFailure;
use crate::ssh::target::{Environment, Hop};
use crate::ssh::text::sanitize;

const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// A signature may need a touch, or a click on "Allow".
const SIGN_LIMIT: Duration = Duration::from_secs(30);

type DynStream = Box<dyn AgentStream + Send + Unpin>;

pub(super) struct Agent {
    client: AgentClient<DynStream>,
    clock: Clock,
}

/// What to call an agent's key: its comment, or else its fingerprint.
pub(super) fn label(identity: &AgentIdentity) -> String {
    let comment = sanitize(identity.comment());
    if comment.is_empty() {
        let key = identity.public_key();
        return format!("agent: {}", key.fingerprint(HashAlg::Sha256));
    }
    format!("agent: {comment}")
}

impl Agent {
    /// Connects to the agent of this hop, bound to this very connection where
    /// the agent knows how to.
    pub(super) async fn connect(
        hop: &Hop,
        environment: &Environment,
        binding: Option<&russh::keys::agent::AgentSessionBinding>,
        clock: Clock,
    ) -> Result<Self, AgentProblem> {
        let path = socket(hop, environment).ok_or(AgentProblem::NoSocket)?;
        let client = timeout(ANSWER_LIMIT, dial(&path))
            .await
            .map_err(|_| AgentProblem::Silent)?
            .map_err(|source| AgentProblem::Unreachable {
                path,
                source: Arc::new(source),
            })?;
        let mut agent = Self { client, clock };
        if let Some(binding) = binding {
            match within(agent.client.bind_session(binding, false)).await {
                // An agent that does not know the extension says so, and works all the same.
                Ok(()) | Err(Failure::Refused(_)) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(agent)
    }

    /// The keys of the agent, in its order.
    pub(super) async fn identities(&mut self) -> Result<Vec<AgentIdentity>, AgentProblem> {
        let identities = within(self.client.request_identities()).await?;
        if identities.is_empty() {
            return Err(AgentProblem::Empty);
        }
        Ok(identities)
    }
}

/// The socket to use: the profile's, or that of the environment.
fn socket(hop: &Hop, environment: &Environment) -> Option<PathBuf> {
    match &hop.identity_agent {
        Some(path) if path.as_os_str() == "none" => None,
        Some(path) if path.as_os_str() != "SSH_AUTH_SOCK" => Some(environment.expand(path)),
        _ => environment.ssh_auth_sock.clone(),
    }
    .filter(|path| !path.as_os_str().is_empty())
}

#[cfg(unix)]
async fn dial(path: &Path) -> std::io::Result<AgentClient<DynStream>> {
    let stream = tokio::net::UnixStream::connect(path).await?;
    Ok(AgentClient::connect(Box::new(stream) as DynStream))
}

#[cfg(windows)]
async fn dial(path: &Path) -> std::io::Result<AgentClient<DynStream>> {
    let pipe = tokio::net::windows::named_pipe::ClientOptions::new().open(path)?;
    Ok(AgentClient::connect(Box::new(pipe) as DynStream))
}

enum Failure {
    Silent,
    Refused(KeyError),
    Broken(KeyError),
}

impl From<Failure> for AgentProblem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Silent => Self::Silent,
            Failure::Refused(error) | Failure::Broken(error) => {
                Self::Broken(sanitize(&error.to_string()))
            }
        }
    }
}

async fn within<T>(call: impl Future<Output = Result<T, KeyError>>) -> Result<T, Failure> {
    match timeout(ANSWER_LIMIT, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error @ KeyError::AgentFailure)) => Err(Failure::Refused(error)),
        Ok(Err(error)) => Err(Failure::Broken(error)),
        Err(_) => Err(Failure::Silent),
    }
}

/// Why there is no signature.
#[derive(Debug)]
pub(super) enum SignError {
    /// The connection is gone.
    Gone,
    /// The agent refused, or did not answer.
    Agent(String),
}

impl From<SendError> for SignError {
    fn from(_: SendError) -> Self {
        Self::Gone
    }
}

impl Signer for Agent {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        key: &AgentIdentity,
        hash_alg: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, Self::Error> {
        // The person may have to confirm: the clock of the connect stands still.
        let sign = async { Ok(self.client.auth_sign(key, hash_alg, to_sign).await) };
        match self.clock.ask(SIGN_LIMIT, sign).await {
            Ok(Ok(signed)) => Ok(signed),
            Ok(Err(AgentAuthError::Send(_))) => Err(SignError::Gone),
            Ok(Err(AgentAuthError::Key(error))) => {
                Err(SignError::Agent(sanitize(&error.to_string())))
            }
            Err(PromptFailure::TimedOut) => Err(SignError::Agent("no answer".into())),
            Err(failure) => Err(SignError::Agent(failure.to_string())),
        }
    }
}
