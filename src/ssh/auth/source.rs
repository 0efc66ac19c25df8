//! The password and the passphrase that need nobody's help: what is saved, or what the profile's
//! command writes. A command runs once for a login, and only when its secret is wanted.

use secrecy::SecretString;

use super::Login;
use crate::ssh::error::{Cause, SecretCommandProblem};
use crate::ssh::prompt::{PromptFailure, PromptKind};
use crate::ssh::secret_command;
use crate::ssh::target::SecretSource;

impl Login<'_> {
    /// Whether there is a password without asking.
    pub(super) fn has_password(&self) -> bool {
        match self.hop.password_source {
            SecretSource::Saved => self.hop.password.is_some(),
            SecretSource::Ask => false,
            SecretSource::Command(_) => true,
        }
    }

    pub(super) async fn known_password(&mut self) -> Result<Option<SecretString>, Cause> {
        let hop = self.hop;
        match &hop.password_source {
            SecretSource::Saved => Ok(hop.password.clone()),
            SecretSource::Ask => Ok(None),
            SecretSource::Command(words) => {
                if self.ledger.password.is_none() {
                    let written = self.output(words, PromptKind::Password).await?;
                    self.ledger.password = Some(written);
                }
                Ok(self.ledger.password.clone())
            }
        }
    }

    /// `kind` tells of which file.
    pub(super) async fn known_passphrase(
        &mut self,
        kind: PromptKind,
    ) -> Result<Option<SecretString>, Cause> {
        let hop = self.hop;
        match &hop.passphrase_source {
            SecretSource::Saved => Ok(hop.passphrase.clone()),
            SecretSource::Ask => Ok(None),
            SecretSource::Command(words) => {
                if self.ledger.passphrase.is_none() {
                    let written = self.output(words, kind).await?;
                    self.ledger.passphrase = Some(written);
                }
                Ok(self.ledger.passphrase.clone())
            }
        }
    }

    /// It may ask a person something: the clock stands still meanwhile.
    async fn output(&mut self, words: &[String], kind: PromptKind) -> Result<SecretString, Cause> {
        let limit = self.clock.prompt_limit(secret_command::LIMIT);
        let environment = self.environment;
        let running = async { Ok(secret_command::run(words, environment, limit).await) };
        let written = self.ask_while_alive(limit, running).await?;
        let too_long = |_: PromptFailure| SecretCommandProblem::TooLong(limit);
        written
            .map_err(too_long)
            .flatten()
            .map_err(|problem| Cause::SecretCommand {
                kind,
                program: secret_command::name(words),
                problem,
            })
    }
}
