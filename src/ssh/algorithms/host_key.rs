//! HostKeyAlgorithms: which keys and certificates a server may show, and in
//! which order it is asked for them.

use russh::keys::{Algorithm, EcdsaCurve, HashAlg};

use super::none_of;
use crate::ssh::error::{AlgorithmList, Cause};
use crate::ssh::known_hosts::Recorded;
use crate::ssh::target::Algorithms;

/// The types of plain keys, in OpenSSH's order. Its security keys are missing:
/// no server has one. So is `ssh-rsa`, which is SHA-1.
const KEYS: [Algorithm; 6] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP384,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP521,
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha512),
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha256),
    },
];

/// What russh can ask for: certificates first, then keys.
///
/// OpenSSH may want a key, then a certificate, then another key; russh always
/// puts its certificates before its keys. So only those certificates are asked
/// for that come before every key: to ask for a later one as well would get it
/// in place of the key that should have come first. Who has only that
/// certificate to show, and no key of the list, is not understood.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct HostKeyOffer {
    pub(in super::super) certificates: Vec<Algorithm>,
    pub(in super::super) keys: Vec<Algorithm>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    key: Algorithm,
    certificate: bool,
}

impl HostKeyOffer {
    pub(super) fn new(asked: &Algorithms, recorded: &Recorded) -> Result<Self, Cause> {
        let names = asked.host_keys.as_deref();
        let mut wanted = names.map_or_else(default_order, parse);
        if !asked.keeps_host_key_order {
            wanted = order(wanted, recorded);
        }
        if wanted.is_empty() {
            return Err(none_of(
                AlgorithmList::HostKey,
                names.unwrap_or_default(),
                &Self::usable(),
            ));
        }
        let first_key = wanted
            .iter()
            .position(|one| !one.certificate)
            .unwrap_or(wanted.len());
        let (before, after) = wanted.split_at(first_key);
        Ok(Self {
            certificates: before.iter().map(|one| one.key.clone()).collect(),
            keys: after
                .iter()
                .filter(|one| !one.certificate)
                .map(|one| one.key.clone())
                .collect(),
        })
    }

    /// The names that may be offered, in OpenSSH's order.
    pub(super) fn usable() -> Vec<String> {
        default_order().iter().map(Wanted::name).collect()
    }
}

impl Wanted {
    fn name(&self) -> String {
        if self.certificate {
            self.key.to_certificate_type()
        } else {
            self.key.as_str().to_owned()
        }
    }
}

/// Every certificate, then every key.
fn default_order() -> Vec<Wanted> {
    [true, false]
        .into_iter()
        .flat_map(|certificate| KEYS.map(|key| Wanted { key, certificate }))
        .collect()
}

fn parse(names: &[String]) -> Vec<Wanted> {
    let ours = default_order();
    let mut wanted: Vec<Wanted> = Vec::new();
    for name in names {
        if let Some(one) = ours.iter().find(|one| one.name() == *name)
            && !wanted.contains(one)
        {
            wanted.push(one.clone());
        }
    }
    wanted
}

/// As `order_hostkeyalgs` of OpenSSH: what is recorded comes first, unless the
/// very first type is recorded anyway.
fn order(wanted: Vec<Wanted>, recorded: &Recorded) -> Vec<Wanted> {
    let is_recorded = |key: &Algorithm| {
        recorded
            .keys
            .iter()
            .any(|known| known == key || (known.clone().is_rsa() && key.clone().is_rsa()))
    };
    if wanted.first().is_some_and(|best| is_recorded(&best.key)) {
        return wanted;
    }
    let (first, rest): (Vec<_>, Vec<_>) = wanted
        .into_iter()
        .partition(|one| (one.certificate && recorded.authority) || is_recorded(&one.key));
    first.into_iter().chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    const RSA: Algorithm = Algorithm::Rsa { hash: None };
    const P384: Algorithm = Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP384,
    };

    fn asked(names: Option<&str>, keeps_host_key_order: bool) -> Algorithms {
        Algorithms {
            host_keys: names.map(|names| names.split(',').map(str::to_owned).collect()),
            keeps_host_key_order,
            ..Algorithms::default()
        }
    }

    /// For a list of one's own.
    fn offer(names: Option<&str>, keys: &[Algorithm], authority: bool) -> String {
        offer_of(&asked(names, names.is_some()), keys, authority)
    }

    fn offer_of(asked: &Algorithms, keys: &[Algorithm], authority: bool) -> String {
        let recorded = Recorded {
            keys: keys.to_vec(),
            authority,
        };
        let offer = HostKeyOffer::new(asked, &recorded).unwrap();
        let list = |list: &[Algorithm]| {
            let names: Vec<_> = list.iter().map(|one| one.as_str().to_owned()).collect();
            names.join(",")
        };
        format!(
            "certificates {}; keys {}",
            list(&offer.certificates),
            list(&offer.keys)
        )
    }

    #[test]
    fn what_is_recorded_comes_first_as_in_openssh() {
        // Each of these is what `ssh -vv` sends, but for the certificates that
        // come after a key.
        for (keys, authority, expected) in [
            (
                &[][..],
                false,
                expect![
                    "certificates ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256; keys ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256"
                ],
            ),
            (
                &[Algorithm::Ed25519, RSA][..],
                true,
                expect![
                    "certificates ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256; keys ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256"
                ],
            ),
            (
                &[RSA][..],
                false,
                expect![
                    "certificates rsa-sha2-512,rsa-sha2-256; keys rsa-sha2-512,rsa-sha2-256,ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521"
                ],
            ),
            (
                &[P384][..],
                true,
                expect![
                    "certificates ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256; keys ecdsa-sha2-nistp384,ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256"
                ],
            ),
        ] {
            expected.assert_eq(&offer(None, keys, authority));
        }
    }

    #[test]
    fn a_list_of_ones_own_is_left_as_it_is() {
        assert_eq!(
            offer(
                Some("ecdsa-sha2-nistp384,ssh-rsa,ssh-ed25519-cert-v01@openssh.com,ssh-ed25519"),
                &[Algorithm::Ed25519],
                true
            ),
            "certificates ; keys ecdsa-sha2-nistp384,ssh-ed25519"
        );
        // What `HostKeyAlgorithms +ssh-rsa` becomes.
        let plus = HostKeyOffer::usable().join(",") + ",ssh-rsa";
        assert_eq!(
            offer_of(&asked(Some(&plus), false), &[RSA], false),
            offer(None, &[RSA], false)
        );
        // What `HostKeyAlgorithms -ssh-ed25519*` becomes.
        let minus: Vec<_> = HostKeyOffer::usable()
            .into_iter()
            .filter(|name| !name.starts_with("ssh-ed25519"))
            .collect();
        assert_eq!(
            offer_of(&asked(Some(&minus.join(",")), false), &[P384], false),
            "certificates ecdsa-sha2-nistp384; keys \
             ecdsa-sha2-nistp384,ecdsa-sha2-nistp256,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256"
        );
    }

    #[test]
    fn only_certificates_may_be_wanted() {
        assert_eq!(
            offer(Some("rsa-sha2-256-cert-v01@openssh.com"), &[], false),
            "certificates rsa-sha2-256; keys "
        );
    }

    #[test]
    fn sha_1_is_no_choice() {
        for names in ["ssh-rsa", "ssh-rsa-cert-v01@openssh.com,ssh-dss", ""] {
            let refused = HostKeyOffer::new(&asked(Some(names), true), &Recorded::default());
            assert!(
                matches!(refused, Err(Cause::NoUsableAlgorithm { .. })),
                "{refused:?}"
            );
        }
    }
}
