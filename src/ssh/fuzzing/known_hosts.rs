//! A known_hosts file, and what it says of one key.

use std::path::Path;

use russh::keys::PublicKey;

use super::is_clean;
use crate::ssh::known_hosts::{HostName, Records, Verdict};

/// The host's line in the inputs.
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAo/w2hjwW+n9Mxi6Q2MRWrbEpqdWu3A/lKlfA2Lp3oO";

/// The input is the file; the key is the one above, of `gpu1` on port 22 and on 2222.
pub fn known_hosts(input: &[u8]) {
    let Ok(key) = PublicKey::from_openssh(KEY) else {
        return;
    };
    for port in [22, 2222] {
        let name = HostName::new("gpu1", port);
        let judge = |more: &str| {
            let file = [input, b"\n", more.as_bytes()].concat();
            let mut records = Records::default();
            let read = records.read_lines(&file[..], Path::new("file"), &name, Some(&key));
            read.ok().map(|()| records.judge(&key))
        };
        let verdict = judge("");
        check(verdict.as_ref());

        // What is appended is heard, whatever stands before it.
        let known = judge(&format!("{} {KEY}", name.full));
        let is_revoked = matches!(verdict, Some(Verdict::Revoked { .. }));
        match known {
            Some(Verdict::Known) => assert!(!is_revoked, "a revocation was forgotten"),
            Some(Verdict::Revoked { .. }) => assert!(is_revoked),
            other => assert!(verdict.is_none(), "the key's own line gives {other:?}"),
        }
        if verdict.is_some() {
            let revoked = judge(&format!("@revoked * {KEY}"));
            assert!(
                matches!(revoked, Some(Verdict::Revoked { .. })),
                "{revoked:?}"
            );
        }
    }
}

fn check(verdict: Option<&Verdict>) {
    match verdict {
        Some(Verdict::Changed(keys)) => {
            assert!(!keys.is_empty());
            for known in keys {
                assert!(known.key.fingerprint.starts_with("SHA256:"));
                assert!(is_clean(&known.key.key_type) && known.line > 0);
            }
        }
        Some(Verdict::Unknown { known_as, .. }) => {
            assert!(known_as.len() <= 8);
            assert!(known_as.iter().all(|known| is_clean(&known.names)));
        }
        Some(Verdict::Known | Verdict::Revoked { .. }) | None => {}
    }
}
