//! What the daemon knows while it runs.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use secrecy::SecretString;

use crate::{
    config::{self, Change, Profile, SecretField},
    conversation,
    protocol::{ErrorCode, ErrorObject, HostCapabilities, Initialize, Request as _},
    rpc::{self, Outbound},
    ssh,
};

use super::{
    Environment, LogTap, failure,
    link::Links,
    route::{Api, Route},
    running::Running,
    wire::{self, config::Changes},
};

/// An SSH connection that nobody uses is closed after this long.
const IDLE: Duration = Duration::from_secs(600);

/// The daemon: what it has from the start, and the [`Workspace`] that `initialize` opens.
#[derive(Debug)]
pub(super) struct Daemon {
    pub(super) outbound: Outbound,
    pub(super) environment: Environment,
    pub(super) log: LogTap,
    pub(super) limits: rpc::Limits,
    pub(super) running: Arc<Running>,
    phase: AtomicU8,
    workspace: OnceLock<Workspace>,
}

/// What `initialize` opens.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) capabilities: HostCapabilities,
    pub(super) store: config::Store,
    pub(super) pool: ssh::Pool,
    pub(super) ssh_environment: Arc<ssh::Environment>,
    pub(super) links: Arc<Links>,
    pub(super) history: conversation::History,
}

// The daemon's phases, in order.
const NEW: u8 = 0;
const OPENING: u8 = 1;
const ENDING: u8 = 2;

impl Daemon {
    pub(super) fn new(
        outbound: Outbound,
        environment: Environment,
        log: LogTap,
        limits: rpc::Limits,
    ) -> Self {
        Self {
            outbound,
            environment,
            log,
            limits,
            running: Arc::default(),
            phase: AtomicU8::new(NEW),
            workspace: OnceLock::new(),
        }
    }

    /// Whether a request may be dispatched now. Runs for each request in the order of the
    /// lines, so a request may follow `initialize` on the heels; should that one fail, the
    /// handlers find no [`Workspace`].
    pub(super) fn admit(&self, method: &str) -> Result<(), ErrorObject> {
        match self.phase.load(Ordering::Acquire) {
            NEW if method == Initialize::METHOD => {
                self.phase.store(OPENING, Ordering::Release);
                Ok(())
            }
            NEW => Err(not_initialized()),
            OPENING => Ok(()),
            _ => Err(failure::plain(
                ErrorCode::InvalidRequest,
                "The daemon is shutting down and takes no more requests.",
            )),
        }
    }

    /// No more requests from now on.
    pub(super) fn end(&self) {
        self.phase.store(ENDING, Ordering::Release);
    }

    /// What `initialize` opened.
    pub(super) fn workspace(&self) -> Result<&Workspace, ErrorObject> {
        self.workspace.get().ok_or_else(not_initialized)
    }

    /// Opens the workspace. `project_dir` and `data_dir` are the host's words.
    pub(super) fn open(
        &self,
        capabilities: HostCapabilities,
        project_dir: Option<PathBuf>,
        data_dir: Option<PathBuf>,
    ) -> Result<(), ErrorObject> {
        let data_dir = data_dir
            .or_else(|| self.environment.data_dir.clone())
            .ok_or_else(|| {
                failure::invalid_params(
                    "dataDir",
                    "There is no data directory for this user; name one in `dataDir`.",
                )
            })?
            .join("remote-llm");
        let ssh_environment = Arc::new(self.ssh_environment(&data_dir));
        let workspace = Workspace {
            capabilities,
            store: config::Store::open(project_dir),
            pool: ssh::Pool::new(Arc::clone(&ssh_environment), IDLE),
            ssh_environment,
            links: Links::new(self.outbound.clone()),
            history: conversation::History::default(),
        };
        self.workspace.set(workspace).map_err(|_| {
            failure::plain(
                ErrorCode::InvalidRequest,
                "`initialize` was already called; it opens a daemon once.",
            )
        })
    }

    fn ssh_environment(&self, data_dir: &std::path::Path) -> ssh::Environment {
        let home = self.environment.home.clone();
        let dot_ssh = home.as_ref().map(|home| home.join(".ssh"));
        ssh::Environment {
            user_known_hosts: dot_ssh
                .iter()
                .flat_map(|dot_ssh| [dot_ssh.join("known_hosts"), dot_ssh.join("known_hosts2")])
                .collect(),
            global_known_hosts: ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"]
                .map(PathBuf::from)
                .into(),
            own_known_hosts: data_dir.join("known_hosts"),
            home,
            ssh_auth_sock: self.environment.ssh_auth_sock.clone(),
            client_version: concat!("puffin_remote_llm_", env!("CARGO_PKG_VERSION")).to_owned(),
            memory: ssh::Memory::default(),
        }
    }

    /// A saved profile, with what is to be said about it.
    pub(super) async fn loaded(&self, config_id: &str) -> Result<config::Loaded, ErrorObject> {
        self.workspace()?.store.get(config_id).await.map_err(|error| failure::config(&error))
    }

    /// A saved profile.
    pub(super) async fn profile(&self, config_id: &str) -> Result<Profile, ErrorObject> {
        self.loaded(config_id).await.map(|loaded| loaded.profile)
    }

    /// The way to a saved profile's machine.
    pub(super) async fn route(&self, config_id: &str) -> Result<Route, ErrorObject> {
        self.route_of(&self.profile(config_id).await?)
    }

    /// The way to a profile's machine.
    pub(super) fn route_of(&self, profile: &Profile) -> Result<Route, ErrorObject> {
        let target = self.target(profile, &Changes::new())?;
        Ok(Route { config_id: profile.id.clone(), target })
    }

    /// How to talk to a profile's LLM server.
    pub(super) fn api_of(&self, profile: &Profile) -> Result<Api, ErrorObject> {
        self.api(profile, &Changes::new())
    }

    /// The way to a profile's machine, with `changes` over its saved secrets.
    pub(super) fn target(
        &self,
        profile: &Profile,
        changes: &Changes,
    ) -> Result<ssh::Target, ErrorObject> {
        let secrets = self.secrets(profile, changes)?;
        wire::config::target(profile, &secrets, self.environment.username.as_deref())
            .map_err(|error| failure::config(&error))
    }

    /// How to talk to a profile's LLM server, with `changes` over its saved secrets.
    pub(super) fn api(&self, profile: &Profile, changes: &Changes) -> Result<Api, ErrorObject> {
        let endpoint =
            profile.llm.api_endpoint.parse().map_err(|problem| failure::endpoint(&problem))?;
        let saved = self.workspace()?.store.secrets().fields(&profile.id);
        let names: BTreeSet<_> = saved
            .iter()
            .chain(changes.iter().map(|(field, _)| field))
            .filter_map(|field| match field {
                SecretField::Header(name) => Some(name.to_ascii_lowercase()),
                _ => None,
            })
            .collect();
        let secrets = self.secrets(profile, changes)?;
        let options = wire::config::options(&profile.llm, names, &secrets)
            .map_err(|error| failure::config(&error))?;
        Ok(Api { endpoint, options })
    }

    fn secrets<'a>(
        &self,
        profile: &'a Profile,
        changes: &'a Changes,
    ) -> Result<impl Fn(&SecretField) -> Result<Option<SecretString>, config::Error> + 'a, ErrorObject>
    {
        let saved = self.workspace()?.store.secrets().clone();
        Ok(move |field: &SecretField| {
            match changes.iter().find(|(changed, _)| changed == field).map(|(_, change)| change) {
                Some(Change::Set(secret)) => Ok(Some(secret.clone())),
                Some(Change::Clear) => Ok(None),
                Some(Change::Keep) | None => saved.get(profile, field),
            }
        })
    }

    /// Closes every SSH connection.
    pub(super) async fn close_connections(&self) {
        if let Some(workspace) = self.workspace.get() {
            workspace.pool.shutdown().await;
        }
    }
}

fn not_initialized() -> ErrorObject {
    failure::plain(ErrorCode::NotInitialized, "The first request must be `initialize`.")
}
