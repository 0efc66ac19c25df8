//! The vault: its state, its key and its end. Nothing here answers a secret.

use std::sync::Arc;

use crate::{
    config::{Credential, Error, KeySource, Vault, VaultProblem, VaultStatus},
    protocol::{
        Empty, ErrorObject, VaultKey, VaultKeySource, VaultResetParams, VaultState,
        VaultStatusResult, VaultWarning, VaultWarningCode,
    },
    rpc::Call,
};

use super::super::{failure, state::Daemon, workspace::Workspace};

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
    _: Call,
) -> Result<VaultStatusResult, ErrorObject> {
    let workspace = daemon.workspace()?;
    let credential = credential(Some(params), "")?;
    let unlocked = workspace
        .store
        .on_secrets(|secrets| secrets.unlock(credential))
        .await;
    unlocked.map_err(|error| failure::config(&error))?;
    told(workspace).await
}

pub(in crate::daemon) async fn rotate(
    daemon: Arc<Daemon>,
    params: VaultKey,
    _: Call,
) -> Result<VaultStatusResult, ErrorObject> {
    let credential = credential(Some(params), "")?;
    on_vault(&daemon, |vault| vault.rotate(credential)).await
}

pub(in crate::daemon) async fn reset(
    daemon: Arc<Daemon>,
    params: VaultResetParams,
    _: Call,
) -> Result<VaultStatusResult, ErrorObject> {
    on_vault(&daemon, move |vault| vault.reset(&params.confirm)).await
}

async fn on_vault(
    daemon: &Daemon,
    work: impl FnOnce(&Vault) -> Result<(), VaultProblem> + Send + 'static,
) -> Result<VaultStatusResult, ErrorObject> {
    let workspace = daemon.workspace()?;
    let done = workspace.store.on_secrets(|secrets| {
        let vault = secrets.vault().ok_or(VaultProblem::NoVault)?;
        work(vault).map_err(Error::from)
    });
    done.await.map_err(|error| failure::config(&error))?;
    told(workspace).await
}

/// The vault as it is now, in the wire's words.
pub(in crate::daemon) async fn told(
    workspace: &Workspace,
) -> Result<VaultStatusResult, ErrorObject> {
    let status = workspace
        .store
        .on_secrets(|secrets| Ok(secrets.vault().map(Vault::status)))
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
        }),
        entries,
        vault_id,
        problem: problem.map(|problem| failure::config(&problem.into())),
        warnings: recovered.into_iter().collect(),
    }
}

/// What opens the vault; `None` if nothing was given. `parent` is the field that it is in.
pub(in crate::daemon) fn credential(
    key: Option<VaultKey>,
    parent: &str,
) -> Result<Option<Credential>, ErrorObject> {
    let wrong = |field: &str, problem: &str| {
        let field = format!("{parent}{field}");
        failure::invalid_params(&field, &format!("`{field}` {problem}."))
    };
    let VaultKey { key, passphrase } = key.unwrap_or_default();
    match (key, passphrase) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(wrong("passphrase", "can't be given beside a key")),
        (Some(key), None) => Credential::host_key(&key)
            .map(Some)
            .ok_or_else(|| wrong("key", "must be 32 bytes in base64")),
        (None, Some(passphrase)) => Credential::passphrase(passphrase)
            .map(Some)
            .ok_or_else(|| wrong("passphrase", "must not be empty")),
    }
}
