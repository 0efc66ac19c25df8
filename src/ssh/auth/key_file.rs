//! Private key files: every common format, and a reason of its own for each
//! way in which a file is of no use.

mod short_ecdsa;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as STANDARD;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, PrivateKey, PublicKey, decode_secret_key, ssh_key};
use secrecy::{ExposeSecret as _, SecretString};

use crate::ssh::error::KeyProblem;

const MAX_SIZE: u64 = 64 * 1024;

/// A private key that is there, though perhaps still locked.
#[derive(Debug, Clone)]
pub(super) struct KeyFile {
    pub(super) path: PathBuf,
    pub(super) lock: Lock,
}

#[derive(Clone)]
pub(super) enum Lock {
    Open(Arc<PrivateKey>),
    /// Needs a passphrase. The public half may be known all the same, so that
    /// the server can be asked about it before the person is.
    Locked {
        text: SecretString,
        public: Option<PublicKey>,
    },
}

impl std::fmt::Debug for Lock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open(_) => "Open",
            Self::Locked { .. } => "Locked",
        })
    }
}

impl KeyFile {
    /// Reads a key file. `user` is who we are, as a number; nobody else's files
    /// have to be private. Blocks on the disk.
    pub(super) fn load(path: &Path, user: Option<&str>) -> Result<Self, KeyProblem> {
        let text = read_private(path, user)?;
        let lock = open(text, || public_beside(path))?;
        Ok(Self {
            path: path.to_owned(),
            lock,
        })
    }

    /// Whether both were read with the same content.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (&self.lock, &other.lock) {
            (Lock::Locked { text: a, .. }, Lock::Locked { text: b, .. }) => {
                self.path == other.path && a.expose_secret() == b.expose_secret()
            }
            (Lock::Open(_) | Lock::Locked { .. }, Lock::Open(_) | Lock::Locked { .. }) => false,
        }
    }

    pub(super) fn public(&self) -> Option<&PublicKey> {
        match &self.lock {
            Lock::Open(key) => Some(key.public_key()),
            Lock::Locked { public, .. } => public.as_ref(),
        }
    }

    /// Opens a locked key. Slow by design: not for the threads of the runtime.
    pub(super) fn unlock(&self, passphrase: &SecretString) -> Result<Arc<PrivateKey>, KeyProblem> {
        match &self.lock {
            Lock::Open(key) => Ok(key.clone()),
            Lock::Locked { text, .. } => {
                let (text, passphrase) = (text.expose_secret(), passphrase.expose_secret());
                let key = match PrivateKey::from_openssh(text) {
                    Ok(locked) => unlock_openssh(&locked, passphrase),
                    Err(_) => decode_secret_key(text, Some(passphrase)).ok(),
                };
                usable(key.ok_or(KeyProblem::PassphraseWrong)?).map(Arc::new)
            }
        }
    }
}

fn unlock_openssh(locked: &PrivateKey, passphrase: &str) -> Option<PrivateKey> {
    match locked.decrypt(passphrase) {
        Ok(key) => Some(key),
        // The passphrase fits, and what it opens is not understood.
        Err(ssh_key::Error::Encoding(_)) => short_ecdsa::unlock(locked, passphrase),
        Err(_) => None,
    }
}

/// The public key of a `.pub` file, or of any file that holds one.
pub(super) fn load_public(path: &Path) -> Option<PublicKey> {
    let text = read_text(path).ok()?;
    let text = text.expose_secret();
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let (key_type, base64) = (words.next()?, words.next()?);
        PublicKey::from_openssh(&format!("{key_type} {base64}")).ok()
    })
}

fn public_beside(path: &Path) -> Option<PublicKey> {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    load_public(Path::new(&name))
}

/// Whether an encrypted PKCS#8 file names PBES2 with AES, which is all that russh
/// reads; its error for the rest looks like a wrong passphrase.
fn is_modern_pkcs8(text: &str) -> bool {
    const PBES2: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
    const AES: [u8; 8] = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01];
    // The names come first: 144 bytes are more than enough for them.
    let body = text.lines().filter(|line| !line.starts_with("-----"));
    let start: String = body.flat_map(str::chars).take(192).collect();
    let whole = start.get(..start.len() / 4 * 4).unwrap_or_default();
    let Ok(der) = STANDARD.decode(whole) else {
        return false;
    };
    let names = |oid: &[u8]| der.windows(oid.len()).any(|window| window == oid);
    names(&PBES2) && names(&AES)
}

/// PuTTY shows the public half in front of the locked one.
fn putty_public(text: &str) -> Option<PublicKey> {
    let mut lines = text.lines();
    let kind = lines.next()?.strip_prefix("PuTTY-User-Key-File-")?;
    let kind = kind.split_once(": ")?.1;
    let count = lines.find_map(|line| line.strip_prefix("Public-Lines: "))?;
    let base64: String = lines.take(count.parse().ok()?).collect();
    PublicKey::from_openssh(&format!("{kind} {base64}")).ok()
}

#[cfg_attr(not(unix), expect(unused_variables, reason = "only Unix has modes"))]
fn read_private(path: &Path, user: Option<&str>) -> Result<SecretString, KeyProblem> {
    let text = read_text(path)?;
    #[cfg(unix)]
    if !looks_public(text.expose_secret()) {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        let metadata =
            std::fs::metadata(path).map_err(|error| KeyProblem::Unreadable(Arc::new(error)))?;
        let mode = metadata.permissions().mode() & 0o777;
        // As in ssh: somebody else's file is for its owner to protect.
        let ours = user.is_none_or(|user| user == metadata.uid().to_string());
        if ours && mode & 0o077 != 0 {
            return Err(KeyProblem::Permissions(mode));
        }
    }
    Ok(text)
}

fn read_text(path: &Path) -> Result<SecretString, KeyProblem> {
    let unreadable = |error| KeyProblem::Unreadable(Arc::new(error));
    // Asked by name first: opening a FIFO would wait for somebody to write.
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(KeyProblem::NotAFile);
    }
    if metadata.len() > MAX_SIZE {
        return Err(KeyProblem::TooLarge);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default() + 1);
    File::open(path)
        .and_then(|file| file.take(MAX_SIZE + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(KeyProblem::TooLarge);
    }
    let text = String::from_utf8(bytes).map_err(|_| KeyProblem::Unrecognised)?;
    // russh compares whole lines; a byte order mark or trailing blanks would hide the header.
    let tidy: Vec<&str> = text
        .trim_start_matches('\u{feff}')
        .lines()
        .map(str::trim_end)
        .collect();
    Ok(SecretString::from(tidy.join("\n")))
}

fn open(
    text: SecretString,
    public_beside: impl FnOnce() -> Option<PublicKey>,
) -> Result<Lock, KeyProblem> {
    let shown = text.expose_secret();
    if looks_public(shown) {
        return Err(KeyProblem::PublicKey);
    }
    let has = |words: &str| shown.contains(words);
    if has("-----BEGIN OPENSSH PRIVATE KEY-----") {
        let key = PrivateKey::from_openssh(shown)
            .ok()
            .or_else(|| short_ecdsa::open(shown))
            .ok_or(KeyProblem::Damaged)?;
        if !key.is_encrypted() {
            return usable(key).map(|key| Lock::Open(Arc::new(key)));
        }
        let public = Some(key.public_key().clone());
        usable(key)?;
        return Ok(Lock::Locked { text, public });
    }
    let locked = if has("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        if !is_modern_pkcs8(shown) {
            return Err(KeyProblem::OldEncryption);
        }
        true
    } else if has("PuTTY-User-Key-File-") {
        !shown.lines().any(|line| line == "Encryption: none")
    } else if has("Proc-Type: 4,ENCRYPTED") {
        // russh reads one of the old ciphers, and only around RSA keys.
        if !(has("-----BEGIN RSA PRIVATE KEY-----") && has("DEK-Info: AES-128-CBC")) {
            return Err(KeyProblem::OldEncryption);
        }
        true
    } else if has("-----BEGIN DSA PRIVATE KEY-----") {
        return Err(KeyProblem::UnsupportedType);
    } else if has("PRIVATE KEY-----") {
        false
    } else {
        return Err(KeyProblem::Unrecognised);
    };
    if locked {
        let public = putty_public(shown).or_else(public_beside);
        return Ok(Lock::Locked { text, public });
    }
    let key = decode_secret_key(shown, None).map_err(|_| KeyProblem::Damaged)?;
    usable(key).map(|key| Lock::Open(Arc::new(key)))
}

/// What a text was taken for. For fuzzing.
#[cfg(any(test, feature = "fuzzing"))]
#[derive(Debug, PartialEq, Eq)]
pub(in crate::ssh) enum KeySeen {
    Open,
    Locked { has_public: bool },
    Useless(String),
}

/// What a text would be taken for, were it a file with no other beside it. For fuzzing.
#[cfg(any(test, feature = "fuzzing"))]
pub(in crate::ssh) fn sniff(text: SecretString) -> KeySeen {
    match open(text, || None) {
        Ok(Lock::Open(_)) => KeySeen::Open,
        Ok(Lock::Locked { public, .. }) => KeySeen::Locked {
            has_public: public.is_some(),
        },
        Err(problem) => KeySeen::Useless(problem.to_string()),
    }
}

/// Whether this program can sign with the key.
fn usable(key: PrivateKey) -> Result<PrivateKey, KeyProblem> {
    match key.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } | Algorithm::Rsa { .. } => Ok(key),
        Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256 => Err(KeyProblem::SecurityKey),
        _ => Err(KeyProblem::UnsupportedType),
    }
}

fn looks_public(text: &str) -> bool {
    let first = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'))
        .unwrap_or_default();
    ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"]
        .iter()
        .any(|start| first.starts_with(start))
        || first.starts_with("---- BEGIN SSH2 PUBLIC KEY")
        || first.starts_with("-----BEGIN PUBLIC KEY")
        || first.starts_with("-----BEGIN RSA PUBLIC KEY")
}

/// Whether two public keys are the same key, whatever their comments.
pub(super) fn same(a: &PublicKey, b: &PublicKey) -> bool {
    let (a, b): (&KeyData, &KeyData) = (a.key_data(), b.key_data());
    a == b
}

#[cfg(test)]
mod tests;
