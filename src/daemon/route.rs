//! A profile with its secrets, resolved to what the rooms need: the way to its machine, and
//! how to talk to the LLM server there.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use crate::{
    config::Profile,
    llm::{self, BoxFuture, ByteStream, Dial, Endpoint, Opener},
    ssh,
};

use super::{failure::Scene, host::HostPrompter, link::Server, workspace::Workspace};

/// The way to a saved profile's machine.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) profile: Arc<Profile>,
    pub(super) plan: ssh::Plan,
    /// How long to wait for a connection that was lost.
    pub(super) patience: Duration,
}

/// The LLM server at the end of it.
#[derive(Clone, Debug)]
pub(super) struct Api {
    pub(super) endpoint: Endpoint,
    pub(super) options: llm::Options,
}

impl Route {
    /// The profile's session, made if there is none; the host is told of every step.
    ///
    /// A connection that was lost is waited for, for the profile's patience. Connecting has time
    /// limits of its own; while a person answers a question they stand still. Dropping the future
    /// gives up waiting.
    pub(super) async fn session(
        &self,
        workspace: &Arc<Workspace>,
    ) -> Result<ssh::Session, ssh::Error> {
        let links = &workspace.links;
        if let Some(session) = self.current(workspace) {
            return Ok(session);
        }
        let looking_up = links.looking_up(&self.profile.id);
        let resolved = match self.resolve(workspace).await {
            Ok(resolved) => resolved,
            Err(error) => {
                looking_up.failed(&error);
                return Err(error);
            }
        };
        for warning in &resolved.warnings {
            tracing::warn!(config = %self.profile.id, "{warning}");
        }
        let target = &resolved.target;
        links.follow(&self.profile.id, &workspace.pool, target);
        let config_id = Some(self.profile.id.clone());
        let prompter = HostPrompter::new(Arc::clone(workspace), config_id, target);
        let pool = &workspace.pool;
        pool.session(target, Arc::new(prompter), self.patience)
            .await
    }

    /// The profile's session, if it is there.
    pub(super) fn current(&self, workspace: &Workspace) -> Option<ssh::Session> {
        let links = &workspace.links;
        let target = links.target_of(&self.profile.id, &self.plan)?;
        let session = workspace.pool.current(&target)?;
        // It may be there by another profile's doing.
        links.follow(&self.profile.id, &workspace.pool, &target);
        links.look(&self.profile.id);
        Some(session)
    }

    /// The way to the machine as ssh_config says it now; also what other profiles share.
    pub(super) async fn resolve(&self, workspace: &Workspace) -> Result<ssh::Resolved, ssh::Error> {
        let resolved = self.plan.resolve(&workspace.ssh_environment).await?;
        workspace
            .links
            .found(&self.profile.id, self.plan.clone(), resolved.target.clone());
        Ok(resolved)
    }

    /// The way to the machine: as it was found last, or as ssh_config says it now.
    pub(super) async fn target(&self, workspace: &Workspace) -> Result<ssh::Target, ssh::Error> {
        match workspace.links.target_of(&self.profile.id, &self.plan) {
            Some(target) => Ok(target),
            None => Ok(self.resolve(workspace).await?.target),
        }
    }

    /// The client of the profile's LLM server; the same one as long as the profile stays.
    pub(super) fn server(&self, workspace: &Arc<Workspace>, api: &Api) -> Server {
        workspace.links.server(&self.profile, || {
            let tunnel = Tunnel {
                workspace: Arc::downgrade(workspace),
                route: self.clone(),
            };
            llm::Server::new(api.endpoint.clone(), Arc::new(tunnel), api.options.clone())
        })
    }

    /// What a sentence about the LLM server has to name.
    pub(super) fn scene(&self, api: &Api, model: Option<String>) -> Scene {
        scene(&self.plan, api, model)
    }
}

/// What a sentence about the LLM server has to name.
pub(super) fn scene(plan: &ssh::Plan, api: &Api, model: Option<String>) -> Scene {
    Scene {
        host: plan.host().to_owned(),
        endpoint: api.endpoint.dial().to_string(),
        tls: api.endpoint.is_tls().then(|| api.options.tls.clone()),
        model,
    }
}

/// Opens byte streams to the LLM server on a profile's session.
#[derive(Debug)]
struct Tunnel {
    /// Weak: the workspace keeps the server's client, which keeps this.
    workspace: Weak<Workspace>,
    route: Route,
}

impl Tunnel {
    async fn session(&self) -> Result<ssh::Session, ssh::Error> {
        let Some(workspace) = self.workspace.upgrade() else {
            return Err(self.route.plan.closed());
        };
        self.route.session(&workspace).await
    }
}

impl Opener<ssh::Error> for Tunnel {
    fn reach(&self) -> BoxFuture<'_, Result<(), ssh::Error>> {
        Box::pin(async move { self.session().await.map(drop) })
    }

    fn open(&self, to: &Dial) -> BoxFuture<'_, Result<Box<dyn ByteStream>, ssh::Error>> {
        let destination = destination(to);
        Box::pin(async move {
            let stream = self.session().await?.open(destination).await?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }
}

/// Opens byte streams on one session; for tests of a connection, which never share it.
pub(super) struct OneSession(pub(super) ssh::Session);

impl Opener<ssh::Error> for OneSession {
    fn open(&self, to: &Dial) -> BoxFuture<'_, Result<Box<dyn ByteStream>, ssh::Error>> {
        let destination = destination(to);
        Box::pin(
            async move { Ok(Box::new(self.0.open(destination).await?) as Box<dyn ByteStream>) },
        )
    }
}

impl fmt::Debug for OneSession {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("OneSession").finish_non_exhaustive()
    }
}

/// Where an LLM server listens, in the words of the SSH room.
pub(super) fn destination(to: &Dial) -> ssh::Destination {
    match to {
        Dial::Tcp { host, port } => ssh::Destination::Tcp {
            host: host.clone(),
            port: *port,
        },
        Dial::Unix { path } => ssh::Destination::Unix { path: path.clone() },
    }
}

impl llm::Carrier for ssh::Error {
    fn is_transient(&self) -> bool {
        Self::is_transient(self)
    }
}
