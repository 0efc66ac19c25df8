//! A locked key signs after the person has told its passphrase.

use std::sync::Arc;
use std::time::Duration;

use russh::SendError;
use russh::keys::agent::AgentIdentity;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{HashAlg, PrivateKey};
use secrecy::SecretString;

use super::blocking;
use super::key_file::{KeyFile, Lock};
use crate::ssh::clock::Clock;
use crate::ssh::error::{Cause, KeyProblem, Place};
use crate::ssh::prompt::{Prompt, PromptFailure, PromptKind, PromptQuestion, Prompter};

/// How long a person may look for a passphrase.
const ASK_LIMIT: Duration = Duration::from_secs(90);

const ATTEMPTS: u32 = 3;

/// Signs with a locked key, after asking for its passphrase.
pub(super) struct Passphrase {
    pub(super) prompter: Arc<dyn Prompter>,
    pub(super) clock: Clock,
    pub(super) place: Place,
    pub(super) file: KeyFile,
}

#[derive(Debug)]
pub(super) enum UnlockError {
    Gone,
    NoAnswer(PromptFailure),
    Problem(KeyProblem),
}

impl From<SendError> for UnlockError {
    fn from(_: SendError) -> Self {
        Self::Gone
    }
}

impl Passphrase {
    /// Tries one passphrase. Takes its time on another thread.
    pub(super) async fn unlock(&mut self) -> Result<Arc<PrivateKey>, UnlockError> {
        let mut problem = KeyProblem::PassphraseNeeded;
        for attempt in 1..=ATTEMPTS {
            let question = self.question(attempt);
            let answers = self
                .clock
                .ask(ASK_LIMIT, self.prompter.answer(question))
                .await
                .map_err(UnlockError::NoAnswer)?;
            let [passphrase] = <[SecretString; 1]>::try_from(answers)
                .map_err(|_| UnlockError::NoAnswer(PromptFailure::Unfit))?;
            match unlock(&self.file, passphrase).await {
                Ok(Ok(key)) => {
                    // For a second signature, should the server want one.
                    self.file.lock = Lock::Open(key.clone());
                    return Ok(key);
                }
                Ok(Err(wrong)) => problem = wrong,
                Err(_) => return Err(UnlockError::Gone),
            }
        }
        Err(UnlockError::Problem(problem))
    }

    fn question(&self, attempt: u32) -> PromptQuestion {
        PromptQuestion {
            place: self.place.clone(),
            username: self.place.username.clone(),
            kind: PromptKind::Passphrase {
                path: self.file.path.clone(),
            },
            name: String::new(),
            instruction: String::new(),
            prompts: vec![Prompt {
                text: format!("Passphrase of {}", self.file.path.display()),
                echo: false,
            }],
            attempt,
            time_limit: self.clock.prompt_limit(ASK_LIMIT),
        }
    }
}

impl russh::Signer for Passphrase {
    type Error = UnlockError;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash_alg: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, Self::Error> {
        let key = match &self.file.lock {
            Lock::Open(key) => key.clone(),
            Lock::Locked { .. } => self.unlock().await?,
        };
        let signature = match key.key_data() {
            KeypairData::Rsa(pair) => (pair, hash_alg).try_sign(&to_sign),
            _ => key.try_sign(&to_sign),
        };
        let mut blob = Vec::new();
        signature
            .map_err(|_| UnlockError::Problem(KeyProblem::Damaged))?
            .encode(&mut blob)
            .and_then(|()| blob.encode(&mut to_sign))
            .map_err(|_| UnlockError::Problem(KeyProblem::Damaged))?;
        Ok(to_sign)
    }
}

/// Tries one passphrase. Takes its time on another thread.
pub(super) async fn unlock(
    file: &KeyFile,
    passphrase: SecretString,
) -> Result<Result<Arc<PrivateKey>, KeyProblem>, Cause> {
    let file = file.clone();
    blocking(move || file.unlock(&passphrase)).await
}
