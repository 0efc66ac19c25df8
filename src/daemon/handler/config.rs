//! Saving, showing and deleting profiles.

use std::sync::Arc;

use crate::{
    config::{Error, Listed, Loaded, Profile, Vault, Warning},
    protocol::{
        ConfigChange, ConfigChanged, ConfigChangedParams, ConfigProblem, ConfigRef, ConfigView,
        ConfigureParams, DeleteConfigResult, Empty, ErrorObject, ListConfigsResult, Notification,
        Trust, TrustConfigParams, TrustState,
    },
    rpc::Call,
};

use super::super::{failure, state::Daemon, wire, workspace::Workspace};

pub(in crate::daemon) async fn configure(
    daemon: Arc<Daemon>,
    params: ConfigureParams,
    call: Call,
) -> Result<ConfigView, ErrorObject> {
    let workspace = daemon.workspace()?;
    let store = &workspace.store;
    // From the reading to the writing, so that two changes of one profile never mix.
    let lock = store
        .lock()
        .await
        .map_err(|error| failure::config(&error))?;
    let id = params.config_id.clone().unwrap_or_default();
    // An id that is given has to be one; without any, the store makes one up.
    let known = match &params.config_id {
        Some(id) => find(workspace, id).await?,
        None => None,
    };
    if let Some(known) = &known
        && !known.trust.trusted
        && (params.ssh.is_none() || params.llm.is_none())
    {
        // Nobody has looked at the part that would stay, and saving it would approve of it.
        return Err(failure::config(&Error::Untrusted { id }));
    }
    let profile = merge(&params, id, known.as_ref().map(|loaded| &loaded.profile))?;
    check_endpoint(&profile)?;
    let mut changes = wire::config::changes(params.ssh.as_ref(), params.llm.as_ref());
    wire::source::check(&changes).map_err(|error| failure::config(&error))?;
    let kept = store.secrets().fields(&profile.id);
    wire::source::clear_others(&profile, &mut changes, &kept)
        .map_err(|error| failure::config(&error))?;
    // They can be removed later as well, and nobody gets them: no reason to refuse the change.
    let is_locked = |vault: &Arc<Vault>| vault.status().problem.is_some();
    if !store.secrets().vault().is_some_and(is_locked) {
        wire::source::clear_removed(&profile, &mut changes, &kept);
    }
    let mut saved = store
        .save(profile, &lock)
        .await
        .map_err(|error| failure::config(&error))?;
    let profile = saved.profile.clone();
    let kept = store
        .on_secrets(move |secrets| secrets.apply(&profile, changes))
        .await;
    drop(lock);
    workspace.links.forget(&saved.profile.id);
    announce(workspace, &saved.profile.id, ConfigChange::Saved).await;
    // The profile is saved, whatever became of its secrets.
    let kept = kept.map_err(|error| failure::config(&error))?;
    let way = way_warnings(workspace, &saved.profile).await;
    saved.warnings.extend(kept);
    let mut view = view(workspace, &saved);
    view.warnings.splice(0..0, way);
    view.warnings.extend(unknown(&call.passed_over));
    Ok(view)
}

/// What there is to say about fields that were sent and are not known. Those of a [`ConfigView`]
/// are: a host may send one back.
fn unknown(fields: &[String]) -> impl Iterator<Item = String> {
    const SHOWN: [&str; 9] = [
        "hasPassword",
        "hasPassphrase",
        "hasApiKey",
        "secretHeaderNames",
        "selectedModel",
        "status",
        "lastCheckedAt",
        "trust",
        "warnings",
    ];
    let is_shown = |field: &str| SHOWN.contains(&field.rsplit('.').next().unwrap_or(field));
    let unknown = fields.iter().filter(move |field| !is_shown(field));
    unknown.map(|field| format!("{field}: This field is not known, and was not saved."))
}

/// What there is to say about the way to a profile's machine.
async fn way_warnings(workspace: &Workspace, profile: &Profile) -> Vec<String> {
    // A secret that is to be entered again is told of when it is needed.
    let Ok(route) = workspace.route_of(profile) else {
        return Vec::new();
    };
    let warnings = match route.resolve(workspace).await {
        Ok(resolved) => resolved.warnings,
        // Saved all the same: ssh_config may be mended later.
        Err(error) => vec![failure::ssh(&error).message],
    };
    // The connection may be there all the same, from before or by another profile.
    route.current(workspace);
    warnings
}

async fn find(workspace: &Workspace, id: &str) -> Result<Option<Loaded>, ErrorObject> {
    match workspace.store.get(id).await {
        Ok(loaded) => Ok(Some(loaded)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(failure::config(&error)),
    }
}

/// What is to be saved: `params` over what is known.
fn merge(
    params: &ConfigureParams,
    id: String,
    known: Option<&Profile>,
) -> Result<Profile, ErrorObject> {
    let missing = |field: &str| {
        failure::config(&Error::Invalid {
            field: field.to_owned(),
            problem: "is missing; a new profile needs it".to_owned(),
        })
    };
    let ssh = match (&params.ssh, known) {
        (Some(ssh), _) => wire::config::ssh_profile(ssh, known.map(|known| &known.ssh)),
        (None, Some(known)) => known.ssh.clone(),
        (None, None) => return Err(missing("ssh")),
    };
    let llm = match (&params.llm, known) {
        (Some(llm), _) => wire::config::llm_profile(llm, known.map(|known| &known.llm)),
        (None, Some(known)) => known.llm.clone(),
        (None, None) => return Err(missing("llm")),
    };
    let name = params
        .name
        .clone()
        .or_else(|| known.map(|known| known.name.clone()))
        .unwrap_or_else(|| ssh.host.clone());
    Ok(Profile {
        id,
        name,
        ssh,
        llm,
        selected_model: known.and_then(|known| known.selected_model.clone()),
        unknown: known.map(|known| known.unknown.clone()).unwrap_or_default(),
    })
}

fn check_endpoint(profile: &Profile) -> Result<(), ErrorObject> {
    let parsed = profile.llm.api_endpoint.parse::<crate::llm::Endpoint>();
    parsed
        .map(drop)
        .map_err(|problem| failure::endpoint(&problem))
}

pub(in crate::daemon) async fn get(
    daemon: Arc<Daemon>,
    params: ConfigRef,
    _: Call,
) -> Result<ConfigView, ErrorObject> {
    let workspace = daemon.workspace()?;
    let loaded = workspace.loaded(&params.config_id).await?;
    Ok(view(workspace, &loaded))
}

pub(in crate::daemon) async fn trust(
    daemon: Arc<Daemon>,
    params: TrustConfigParams,
    _: Call,
) -> Result<ConfigView, ErrorObject> {
    let workspace = daemon.workspace()?;
    let trusted = workspace
        .store
        .trust(&params.config_id, params.digest)
        .await
        .map_err(|error| failure::config(&error))?;
    announce(workspace, &params.config_id, ConfigChange::Saved).await;
    Ok(view(workspace, &trusted))
}

pub(in crate::daemon) async fn list(
    daemon: Arc<Daemon>,
    _: Empty,
    _: Call,
) -> Result<ListConfigsResult, ErrorObject> {
    let workspace = daemon.workspace()?;
    let listed = workspace
        .store
        .list()
        .await
        .map_err(|error| failure::config(&error))?;
    let mut result = ListConfigsResult {
        configs: Vec::new(),
        problems: Vec::new(),
    };
    for Listed { id, loaded } in listed {
        match loaded {
            Ok(loaded) => result.configs.push(view(workspace, &loaded)),
            Err(error) => result.problems.push(ConfigProblem {
                config_id: id,
                problem: failure::config(&error).message,
            }),
        }
    }
    result
        .configs
        .sort_by_cached_key(|config| config.name.to_lowercase());
    Ok(result)
}

pub(in crate::daemon) async fn delete(
    daemon: Arc<Daemon>,
    params: ConfigRef,
    _: Call,
) -> Result<DeleteConfigResult, ErrorObject> {
    let workspace = daemon.workspace()?;
    let id = &params.config_id;
    let lock = workspace.store.lock().await;
    let lock = lock.map_err(|error| failure::config(&error))?;
    // Without a readable profile there is no connection of it either.
    let target = workspace.target(id).await;
    match workspace.store.delete(id, &lock).await {
        Ok(()) => {}
        Err(Error::NotFound { .. }) => return Ok(DeleteConfigResult { deleted: false }),
        Err(error) => return Err(failure::config(&error)),
    }
    drop(lock);
    if let Some(target) = target
        && workspace.pool.current(&target).is_some()
        && !shared(workspace, &target).await
    {
        workspace.pool.disconnect(&target).await;
    }
    workspace.links.forget(id);
    announce(workspace, id, ConfigChange::Deleted).await;
    Ok(DeleteConfigResult { deleted: true })
}

/// Whether a profile that is still there uses the same connection.
async fn shared(workspace: &Workspace, target: &crate::ssh::Target) -> bool {
    let Ok(listed) = workspace.store.list().await else {
        return true;
    };
    let trusted = listed
        .into_iter()
        .filter_map(|listed| listed.loaded.ok()?.trusted().ok());
    for profile in trusted {
        if let Ok(other) = workspace.route_of(&profile)
            && let Ok(other) = other.target(workspace).await
            && other.shares_connection(target)
        {
            return true;
        }
    }
    false
}

/// A profile as the host may see it.
pub(in crate::daemon) fn view(workspace: &Workspace, loaded: &Loaded) -> ConfigView {
    let Loaded {
        profile,
        warnings,
        trust,
    } = loaded;
    let fields = workspace.store.secrets().fields(&profile.id);
    ConfigView {
        config_id: profile.id.clone(),
        name: profile.name.clone(),
        ssh: wire::config::ssh_view(&profile.ssh, &fields),
        llm: wire::config::llm_view(&profile.llm, &fields),
        selected_model: profile.selected_model.clone(),
        status: workspace.links.status(&profile.id),
        last_checked_at: workspace
            .links
            .last_answered(&profile.id)
            .map(|at| humantime::format_rfc3339_millis(at).to_string()),
        trust: Trust {
            state: match trust.trusted {
                true => TrustState::Trusted,
                false => TrustState::Untrusted,
            },
            digest: trust.digest.clone(),
        },
        warnings: warnings.iter().map(said).collect(),
    }
}

/// Tells the host that a profile changed.
pub(in crate::daemon) async fn announce(
    workspace: &Workspace,
    config_id: &str,
    change: ConfigChange,
) {
    let params = ConfigChangedParams {
        config_id: config_id.to_owned(),
        change,
    };
    // A host that is gone has no use for it.
    let _ = workspace
        .outbound
        .notify(ConfigChanged::METHOD, &params)
        .await;
}

fn said(warning: &Warning) -> String {
    if warning.field.is_empty() {
        warning.message.clone()
    } else {
        format!("{}: {}", warning.field, warning.message)
    }
}
