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
    let route = workspace.route_of(&workspace.trusted(&params.config_id).await?)?;
    cancellable(&call.token, async {
        let connect = || async {
            let connected = route.session(workspace).await;
            connected.map_err(|error| failure::ssh(&error))
        };
        connect().await?;
        if let Some(target) = workspace.links.target(&params.config_id) {
            workspace.pool.probe(&target).await;
            // What did not answer is no connection; the next one has just been made.
            if workspace.pool.current(&target).is_none() {
                connect().await?;
            }
        }
        let status = workspace.links.status(&params.config_id);
        workspace.links.told().await;
        Ok(status)
    })
    .await
}

pub(in crate::daemon) async fn disconnect(
    daemon: Arc<Daemon>,
    params: ConfigRef,
    call: Call,
) -> Result<ConnectionStatus, ErrorObject> {
    let workspace = daemon.workspace()?;
    workspace.loaded(&params.config_id).await?;
    cancellable(&call.token, async {
        // Without a way there is no connection either.
        if let Some(target) = workspace.target(&params.config_id).await {
            workspace.pool.disconnect(&target).await;
        }
        let status = workspace.links.status(&params.config_id);
        workspace.links.told().await;
        Ok(status)
    })
    .await
}

/// The computer woke up: nobody knows which connections have survived that.
pub(in crate::daemon) fn system_resumed(daemon: &Daemon) {
    if let Ok(workspace) = daemon.workspace() {
        workspace.pool.resumed();
    }
}

pub(in crate::daemon) async fn status(
    daemon: Arc<Daemon>,
    params: ConfigRef,
    _: Call,
) -> Result<ConnectionStatus, ErrorObject> {
    let workspace = daemon.workspace()?;
    workspace.loaded(&params.config_id).await?;
    Ok(workspace.links.status(&params.config_id))
}
