//! What we offer in the key exchange. No SHA-1, no CBC, no compression.

use std::borrow::Cow;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Preferred, cipher, compression, kex, mac};

/// Strict key exchange (against Terrapin) is always asked for. The NIST and
/// finite-field groups come last: some appliances know nothing else.
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

const MACS: &[mac::Name] = &[
    mac::HMAC_SHA512_ETM,
    mac::HMAC_SHA256_ETM,
    mac::HMAC_SHA512,
    mac::HMAC_SHA256,
];

const HOST_KEYS: &[Algorithm] = &[
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

/// Our lists, with the types of the recorded host keys first: a server must not
/// dodge a recorded key by showing one of another type.
pub(super) fn preferred(recorded: &[Algorithm]) -> Preferred {
    let is_recorded = |offered: &Algorithm| {
        recorded.iter().any(|recorded| {
            recorded == offered || (recorded.clone().is_rsa() && offered.clone().is_rsa())
        })
    };
    let (first, rest): (Vec<_>, Vec<_>) = HOST_KEYS.iter().cloned().partition(is_recorded);
    Preferred {
        kex: Cow::Borrowed(KEY_EXCHANGES),
        key: first.into_iter().chain(rest).collect::<Vec<_>>().into(),
        // A certificate would have to be judged by its authority: not asked for.
        host_key_certificates: Cow::Borrowed(&[]),
        cipher: Cow::Borrowed(CIPHERS),
        mac: Cow::Borrowed(MACS),
        compression: Cow::Borrowed(&[compression::NONE]),
    }
}

/// Replaced when the other part arrives.
pub(super) fn unusable(_: &super::Algorithms) -> Vec<String> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn names<T: AsRef<str>>(list: &[T]) -> String {
        list.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn the_offer_is_exactly_this() {
        let ours = preferred(&[]);
        let keys: Vec<_> = ours.key.iter().map(|key| key.as_str().to_owned()).collect();
        expect![[r#"
            kex mlkem768x25519-sha256,curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,diffie-hellman-group14-sha256,ext-info-c,kex-strict-c-v00@openssh.com
            key ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256
            cipher aes256-gcm@openssh.com,aes128-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr
            mac hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512,hmac-sha2-256
            compression none
            certificates 0
        "#]]
        .assert_eq(&format!(
            "kex {}\nkey {}\ncipher {}\nmac {}\ncompression {}\ncertificates {}\n",
            names(&ours.kex),
            names(&keys),
            names(&ours.cipher),
            names(&ours.mac),
            names(&ours.compression),
            ours.host_key_certificates.len(),
        ));
    }

    #[test]
    fn recorded_types_come_first() {
        let first = |recorded: &[Algorithm]| preferred(recorded).key[0].as_str().to_owned();
        assert_eq!(first(&[Algorithm::Rsa { hash: None }]), "rsa-sha2-512");
        let curve = EcdsaCurve::NistP384;
        assert_eq!(first(&[Algorithm::Ecdsa { curve }]), "ecdsa-sha2-nistp384");
    }
}
