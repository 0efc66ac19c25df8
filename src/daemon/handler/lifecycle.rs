//! Beginning and end.

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::{
    protocol::{
        CancelParams, CancelResult, DaemonCapabilities, Empty, ErrorObject, HistoryOptions,
        InitializeParams, InitializeResult, Limits, Party, VERSION,
    },
    rpc::Call,
};

use super::{
    super::{admission::MAX_PROMPTS, failure, state::Daemon, watch::watch},
    vault,
};

/// For the requests that `shutdown` cancels, and for closing connections: a host that waits for
/// the reply should have it within its usual 2 s.
const ENDING: Duration = Duration::from_millis(900);

pub(in crate::daemon) async fn initialize(
    daemon: Arc<Daemon>,
    params: InitializeParams,
    call: Call,
) -> Result<InitializeResult, ErrorObject> {
    let project_dir = absolute("projectDir", params.project_dir)?;
    let data_dir = absolute("dataDir", params.data_dir)?;
    let history = checked(params.history)?;
    let given = vault::given(params.vault, "vault.")?;
    daemon.open(
        params.capabilities,
        project_dir,
        data_dir,
        history,
        params.audit,
    )?;
    if let Some(options) = params.log {
        daemon.log.open(options.level, daemon.outbound.clone());
    }
    let workspace = daemon.workspace()?;
    vault::open(workspace, given, &call.token).await;
    watch(workspace).await;
    let vault = vault::told(workspace).await?;
    tracing::info!(
        client = params.client.name,
        version = params.client.version,
        "initialized"
    );
    Ok(InitializeResult {
        protocol_version: VERSION,
        server: Party {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        capabilities: DaemonCapabilities {
            methods: daemon
                .methods()
                .iter()
                .map(|&method| method.to_owned())
                .collect(),
        },
        vault,
        limits: Limits {
            max_message_bytes: daemon.limits.message_bytes,
            max_in_flight: daemon.limits.in_flight,
            max_prompts: MAX_PROMPTS,
        },
    })
}

/// A relative path would depend on where the host happened to start us.
fn absolute(field: &str, path: Option<String>) -> Result<Option<PathBuf>, ErrorObject> {
    path.map(PathBuf::from)
        .map(|path| {
            if path.is_absolute() {
                Ok(path)
            } else {
                Err(failure::invalid_params(
                    field,
                    &format!("`{field}` must be an absolute path."),
                ))
            }
        })
        .transpose()
}

fn checked(history: HistoryOptions) -> Result<HistoryOptions, ErrorObject> {
    let fits = [
        ("maxConversations", history.max_conversations, 10, 100_000),
        ("maxBytes", history.max_bytes, 1 << 20, u32::MAX as usize),
    ];
    for (name, value, least, most) in fits {
        if !(least..=most).contains(&value) {
            return Err(failure::invalid_params(
                &format!("history.{name}"),
                &format!("`history.{name}` must be between {least} and {most}."),
            ));
        }
    }
    Ok(history)
}

pub(in crate::daemon) async fn shutdown(
    daemon: Arc<Daemon>,
    _: Empty,
    call: Call,
) -> Result<Empty, ErrorObject> {
    daemon.end();
    call.cancel_all();
    if tokio::time::timeout(ENDING, call.others_answered())
        .await
        .is_err()
    {
        tracing::warn!("a request did not end in time");
    }
    if tokio::time::timeout(ENDING, daemon.close_connections())
        .await
        .is_err()
    {
        tracing::warn!("an SSH connection did not close in time");
    }
    Ok(Empty {})
}

pub(in crate::daemon) async fn cancel(
    daemon: Arc<Daemon>,
    params: CancelParams,
    _: Call,
) -> Result<CancelResult, ErrorObject> {
    Ok(CancelResult {
        cancelled: daemon.running.cancel(&params.request_id),
    })
}
