//! The key-encryption key: what a host or a person gives to open the vault.

use std::fmt;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

use super::cipher::{Key, joined, random};
use super::document::{Base64, Kdf, KdfName, KeySlot};
use super::problem::{KeySource, VaultProblem};
use crate::config::keychain::KeychainProblem;

/// RFC 9106's second choice: 64 MiB, 3 passes, 4 lanes. Never less, however slow the machine.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 4;
/// What one guess is to cost on the machine that makes the vault. A faster one makes more passes,
/// then takes more memory, as far as any other machine will bear it.
const COST: Duration = Duration::from_millis(100);
const MOST_PASSES: u32 = 16;
const MOST_MEMORY_KIB: u32 = 256 * 1024;

/// What opens a vault. Wiped when it is dropped.
#[derive(Clone)]
pub struct Credential(Kind);

#[derive(Clone)]
enum Kind {
    Host(Key),
    Passphrase(SecretString),
    /// What the system's store gave; `None`: it was not asked, as this vault has no key there.
    Keychain(Option<Result<Key, KeychainProblem>>),
}

/// The key that wraps the vault's own, and where it comes from.
#[derive(Debug, Clone)]
pub(super) struct Kek {
    pub(super) source: KeySource,
    pub(super) kdf: Option<Kdf>,
    key: Key,
}

impl Credential {
    /// The host's key: 32 bytes in base64. `None` where it is anything else.
    #[must_use]
    pub fn host_key(base64: &SecretString) -> Option<Self> {
        let bytes = STANDARD.decode(base64.expose_secret()).ok()?;
        let bytes = Zeroizing::new(bytes);
        Key::from_slice(&bytes).map(|key| Self(Kind::Host(key)))
    }

    /// A passphrase; `None` if it is empty.
    #[must_use]
    pub fn passphrase(passphrase: SecretString) -> Option<Self> {
        let is_empty = passphrase.expose_secret().is_empty();
        (!is_empty).then_some(Self(Kind::Passphrase(passphrase)))
    }

    /// What the system's store of secrets gave.
    pub(super) fn kept(given: Option<Result<Key, KeychainProblem>>) -> Self {
        Self(Kind::Keychain(given))
    }

    pub(super) fn source(&self) -> KeySource {
        match self.0 {
            Kind::Host(_) => KeySource::Host,
            Kind::Passphrase(_) => KeySource::Passphrase,
            Kind::Keychain(_) => KeySource::Keychain,
        }
    }

    /// Whether there is a key in it at all.
    pub(super) fn check(&self) -> Result<(), VaultProblem> {
        match &self.0 {
            Kind::Host(_) | Kind::Passphrase(_) | Kind::Keychain(Some(Ok(_))) => Ok(()),
            Kind::Keychain(Some(Err(problem))) => Err(problem.clone().into()),
            Kind::Keychain(None) => Err(VaultProblem::Locked {
                needs: KeySource::Keychain,
            }),
        }
    }

    /// For a new vault. A passphrase costs 0.1 s or more, and 64 MiB or more: what its numbers cost
    /// is measured, and they are raised until it is enough. Not where [`Self::check`] fails.
    pub(super) fn new_kek(&self) -> std::io::Result<Kek> {
        match &self.0 {
            Kind::Host(key) => Ok(Kek::plain(KeySource::Host, key)),
            Kind::Keychain(Some(Ok(key))) => Ok(Kek::plain(KeySource::Keychain, key)),
            Kind::Keychain(_) => Err(std::io::ErrorKind::NotFound.into()),
            Kind::Passphrase(passphrase) => {
                let mut kdf = Kdf::new(random()?);
                loop {
                    let began = Instant::now();
                    let kek = Kek::of_passphrase(passphrase, kdf.clone())
                        .map_err(std::io::Error::other)?;
                    match kdf.dearer(began.elapsed()) {
                        Some(dearer) => kdf = dearer,
                        None => return Ok(kek),
                    }
                }
            }
        }
    }

    /// For a vault that is there. Whether it is the right one is not looked at.
    pub(super) fn kek_for(&self, slot: &KeySlot) -> Result<Kek, VaultProblem> {
        let locked = VaultProblem::Locked { needs: slot.source };
        match (&self.0, slot.source, &slot.kdf) {
            (Kind::Host(key), KeySource::Host, _) => Ok(Kek::plain(KeySource::Host, key)),
            (Kind::Keychain(given), KeySource::Keychain, _) => match given {
                Some(Ok(key)) => {
                    let kek = Kek::plain(KeySource::Keychain, key);
                    // Another window has made another one since: it has an entry of its own.
                    match kek.id() == slot.kek_id.0 {
                        true => Ok(kek),
                        false => Err(locked),
                    }
                }
                Some(Err(problem)) => Err(problem.clone().into()),
                None => Err(locked),
            },
            (Kind::Passphrase(passphrase), KeySource::Passphrase, Some(kdf)) => {
                // Its numbers were checked when the file was read.
                Kek::of_passphrase(passphrase, kdf.clone()).map_err(|_| locked)
            }
            _ => Err(locked),
        }
    }
}

impl Kek {
    /// A key that is used as it was given.
    pub(super) fn plain(source: KeySource, key: &Key) -> Self {
        Self {
            source,
            kdf: None,
            key: key.clone(),
        }
    }

    fn of_passphrase(passphrase: &SecretString, kdf: Kdf) -> Result<Self, argon2::Error> {
        let params = Params::new(kdf.m, kdf.t, kdf.p, None)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let key = Key::filled(|bytes| {
            argon2.hash_password_into(passphrase.expose_secret().as_bytes(), &kdf.salt.0, bytes)
        })?;
        Ok(Self {
            source: KeySource::Passphrase,
            kdf: Some(kdf),
            key,
        })
    }

    /// Commits to the key, and tells a wrong one before anything is opened.
    pub(super) fn id(&self) -> [u8; 8] {
        self.key.derive("rllm/kek-id").name()
    }

    /// The slot of a file, with the data key in it.
    pub(super) fn wrap(&self, vault_id: &str, dek: &Key) -> std::io::Result<KeySlot> {
        let nonce = random()?;
        self.wrap_with(nonce, vault_id, dek)
    }

    pub(super) fn wrap_with(
        &self,
        nonce: [u8; super::cipher::NONCE_BYTES],
        vault_id: &str,
        dek: &Key,
    ) -> std::io::Result<KeySlot> {
        let context = self.context(vault_id);
        let wrapped = self.key.wrap(&nonce, dek, &context)?;
        Ok(KeySlot {
            source: self.source,
            kek_id: Base64(self.id()),
            kdf: self.kdf.clone(),
            wrap: super::document::Sealed {
                nonce: Base64(nonce),
                ciphertext: wrapped.into(),
            },
        })
    }

    /// The data key; `None` if the file is damaged.
    pub(super) fn unwrap(
        &self,
        vault_id: &str,
        slot: &KeySlot,
    ) -> Result<Option<Key>, VaultProblem> {
        if slot.kek_id.0 != self.id() {
            return Err(VaultProblem::KeyMismatch { key: self.source });
        }
        let sealed = &slot.wrap;
        let opened = self.key.open(
            &sealed.nonce.0,
            &sealed.ciphertext.0,
            &self.context(vault_id),
        );
        Ok(opened.ok().and_then(|bytes| Key::from_slice(&bytes)))
    }

    fn context(&self, vault_id: &str) -> Vec<u8> {
        let kdf = match &self.kdf {
            None => Vec::new(),
            Some(kdf) => joined(&[
                b"argon2id",
                &kdf.v.to_be_bytes(),
                &kdf.m.to_be_bytes(),
                &kdf.t.to_be_bytes(),
                &kdf.p.to_be_bytes(),
                &kdf.salt.0,
            ]),
        };
        let source = self.source.name();
        joined(&[
            b"rllm/v1/dek",
            vault_id.as_bytes(),
            source.as_bytes(),
            &self.id(),
            &kdf,
        ])
    }
}

impl Kdf {
    fn new(salt: [u8; 16]) -> Self {
        Self {
            name: KdfName::Argon2id,
            v: 19,
            m: MEMORY_KIB,
            t: PASSES,
            p: LANES,
            salt: Base64(salt),
        }
    }

    /// Numbers that cost enough, as these took so long; `None` if these do, or if there are no
    /// higher ones.
    pub(super) fn dearer(&self, took: Duration) -> Option<Self> {
        if took >= COST {
            return None;
        }
        let took = took.as_micros().max(1);
        // A little more, so that the next look is the last one.
        let factor = COST.as_micros() * 5 / 4;
        let passes = (u128::from(self.t) * factor).div_ceil(took);
        let t = u32::try_from(passes)
            .unwrap_or(MOST_PASSES)
            .min(MOST_PASSES);
        if t > self.t {
            return Some(Self { t, ..self.clone() });
        }
        let m = (self.m * 2).min(MOST_MEMORY_KIB);
        (m > self.m).then(|| Self { m, ..self.clone() })
    }
}

/// Of which kind, and nothing else.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({:?})", self.source())
    }
}
