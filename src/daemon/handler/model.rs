//! Listing and choosing models.

use std::{sync::Arc, time::SystemTime};

use crate::{
    llm,
    protocol::{
        ConfigChange, ConfigView, ErrorObject, ListModelsParams, ListModelsResult,
        SelectModelParams,
    },
    rpc::Call,
};

use super::{
    super::{failure, state::Daemon, wire, workspace::Workspace},
    cancellable, config,
};

pub(in crate::daemon) async fn list(
    daemon: Arc<Daemon>,
    params: ListModelsParams,
    call: Call,
) -> Result<ListModelsResult, ErrorObject> {
    let workspace = daemon.workspace()?;
    cancellable(&call.token, async {
        let found = discovery(workspace, &params.config_id, params.refresh).await?;
        Ok(wire::model::discovery(&found))
    })
    .await
}

/// What the profile's server is: as it was found on this connection before, unless `refresh` asks
/// it again.
pub(in crate::daemon) async fn discovery(
    workspace: &Arc<Workspace>,
    config_id: &str,
    refresh: bool,
) -> Result<llm::Discovery, ErrorObject> {
    let profile = workspace.trusted(config_id).await?;
    let links = &workspace.links;
    // One asks, and those who came meanwhile have its answer, too: some servers have few
    // threads to listen with.
    let asked_at = SystemTime::now();
    let asking = links.asking(config_id);
    let _asking = asking.lock().await;
    if let Some((at, known)) = links.discovery(config_id)
        && (!refresh || at >= asked_at)
    {
        return Ok(known);
    }
    let route = workspace.route_of(&profile)?;
    let api = workspace.api_of(&profile)?;
    // The connect has limits of its own, and a person may have to answer; discovery's clock
    // starts after it.
    let session = route
        .session(workspace)
        .await
        .map_err(|error| failure::ssh(&error))?;
    let found = route
        .server(workspace, &api)
        .discover()
        .await
        .map_err(|error| failure::discovery(&error, &route.scene(&api, None)))?;
    links.discovered(config_id, found.clone(), session.lifetime());
    Ok(found)
}

pub(in crate::daemon) async fn select(
    daemon: Arc<Daemon>,
    params: SelectModelParams,
    _: Call,
) -> Result<ConfigView, ErrorObject> {
    if params.model_id.trim().is_empty() {
        return Err(failure::invalid_params(
            "modelId",
            "`modelId` is empty: name a model.",
        ));
    }
    let workspace = daemon.workspace()?;
    let model_id = params.model_id;
    let saved = workspace
        .store
        .edit(&params.config_id, |profile| {
            profile.selected_model = Some(model_id);
            Ok(())
        })
        .await
        .map_err(|error| failure::config(&error))?;
    config::announce(workspace, &saved.profile.id, ConfigChange::Saved).await;
    Ok(config::view(workspace, &saved))
}
