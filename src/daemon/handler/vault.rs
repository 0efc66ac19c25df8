//! The vault: its state, its key and its end. Nothing here answers a secret.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{
    config::{Credential, Error, KeptKey, KeySource, Vault, VaultProblem, VaultStatus},
    protocol::{
        Empty, ErrorObject, VaultKey, VaultKeySource, VaultResetParams, VaultState,
        VaultStatusResult, VaultWarning, VaultWarningCode,
    },
    rpc::Call,
};

use super::{
    super::{failure, state::Daemon, workspace::Workspace},
    cancellable,
};

/// What a request gave to open the vault with.
pub(in crate::daemon) enum Given {
    Nothing,
    Credential(Credential),
    /// The system's key store is to be asked.
    Keychain,
}

/// Two windows that make the first vault at the same moment: the second finds the first one's.
const KEY_TRIES: usize = 2;

pub(in crate::daemon) async fn status(
    daemon: Arc<Daemon>,
    _: Empty,
    _: Call,
) -> Result<VaultStatusResult, ErrorObject> {
    told(daemon.workspace()?).await
}

pub(in crate::daemon) async fn unlock(
    daemon: Arc<Daemon>,
    params: VaultKey,
    call: Call,
) -> Result<VaultStatusResult, ErrorObject> {
    let workspace = daemon.workspace()?;
    match given(Some(params), "")? {
        Given::Nothing if asks_keychain(workspace).await => {
            unlock_by_keychain(workspace, &call.token).await?;
        }
        Given::Nothing => unlock_by(workspace, None).await?,
        Given::Credential(credential) => unlock_by(workspace, Some(credential)).await?,
        Given::Keychain => unlock_by_keychain(workspace, &call.token).await?,
    }
    told(workspace).await
}

pub(in crate::daemon) async fn rotate(
    daemon: Arc<Daemon>,
    params: VaultKey,
    call: Call,
) -> Result<VaultStatusResult, ErrorObject> {
    let workspace = daemon.workspace()?;
    let given = given(Some(params), "")?;
    let vault = vault_of(workspace)?;
    let old = vault.keychain_account();
    match given {
        Given::Nothing => rotate_to(workspace, None).await?,
        Given::Credential(credential) => rotate_to(workspace, Some(credential)).await?,
        Given::Keychain => {
            let key = cancellable(&call.token, async {
                let made = KeptKey::make(&workspace.keychain).await;
                made.map_err(|problem| failure::config(&problem.into()))
            });
            let key = key.await?;
            if let Err(error) = rotate_to(workspace, Some(key.credential())).await {
                key.take_back(&workspace.keychain).await;
                return Err(error);
            }
        }
    }
    if let Some(old) = old {
        vault.forget_account(&workspace.keychain, &old).await;
    }
    told(workspace).await
}

pub(in crate::daemon) async fn reset(
    daemon: Arc<Daemon>,
    params: VaultResetParams,
    call: Call,
) -> Result<VaultStatusResult, ErrorObject> {
    let workspace = daemon.workspace()?;
    on_vault(workspace, move |vault| vault.reset(&params.confirm)).await?;
    let status = vault_of(workspace)?.status();
    if status.problem.is_some() && asks_keychain(workspace).await {
        // The key of the old one was not there; the new one has its own.
        unlock_by_keychain(workspace, &call.token).await?;
    }
    told(workspace).await
}

/// Opens the vault, once: whoever reads a profile waits for it.
pub(in crate::daemon) async fn open(
    workspace: &Workspace,
    given: Given,
    token: &CancellationToken,
) {
    let Ok(vault) = vault_of(workspace) else {
        return;
    };
    let credential = match given {
        Given::Nothing => None,
        Given::Credential(credential) => Some(credential),
        Given::Keychain => {
            let key = tokio::select! {
                key = vault.kept_key(&workspace.keychain) => key,
                () = token.cancelled() => KeptKey::given_up(),
            };
            workspace.open_vault(Some(key.credential())).await;
            if vault.status().problem.is_some() && key.take_back(&workspace.keychain).await {
                // Why it is still locked, if it is, the status tells.
                let _ = unlock_by_keychain(workspace, token).await;
            }
            return;
        }
    };
    workspace.open_vault(credential).await;
}

async fn unlock_by(
    workspace: &Workspace,
    credential: Option<Credential>,
) -> Result<(), ErrorObject> {
    let unlocked = workspace
        .store
        .on_secrets(|secrets| secrets.unlock(credential))
        .await;
    unlocked.map_err(|error| failure::config(&error))
}

async fn unlock_by_keychain(
    workspace: &Workspace,
    token: &CancellationToken,
) -> Result<(), ErrorObject> {
    let vault = vault_of(workspace)?;
    let mut outcome = Ok(());
    for _ in 0..KEY_TRIES {
        let key = cancellable(token, async {
            Ok(vault.kept_key(&workspace.keychain).await)
        });
        let key = key.await?;
        outcome = unlock_by(workspace, Some(key.credential())).await;
        if outcome.is_ok() || !key.take_back(&workspace.keychain).await {
            break;
        }
    }
    outcome
}

async fn rotate_to(
    workspace: &Workspace,
    credential: Option<Credential>,
) -> Result<(), ErrorObject> {
    on_vault(workspace, |vault| vault.rotate(credential)).await
}

async fn on_vault(
    workspace: &Workspace,
    work: impl FnOnce(&Vault) -> Result<(), VaultProblem> + Send + 'static,
) -> Result<(), ErrorObject> {
    let done = workspace.store.on_secrets(|secrets| {
        let vault = secrets.vault().ok_or(VaultProblem::NoVault)?;
        work(vault).map_err(Error::from)
    });
    done.await.map_err(|error| failure::config(&error))
}

/// Whether the system's key store opens the vault, as the host wanted it last.
async fn asks_keychain(workspace: &Workspace) -> bool {
    let asked = workspace
        .store
        .on_secrets(|secrets| Ok(secrets.vault().is_some_and(|vault| vault.asks_keychain())));
    asked.await.unwrap_or_default()
}

fn vault_of(workspace: &Workspace) -> Result<&Arc<Vault>, ErrorObject> {
    let vault = workspace.store.secrets().vault();
    vault.ok_or_else(|| failure::config(&VaultProblem::NoVault.into()))
}

/// The vault as it is now, in the wire's words.
pub(in crate::daemon) async fn told(
    workspace: &Workspace,
) -> Result<VaultStatusResult, ErrorObject> {
    let status = workspace
        .store
        .on_secrets(|secrets| Ok(secrets.vault().map(|vault| vault.status())))
        .await
        .map_err(|error| failure::config(&error))?;
    Ok(status.map_or_else(
        || VaultStatusResult {
            state: VaultState::SessionOnly,
            key_source: None,
            entries: 0,
            vault_id: None,
            problem: None,
            warnings: Vec::new(),
        },
        view,
    ))
}

fn view(status: VaultStatus) -> VaultStatusResult {
    let VaultStatus {
        vault_id,
        key,
        entries,
        problem,
        recovered,
    } = status;
    let recovered = recovered.then(|| VaultWarning {
        code: VaultWarningCode::VaultRecovered,
        message: "The vault's file was damaged. What was there before its last change is used; \
                  the damaged file was put aside, beside it."
            .to_owned(),
    });
    VaultStatusResult {
        state: match (&problem, &vault_id) {
            (Some(_), _) => VaultState::Locked,
            (None, Some(_)) => VaultState::Unlocked,
            (None, None) => VaultState::SessionOnly,
        },
        key_source: key.map(|key| match key {
            KeySource::Host => VaultKeySource::Host,
            KeySource::Passphrase => VaultKeySource::Passphrase,
            KeySource::Keychain => VaultKeySource::Keychain,
        }),
        entries,
        vault_id,
        problem: problem.map(|problem| failure::config(&problem.into())),
        warnings: recovered.into_iter().collect(),
    }
}

/// What a request gave to open the vault with. `parent` is the field that it is in.
pub(in crate::daemon) fn given(key: Option<VaultKey>, parent: &str) -> Result<Given, ErrorObject> {
    let wrong = |field: &str, problem: &str| {
        let field = format!("{parent}{field}");
        failure::invalid_params(&field, &format!("`{field}` {problem}."))
    };
    let VaultKey {
        key,
        passphrase,
        keychain,
    } = key.unwrap_or_default();
    match (key, passphrase, keychain) {
        (None, None, false) => Ok(Given::Nothing),
        (None, None, true) => Ok(Given::Keychain),
        (Some(_), Some(_), _) => Err(wrong("passphrase", "can't be given beside a key")),
        (Some(_), None, true) => Err(wrong("keychain", "can't be chosen beside a key")),
        (None, Some(_), true) => Err(wrong("keychain", "can't be chosen beside a passphrase")),
        (Some(key), None, false) => Credential::host_key(&key)
            .map(Given::Credential)
            .ok_or_else(|| wrong("key", "must be 32 bytes in base64")),
        (None, Some(passphrase), false) => Credential::passphrase(passphrase)
            .map(Given::Credential)
            .ok_or_else(|| wrong("passphrase", "must not be empty")),
    }
}
