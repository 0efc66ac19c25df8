//! Who signs for an offered key: nobody yet, a private key, or the agent.

use russh::keys::agent::AgentIdentity;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{HashAlg, PrivateKey};
use russh::{SendError, Signer};

use super::agent::Agent;

pub(super) enum Pen<'a> {
    /// Only asks whether the server would take the key.
    Probe,
    Key(&'a PrivateKey),
    Agent(&'a mut Agent, &'a AgentIdentity),
}

/// Why there is no signature.
#[derive(Debug)]
pub(super) enum SignError {
    /// The connection is gone.
    Gone,
    /// The server would take the key: that was the question.
    Wanted,
    /// The agent refused; it may still sign with other keys.
    Refused(String),
    /// The agent is of no use any more.
    Broken(String),
    /// The private key does not work.
    Damaged,
}

impl From<SendError> for SignError {
    fn from(_: SendError) -> Self {
        Self::Gone
    }
}

impl Signer for Pen<'_> {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, Self::Error> {
        match self {
            Self::Probe => Err(SignError::Wanted),
            Self::Key(key) => sign(key, hash, to_sign),
            // A certificate is signed for by the plain key that the agent holds.
            Self::Agent(agent, identity) => agent.sign(identity, hash, to_sign).await,
        }
    }
}

/// Appends the signature, as russh wants it.
fn sign(
    key: &PrivateKey,
    hash: Option<HashAlg>,
    mut to_sign: Vec<u8>,
) -> Result<Vec<u8>, SignError> {
    let signature = match key.key_data() {
        KeypairData::Rsa(pair) => (pair, hash).try_sign(&to_sign),
        _ => key.try_sign(&to_sign),
    };
    let mut blob = Vec::new();
    signature
        .map_err(|_| SignError::Damaged)?
        .encode(&mut blob)
        .and_then(|()| blob.encode(&mut to_sign))
        .map_err(|_| SignError::Damaged)?;
    Ok(to_sign)
}
