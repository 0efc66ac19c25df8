//! The table of policies. Changed and revoked keys are refused under each of them.

use super::{CertificateVerdict, Found, HostName, Verdict};
use crate::ssh::error::{
    Cause, HostCertificate, HostCertificateProblem, HostKeyInfo, KnownKey, NotTrusted,
};
use crate::ssh::prompt::{HostKeyReason, KnownAs};
use crate::ssh::target::HostKeyPolicy;
use crate::ssh::text::single_quoted;

/// What policy makes of what the files say.
#[derive(Debug)]
pub(super) enum Decision {
    Accept,
    /// An authority vouches for the key.
    AcceptCertificate,
    /// Accept and remember.
    Learn,
    Ask {
        reason: HostKeyReason,
        known_as: Vec<KnownAs>,
    },
    Refuse(Cause),
}

pub(super) fn decide(
    policy: HostKeyPolicy,
    found: Found,
    key: &HostKeyInfo,
    name: &HostName,
) -> Decision {
    match found.certificate {
        None | Some(CertificateVerdict::NoAuthority) => of_key(policy, found.key, key, name),
        Some(CertificateVerdict::Valid { .. }) => Decision::AcceptCertificate,
        Some(CertificateVerdict::Revoked {
            file,
            line,
            authority,
        }) => Decision::Refuse(Cause::HostKeyRevoked {
            key: key.clone(),
            authority: authority.map(Box::new),
            file,
            line,
        }),
        Some(CertificateVerdict::Invalid(certificate)) => {
            fall_back(certificate, of_key(policy, found.key, key, name))
        }
    }
}

/// As in `ssh`, a key that is recorded itself needs no certificate. But where an
/// authority is recorded and the certificate is no good, a new key is refused
/// under every policy: `ssh` would ask about it, or learn it.
fn fall_back(certificate: Box<HostCertificate>, without: Decision) -> Decision {
    let forged = certificate.problem == HostCertificateProblem::BadSignature;
    let invalid = Decision::Refuse(Cause::HostCertificateInvalid { certificate });
    match without {
        Decision::Refuse(Cause::HostKeyRevoked { .. } | Cause::HostKeyChanged { .. }) => without,
        Decision::Accept if !forged => Decision::Accept,
        Decision::Accept
        | Decision::AcceptCertificate
        | Decision::Learn
        | Decision::Ask { .. }
        | Decision::Refuse(_) => invalid,
    }
}

fn of_key(policy: HostKeyPolicy, verdict: Verdict, key: &HostKeyInfo, name: &HostName) -> Decision {
    let key = key.clone();
    match verdict {
        Verdict::Revoked { file, line } => Decision::Refuse(Cause::HostKeyRevoked {
            key,
            authority: None,
            file,
            line,
        }),
        Verdict::Known => Decision::Accept,
        Verdict::Changed(mut known) => {
            known.sort_by_key(|known| !known.is_like(&key));
            Decision::Refuse(Cause::HostKeyChanged {
                remove_command: remove_command(&known, name),
                key,
                known,
            })
        }
        Verdict::Unknown {
            authority_expected,
            on_port_22,
            known_as,
        } => {
            let reason = if authority_expected {
                HostKeyReason::AuthorityExpected
            } else if on_port_22 {
                HostKeyReason::KnownOnPort22
            } else {
                HostKeyReason::NeverSeen
            };
            match (policy, reason) {
                (HostKeyPolicy::Ask, _) => Decision::Ask { reason, known_as },
                (
                    HostKeyPolicy::AcceptNew,
                    HostKeyReason::NeverSeen | HostKeyReason::KnownOnPort22,
                ) => Decision::Learn,
                (HostKeyPolicy::AcceptNew, HostKeyReason::AuthorityExpected)
                | (HostKeyPolicy::Strict, _) => Decision::Refuse(Cause::HostKeyUnknown {
                    key,
                    reason,
                    known_as,
                    why: NotTrusted::Policy,
                }),
            }
        }
    }
}

/// Removes a host from every file that records another key for it. `ssh-keygen`
/// finds hashed names and patterns, too, and leaves the markers' lines alone.
fn remove_command(known: &[KnownKey], name: &HostName) -> String {
    let mut files: Vec<_> = known.iter().map(|known| &known.file).collect();
    files.sort();
    files.dedup();
    let commands: Vec<_> = files
        .iter()
        .map(|file| {
            let file = shell_quote(&file.display().to_string());
            format!("ssh-keygen -f {file} -R {}", shell_quote(&name.full))
        })
        .collect();
    commands.join(" && ")
}

/// Quotes a word for a POSIX shell, for commands that people copy.
fn shell_quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-~:@%+=".contains(c);
    if !word.is_empty() && !word.starts_with('~') && word.chars().all(plain) {
        word.to_owned()
    } else {
        single_quoted(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn info(key_type: &str, fingerprint: &str) -> HostKeyInfo {
        HostKeyInfo {
            key_type: key_type.into(),
            fingerprint: fingerprint.into(),
            bits: 256,
        }
    }

    fn known(key_type: &str, file: &str) -> KnownKey {
        KnownKey {
            key: info(key_type, "SHA256:old"),
            file: PathBuf::from(file),
            line: 3,
        }
    }

    fn short(decision: &Decision) -> &'static str {
        match decision {
            Decision::Accept => "accept",
            Decision::AcceptCertificate => "certified",
            Decision::Learn => "learn",
            Decision::Ask { .. } => "ask",
            Decision::Refuse(Cause::HostKeyRevoked { .. }) => "revoked",
            Decision::Refuse(Cause::HostKeyUnknown { .. }) => "unknown",
            Decision::Refuse(Cause::HostKeyChanged { .. }) => "changed",
            Decision::Refuse(Cause::HostCertificateInvalid { .. }) => "invalid",
            Decision::Refuse(_) => "other",
        }
    }

    const POLICIES: [HostKeyPolicy; 3] = [
        HostKeyPolicy::Ask,
        HostKeyPolicy::AcceptNew,
        HostKeyPolicy::Strict,
    ];

    fn verdict(which: &str) -> Verdict {
        let unknown = |authority_expected, on_port_22| Verdict::Unknown {
            authority_expected,
            on_port_22,
            known_as: vec![],
        };
        match which {
            "revoked" => Verdict::Revoked {
                file: "f".into(),
                line: 1,
            },
            "known" => Verdict::Known,
            "changed" => Verdict::Changed(vec![known("ssh-rsa", "f")]),
            "port 22" => unknown(false, true),
            "authority" => unknown(true, false),
            _ => unknown(false, false),
        }
    }

    fn invalid(problem: HostCertificateProblem) -> CertificateVerdict {
        CertificateVerdict::Invalid(Box::new(HostCertificate {
            problem,
            key: info("ssh-ed25519", "SHA256:new"),
            id: "id".into(),
            principals: vec![],
            valid_after: 0,
            valid_before: 1,
            signer: info("ssh-ed25519", "SHA256:ca"),
            authority: Some(known("ssh-ed25519", "f")),
        }))
    }

    #[test]
    fn policies_decide_by_the_table() {
        let rows: [(Option<CertificateVerdict>, &str, [&str; 3]); 20] = [
            (None, "revoked", ["revoked"; 3]),
            (None, "known", ["accept"; 3]),
            (None, "changed", ["changed"; 3]),
            (None, "new", ["ask", "learn", "unknown"]),
            (None, "port 22", ["ask", "learn", "unknown"]),
            (None, "authority", ["ask", "unknown", "unknown"]),
            (
                Some(CertificateVerdict::NoAuthority),
                "known",
                ["accept"; 3],
            ),
            (
                Some(CertificateVerdict::NoAuthority),
                "changed",
                ["changed"; 3],
            ),
            (
                Some(CertificateVerdict::NoAuthority),
                "new",
                ["ask", "learn", "unknown"],
            ),
            (
                Some(CertificateVerdict::NoAuthority),
                "authority",
                ["ask", "unknown", "unknown"],
            ),
            (
                Some(CertificateVerdict::Valid {
                    authority: known("ssh-ed25519", "f"),
                }),
                "changed",
                ["certified"; 3],
            ),
            (
                Some(CertificateVerdict::Revoked {
                    file: "f".into(),
                    line: 1,
                    authority: None,
                }),
                "known",
                ["revoked"; 3],
            ),
            (
                Some(invalid(HostCertificateProblem::Expired)),
                "known",
                ["accept"; 3],
            ),
            (
                Some(invalid(HostCertificateProblem::Expired)),
                "changed",
                ["changed"; 3],
            ),
            (
                Some(invalid(HostCertificateProblem::Expired)),
                "revoked",
                ["revoked"; 3],
            ),
            (
                Some(invalid(HostCertificateProblem::Expired)),
                "authority",
                ["invalid"; 3],
            ),
            (
                Some(invalid(HostCertificateProblem::Expired)),
                "port 22",
                ["invalid"; 3],
            ),
            (
                Some(invalid(HostCertificateProblem::BadSignature)),
                "known",
                ["invalid"; 3],
            ),
            (
                Some(invalid(HostCertificateProblem::BadSignature)),
                "new",
                ["invalid"; 3],
            ),
            (
                Some(invalid(HostCertificateProblem::BadSignature)),
                "revoked",
                ["revoked"; 3],
            ),
        ];
        let key = info("ssh-ed25519", "SHA256:new");
        for (certificate, plain, expected) in rows {
            for (policy, expected) in POLICIES.into_iter().zip(expected) {
                let found = Found {
                    certificate: certificate.clone(),
                    key: verdict(plain),
                };
                let decision = decide(policy, found, &key, &HostName::new("h", 22));
                assert_eq!(
                    short(&decision),
                    expected,
                    "{policy:?} {plain} {certificate:?}"
                );
            }
        }
    }

    #[test]
    fn a_changed_key_comes_with_the_command_for_every_file_and_its_like_first() {
        let found = Found {
            certificate: None,
            key: Verdict::Changed(vec![
                known("ssh-rsa", "/home/a b/known_hosts"),
                known("ssh-ed25519", "/own"),
                known("ssh-ed25519", "/home/a b/known_hosts"),
            ]),
        };
        let key = info("ssh-ed25519", "SHA256:new");
        let decision = decide(
            HostKeyPolicy::Ask,
            found,
            &key,
            &HostName::new("it's", 2222),
        );
        let Decision::Refuse(Cause::HostKeyChanged {
            known,
            remove_command,
            ..
        }) = decision
        else {
            panic!("{decision:?}");
        };
        assert_eq!(
            remove_command,
            r"ssh-keygen -f '/home/a b/known_hosts' -R '[it'\''s]:2222' && ssh-keygen -f /own -R '[it'\''s]:2222'"
        );
        let like: Vec<_> = known.iter().map(|known| known.is_like(&key)).collect();
        assert_eq!(like, [true, true, false]);
    }
}
