//! What `initialize` opens: the user's profiles, connections and conversations.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use secrecy::SecretString;
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use crate::{
    config::{self, Change, Credential, Keychain, Profile, SecretField, Secrets, Vault},
    conversation::{Audit, Bounds, History, Place},
    protocol::{AuditOptions, ErrorObject, HistoryOptions, HostCapabilities},
    rpc::Outbound,
    ssh,
};

use super::{
    Environment, failure,
    link::Links,
    route::{Api, Route},
    stream::Total,
    tools::ToolClocks,
    wire::{self, config::Changes},
};

/// The bytes of conversations that are kept in memory.
const IN_MEMORY: usize = 16 * 1024 * 1024;

/// An answer that is handed over is in memory several times: kept, told and written. Where the
/// host does not read, or a thousand prompts end at once, only this many bytes of them are.
const HANDING_OVER: u32 = 2 * 1024 * 1024;

/// What `initialize` opens.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) outbound: Outbound,
    pub(super) capabilities: HostCapabilities,
    pub(super) store: config::Store,
    /// The system's key store.
    pub(super) keychain: Keychain,
    pub(super) pool: ssh::Pool,
    pub(super) ssh_environment: Arc<ssh::Environment>,
    pub(super) links: Arc<Links>,
    pub(super) history: History,
    pub(super) audit: Audit,
    /// Of the tool calls that run, of all prompts.
    pub(super) tool_clocks: ToolClocks,
    /// The events that wait for the host, of all prompts.
    pub(super) waiting_events: Total,
    /// Bytes of answers that may be handed over at once.
    handing_over: Semaphore,
}

impl Workspace {
    /// Opens it; touches no file and no network.
    pub(super) fn open(
        outbound: Outbound,
        environment: &Environment,
        capabilities: HostCapabilities,
        project_dir: Option<PathBuf>,
        data_dir: &Path,
        history: HistoryOptions,
        audit: AuditOptions,
    ) -> Self {
        let ssh_environment = Arc::new(ssh_environment(environment, data_dir));
        Self {
            links: Links::new(outbound.clone()),
            outbound,
            capabilities,
            pool: ssh::Pool::new(Arc::clone(&ssh_environment)),
            ssh_environment,
            history: open_history(project_dir.clone(), data_dir, history),
            keychain: Keychain::of_system(|name| {
                environment.variables.get(name).map(str::to_owned)
            }),
            store: open_store(project_dir, data_dir),
            audit: Audit::new(
                audit.enabled.then(|| data_dir.join("audit")),
                audit.content,
                Uuid::new_v4().to_string(),
            ),
            tool_clocks: ToolClocks::default(),
            waiting_events: Total::default(),
            handing_over: Semaphore::new(HANDING_OVER as usize),
        }
    }

    /// Opens the vault, once. Whoever reads a profile waits for it.
    pub(super) async fn open_vault(&self, credential: Option<Credential>) {
        let secrets = self.store.secrets().clone();
        let opened = tokio::task::spawn_blocking(move || {
            if let Some(vault) = secrets.vault() {
                vault.open(credential);
            }
        });
        if opened.await.is_err() {
            tracing::error!("the vault could not be opened");
        }
    }

    /// Waits until an answer of so many bytes may be handed over; one that is larger than all
    /// that may be goes alone.
    pub(super) async fn turn(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        let bytes = u32::try_from(bytes).map_or(HANDING_OVER, |bytes| bytes.min(HANDING_OVER));
        // It is never closed.
        self.handing_over.acquire_many(bytes).await.ok()
    }

    /// A saved profile, with what is to be said about it.
    pub(super) async fn loaded(&self, config_id: &str) -> Result<config::Loaded, ErrorObject> {
        self.store
            .get(config_id)
            .await
            .map_err(|error| failure::config(&error))
    }

    /// A saved profile that may be used: nothing is opened, looked up or signed with for another.
    pub(super) async fn trusted(&self, config_id: &str) -> Result<Profile, ErrorObject> {
        self.store
            .trusted(config_id)
            .await
            .map_err(|error| failure::config(&error))
    }

    /// The way to a trusted profile's machine.
    pub(super) fn route_of(&self, profile: &Profile) -> Result<Route, ErrorObject> {
        let plan = self.plan(profile, &Changes::new())?;
        Ok(Route {
            profile: self.links.shared(profile),
            plan,
            patience: wire::config::clocks(&profile.llm).connect,
        })
    }

    /// The way that a profile's connection took or would take, if there is one. A connection
    /// stays the profile's, even when the file was changed since by somebody else.
    pub(super) async fn target(&self, config_id: &str) -> Option<ssh::Target> {
        if let Some(target) = self.links.target(config_id) {
            return Some(target);
        }
        let route = self.route_of(&self.trusted(config_id).await.ok()?).ok()?;
        route.target(self).await.ok()
    }

    /// How to talk to a profile's LLM server.
    pub(super) fn api_of(&self, profile: &Profile) -> Result<Api, ErrorObject> {
        self.api(profile, &Changes::new())
    }

    /// The way to a profile's machine, with `changes` over its saved secrets.
    pub(super) fn plan(
        &self,
        profile: &Profile,
        changes: &Changes,
    ) -> Result<ssh::Plan, ErrorObject> {
        wire::config::plan(profile, &self.secrets(profile, changes))
            .map_err(|error| failure::config(&error))
    }

    /// How to talk to a profile's LLM server, with `changes` over its saved secrets.
    pub(super) fn api(&self, profile: &Profile, changes: &Changes) -> Result<Api, ErrorObject> {
        let endpoint = profile
            .llm
            .api_endpoint
            .parse()
            .map_err(|problem| failure::endpoint(&problem))?;
        let saved = self.store.secrets().fields(&profile.id);
        let names: BTreeSet<_> = saved
            .iter()
            .chain(changes.iter().map(|(field, _)| field))
            .filter_map(|field| match field {
                SecretField::Header(name) => Some(name.to_ascii_lowercase()),
                _ => None,
            })
            .collect();
        let options = wire::config::options(&profile.llm, names, &self.secrets(profile, changes));
        let mut options = options.map_err(|error| failure::config(&error))?;
        if let Some(path) = &mut options.tls.ca_path {
            *path = self.ssh_environment.expand(path);
        }
        Ok(Api { endpoint, options })
    }

    fn secrets<'a>(
        &self,
        profile: &'a Profile,
        changes: &'a Changes,
    ) -> impl Fn(&SecretField) -> Result<Option<SecretString>, config::Error> + 'a {
        let saved = self.store.secrets().clone();
        move |field| match changes.iter().find(|(changed, _)| changed == field) {
            Some((_, Change::Set(secret))) => Ok(Some(secret.clone())),
            Some((_, Change::Clear)) => Ok(None),
            Some((_, Change::Keep)) | None => saved.get(profile, field),
        }
    }
}

/// Without a project, profiles end with the daemon, and so do their secrets.
fn open_store(project: Option<PathBuf>, data_dir: &Path) -> config::Store {
    let secrets = match &project {
        Some(project) => Secrets::in_vault(Vault::new(data_dir, project.clone())),
        None => Secrets::new(),
    };
    config::Store::open(project, data_dir).with_secrets(secrets)
}

fn open_history(project: Option<PathBuf>, data_dir: &Path, options: HistoryOptions) -> History {
    let mut bounds = Bounds {
        conversations: options.max_conversations,
        bytes: options.max_bytes,
    };
    let place = match project {
        Some(project) if options.enabled => Place::Project {
            data_dir: data_dir.to_owned(),
            project,
        },
        _ => {
            bounds.bytes = bounds.bytes.min(IN_MEMORY);
            Place::Memory
        }
    };
    History::new(place, bounds)
}

fn ssh_environment(environment: &Environment, data_dir: &Path) -> ssh::Environment {
    let home = environment.home.clone();
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
        user_config: dot_ssh.map(|dot_ssh| dot_ssh.join("config")),
        system_config: Some(PathBuf::from("/etc/ssh/ssh_config")),
        ssh_program: environment.ssh_program.clone(),
        own_program: environment.own_program.clone(),
        shell: environment.shell.clone(),
        local_user: environment.local_user.clone(),
        local_host_name: environment.host_name.clone(),
        temporary: environment.temporary.clone(),
        variables: environment.variables.clone(),
        home,
        ssh_auth_sock: environment.ssh_auth_sock.clone(),
        client_version: concat!("puffin_remote_llm_", env!("CARGO_PKG_VERSION")).to_owned(),
        memory: ssh::Memory::default(),
    }
}
