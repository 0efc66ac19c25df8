//! The ciphers: XChaCha20-Poly1305 seals, HKDF-SHA256 makes keys of keys, HMAC-SHA256 vouches.

use std::fmt;
use std::io;

use chacha20poly1305::aead::{Aead as _, Generate, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use secrecy::zeroize::Zeroizing;
use sha2::{Digest as _, Sha256};

pub(super) const NONCE_BYTES: usize = 24;
pub(super) const DIGEST_BYTES: usize = 32;
const KEY_BYTES: usize = 32;

/// A secret key. Wiped when it is dropped.
#[derive(Clone)]
pub(super) struct Key(Zeroizing<[u8; KEY_BYTES]>);

/// What was sealed is not what it was, or was sealed for another place or with another key.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::config) struct Broken;

impl Key {
    /// From the system's random numbers.
    pub(super) fn random() -> io::Result<Self> {
        random().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// `None`: not 32 bytes.
    pub(super) fn from_slice(bytes: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(bytes.try_into().ok()?)))
    }

    /// Filled by a function that is given zeros.
    pub(super) fn filled<E>(
        fill: impl FnOnce(&mut [u8; KEY_BYTES]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Itself, to be kept where secrets are.
    pub(super) fn bytes(&self) -> &[u8] {
        &*self.0
    }

    /// The key for one purpose. Keys of different purposes tell nothing of each other.
    pub(super) fn derive(&self, purpose: &str) -> Self {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        let expanded = Hkdf::<Sha256>::new(None, &*self.0).expand(purpose.as_bytes(), &mut *bytes);
        debug_assert!(expanded.is_ok(), "32 bytes are fewer than HKDF's limit");
        Self(bytes)
    }

    /// The first bytes, to tell keys apart. Only of a key that was derived for that.
    pub(super) fn name(&self) -> [u8; 8] {
        let mut name = [0; 8];
        name.copy_from_slice(&self.0[..8]);
        name
    }

    /// Seals `plain`. It opens again only with the same `context`.
    pub(super) fn seal(
        &self,
        nonce: &[u8; NONCE_BYTES],
        plain: &[u8],
        context: &[u8],
    ) -> io::Result<Vec<u8>> {
        let payload = Payload {
            msg: plain,
            aad: context,
        };
        self.cipher()
            .encrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| io::Error::other("the secret is too long to be sealed"))
    }

    /// Opens what [`Self::seal`] sealed.
    pub(super) fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        sealed: &[u8],
        context: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Broken> {
        let payload = Payload {
            msg: sealed,
            aad: context,
        };
        self.cipher()
            .decrypt(&XNonce::from(*nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| Broken)
    }

    /// Another key, sealed.
    pub(super) fn wrap(
        &self,
        nonce: &[u8; NONCE_BYTES],
        key: &Self,
        context: &[u8],
    ) -> io::Result<Vec<u8>> {
        self.seal(nonce, &*key.0, context)
    }

    /// What vouches for `bytes`.
    pub(super) fn mac(&self, bytes: &[u8]) -> [u8; DIGEST_BYTES] {
        self.hmac(bytes).finalize().into_bytes().into()
    }

    /// Compares in constant time.
    pub(super) fn verify(&self, bytes: &[u8], mac: &[u8; DIGEST_BYTES]) -> Result<(), Broken> {
        self.hmac(bytes).verify_slice(mac).map_err(|_| Broken)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&(*self.0).into())
    }

    fn hmac(&self, bytes: &[u8]) -> Hmac<Sha256> {
        // A block of SHA-256 is longer than the key: HMAC fills it up with zeros.
        let mut block = Zeroizing::new([0; 64]);
        block[..KEY_BYTES].copy_from_slice(&*self.0);
        let mut hmac = <Hmac<Sha256> as hmac::KeyInit>::new(&(*block).into());
        hmac.update(bytes);
        hmac
    }
}

/// Nothing.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// From the system's random numbers.
pub(super) fn random<const N: usize>() -> io::Result<[u8; N]>
where
    [u8; N]: Generate,
{
    <[u8; N]>::try_generate().map_err(|error| io::Error::other(error.to_string()))
}

/// Parts with their lengths, so that no two lists of parts are the same bytes.
pub(super) fn joined(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend(*part);
    }
    bytes
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; DIGEST_BYTES] {
    Sha256::digest(bytes).into()
}
