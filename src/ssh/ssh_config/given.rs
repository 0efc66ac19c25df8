//! What is said without ssh_config: on a command line, or in a profile.

use super::jump;
use super::problem::Problem;
use super::settings::{Settings, StrictHostKeyChecking};
use super::token::{Allowed, Tokens};
use super::{Jump, Query};
use crate::ssh::{AddressFamily, Algorithms, Environment, KnownHostsFiles};

/// `ssh`'s port.
const PORT: u16 = 22;

impl Settings {
    /// A host of which no configuration knows anything.
    pub(in crate::ssh) fn unconfigured(query: &Query) -> Result<Self, Problem> {
        super::check(query)?;
        Ok(Self {
            host_name: query.host.clone(),
            port: query.port.unwrap_or(PORT),
            user: query.user.clone(),
            identity_files: None,
            certificate_files: Vec::new(),
            identities_only: false,
            identity_agent: None,
            proxy_jump: Vec::new(),
            proxy_command: None,
            known_hosts: KnownHostsFiles::default(),
            strict_host_key_checking: None,
            algorithms: Algorithms::default(),
            preferred_authentications: None,
            address_family: AddressFamily::default(),
            bind_address: None,
            connect_timeout: None,
            server_alive_interval: None,
            server_alive_count_max: None,
            warnings: Vec::new(),
        })
    }

    /// Expands the tokens of a ProxyCommand that was given instead of ssh_config's.
    pub(in crate::ssh) fn expand_proxy_command(
        &self,
        command: &str,
        query: &Query,
        environment: &Environment,
    ) -> Result<String, Problem> {
        let user = query.user.as_deref().or(self.user.as_deref());
        let tokens = Tokens {
            environment,
            host: &self.host_name,
            original: &query.host,
            port: query.port.unwrap_or(self.port),
            user: user.or(environment.local_user.name.as_deref()),
            alias: self.known_hosts.alias.as_deref(),
            jump: "",
        };
        tokens.text("ProxyCommand", command, Allowed::Proxy)
    }
}

impl StrictHostKeyChecking {
    /// As `-o StrictHostKeyChecking=…` has it.
    pub(in crate::ssh) fn parse(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "yes" | "true" => Self::Yes,
            "accept-new" => Self::AcceptNew,
            "ask" => Self::Ask,
            "no" | "off" | "false" => Self::No,
            _ => return None,
        })
    }
}

/// `[user@]host[:port]` or `ssh://…`, one of them.
pub(in crate::ssh) fn parse_jump(text: &str) -> Option<Jump> {
    let jumps = parse_jumps(text)?;
    <[Jump; 1]>::try_from(jumps).ok().map(|[jump]| jump)
}

/// What `-J` takes: several of them, with commas between.
pub(in crate::ssh) fn parse_jumps(text: &str) -> Option<Vec<Jump>> {
    jump::parse(text)
}
