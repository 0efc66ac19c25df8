//! Where the agent listens.

use std::path::{Path, PathBuf};

use russh::keys::agent::client::AgentClient;

use super::DynStream;
use crate::ssh::error::AgentProblem;
use crate::ssh::target::{Environment, Hop};

/// Where Windows' own OpenSSH agent listens.
#[cfg(windows)]
const WINDOWS_PIPE: &str = r"\\.\pipe\openssh-ssh-agent";

/// The socket to use: IdentityAgent, or that of the environment. `None`: the
/// system's own, where it has one.
pub(super) fn path(hop: &Hop, environment: &Environment) -> Result<Option<PathBuf>, AgentProblem> {
    let chosen = match &hop.identity_agent {
        Some(path) if path.as_os_str() == "none" => return Err(AgentProblem::Disabled),
        Some(path) if path.as_os_str() != "SSH_AUTH_SOCK" => match variable(path) {
            Some(name) => environment.variables.get(name).map(PathBuf::from),
            None => Some(environment.expand(path)),
        },
        _ => environment.ssh_auth_sock.clone(),
    };
    Ok(chosen.filter(|path| !path.as_os_str().is_empty()))
}

/// The environment variable that holds the socket: `$NAME` or `${NAME}`.
fn variable(path: &Path) -> Option<&str> {
    let name = path.to_str()?.strip_prefix('$')?;
    Some(
        name.strip_prefix('{')
            .and_then(|name| name.strip_suffix('}'))
            .unwrap_or(name),
    )
}

#[cfg(unix)]
pub(super) async fn dial(path: Option<PathBuf>) -> Result<AgentClient<DynStream>, AgentProblem> {
    let path = path.ok_or(AgentProblem::NoSocket)?;
    match tokio::net::UnixStream::connect(&path).await {
        Ok(stream) => Ok(AgentClient::connect(Box::new(stream) as DynStream)),
        Err(source) => Err(unreachable(path, source)),
    }
}

/// A pipe by its name; without one Windows' own agent, and then Pageant.
#[cfg(windows)]
pub(super) async fn dial(path: Option<PathBuf>) -> Result<AgentClient<DynStream>, AgentProblem> {
    if let Some(path) = path {
        return match AgentClient::connect_named_pipe(&path).await {
            Ok(client) => Ok(client.dynamic()),
            Err(error) => Err(unreachable(path, std::io::Error::other(error))),
        };
    }
    if let Ok(client) = AgentClient::connect_named_pipe(WINDOWS_PIPE).await {
        return Ok(client.dynamic());
    }
    match AgentClient::connect_pageant().await {
        Ok(client) => Ok(client.dynamic()),
        Err(_) => Err(AgentProblem::NoSocket),
    }
}

fn unreachable(path: PathBuf, source: std::io::Error) -> AgentProblem {
    AgentProblem::Unreachable {
        path,
        source: std::sync::Arc::new(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(identity_agent: Option<&str>) -> Result<Option<PathBuf>, String> {
        let hop = Hop {
            identity_agent: identity_agent.map(PathBuf::from),
            ..Hop::new("gpu1", 22, "ai")
        };
        let environment = Environment {
            home: Some("/home/ai".into()),
            ssh_auth_sock: Some("/run/agent".into()),
            variables: [("MY_AGENT".to_owned(), "/run/mine".to_owned())]
                .into_iter()
                .collect(),
            ..Environment::default()
        };
        path(&hop, &environment).map_err(|problem| problem.to_string())
    }

    #[test]
    fn identity_agent_says_which_socket_as_in_ssh() {
        for (identity_agent, expected) in [
            (None, Some("/run/agent")),
            (Some("SSH_AUTH_SOCK"), Some("/run/agent")),
            (Some("/run/other"), Some("/run/other")),
            (Some("~/agent"), Some("/home/ai/agent")),
            (Some("$MY_AGENT"), Some("/run/mine")),
            (Some("${MY_AGENT}"), Some("/run/mine")),
            (Some("$NOT_SET"), None),
        ] {
            let expected = Ok(expected.map(PathBuf::from));
            assert_eq!(chosen(identity_agent), expected, "{identity_agent:?}");
        }
        assert!(chosen(Some("none")).is_err());
    }
}
