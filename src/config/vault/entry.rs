//! One secret, sealed for one place: a profile's field and the address that it may be sent to.

use std::io;

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use super::cipher::{Broken, DIGEST_BYTES, Key, NONCE_BYTES, joined, random, sha256};
use super::document::{Base64, Entry};

/// Where a secret may be sent. What is absent is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::config) struct Address {
    pub(in crate::config) host: String,
    pub(in crate::config) port: Option<u16>,
    pub(in crate::config) username: Option<String>,
    /// For what goes to the LLM server.
    pub(in crate::config) endpoint: Option<String>,
}

/// Whose secret it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label<'a> {
    pub(super) vault_id: &'a str,
    pub(super) owner: &'a str,
    pub(super) field: &'a str,
}

impl Entry {
    pub(super) fn seal(
        dek: &Key,
        label: Label<'_>,
        bind: [u8; DIGEST_BYTES],
        secret: &[u8],
    ) -> io::Result<Self> {
        Self::seal_with(random()?, dek, label, bind, secret)
    }

    pub(super) fn seal_with(
        nonce: [u8; NONCE_BYTES],
        dek: &Key,
        label: Label<'_>,
        bind: [u8; DIGEST_BYTES],
        secret: &[u8],
    ) -> io::Result<Self> {
        let sealed = entry_key(dek).seal(&nonce, secret, &context(label, &bind))?;
        Ok(Self {
            nonce: Base64(nonce),
            ciphertext: sealed.into(),
            bind: Base64(bind),
        })
    }

    /// The secret, whatever address it is for.
    pub(super) fn open(&self, dek: &Key, label: Label<'_>) -> Result<Zeroizing<Vec<u8>>, Broken> {
        let context = context(label, &self.bind.0);
        entry_key(dek).open(&self.nonce.0, &self.ciphertext.0, &context)
    }

    /// The secret, if it may be sent to this address.
    pub(super) fn open_for(
        &self,
        dek: &Key,
        label: Label<'_>,
        address: &Address,
    ) -> Result<SecretString, Broken> {
        if self.bind.0 != address.digest() {
            return Err(Broken);
        }
        let opened = self.open(dek, label)?;
        let text = std::str::from_utf8(&opened).map_err(|_| Broken)?;
        Ok(text.into())
    }

    /// The same secret, sealed with another key.
    pub(super) fn reseal(&self, old: &Key, new: &Key, label: Label<'_>) -> io::Result<Self> {
        let opened = self.open(old, label);
        let secret = opened.map_err(|Broken| io::Error::other("a secret does not open"))?;
        Self::seal(new, label, self.bind.0, &secret)
    }
}

fn entry_key(dek: &Key) -> Key {
    dek.derive("rllm/entry")
}

fn context(label: Label<'_>, bind: &[u8; DIGEST_BYTES]) -> Vec<u8> {
    let Label {
        vault_id,
        owner,
        field,
    } = label;
    joined(&[
        b"rllm/v1/entry",
        vault_id.as_bytes(),
        owner.as_bytes(),
        field.as_bytes(),
        bind,
    ])
}

impl Address {
    pub(super) fn digest(&self) -> [u8; DIGEST_BYTES] {
        sha256(&self.joined())
    }

    fn joined(&self) -> Vec<u8> {
        let port = self.port.map(|port| port.to_string()).unwrap_or_default();
        let username = self.username.as_deref().unwrap_or_default();
        let endpoint = self.endpoint.as_deref().unwrap_or_default();
        joined(&[
            self.host.as_bytes(),
            port.as_bytes(),
            username.as_bytes(),
            endpoint.as_bytes(),
        ])
    }
}
