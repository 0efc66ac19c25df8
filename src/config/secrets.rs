//! Passwords, passphrases and API keys: in the vault while it is open, else in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secrecy::SecretString;

use super::error::{Error, Warning};
use super::profile::{AuthMethod, Profile, SshProfile};
use super::vault::{Address, Broken, Credential, NewEntry, Vault};

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

/// The secrets of this project's profiles. Clones share them.
///
/// What is set goes into the vault, and where that is not open, lives until the daemon ends.
/// A secret is bound to the address that its profile named when it was set. A profile's file is
/// part of the project and may change under us; the secret does not follow it elsewhere.
#[derive(Clone, Default)]
pub struct Secrets {
    session: Arc<Mutex<HashMap<String, BTreeMap<SecretField, Bound>>>>,
    vault: Option<Arc<Vault>>,
}

struct Bound {
    secret: SecretString,
    address: Address,
}

// === impl Secrets ===

impl Secrets {
    /// No secrets, and no vault to put any in.
    pub fn new() -> Self {
        Self::default()
    }

    /// The secrets of a vault, once it is opened.
    pub fn in_vault(vault: Vault) -> Self {
        Self {
            session: Arc::default(),
            vault: Some(Arc::new(vault)),
        }
    }

    /// The vault, if secrets have one to be kept in.
    pub fn vault(&self) -> Option<&Arc<Vault>> {
        self.vault.as_ref()
    }

    /// Notices what another process has put into the vault. Blocks for a moment.
    pub fn refresh(&self) {
        if let Some(vault) = &self.vault {
            vault.refresh();
        }
    }

    /// Opens the vault, and puts into it what was kept in memory so far. Blocks.
    ///
    /// # Errors
    /// [`Error::Vault`]: nothing has changed.
    pub fn unlock(&self, credential: Option<Credential>) -> Result<(), Error> {
        let Some(vault) = &self.vault else {
            return Err(Error::Vault(super::VaultProblem::NoVault));
        };
        vault.unlock(credential)?;
        // Not held while files are written: others read secrets meanwhile.
        let session = std::mem::take(&mut *self.lock());
        for (id, secrets) in session {
            let entries = secrets.iter().map(|(field, bound)| NewEntry {
                field: field.place(),
                secret: Some((bound.address.clone(), bound.secret.clone())),
            });
            if let Err(error) = vault.change(&id, entries.collect()) {
                tracing::warn!(%error, "secrets stay in memory");
                self.lock().entry(id).or_default().extend(secrets);
            }
        }
        Ok(())
    }

    /// Changes secrets of `profile`, and binds them to the addresses that `profile` names. Blocks
    /// where there is a vault.
    ///
    /// # Errors
    /// [`Error::Vault`]: what was set is kept in memory only, and what was cleared is still
    /// there.
    pub fn apply(
        &self,
        profile: &Profile,
        changes: impl IntoIterator<Item = (SecretField, Change<SecretString>)>,
    ) -> Result<Vec<Warning>, Error> {
        let mut entries = Vec::new();
        let mut set = Vec::new();
        let mut cleared = Vec::new();
        for (field, change) in changes {
            let field = field.normal();
            let secret = match change {
                Change::Keep => continue,
                Change::Clear => {
                    cleared.push(field.clone());
                    None
                }
                Change::Set(secret) => {
                    let address = Address::of(profile, &field);
                    set.push((field.clone(), secret.clone(), address.clone()));
                    Some((address, secret))
                }
            };
            entries.push(NewEntry {
                field: field.place(),
                secret,
            });
        }
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let kept = match &self.vault {
            Some(vault) if vault.is_open() => Some(vault.change(&profile.id, entries)),
            _ => None,
        };
        let mut session = self.lock();
        let secrets = session.entry(profile.id.clone()).or_default();
        for field in set.iter().map(|(field, ..)| field).chain(&cleared) {
            secrets.remove(field);
        }
        if let Some(Ok(())) = kept {
            return Ok(Vec::new());
        }
        let is_set = !set.is_empty();
        for (field, secret, address) in set {
            secrets.insert(field, Bound { secret, address });
        }
        drop(session);
        match (kept, &self.vault) {
            (Some(Err(problem)), _) => Err(problem.into()),
            (Some(Ok(())), _) | (None, None) => Ok(Vec::new()),
            (None, Some(vault)) => {
                let Some(problem) = vault.status().problem else {
                    return Ok(Vec::new());
                };
                let there = vault.fields(&profile.id);
                if cleared.iter().any(|field| there.contains(&field.place())) {
                    return Err(problem.into());
                }
                Ok(if is_set { vec![not_kept()] } else { Vec::new() })
            }
        }
    }

    /// A secret of `profile`; `None` if there is none, or if the vault is locked and the profile
    /// has other ways.
    ///
    /// # Errors
    /// [`Error::SecretBinding`] when it was set for another address than `profile` names;
    /// [`Error::Vault`] when it can't be read and nothing works without it.
    pub fn get(
        &self,
        profile: &Profile,
        field: &SecretField,
    ) -> Result<Option<SecretString>, Error> {
        let field = field.normal();
        let address = Address::of(profile, &field);
        if let Some(bound) = self.lock().get(&profile.id).and_then(|all| all.get(&field)) {
            return match bound.address == address {
                true => Ok(Some(bound.secret.clone())),
                false => Err(Error::SecretBinding { field }),
            };
        }
        let Some(vault) = &self.vault else {
            return Ok(None);
        };
        match vault.get(&profile.id, &field.place(), &address) {
            Ok(None) => Ok(None),
            Ok(Some(Ok(secret))) => Ok(Some(secret)),
            Ok(Some(Err(Broken))) => Err(Error::SecretBinding { field }),
            Err(problem) if field.is_needed(profile) => Err(problem.into()),
            Err(_) => Ok(None),
        }
    }

    /// Whether a secret is set, whatever address it is bound to.
    pub fn has(&self, id: &str, field: &SecretField) -> bool {
        self.fields(id).contains(&field.normal())
    }

    /// Which secrets of a profile are set, in order. Header names come in lower case.
    pub fn fields(&self, id: &str) -> Vec<SecretField> {
        let kept = self.vault.as_ref().map(|vault| vault.fields(id));
        let kept = kept.into_iter().flatten();
        let mut fields: BTreeSet<_> = kept
            .filter_map(|name| SecretField::from_name(&name))
            .collect();
        if let Some(secrets) = self.lock().get(id) {
            fields.extend(secrets.keys().cloned());
        }
        fields.into_iter().collect()
    }

    /// Drops all secrets of a profile. Blocks where there is a vault.
    ///
    /// # Errors
    /// [`Error::Vault`]: what was in the vault is still there.
    pub fn forget(&self, id: &str) -> Result<(), Error> {
        self.lock().remove(id);
        match &self.vault {
            Some(vault) => Ok(vault.forget(id)?),
            None => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, BTreeMap<SecretField, Bound>>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_kept() -> Warning {
    Warning::new(
        "",
        "The vault is locked, so the secrets that were entered now are kept only until the daemon \
         ends, or until it is unlocked.",
    )
}

/// How many, and nothing else.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count: usize = self.lock().values().map(BTreeMap::len).sum();
        write!(f, "Secrets({count} in memory)")
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

    /// In wire spelling, as the vault has it: `ssh.jumpHosts[1].password`.
    pub fn place(&self) -> String {
        match self {
            Self::Password => "ssh.password".to_owned(),
            Self::Passphrase => "ssh.passphrase".to_owned(),
            Self::ApiKey => "llm.apiKey".to_owned(),
            Self::Header(name) => format!("{HEADERS}{name}"),
            Self::HopPassword(hop) => format!("{HOPS}{hop}].password"),
            Self::HopPassphrase(hop) => format!("{HOPS}{hop}].passphrase"),
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        match name {
            "ssh.password" => return Some(Self::Password),
            "ssh.passphrase" => return Some(Self::Passphrase),
            "llm.apiKey" => return Some(Self::ApiKey),
            _ => {}
        }
        if let Some(header) = name.strip_prefix(HEADERS) {
            return Some(Self::Header(header.to_owned()));
        }
        let (hop, field) = name.strip_prefix(HOPS)?.split_once("].")?;
        let hop = hop.parse().ok()?;
        match field {
            "password" => Some(Self::HopPassword(hop)),
            "passphrase" => Some(Self::HopPassphrase(hop)),
            _ => None,
        }
    }

    /// Whether nothing works without it: agents and other keys need no vault.
    fn is_needed(&self, profile: &Profile) -> bool {
        let ssh = &profile.ssh;
        let by = |ssh: &SshProfile, method| ssh.auth_method == method;
        let hop_by =
            |hop: usize, method| ssh.jump_hosts.get(hop).is_some_and(|hop| by(hop, method));
        match self {
            Self::ApiKey | Self::Header(_) => true,
            Self::Password => by(ssh, AuthMethod::Password),
            Self::Passphrase => by(ssh, AuthMethod::PrivateKey),
            Self::HopPassword(hop) => hop_by(*hop, AuthMethod::Password),
            Self::HopPassphrase(hop) => hop_by(*hop, AuthMethod::PrivateKey),
        }
    }
}

// Of names in the vault.
const HEADERS: &str = "llm.secretHeaders.";
const HOPS: &str = "ssh.jumpHosts[";

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

    fn apply(
        secrets: &Secrets,
        profile: &Profile,
        field: SecretField,
        change: Change<SecretString>,
    ) {
        assert_eq!(secrets.apply(profile, [(field, change)]).unwrap(), []);
    }

    fn read(secrets: &Secrets, profile: &Profile, field: SecretField) -> Option<String> {
        let secret = secrets.get(profile, &field).unwrap()?;
        Some(secret.expose_secret().to_owned())
    }

    #[test]
    fn a_secret_is_set_kept_and_cleared() {
        let secrets = Secrets::new();
        let gpu = profile("gpu");
        apply(&secrets, &gpu, SecretField::Password, Change::Keep);
        assert_eq!(read(&secrets, &gpu, SecretField::Password), None);
        apply(&secrets, &gpu, SecretField::Password, set("p"));
        apply(&secrets, &gpu, SecretField::Password, Change::Keep);
        assert_eq!(
            read(&secrets, &gpu, SecretField::Password),
            Some("p".into())
        );
        assert_eq!(read(&secrets, &gpu, SecretField::Passphrase), None);
        apply(
            &secrets,
            &gpu,
            SecretField::Header("X-Key".into()),
            set("h"),
        );
        let header = SecretField::Header("x-kEY".into());
        assert_eq!(read(&secrets, &gpu, header.clone()), Some("h".into()));
        assert!(secrets.has("a", &header));
        apply(&secrets, &gpu, SecretField::Password, Change::Clear);
        assert_eq!(secrets.fields("a"), [SecretField::Header("x-key".into())]);
        secrets.forget("a").unwrap();
        assert_eq!(secrets.fields("a"), []);
    }

    #[test]
    fn a_secret_does_not_follow_its_profile_to_another_address() {
        let secrets = Secrets::new();
        let gpu = profile("gpu");
        apply(&secrets, &gpu, SecretField::Password, set("p"));
        apply(&secrets, &gpu, SecretField::ApiKey, set("k"));

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
        apply(
            &secrets,
            &profile("gpu"),
            SecretField::Password,
            set("canary"),
        );
        assert_eq!(format!("{secrets:?}"), "Secrets(1 in memory)");
        assert!(!format!("{:?}", set("canary")).contains("canary"));
    }
}
