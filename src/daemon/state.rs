//! What the daemon knows while it runs.

use std::{
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
};

use crate::{
    protocol::{
        AuditOptions, ErrorCode, ErrorObject, HistoryOptions, HostCapabilities, Initialize,
        Request as _,
    },
    rpc::{self, Outbound},
};

use super::{
    Environment, LogTap, admission::Admission, failure, running::Running, workspace::Workspace,
};

/// The daemon: what it has from the start, and the [`Workspace`] that `initialize` opens.
#[derive(Debug)]
pub(super) struct Daemon {
    pub(super) outbound: Outbound,
    pub(super) environment: Environment,
    pub(super) log: LogTap,
    pub(super) limits: rpc::Limits,
    pub(super) running: Arc<Running>,
    pub(super) admission: Admission,
    phase: AtomicU8,
    workspace: OnceLock<Arc<Workspace>>,
    methods: OnceLock<Vec<&'static str>>,
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
            admission: Admission::default(),
            phase: AtomicU8::new(NEW),
            workspace: OnceLock::new(),
            methods: OnceLock::new(),
        }
    }

    /// Says which methods are served; once, by whoever makes the table.
    pub(super) fn offer(&self, methods: Vec<&'static str>) {
        let offered = self.methods.set(methods);
        debug_assert!(offered.is_ok(), "the table is made once");
    }

    /// The methods that are served.
    pub(super) fn methods(&self) -> &[&'static str] {
        self.methods.get().map_or(&[], Vec::as_slice)
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
    pub(super) fn workspace(&self) -> Result<&Arc<Workspace>, ErrorObject> {
        self.workspace.get().ok_or_else(not_initialized)
    }

    /// Opens the workspace. `project_dir` and `data_dir` are the host's words.
    pub(super) fn open(
        &self,
        capabilities: HostCapabilities,
        project_dir: Option<PathBuf>,
        data_dir: Option<PathBuf>,
        history: HistoryOptions,
        audit: AuditOptions,
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
        let workspace = Workspace::open(
            self.outbound.clone(),
            &self.environment,
            capabilities,
            project_dir,
            &data_dir,
            history,
            audit,
        );
        self.workspace.set(Arc::new(workspace)).map_err(|_| {
            failure::plain(
                ErrorCode::InvalidRequest,
                "`initialize` was already called; it opens a daemon once.",
            )
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
    failure::plain(
        ErrorCode::NotInitialized,
        "The first request must be `initialize`.",
    )
}
