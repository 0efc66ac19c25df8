//! Making, ending and watching a profile's connection.

use std::sync::Arc;

use crate::{
    protocol::{ConfigRef, ConnectionStatus, ErrorObject},
    rpc::Call,
};

use super::{
    super::{failure, state::Daemon},
    cancellable,
};

pub(in crate::daemon) async fn connect(
    daemon: Arc<Daemon>,
    params: ConfigRef,
    call: Call,
) -> Result<ConnectionStatus, ErrorObject> {
    let workspace = daemon.workspace()?;
    let route = workspace.route(&params.config_id).await?;
    cancellable(&call.token, async {
        let session = route
            .session(workspace)
            .await
            .map_err(|error| failure::ssh(&error))?;
        // A connection without a figure is still a connection.
        if let Ok(latency) = session.latency().await {
            route.watch(&workspace.links, &session, latency);
        }
        workspace.links.told().await;
        Ok(workspace.links.status(&params.config_id))
    })
    .await
}

pub(in crate::daemon) async fn disconnect(
    daemon: Arc<Daemon>,
    params: ConfigRef,
    call: Call,
) -> Result<ConnectionStatus, ErrorObject> {
    let workspace = daemon.workspace()?;
    workspace.profile(&params.config_id).await?;
    cancellable(&call.token, async {
        // Without a way there is no connection either.
        if let Some(target) = workspace.target(&params.config_id).await {
            workspace.pool.disconnect(&target).await;
        }
        workspace.links.off(&params.config_id);
        workspace.links.told().await;
        Ok(workspace.links.status(&params.config_id))
    })
    .await
}

pub(in crate::daemon) async fn status(
    daemon: Arc<Daemon>,
    params: ConfigRef,
    _: Call,
) -> Result<ConnectionStatus, ErrorObject> {
    let workspace = daemon.workspace()?;
    workspace.profile(&params.config_id).await?;
    Ok(workspace.links.status(&params.config_id))
}
