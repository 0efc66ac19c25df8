//! What we offer in the key exchange: ssh_config's lists, or our own, without
//! what we cannot do or is too weak. No SHA-1, no CBC, no compression.

mod host_key;

use std::borrow::Cow;

use russh::{Preferred, cipher, compression, kex, mac};

pub(super) use self::host_key::HostKeyOffer;
use super::error::{AlgorithmList, Cause};
use super::known_hosts::Recorded;
use super::target::Algorithms;

/// The NIST and finite-field groups come last: some appliances know nothing else.
const KEY_EXCHANGES: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_GEX_SHA256,
    kex::DH_G16_SHA512,
    kex::DH_G18_SHA512,
    kex::DH_G14_SHA256,
];

/// Only for those who name them.
const MORE_KEY_EXCHANGES: &[kex::Name] = &[kex::DH_G15_SHA512, kex::DH_G17_SHA512];

/// Not algorithms, but asked for in the same list, whatever ssh_config says:
/// strict key exchange (against Terrapin), and the list of the server's
/// signature algorithms.
const MARKERS: &[kex::Name] = &[
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

/// GCM first: about twice as fast as ChaCha20 where there is AES in hardware.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

/// Those that need no MAC beside them.
const AEAD: &[cipher::Name] = &[
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::CHACHA20_POLY1305,
];

const MACS: &[mac::Name] = &[
    mac::HMAC_SHA512_ETM,
    mac::HMAC_SHA256_ETM,
    mac::HMAC_SHA512,
    mac::HMAC_SHA256,
];

/// What to offer to a host of which `recorded` is known.
pub(super) fn preferred(wanted: &Algorithms, recorded: &Recorded) -> Result<Preferred, Cause> {
    let left_out = unusable(wanted);
    if !left_out.is_empty() {
        tracing::debug!(
            names = left_out.join(","),
            "algorithms that are not offered"
        );
    }
    let key_exchanges: Vec<_> = KEY_EXCHANGES
        .iter()
        .chain(MORE_KEY_EXCHANGES)
        .copied()
        .collect();
    let mut kex = choose(
        AlgorithmList::KeyExchange,
        wanted.key_exchanges.as_deref(),
        KEY_EXCHANGES,
        &key_exchanges,
    )?;
    kex.extend_from_slice(MARKERS);
    let ciphers = choose(
        AlgorithmList::Cipher,
        wanted.ciphers.as_deref(),
        CIPHERS,
        CIPHERS,
    )?;
    let macs = match choose(AlgorithmList::Mac, wanted.macs.as_deref(), MACS, MACS) {
        // Something has to be named, and none will be used.
        Err(_) if ciphers.iter().all(|cipher| AEAD.contains(cipher)) => MACS.to_vec(),
        macs => macs?,
    };
    let host_keys = HostKeyOffer::new(wanted, recorded)?;
    Ok(Preferred {
        kex: kex.into(),
        key: host_keys.keys.into(),
        host_key_certificates: host_keys.certificates.into(),
        cipher: ciphers.into(),
        mac: macs.into(),
        compression: Cow::Borrowed(&[compression::NONE]),
    })
}

/// The names that are left out of what is offered, because this program does
/// not know them or finds them too weak.
pub(super) fn unusable(wanted: &Algorithms) -> Vec<String> {
    fn missing<T: AsRef<str>>(
        names: Option<&[String]>,
        usable: &[&[T]],
    ) -> impl Iterator<Item = String> {
        names
            .unwrap_or_default()
            .iter()
            .filter(|name| {
                !usable
                    .iter()
                    .flat_map(|list| list.iter())
                    .any(|one| one.as_ref() == name.as_str())
            })
            .cloned()
    }
    let known = [KEY_EXCHANGES, MORE_KEY_EXCHANGES, MARKERS];
    missing(wanted.key_exchanges.as_deref(), &known)
        .chain(missing(wanted.ciphers.as_deref(), &[CIPHERS]))
        .chain(missing(wanted.macs.as_deref(), &[MACS]))
        .chain(missing(
            wanted.host_keys.as_deref(),
            &[&HostKeyOffer::usable()],
        ))
        .collect()
}

/// The usable ones of `wanted`, in its order; `ours` where nothing is wanted.
fn choose<T: AsRef<str> + Copy>(
    list: AlgorithmList,
    wanted: Option<&[String]>,
    ours: &[T],
    usable: &[T],
) -> Result<Vec<T>, Cause> {
    let Some(wanted) = wanted else {
        return Ok(ours.to_vec());
    };
    let mut chosen: Vec<T> = Vec::new();
    for name in wanted {
        let is_it = |one: &&T| one.as_ref() == name;
        if let Some(one) = usable.iter().find(is_it)
            && !chosen.iter().any(|one| is_it(&one))
        {
            chosen.push(*one);
        }
    }
    if chosen.is_empty() {
        return Err(none_of(list, wanted, usable));
    }
    Ok(chosen)
}

fn none_of<T: AsRef<str>>(list: AlgorithmList, wanted: &[String], usable: &[T]) -> Cause {
    Cause::NoUsableAlgorithm {
        kind: list,
        names: wanted
            .iter()
            .map(|name| super::text::sanitize(name))
            .collect(),
        usable: usable.iter().map(|one| one.as_ref().to_owned()).collect(),
    }
}

#[cfg(test)]
mod tests;
