//! Throw-away Ed25519 keys for hosts and users.

use std::hash::{BuildHasher, Hasher, RandomState};

use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::ssh_key::{Cipher, Kdf, LineEnding};
use russh::keys::{HashAlg, PrivateKey};

/// A key pair that lives as long as the test.
#[derive(Clone, Debug)]
pub(crate) struct Key(PrivateKey);

impl Key {
    pub(crate) fn generate() -> Self {
        let mut seed = [0; 32];
        for part in seed.chunks_mut(8) {
            // Each `RandomState` has fresh random keys, so this is random enough for loopback.
            part.copy_from_slice(&RandomState::new().build_hasher().finish().to_ne_bytes());
        }
        Self(PrivateKey::from(Ed25519Keypair::from_seed(&seed)))
    }

    /// `SHA256:…`, as `ssh-keygen -l` prints it.
    pub(crate) fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }

    /// `ssh-ed25519 AAAA…`, the form of `authorized_keys` and `known_hosts`.
    pub(crate) fn public_line(&self) -> String {
        self.0.public_key().to_openssh().unwrap_or_default()
    }

    /// The private key file, encrypted if a passphrase is given.
    pub(crate) fn private_file(
        &self,
        passphrase: Option<&str>,
    ) -> russh::keys::ssh_key::Result<String> {
        let key = match passphrase {
            Some(passphrase) => self.0.encrypt_with(
                Cipher::Aes256Ctr,
                Kdf::Bcrypt {
                    salt: vec![7; 16],
                    rounds: 4,
                },
                0,
                passphrase,
            )?,
            None => self.0.clone(),
        };
        Ok(key.to_openssh(LineEnding::LF)?.to_string())
    }

    pub(super) fn private(&self) -> &PrivateKey {
        &self.0
    }
}
