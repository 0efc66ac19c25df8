//! Sentences for what can go wrong with saved profiles.

use crate::{
    config::{Error, KEYCHAIN_SERVICE, KeySource, KeychainProblem, VaultProblem},
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
        VaultProblem::Locked {
            needs: KeySource::Keychain,
        } => (
            ErrorCode::VaultLocked,
            "The vault is locked: its key is in this system's key store, which was not asked for it."
                .to_owned(),
        ),
        VaultProblem::KeyMismatch {
            key: KeySource::Keychain,
        } => (
            ErrorCode::VaultKeyMismatch,
            "The key in this system's key store is not the one that the vault was made with. The \
             vault is left as it is."
                .to_owned(),
        ),
        VaultProblem::Keychain(problem) => keychain(problem),
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
            "There is no vault, and nothing was given to make one with: a key, a passphrase, or the \
             system's key store."
                .to_owned(),
        ),
    }
}

/// Why the system's key store gave no key.
fn keychain(problem: &KeychainProblem) -> (ErrorCode, String) {
    match problem {
        KeychainProblem::Unavailable { reason } => (
            ErrorCode::VaultKeychainUnavailable,
            format!(
                "The vault's key is kept in this system's key store, and there is none here: \
                 {reason}."
            ),
        ),
        KeychainProblem::Failed { reason } => (
            ErrorCode::VaultKeychainUnavailable,
            format!("This system's key store, which keeps the vault's key, failed: {reason}."),
        ),
        KeychainProblem::Refused => (
            ErrorCode::VaultLocked,
            "The vault is locked: this system's key store, which keeps its key, is locked, and was \
             not unlocked."
                .to_owned(),
        ),
        KeychainProblem::TimedOut => (
            ErrorCode::VaultLocked,
            "The vault is locked: this system's key store, which keeps its key, asked somebody to \
             unlock it, and nobody has answered."
                .to_owned(),
        ),
        KeychainProblem::Missing { account } => (
            ErrorCode::VaultKeyLost,
            format!(
                "The vault's key is not in this system's key store any more: there is no entry \
                 `{account}` of {KEYCHAIN_SERVICE}. The vault is left as it is."
            ),
        ),
        KeychainProblem::Wrong { account } => (
            ErrorCode::VaultKeyMismatch,
            format!(
                "What is in the entry `{account}` of {KEYCHAIN_SERVICE} in this system's key store \
                 is not the key that the vault was made with. The vault is left as it is."
            ),
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
        VaultProblem::Keychain(problem) => Some(match problem {
            KeychainProblem::Unavailable { .. } | KeychainProblem::Failed { .. } => {
                "Start the daemon in your desktop session, or where a Secret Service runs (GNOME \
                 Keyring, KWallet, KeePassXC), or give the vault a passphrase instead. Agents and \
                 key files go on working."
            }
            KeychainProblem::Refused | KeychainProblem::TimedOut => {
                "Unlock the key store, then the vault again. Agents and key files go on working."
            }
            KeychainProblem::Missing { .. } | KeychainProblem::Wrong { .. } => {
                "Bring the entry back from a backup of the key store, or reset the vault and enter \
                 your passwords again."
            }
        }),
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
