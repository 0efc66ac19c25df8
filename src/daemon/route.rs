//! A profile with its secrets, resolved to what the rooms need: the way to its machine, and
//! how to talk to the LLM server there.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use crate::{
    llm::{self, BoxFuture, ByteStream, Dial, Endpoint, Opener},
    protocol::ConnectionState,
    ssh::{self, Observer, StageOutcome, StageReport},
};

use super::{
    failure::{self, Scene},
    host::HostPrompter,
    link::{Links, Server},
    workspace::Workspace,
};

/// The way to a saved profile's machine.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) config_id: String,
    pub(super) target: ssh::Target,
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
    /// Has time limits of its own; while a person answers a question they stand still. Dropping
    /// the future gives up waiting.
    pub(super) async fn session(
        &self,
        workspace: &Arc<Workspace>,
    ) -> Result<ssh::Session, ssh::Error> {
        let links = &workspace.links;
        if let Some(session) = workspace.pool.current(&self.target) {
            self.watch(links, &session, None);
            return Ok(session);
        }
        let config_id = self.config_id.clone();
        let prompter = HostPrompter::new(Arc::clone(workspace), Some(config_id.clone()));
        let mut attempt = Attempt::begin(Arc::clone(links), config_id.clone());
        let observer = Steps {
            links: Arc::clone(links),
            config_id,
        };
        let connected = workspace
            .pool
            .session(&self.target, Arc::new(prompter), Arc::new(observer))
            .await;
        attempt.over = true;
        match &connected {
            Ok(session) => self.watch(links, session, None),
            Err(error) => {
                links.failed(&self.config_id, state_after(error), failure::ssh(error));
            }
        }
        connected
    }

    /// Tells the host that the session is there, and, once, when it ends.
    pub(super) fn watch(
        &self,
        links: &Arc<Links>,
        session: &ssh::Session,
        latency: Option<std::time::Duration>,
    ) {
        if !links.ready(&self.config_id, session, latency) {
            return;
        }
        let (links, config_id, session) =
            (Arc::clone(links), self.config_id.clone(), session.clone());
        tokio::spawn(async move {
            let error = session.closed().await;
            let unwanted = !matches!(error.cause, ssh::Cause::Closed);
            links.ended(&config_id, &session, unwanted.then(|| failure::ssh(&error)));
        });
    }

    /// The client of the profile's LLM server; the same one as long as the profile stays.
    pub(super) fn server(&self, workspace: &Arc<Workspace>, api: &Api) -> Server {
        workspace.links.server(&self.config_id, || {
            let tunnel = Tunnel {
                workspace: Arc::downgrade(workspace),
                route: self.clone(),
            };
            llm::Server::new(api.endpoint.clone(), Arc::new(tunnel), api.options.clone())
        })
    }

    /// What a sentence about the LLM server has to name.
    pub(super) fn scene(&self, api: &Api, model: Option<String>) -> Scene {
        scene(&self.target, api, model)
    }
}

/// What a sentence about the LLM server has to name.
pub(super) fn scene(target: &ssh::Target, api: &Api, model: Option<String>) -> Scene {
    Scene {
        host: target
            .hops
            .last()
            .map(|hop| hop.host.clone())
            .unwrap_or_default(),
        endpoint: api.endpoint.dial().to_string(),
        model,
    }
}

/// Only a person can help where something has to be decided, typed or repaired.
fn state_after(error: &ssh::Error) -> ConnectionState {
    if error.is_transient() {
        ConnectionState::Failed
    } else {
        ConnectionState::NeedsUser
    }
}

/// Opens byte streams to the LLM server on a profile's session.
#[derive(Debug)]
struct Tunnel {
    /// Weak: the workspace keeps the server's client, which keeps this.
    workspace: Weak<Workspace>,
    route: Route,
}

impl Opener<ssh::Error> for Tunnel {
    fn open(&self, to: &Dial) -> BoxFuture<'_, Result<Box<dyn ByteStream>, ssh::Error>> {
        let destination = destination(to);
        Box::pin(async move {
            let Some(workspace) = self.workspace.upgrade() else {
                return Err(ssh::Error::closed(&self.route.target));
            };
            let session = self.route.session(&workspace).await?;
            let stream = session.open(destination).await?;
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

/// A connect that somebody waits for. When nobody does any more, it is off, not connecting.
struct Attempt {
    links: Arc<Links>,
    config_id: String,
    over: bool,
}

impl Attempt {
    fn begin(links: Arc<Links>, config_id: String) -> Self {
        links.connecting(&config_id, String::new());
        Self {
            links,
            config_id,
            over: false,
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.over {
            self.links.off(&self.config_id);
        }
    }
}

/// Turns the steps of a connect into the profile's state.
struct Steps {
    links: Arc<Links>,
    config_id: String,
}

impl Observer for Steps {
    fn stage(&self, report: StageReport) {
        if report.outcome == StageOutcome::Started {
            let doing = match report.stage {
                ssh::Stage::Resolve => "looking up",
                ssh::Stage::Tcp => "reaching",
                ssh::Stage::SshHandshake => "greeting",
                ssh::Stage::HostKey => "checking the key of",
                ssh::Stage::Auth => "signing in to",
            };
            self.links
                .connecting(&self.config_id, format!("{doing} {}", report.host));
        }
    }
}
