//! What makes two targets the same connection: everything but secrets and time-outs.

use std::path::PathBuf;

use crate::ssh::target::{
    AddressFamily, Algorithms, AuthMethod, Hop, HostKeyPolicy, KnownHostsFiles, Target, Transport,
};

/// A route, or the beginning of one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    transport: Transport,
    hops: Vec<HopKey>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct HopKey {
    host: String,
    port: u16,
    username: String,
    auth: AuthMethod,
    private_key_path: Option<PathBuf>,
    identity_files: Option<Vec<PathBuf>>,
    certificate_paths: Vec<PathBuf>,
    identity_agent: Option<PathBuf>,
    identities_only: bool,
    preferred_authentications: Option<Vec<String>>,
    host_key_policy: HostKeyPolicy,
    known_hosts: KnownHostsFiles,
    algorithms: Algorithms,
    address_family: AddressFamily,
    bind_address: Option<String>,
    proxy_command: Option<String>,
    /// What the system's `ssh` looks up by itself: under which name, and whether at all.
    looked_up: Option<(Option<String>, bool)>,
}

impl Key {
    pub(super) fn of(target: &Target) -> Self {
        Self::new(target.transport, &target.hops)
    }

    /// The first `hops` hops of a target, which is itself a route to share.
    pub(super) fn of_beginning(target: &Target, hops: usize) -> Self {
        let route = target.hops.get(..hops).unwrap_or_default();
        Self::new(target.transport, route)
    }

    /// How many machines the route has.
    pub(super) fn hops(&self) -> usize {
        self.hops.len()
    }

    fn new(transport: Transport, hops: &[Hop]) -> Self {
        let hops = hops
            .iter()
            .map(|hop| HopKey {
                host: hop.host.to_ascii_lowercase(),
                port: hop.port,
                username: hop.username.clone(),
                auth: hop.auth,
                private_key_path: hop.private_key_path.clone(),
                identity_files: hop.identity_files.clone(),
                certificate_paths: hop.certificate_paths.clone(),
                identity_agent: hop.identity_agent.clone(),
                identities_only: hop.identities_only,
                preferred_authentications: hop.preferred_authentications.clone(),
                host_key_policy: hop.host_key_policy,
                known_hosts: hop.known_hosts.clone(),
                algorithms: hop.algorithms.clone(),
                address_family: hop.address_family,
                bind_address: hop.bind_address.clone(),
                proxy_command: hop.proxy_command.clone(),
                looked_up: (transport == Transport::System)
                    .then(|| (hop.alias.clone(), hop.use_ssh_config)),
            })
            .collect();
        Self { transport, hops }
    }
}

impl Target {
    /// Whether a pool gives both the same connection.
    pub fn shares_connection(&self, other: &Self) -> bool {
        Key::of(self) == Key::of(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_name_for_the_same_way_is_another_connection_only_for_the_system_s_ssh() {
        let named = |alias: &str, transport| Target {
            transport,
            ..Target::new(vec![Hop {
                alias: Some(alias.into()),
                ..Hop::new("gpu1", 22, "ai")
            }])
        };
        for (transport, shared) in [(Transport::Library, true), (Transport::System, false)] {
            let (one, other) = (named("a", transport), named("b", transport));
            assert_eq!(one.shares_connection(&other), shared, "{transport:?}");
            assert!(one.shares_connection(&named("a", transport)));
        }
        let [own, systems] = [Transport::Library, Transport::System].map(|by| named("a", by));
        assert!(!own.shares_connection(&systems));
    }
}
