//! The vault's file: its form, and the only bytes that it may be written with.
//!
//! A file is read only if it is, byte for byte, what this program writes for what it says. So a
//! change that no field shows, such as white space, is a change like any other.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::cipher::{DIGEST_BYTES, Key, NONCE_BYTES};
use super::problem::KeySource;

const FORMAT: &str = "remote-llm-vault";
const VERSION: u64 = 1;

// What a file may ask of this machine: 1 GiB, 16 passes, 16 lanes. And what it has to: OWASP's least,
// 19 MiB and 2 passes. Vaults are made with more.
const LEAST_MEMORY_KIB: u32 = 19 << 10;
const LEAST_PASSES: u32 = 2;
const MOST_MEMORY_KIB: u32 = 1 << 20;
const MOST_PASSES: u32 = 16;
const MOST_LANES: u32 = 16;

/// A vault's file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Document {
    format: String,
    version: u64,
    pub(super) vault_id: String,
    /// One more with each write.
    pub(super) epoch: u64,
    pub(super) key: KeySlot,
    /// By owner, which is a profile of a project, and by the secret's field.
    pub(super) entries: BTreeMap<String, BTreeMap<String, Entry>>,
    /// Vouches for everything above.
    mac: Base64<DIGEST_BYTES>,
}

/// What opens the vault, and its own key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct KeySlot {
    pub(super) source: KeySource,
    pub(super) kek_id: Base64<8>,
    pub(super) kdf: Option<Kdf>,
    pub(super) wrap: Sealed,
}

/// How a passphrase becomes a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kdf {
    pub(super) name: KdfName,
    pub(super) v: u32,
    /// KiB.
    pub(super) m: u32,
    pub(super) t: u32,
    pub(super) p: u32,
    pub(super) salt: Base64<16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum KdfName {
    Argon2id,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sealed {
    pub(super) nonce: Base64<NONCE_BYTES>,
    pub(super) ciphertext: Bytes,
}

/// One secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) nonce: Base64<NONCE_BYTES>,
    pub(super) ciphertext: Bytes,
    /// Digest of the address that it may be sent to.
    pub(super) bind: Base64<DIGEST_BYTES>,
}

/// So many bytes, as base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Base64<const N: usize>(pub(super) [u8; N]);

/// Any number of bytes, as base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

/// Why bytes are no vault's file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    Corrupt,
    TooNew { version: u64 },
}

impl Document {
    pub(super) fn new(vault_id: String, key: KeySlot) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            vault_id,
            epoch: 0,
            key,
            entries: BTreeMap::new(),
            mac: Base64([0; DIGEST_BYTES]),
        }
    }

    /// Reads a file. Whether its MAC is right is asked of [`Self::verify`].
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        /// All that is known of files of other versions.
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u64,
        }
        let head: Head = serde_json::from_slice(bytes).map_err(|_| Unreadable::Corrupt)?;
        if head.format != FORMAT {
            return Err(Unreadable::Corrupt);
        }
        if head.version > VERSION {
            return Err(Unreadable::TooNew {
                version: head.version,
            });
        }
        let document: Self = serde_json::from_slice(bytes).map_err(|_| Unreadable::Corrupt)?;
        if document.is_sound() && document.version == VERSION && document.bytes() == bytes {
            Ok(document)
        } else {
            Err(Unreadable::Corrupt)
        }
    }

    /// Before every write: one epoch on, and vouched for.
    pub(super) fn seal(&mut self, dek: &Key) {
        self.epoch = self.epoch.saturating_add(1);
        self.vouch(dek);
    }

    fn vouch(&mut self, dek: &Key) {
        self.mac = Base64(mac_key(dek).mac(&self.vouched()));
    }

    /// Whether the file is as somebody who had the key wrote it.
    pub(super) fn verify(&self, dek: &Key) -> bool {
        mac_key(dek).verify(&self.vouched(), &self.mac.0).is_ok()
    }

    /// The file.
    pub(super) fn bytes(&self) -> Vec<u8> {
        // Nothing of it can fail: strings, numbers and maps with string keys.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// How many secrets there are.
    pub(super) fn count(&self) -> usize {
        self.entries.values().map(BTreeMap::len).sum()
    }

    fn vouched(&self) -> Vec<u8> {
        let blank = Self {
            mac: Base64([0; DIGEST_BYTES]),
            ..self.clone()
        };
        blank.bytes()
    }

    fn is_sound(&self) -> bool {
        match (&self.key.source, &self.key.kdf) {
            (KeySource::Host | KeySource::Keychain, None) => true,
            (KeySource::Passphrase, Some(kdf)) => kdf.is_bearable(),
            (KeySource::Host | KeySource::Keychain, Some(_)) | (KeySource::Passphrase, None) => {
                false
            }
        }
    }
}

fn mac_key(dek: &Key) -> Key {
    dek.derive("rllm/mac")
}

impl Kdf {
    /// Nobody may make this program take all memory, or a day, or be content with next to nothing.
    fn is_bearable(&self) -> bool {
        self.v == 19
            && (1..=MOST_LANES).contains(&self.p)
            && (LEAST_PASSES..=MOST_PASSES).contains(&self.t)
            && (LEAST_MEMORY_KIB..=MOST_MEMORY_KIB).contains(&self.m)
    }
}

impl KeySource {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Passphrase => "passphrase",
            Self::Keychain => "keychain",
        }
    }
}

impl Serialize for KeySource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for KeySource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        [Self::Host, Self::Passphrase, Self::Keychain]
            .into_iter()
            .find(|source| source.name() == name)
            .ok_or_else(|| de::Error::custom("unknown key source"))
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl<const N: usize> Serialize for Base64<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(self.0))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Base64<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Bytes(bytes) = Bytes::deserialize(deserializer)?;
        let bytes = bytes.try_into();
        bytes
            .map(Self)
            .map_err(|_| de::Error::custom("a wrong number of bytes"))
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text);
        bytes.map(Self).map_err(|_| de::Error::custom("not base64"))
    }
}
