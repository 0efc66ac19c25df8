//! ECDSA keys whose secret number begins with nine zero bits. ssh-keygen leaves the byte
//! out, as numbers are written in SSH, and ssh-key then refuses the file: one in 512 of
//! the P-256 keys. (Shorter ones of the other curves it reads.)

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as STANDARD;
use russh::keys::PrivateKey;
use russh::keys::ssh_encoding::{Decode as _, Reader as _};
use russh::keys::ssh_key::private::{EcdsaKeypair, EcdsaPrivateKey, KeypairData};
use russh::keys::ssh_key::public::{EcdsaPublicKey, KeyData};
use secrecy::zeroize::Zeroizing;

const MAGIC: &[u8] = b"openssh-key-v1\0";

/// The private section may be filled up to the size of a cipher's block.
const MAX_PADDING: usize = 16;

/// Reads a file that is not encrypted.
pub(super) fn open(text: &str) -> Option<PrivateKey> {
    let blob = blob(text)?;
    let mut rest = blob.strip_prefix(MAGIC)?;
    let cipher = String::decode(&mut rest).ok()?;
    let _kdf = String::decode(&mut rest).ok()?;
    let _options = Vec::<u8>::decode(&mut rest).ok()?;
    let count = u32::decode(&mut rest).ok()?;
    let public = Vec::<u8>::decode(&mut rest).ok()?;
    let section = Zeroizing::new(Vec::<u8>::decode(&mut rest).ok()?);
    if cipher != "none" || count != 1 || !rest.is_empty() {
        return None;
    }
    read(&section, &KeyData::decode(&mut public.as_slice()).ok()?)
}

/// Opens an encrypted key. Slow: it derives the cipher's key once more.
pub(super) fn unlock(locked: &PrivateKey, passphrase: &str) -> Option<PrivateKey> {
    let cipher = locked.cipher();
    let (key, iv) = locked.kdf().derive_key_and_iv(cipher, passphrase).ok()?;
    let mut section = Zeroizing::new(locked.key_data().encrypted()?.to_vec());
    let tag = if cipher.has_tag() {
        // It is the end of the file.
        let whole = locked.to_bytes().ok()?;
        Some((*whole.last_chunk::<16>()?).into())
    } else {
        None
    };
    cipher.decrypt(&key, &iv, &mut section, tag).ok()?;
    read(&section, locked.public_key().key_data())
}

fn blob(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut base64 = Zeroizing::new(String::with_capacity(text.len()));
    let begun = text
        .lines()
        .skip_while(|line| *line != "-----BEGIN OPENSSH PRIVATE KEY-----");
    for line in begun.skip(1).take_while(|line| !line.starts_with("-----")) {
        base64.push_str(line);
    }
    STANDARD.decode(base64.as_bytes()).ok().map(Zeroizing::new)
}

/// Reads the private section, in clear: two equal numbers, the key, the comment.
fn read(section: &[u8], expected: &KeyData) -> Option<PrivateKey> {
    let mut rest = section;
    if u32::decode(&mut rest).ok()? != u32::decode(&mut rest).ok()? {
        return None;
    }
    let public = KeyData::decode(&mut rest).ok()?;
    if public != *expected {
        return None;
    }
    let KeyData::Ecdsa(EcdsaPublicKey::NistP256(public)) = public else {
        return None;
    };
    let number = Zeroizing::new(Vec::<u8>::decode(&mut rest).ok()?);
    let comment = String::decode(&mut rest).ok()?;
    let is_padding = |(index, byte): (usize, &u8)| usize::from(*byte) == index + 1;
    if rest.remaining_len() > MAX_PADDING || !rest.iter().enumerate().all(is_padding) {
        return None;
    }
    let mut secret = Zeroizing::new([0; 32]);
    let start = secret.len().checked_sub(number.len())?;
    secret.get_mut(start..)?.copy_from_slice(&number);
    let private = EcdsaPrivateKey::from(*secret);
    let pair = EcdsaKeypair::NistP256 { public, private };
    PrivateKey::new(KeypairData::Ecdsa(pair), comment).ok()
}

#[cfg(test)]
mod tests;
