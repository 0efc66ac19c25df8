//! What the user's ssh_config and clipboard say about machines.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};

use crate::{
    protocol::{
        Empty, ErrorObject, ListSshHostsResult, LlmDraft, ParseTargetParams, ParseTargetResult,
        SshHost,
    },
    rpc::Call,
    ssh,
};

use super::{
    super::{failure, state::Daemon, wire, workspace::Workspace},
    cancellable,
};

/// A longer list is of no use to anybody.
const MAX_HOSTS: usize = 500;

/// How many hosts are resolved at once; each may be a process.
const AT_ONCE: usize = 4;

const TOO_SLOW: &str = "It was not looked up: reading ssh_config takes too long.";

/// How long resolving all of them may take; somebody waits for the list.
const RESOLVING: Duration = Duration::from_secs(10);

pub(in crate::daemon) async fn list_hosts(
    daemon: Arc<Daemon>,
    _: Empty,
    call: Call,
) -> Result<ListSshHostsResult, ErrorObject> {
    let workspace = daemon.workspace()?;
    cancellable(&call.token, async {
        let mut aliases = ssh::aliases(&workspace.ssh_environment)
            .await
            .map_err(|problem| failure::ssh_config(&problem))?;
        let mut warnings = Vec::new();
        if aliases.len() > MAX_HOSTS {
            warnings.push(format!(
                "ssh_config names {} hosts; only the first {MAX_HOSTS} are listed.",
                aliases.len()
            ));
            aliases.truncate(MAX_HOSTS);
        }
        let deadline = tokio::time::Instant::now() + RESOLVING;
        let hosts = stream::iter(aliases)
            .map(|alias| async move {
                let resolved = resolve(workspace, alias.clone());
                tokio::time::timeout_at(deadline, resolved)
                    .await
                    .unwrap_or_else(|_| unresolved(alias, TOO_SLOW.to_owned()))
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        Ok(ListSshHostsResult { hosts, warnings })
    })
    .await
}

async fn resolve(workspace: &Workspace, alias: String) -> SshHost {
    let plan = ssh::Plan {
        stops: vec![ssh::Stop::new(&alias)],
        transport: ssh::Transport::Library,
        max_connections: 1,
        idle: None,
    };
    match plan.resolve(&workspace.ssh_environment).await {
        Ok(resolved) => wire::config::ssh_host(alias, resolved),
        Err(error) => unresolved(alias, failure::ssh(&error).message),
    }
}

fn unresolved(alias: String, problem: String) -> SshHost {
    SshHost {
        alias,
        ssh: None,
        hops: Vec::new(),
        problem: Some(problem),
        warnings: Vec::new(),
    }
}

pub(in crate::daemon) async fn parse_target(
    daemon: Arc<Daemon>,
    params: ParseTargetParams,
    call: Call,
) -> Result<ParseTargetResult, ErrorObject> {
    let workspace = daemon.workspace()?;
    cancellable(&call.token, async {
        let draft = ssh::parse_draft(&params.text, &workspace.ssh_environment)
            .await
            .map_err(|problem| failure::draft(&problem))?;
        Ok(ParseTargetResult {
            ssh: wire::config::draft(&draft.stops),
            llm: draft.endpoint.map(|api_endpoint| LlmDraft { api_endpoint }),
            warnings: draft.warnings,
        })
    })
    .await
}
