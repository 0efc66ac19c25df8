//! The SSH agent: which keys it holds, and its signatures. Every call has a
//! deadline, and the agent itself is never forwarded.

mod listing;
mod socket;

use std::time::Duration;

use russh::keys::agent::client::{AgentClient, AgentStream};
use russh::keys::agent::{AgentIdentity, AgentSessionBinding};
use russh::keys::{Error as KeyError, HashAlg};
use russh::{AgentAuthError, Signer as _};
use tokio::time::timeout;

pub(super) use self::listing::Listing;
use super::signer::SignError;
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
    let certificate = match identity {
        AgentIdentity::PublicKey { .. } => "",
        AgentIdentity::Certificate { .. } => ", certificate",
    };
    if comment.is_empty() {
        let key = identity.public_key();
        let fingerprint = key.fingerprint(HashAlg::Sha256);
        return format!("agent: {fingerprint}{certificate}");
    }
    format!("agent: {comment}{certificate}")
}

impl Agent {
    /// Connects to the agent of this hop, bound to this very connection where
    /// the agent knows how to, and yields its keys in its order.
    pub(super) async fn connect(
        hop: &Hop,
        environment: &Environment,
        binding: Option<&AgentSessionBinding>,
        clock: Clock,
    ) -> Result<(Self, Listing), AgentProblem> {
        let path = socket::path(hop, environment)?;
        let asking = async {
            let mut client = socket::dial(path).await?;
            if let Some(binding) = binding {
                match client.bind_session(binding, false).await {
                    // An agent that does not know the extension says so, and works all the same.
                    Ok(()) | Err(KeyError::AgentFailure) => {}
                    Err(error) => return Err(broken(&error)),
                }
            }
            let mut stream = client.into_inner();
            let listing = listing::request(&mut stream)
                .await
                .map_err(|problem| AgentProblem::Broken(sanitize(&problem)))?;
            Ok((AgentClient::connect(stream), listing))
        };
        let (client, listing) = timeout(ANSWER_LIMIT, asking)
            .await
            .map_err(|_| AgentProblem::Silent)??;
        if listing.identities.is_empty() && listing.unreadable == 0 {
            return Err(AgentProblem::Empty);
        }
        Ok((Self { client, clock }, listing))
    }

    /// Has one of the agent's keys sign, and appends the signature.
    pub(super) async fn sign(
        &mut self,
        identity: &AgentIdentity,
        hash: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, SignError> {
        // The person may have to confirm: the clock of the connect stands still.
        let sign = async { Ok(self.client.auth_sign(identity, hash, to_sign).await) };
        match self.clock.ask(SIGN_LIMIT, sign).await {
            Ok(Ok(signed)) => Ok(signed),
            Ok(Err(AgentAuthError::Send(_))) => Err(SignError::Gone),
            Ok(Err(AgentAuthError::Key(error @ KeyError::AgentFailure))) => {
                Err(SignError::Refused(sanitize(&error.to_string())))
            }
            Ok(Err(AgentAuthError::Key(error))) => {
                Err(SignError::Broken(sanitize(&error.to_string())))
            }
            // A late signature would be taken for the answer to the next question.
            Err(PromptFailure::TimedOut) => Err(SignError::Broken("no answer".into())),
            Err(failure) => Err(SignError::Broken(failure.to_string())),
        }
    }
}

fn broken(error: &KeyError) -> AgentProblem {
    AgentProblem::Broken(sanitize(&error.to_string()))
}
