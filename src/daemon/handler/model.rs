//! Listing and choosing models.

use std::sync::Arc;

use crate::{
    llm,
    protocol::{ConfigChange, ConfigView, ErrorObject, ListModelsParams, ListModelsResult, SelectModelParams},
    rpc::Call,
};

use super::{
    super::{failure, state::Daemon, wire},
    cancellable, config,
};

pub(in crate::daemon) async fn list(
    daemon: Arc<Daemon>,
    params: ListModelsParams,
    call: Call,
) -> Result<ListModelsResult, ErrorObject> {
    cancellable(&call.token, async {
        let found = discovery(&daemon, &params.config_id, params.refresh).await?;
        Ok(wire::model::discovery(&found))
    })
    .await
}

/// What the profile's server is: as it was found before, unless `refresh` asks it again.
pub(in crate::daemon) async fn discovery(
    daemon: &Arc<Daemon>,
    config_id: &str,
    refresh: bool,
) -> Result<llm::Discovery, ErrorObject> {
    let profile = daemon.profile(config_id).await?;
    let links = &daemon.workspace()?.links;
    if !refresh && let Some(known) = links.discovery(config_id) {
        return Ok(known);
    }
    let route = daemon.route_of(&profile)?;
    let api = daemon.api_of(&profile)?;
    // The connect has limits of its own, and a person may have to answer; discovery's clock
    // starts after it.
    route.session(daemon).await?;
    let found = route
        .server(daemon, &api)?
        .discover()
        .await
        .map_err(|error| failure::llm(&error, &route.scene(&api, None)))?;
    links.discovered(config_id, found.clone());
    Ok(found)
}

pub(in crate::daemon) async fn select(
    daemon: Arc<Daemon>,
    params: SelectModelParams,
    _: Call,
) -> Result<ConfigView, ErrorObject> {
    if params.model_id.trim().is_empty() {
        return Err(failure::invalid_params("modelId", "`modelId` is empty: name a model."));
    }
    let model_id = params.model_id;
    let saved = daemon
        .workspace()?
        .store
        .edit(&params.config_id, |profile| {
            profile.selected_model = Some(model_id);
            Ok(())
        })
        .await
        .map_err(|error| failure::config(&error))?;
    config::announce(&daemon, &saved.profile.id, ConfigChange::Saved).await;
    config::view(&daemon, &saved.profile, Vec::new())
}
