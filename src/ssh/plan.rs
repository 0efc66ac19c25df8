//! From what a profile says to a route: what it leaves open, ssh_config says.
//!
//! A profile's values are what `ssh` would be given on its command line, so they
//! win. Jump hosts that a profile lists replace what ssh_config says about the way;
//! only the first machine of a route is reached as its own ssh_config entry says
//! (ProxyJump, ProxyCommand), as with `ssh -J`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::algorithms;
use super::error::{Cause, Error, Place};
use super::ssh_config::{self, Jump, Query, Settings, StrictHostKeyChecking};
use super::target::{AuthMethod, Environment, Hop, HostKeyPolicy, SecretSource, Target, Transport};
use super::text::sanitize;

/// Longer routes are a circle.
const MAX_HOPS: usize = 16;

/// A profile's wishes.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The jump hosts in order, then the machine itself.
    pub stops: Vec<Stop>,
    pub transport: Transport,
    /// See [`Target::max_connections`].
    pub max_connections: usize,
    /// See [`Target::idle`].
    pub idle: Option<Duration>,
}

/// What a profile says about one machine. `None`: what ssh_config says, else the default.
#[derive(Debug, Clone)]
pub struct Stop {
    /// A host name, an address, or an alias of ssh_config.
    pub host: String,
    pub port: Option<u16>,
    pub username: Option<String>,
    pub auth: AuthMethod,
    pub private_key_path: Option<PathBuf>,
    pub certificate_path: Option<PathBuf>,
    pub identity_agent: Option<PathBuf>,
    pub identities_only: Option<bool>,
    pub password_source: SecretSource,
    pub password: Option<SecretString>,
    pub passphrase_source: SecretSource,
    pub passphrase: Option<SecretString>,
    pub host_key_policy: Option<HostKeyPolicy>,
    /// With its tokens. Only for the first stop.
    pub proxy_command: Option<String>,
    /// Whether ssh_config is asked at all.
    pub use_ssh_config: bool,
    pub connect_timeout: Option<Duration>,
    /// Zero switches keepalives off.
    pub keepalive_interval: Option<Duration>,
    pub keepalive_count_max: Option<u32>,
}

/// A route that can be gone, and what the user should know about it.
#[derive(Debug, Clone)]
pub struct Resolved {
    pub target: Target,
    /// Sentences.
    pub warnings: Vec<String>,
}

impl Stop {
    /// A machine about which nothing but its name is said.
    pub fn new(host: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port: None,
            username: None,
            auth: AuthMethod::Auto,
            private_key_path: None,
            certificate_path: None,
            identity_agent: None,
            identities_only: None,
            password_source: SecretSource::Saved,
            password: None,
            passphrase_source: SecretSource::Saved,
            passphrase: None,
            host_key_policy: None,
            proxy_command: None,
            use_ssh_config: true,
            connect_timeout: None,
            keepalive_interval: None,
            keepalive_count_max: None,
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        let Self {
            host,
            port,
            username,
            auth,
            private_key_path,
            certificate_path,
            identity_agent,
            identities_only,
            password_source,
            password: _,
            passphrase_source,
            passphrase: _,
            host_key_policy,
            proxy_command,
            use_ssh_config,
            connect_timeout,
            keepalive_interval,
            keepalive_count_max,
        } = self;
        let clocks = (connect_timeout, keepalive_interval, keepalive_count_max);
        *host == other.host
            && *port == other.port
            && *username == other.username
            && *auth == other.auth
            && *private_key_path == other.private_key_path
            && *certificate_path == other.certificate_path
            && *identity_agent == other.identity_agent
            && *identities_only == other.identities_only
            && *password_source == other.password_source
            && *passphrase_source == other.passphrase_source
            && *host_key_policy == other.host_key_policy
            && *proxy_command == other.proxy_command
            && *use_ssh_config == other.use_ssh_config
            && clocks
                == (
                    &other.connect_timeout,
                    &other.keepalive_interval,
                    &other.keepalive_count_max,
                )
    }
}

/// A jump host about which only its address is known.
impl From<Jump> for Stop {
    fn from(jump: Jump) -> Self {
        Self {
            port: jump.port,
            username: jump.user,
            ..Self::new(jump.host)
        }
    }
}

impl Plan {
    /// Whether both say the same, their secrets apart.
    pub fn is_like(&self, other: &Self) -> bool {
        self.transport == other.transport
            && self.max_connections == other.max_connections
            && self.idle == other.idle
            && self.stops.len() == other.stops.len()
            && self
                .stops
                .iter()
                .zip(&other.stops)
                .all(|(one, other)| one.is_like(other))
    }

    /// What the user calls the machine at the end.
    pub fn host(&self) -> &str {
        self.stops.last().map_or("", |stop| &stop.host)
    }

    /// The error for somebody who still asks when no connection is made any more.
    pub fn closed(&self) -> Error {
        match self.stops.last() {
            Some(stop) => failure(stop, Cause::Closed),
            None => failure(&Stop::new(""), Cause::Closed),
        }
    }

    /// Asks ssh_config about every stop. May run `ssh -G`, with time limits of its own;
    /// dropping the future ends that.
    pub async fn resolve(&self, environment: &Environment) -> Result<Resolved, Error> {
        let mut route = Route {
            environment,
            hops: Vec::new(),
            warnings: Vec::new(),
        };
        // From the end to the beginning: each first machine may turn out to have others before it.
        let mut before: Vec<(Option<usize>, Stop)> = self
            .stops
            .iter()
            .cloned()
            .enumerate()
            .map(|(index, stop)| (Some(index), stop))
            .collect();
        while let Some((planned, stop)) = before.pop() {
            let is_first = before.is_empty();
            let jumps = route.add(planned, stop, is_first).await?;
            before.extend(jumps.into_iter().map(|jump| (None, jump.into())));
        }
        let Route {
            mut hops,
            mut warnings,
            ..
        } = route;
        if self.transport == Transport::System {
            // They are about what this program would do; `ssh` does all that its files say.
            warnings.clear();
        }
        hops.reverse();
        Ok(Resolved {
            target: Target {
                hops,
                transport: self.transport,
                max_connections: self.max_connections,
                idle: self.idle,
            },
            warnings,
        })
    }
}

/// A route while it is being found, from its end.
struct Route<'a> {
    environment: &'a Environment,
    hops: Vec<Hop>,
    warnings: Vec<String>,
}

impl Route<'_> {
    /// Adds one more hop before the others, and says which come before that one.
    async fn add(
        &mut self,
        planned: Option<usize>,
        stop: Stop,
        is_first: bool,
    ) -> Result<Vec<Jump>, Error> {
        if self.hops.len() >= MAX_HOPS {
            return Err(failure(&stop, Cause::TooManyHops { hops: MAX_HOPS }));
        }
        let query = Query {
            host: stop.host.clone(),
            port: stop.port,
            user: stop.username.clone(),
        };
        let settings = self.settings(&stop, &query).await?;
        let (proxy_command, jumps) = match &stop.proxy_command {
            _ if !is_first => (None, Vec::new()),
            Some(none) if none.eq_ignore_ascii_case("none") => (None, Vec::new()),
            Some(command) => {
                let expanded = settings.expand_proxy_command(command, &query, self.environment);
                let expanded = expanded.map_err(|problem| failure(&stop, problem.into()))?;
                (Some(expanded), Vec::new())
            }
            None => (settings.proxy_command.clone(), settings.proxy_jump.clone()),
        };
        for warning in &settings.warnings {
            self.warn(warning.clone());
        }
        if stop.host_key_policy.is_none()
            && settings.strict_host_key_checking == Some(StrictHostKeyChecking::No)
        {
            self.warn(format!(
                "ssh_config switches the checking of host keys off for {}; unknown keys are asked \
                 about all the same.",
                stop.host
            ));
        }
        let mut unusable = algorithms::unusable(&settings.algorithms);
        // A list with `+` or `^` has OpenSSH's own in it, which nobody asked for.
        unusable.retain(|name| !ssh_config::is_usual_algorithm(name));
        if !unusable.is_empty() {
            self.warn(format!(
                "Of the algorithms that ssh_config has for {}, these are not offered: {}.",
                stop.host,
                sanitize(&unusable.join(", "))
            ));
        }
        let mut hop = merge(&stop, settings, self.environment);
        if hop.username.is_empty() {
            return Err(failure(&stop, Cause::NoUsername));
        }
        hop.planned = planned;
        hop.proxy_command = proxy_command;
        self.hops.push(hop);
        Ok(jumps)
    }

    async fn settings(&self, stop: &Stop, query: &Query) -> Result<Settings, Error> {
        let settings = if stop.use_ssh_config {
            ssh_config::resolve(query, self.environment).await
        } else {
            Settings::unconfigured(query)
        };
        settings.map_err(|problem| failure(stop, problem.into()))
    }

    fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

/// The profile's values over ssh_config's over the defaults.
fn merge(stop: &Stop, settings: Settings, environment: &Environment) -> Hop {
    let username = stop
        .username
        .clone()
        .or(settings.user)
        .or_else(|| environment.local_user.name.clone())
        .unwrap_or_default();
    let defaults = Hop::new(
        settings.host_name,
        stop.port.unwrap_or(settings.port),
        username,
    );
    let certificates = stop.certificate_path.iter().cloned();
    Hop {
        alias: Some(stop.host.clone()).filter(|alias| *alias != defaults.host),
        auth: stop.auth,
        private_key_path: stop.private_key_path.clone(),
        identity_files: settings.identity_files,
        certificate_paths: certificates.chain(settings.certificate_files).collect(),
        identity_agent: stop.identity_agent.clone().or(settings.identity_agent),
        identities_only: stop.identities_only.unwrap_or(settings.identities_only),
        preferred_authentications: settings.preferred_authentications,
        password_source: stop.password_source.clone(),
        password: stop.password.clone(),
        passphrase_source: stop.passphrase_source.clone(),
        passphrase: stop.passphrase.clone(),
        host_key_policy: stop
            .host_key_policy
            .or(settings.strict_host_key_checking.map(policy))
            .unwrap_or(defaults.host_key_policy),
        known_hosts: settings.known_hosts,
        algorithms: settings.algorithms,
        address_family: settings.address_family,
        bind_address: settings.bind_address,
        use_ssh_config: stop.use_ssh_config,
        connect_timeout: stop
            .connect_timeout
            .or(settings.connect_timeout)
            .unwrap_or(defaults.connect_timeout),
        keepalive_interval: match stop.keepalive_interval.or(settings.server_alive_interval) {
            Some(interval) => Some(interval).filter(|interval| !interval.is_zero()),
            None => defaults.keepalive_interval,
        },
        keepalive_count_max: stop
            .keepalive_count_max
            .or(settings.server_alive_count_max)
            .unwrap_or(defaults.keepalive_count_max),
        ..defaults
    }
}

/// What ssh_config says about unknown host keys. There is no "off": where `ssh`
/// would not check, people are asked.
pub(super) fn policy(checking: StrictHostKeyChecking) -> HostKeyPolicy {
    match checking {
        StrictHostKeyChecking::Yes => HostKeyPolicy::Strict,
        StrictHostKeyChecking::AcceptNew => HostKeyPolicy::AcceptNew,
        StrictHostKeyChecking::Ask | StrictHostKeyChecking::No => HostKeyPolicy::Ask,
    }
}

fn failure(stop: &Stop, cause: Cause) -> Error {
    Error {
        place: Arc::new(Place {
            hop: 0,
            hops: 1,
            host: stop.host.clone(),
            port: stop.port.unwrap_or(22),
            username: stop.username.clone().unwrap_or_default(),
        }),
        cause,
    }
}

#[cfg(test)]
mod tests;
