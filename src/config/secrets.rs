//! Passwords, passphrases and API keys of this session. Memory only.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secrecy::SecretString;

use super::error::Error;
use super::profile::{Profile, SshProfile};

/// Which secret of a profile.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretField {
    /// `ssh.password`
    Password,
    /// `ssh.passphrase`
    Passphrase,
    /// `llm.apiKey`
    ApiKey,
    /// `llm.secretHeaders`, by name. Names are compared without case.
    Header(String),
    /// `ssh.jumpHosts[n].password`
    HopPassword(usize),
    /// `ssh.jumpHosts[n].passphrase`
    HopPassphrase(usize),
}

/// What a write-only field asks for: absent keeps, `null` clears, a string sets.
#[derive(Debug, Clone, Default)]
pub enum Change<T> {
    /// Absent.
    #[default]
    Keep,
    /// `null`.
    Clear,
    /// A value.
    Set(T),
}

/// The secrets of this session, by profile. Clones share them; nothing is ever written.
///
/// A secret is bound to the address that its profile named when it was set. A profile's file is
/// part of the project and may change under us; the secret does not follow it elsewhere.
#[derive(Clone, Default)]
pub struct Secrets {
    profiles: Arc<Mutex<HashMap<String, BTreeMap<SecretField, Bound>>>>,
}

struct Bound {
    secret: SecretString,
    address: Address,
}

/// Where a secret may be sent.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    host: String,
    port: Option<u16>,
    username: Option<String>,
    /// For what goes to the LLM server.
    endpoint: Option<String>,
}

// === impl Secrets ===

impl Secrets {
    /// No secrets.
    pub fn new() -> Self {
        Self::default()
    }

    /// Changes one secret of `profile`, and binds it to the address that `profile` names.
    pub fn apply(&self, profile: &Profile, field: SecretField, change: Change<SecretString>) {
        let mut profiles = self.lock();
        match change {
            Change::Keep => {}
            Change::Clear => {
                if let Some(secrets) = profiles.get_mut(&profile.id) {
                    secrets.remove(&field.normal());
                }
            }
            Change::Set(secret) => {
                let address = Address::of(profile, &field);
                profiles
                    .entry(profile.id.clone())
                    .or_default()
                    .insert(field.normal(), Bound { secret, address });
            }
        }
    }

    /// A secret of `profile`; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::SecretBinding`] when it was set for another address than `profile` names.
    pub fn get(
        &self,
        profile: &Profile,
        field: &SecretField,
    ) -> Result<Option<SecretString>, Error> {
        let profiles = self.lock();
        let field = field.normal();
        let Some(bound) = profiles.get(&profile.id).and_then(|all| all.get(&field)) else {
            return Ok(None);
        };
        if bound.address != Address::of(profile, &field) {
            return Err(Error::SecretBinding { field });
        }
        Ok(Some(bound.secret.clone()))
    }

    /// Whether a secret is set, whatever address it is bound to.
    pub fn has(&self, id: &str, field: &SecretField) -> bool {
        self.lock()
            .get(id)
            .is_some_and(|secrets| secrets.contains_key(&field.normal()))
    }

    /// Which secrets of a profile are set, in order. Header names come in lower case.
    pub fn fields(&self, id: &str) -> Vec<SecretField> {
        self.lock()
            .get(id)
            .map(|secrets| secrets.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// Drops all secrets of a profile.
    pub fn forget(&self, id: &str) {
        self.lock().remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, BTreeMap<SecretField, Bound>>> {
        self.profiles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many, and nothing else.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count: usize = self.lock().values().map(BTreeMap::len).sum();
        write!(f, "Secrets({count})")
    }
}

// === impl Change ===

/// As a write-only field is read: absent, `null` or a value.
impl<T> From<Option<Option<T>>> for Change<T> {
    fn from(field: Option<Option<T>>) -> Self {
        match field {
            None => Self::Keep,
            Some(None) => Self::Clear,
            Some(Some(value)) => Self::Set(value),
        }
    }
}

// === impl SecretField ===

impl SecretField {
    fn normal(&self) -> Self {
        match self {
            Self::Header(name) => Self::Header(name.to_ascii_lowercase()),
            _ => self.clone(),
        }
    }
}

/// As in a sentence: "the password".
impl fmt::Display for SecretField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password => f.write_str("password"),
            Self::Passphrase => f.write_str("passphrase"),
            Self::ApiKey => f.write_str("API key"),
            Self::Header(_) => f.write_str("secret header"),
            Self::HopPassword(hop) => write!(f, "password of jump host {}", hop + 1),
            Self::HopPassphrase(hop) => write!(f, "passphrase of jump host {}", hop + 1),
        }
    }
}

// === impl Address ===

impl Address {
    fn of(profile: &Profile, field: &SecretField) -> Self {
        let ssh = &profile.ssh;
        match field {
            SecretField::Password | SecretField::Passphrase => Self::of_hop(Some(ssh)),
            SecretField::HopPassword(hop) | SecretField::HopPassphrase(hop) => {
                Self::of_hop(ssh.jump_hosts.get(*hop))
            }
            SecretField::ApiKey | SecretField::Header(_) => Self {
                endpoint: Some(profile.llm.api_endpoint.clone()),
                ..Self::of_hop(Some(ssh))
            },
        }
    }

    fn of_hop(hop: Option<&SshProfile>) -> Self {
        Self {
            host: hop.map(|hop| hop.host.clone()).unwrap_or_default(),
            port: hop.and_then(|hop| hop.port),
            username: hop.and_then(|hop| hop.username.clone()),
            endpoint: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn profile(host: &str) -> Profile {
        let mut profile = Profile {
            id: "a".into(),
            ..Profile::default()
        };
        profile.ssh.host = host.into();
        profile.llm.api_endpoint = "http://localhost".into();
        profile
    }

    fn set(text: &str) -> Change<SecretString> {
        Change::Set(text.into())
    }

    fn read(secrets: &Secrets, profile: &Profile, field: SecretField) -> Option<String> {
        let secret = secrets.get(profile, &field).unwrap()?;
        Some(secret.expose_secret().to_owned())
    }

    #[test]
    fn a_secret_is_set_kept_and_cleared() {
        let secrets = Secrets::new();
        let gpu = profile("gpu");
        secrets.apply(&gpu, SecretField::Password, Change::Keep);
        assert_eq!(read(&secrets, &gpu, SecretField::Password), None);
        secrets.apply(&gpu, SecretField::Password, set("p"));
        secrets.apply(&gpu, SecretField::Password, Change::Keep);
        assert_eq!(
            read(&secrets, &gpu, SecretField::Password),
            Some("p".into())
        );
        assert_eq!(read(&secrets, &gpu, SecretField::Passphrase), None);
        secrets.apply(&gpu, SecretField::Header("X-Key".into()), set("h"));
        let header = SecretField::Header("x-kEY".into());
        assert_eq!(read(&secrets, &gpu, header.clone()), Some("h".into()));
        assert!(secrets.has("a", &header));
        secrets.apply(&gpu, SecretField::Password, Change::Clear);
        assert_eq!(secrets.fields("a"), [SecretField::Header("x-key".into())]);
        secrets.forget("a");
        assert_eq!(secrets.fields("a"), []);
    }

    #[test]
    fn a_secret_does_not_follow_its_profile_to_another_address() {
        let secrets = Secrets::new();
        let gpu = profile("gpu");
        secrets.apply(&gpu, SecretField::Password, set("p"));
        secrets.apply(&gpu, SecretField::ApiKey, set("k"));

        let error = secrets.get(&profile("evil"), &SecretField::Password);
        assert!(matches!(error, Err(Error::SecretBinding { .. })));
        let mut moved = profile("gpu");
        moved.llm.api_endpoint = "http://10.0.0.1".into();
        assert_eq!(
            read(&secrets, &moved, SecretField::Password),
            Some("p".into())
        );
        let error = secrets.get(&moved, &SecretField::ApiKey);
        assert!(matches!(error, Err(Error::SecretBinding { .. })));
    }

    #[test]
    fn debug_shows_no_secret() {
        let secrets = Secrets::new();
        secrets.apply(&profile("gpu"), SecretField::Password, set("canary"));
        assert_eq!(format!("{secrets:?}"), "Secrets(1)");
        assert!(!format!("{:?}", set("canary")).contains("canary"));
    }
}
