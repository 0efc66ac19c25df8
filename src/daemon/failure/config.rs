//! Sentences for what can go wrong with saved profiles.

use crate::{
    config::{Error, KeySource, VaultProblem},
    protocol::{ErrorCode, ErrorData, ErrorObject},
};

/// Why a profile can't be used or saved.
pub(in crate::daemon) fn config(error: &Error) -> ErrorObject {
    let told = |code, message: String| {
        super::with_data(ErrorData::new(code, error.is_transient()), message)
    };
    match error {
        Error::NotFound { id } => {
            let mut told = told(
                ErrorCode::ConfigNotFound,
                format!("There is no saved server `{id}`. It may have been deleted."),
            );
            told.data.config_id = Some(id.clone());
            told
        }
        Error::Invalid { field, problem } => {
            let mut told = told(ErrorCode::ConfigInvalid, format!("`{field}` {problem}."));
            told.data.field = Some(field.clone());
            told
        }
        Error::Corrupt { path, line } => told(
            ErrorCode::ConfigInvalid,
            format!(
                "{} is not JSON (line {line}). Mend the file, or delete the server and add it again.",
                path.display()
            ),
        ),
        Error::Refused { path, problem } => told(
            ErrorCode::ConfigInvalid,
            format!("{} {problem}, so it is left alone.", path.display()),
        ),
        Error::Io { path, source } => told(
            ErrorCode::StoreIo,
            format!(
                "{} could not be read or written; what was saved before is intact. ({source})",
                path.display()
            ),
        ),
        Error::Untrusted { id } => {
            let mut told = told(
                ErrorCode::ConfigUntrusted,
                format!(
                    "The server `{id}` was not saved by you on this computer as it is now: it may \
                     have come with the project, or was changed there. It is not used."
                ),
            );
            told.data.config_id = Some(id.clone());
            told.data.hint = Some(
                "Look at its address, user, key and commands, then trust it, or delete it."
                    .to_owned(),
            );
            told
        }
        Error::ChangedSince { id } => {
            let mut told = told(
                ErrorCode::ConfigUntrusted,
                format!("The server `{id}` has changed since it was shown to you."),
            );
            told.data.config_id = Some(id.clone());
            told.data.hint = Some("Look at it as it is now, and trust it then.".to_owned());
            told
        }
        Error::Busy => told(
            ErrorCode::StoreBusy,
            "The saved servers are being changed by another process; nothing was saved. Try again."
                .to_owned(),
        ),
        Error::SecretBinding { field } => {
            let mut told = told(
                ErrorCode::SecretBindingMismatch,
                format!(
                    "The saved {field} was given for another address than the one that is set now. \
                     Enter it again."
                ),
            );
            told.data.field = Some(field.place());
            told
        }
        Error::Vault(problem) => {
            let (code, message) = vault(problem);
            let mut told = told(code, message);
            told.data.hint = hint(problem).map(str::to_owned);
            told
        }
    }
}

fn vault(problem: &VaultProblem) -> (ErrorCode, String) {
    match problem {
        VaultProblem::Locked {
            needs: KeySource::Host,
        } => (
            ErrorCode::VaultLocked,
            "The vault is locked: the host did not give the key that opens it.".to_owned(),
        ),
        VaultProblem::Locked {
            needs: KeySource::Passphrase,
        } => (
            ErrorCode::VaultLocked,
            "The vault is locked. Its passphrase opens it.".to_owned(),
        ),
        VaultProblem::KeyMismatch {
            key: KeySource::Host,
        } => (
            ErrorCode::VaultKeyMismatch,
            "The host's key is not the one that the vault was made with. The vault is left as it \
             is."
            .to_owned(),
        ),
        VaultProblem::KeyMismatch {
            key: KeySource::Passphrase,
        } => (
            ErrorCode::VaultKeyMismatch,
            "That is not the vault's passphrase.".to_owned(),
        ),
        VaultProblem::Corrupt { aside } => (
            ErrorCode::VaultCorrupt,
            format!(
                "The vault is damaged, and so is its backup, if there was one. It was put aside \
                 as {}.",
                aside.display()
            ),
        ),
        VaultProblem::TooNew { version } => (
            ErrorCode::VaultTooNew,
            format!(
                "The vault has version {version}: a newer version of this program wrote it. It is \
                 left as it is."
            ),
        ),
        VaultProblem::Busy => (
            ErrorCode::StoreBusy,
            "The vault is being written by another process; secrets were not saved.".to_owned(),
        ),
        VaultProblem::Io { path, source } => (
            ErrorCode::StoreIo,
            format!(
                "The vault could not be read or written; what was saved before is intact. ({}: \
                 {source})",
                path.display()
            ),
        ),
        VaultProblem::Refused { path, problem } => (
            ErrorCode::StoreIo,
            format!("{} {problem}, so the vault is not used.", path.display()),
        ),
        VaultProblem::TooLong => (
            ErrorCode::ConfigInvalid,
            "A password or key is longer than the vault takes (64 KiB).".to_owned(),
        ),
        VaultProblem::OtherVault => (
            ErrorCode::InvalidParams,
            "`confirm` is not the vault's id.".to_owned(),
        ),
        VaultProblem::NoVault => (
            ErrorCode::InvalidParams,
            "There is no vault, and nothing was given to make one with: a key or a passphrase."
                .to_owned(),
        ),
    }
}

/// What the user can do about it.
fn hint(problem: &VaultProblem) -> Option<&'static str> {
    match problem {
        VaultProblem::Locked { .. } => Some(
            "Unlock the vault, enter the password or key again for this session, or sign in with \
             an agent or a key file.",
        ),
        VaultProblem::KeyMismatch { .. } => Some(
            "Find the right key or passphrase, or reset the vault and enter your passwords again.",
        ),
        VaultProblem::Corrupt { .. } => {
            Some("Unlock the vault to start with an empty one, and enter your passwords again.")
        }
        VaultProblem::TooNew { .. } => Some("Update this program."),
        VaultProblem::Busy => Some("Try again."),
        VaultProblem::Io { .. } | VaultProblem::Refused { .. } => {
            Some("What was entered is kept until the daemon ends.")
        }
        VaultProblem::TooLong | VaultProblem::OtherVault | VaultProblem::NoVault => None,
    }
}
