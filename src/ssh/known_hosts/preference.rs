//! Which kinds of host keys to ask a server for first.

use super::{Marker, RecordedKey, Records};

/// What is recorded for a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Recorded {
    /// The types of its keys.
    pub(in super::super) keys: Vec<russh::keys::Algorithm>,
    /// An authority that signs certificates for it.
    pub(in super::super) authority: bool,
}

impl Records {
    /// What is recorded: to be asked for first, so that nobody dodges a recorded
    /// key by showing one of another type. The portless name has no say, as in
    /// OpenSSH.
    pub(in super::super) fn preference(&self) -> Recorded {
        let entries = || self.entries.iter().filter(|entry| !entry.by_bare_name);
        // The first key of a type speaks for the type; if it is revoked, another
        // type is better.
        let mut firsts: Vec<&RecordedKey> = Vec::new();
        for known in entries()
            .filter(|entry| entry.marker == Marker::None)
            .filter_map(|entry| entry.key.as_ref())
            .filter(|known| !known.in_certificate)
        {
            if firsts
                .iter()
                .all(|first| first.key.algorithm() != known.key.algorithm())
            {
                firsts.push(known);
            }
        }
        Recorded {
            keys: firsts
                .into_iter()
                .filter(|known| !entries().any(|entry| entry.revokes(known.key.key_data())))
                .map(|known| known.key.algorithm())
                .collect(),
            authority: entries().any(|entry| entry.marker == Marker::Authority),
        }
    }
}
