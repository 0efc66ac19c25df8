//! What is known of a vault's files, and how it comes to be known: by reading them, by making
//! them, or by putting a damaged one aside.

use std::sync::Arc;

use uuid::Uuid;

use super::VaultStatus;
use super::cipher::Key;
use super::document::{Document, Entry, Unreadable};
use super::key::{Credential, Kek};
use super::place::{Content, Held, Place, Which};
use super::problem::{KeySource, VaultProblem};
use crate::config::private::Stamp;

/// What a vault is opened with.
#[derive(Debug, Clone, Default)]
pub(super) struct Opener {
    credential: Option<Credential>,
    /// Made of the credential; a passphrase is not stretched twice.
    kek: Option<Kek>,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// `None`: no file, or one that could not be read.
    pub(super) stamp: Option<Stamp>,
    pub(super) state: State,
    pub(super) recovered: bool,
}

#[derive(Debug, Default)]
pub(super) enum State {
    /// There is no vault, and nothing to make one with.
    #[default]
    None,
    Locked {
        problem: VaultProblem,
        /// `None`: it can't be read at all.
        document: Option<Document>,
    },
    Open(Open),
}

/// An open vault. Its document was vouched for.
#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) document: Document,
    pub(super) kek: Kek,
    pub(super) dek: Key,
}

/// A file is damaged.
#[derive(Debug)]
struct Damaged;

/// Which key of the system's store a vault wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The one that it was made with, by the key's id.
    Key([u8; 8]),
    /// A new one: there is no vault.
    New,
    /// None: it opens with something else, or can't be read.
    Nothing,
}

/// Looks at the files only, as [`find`] would.
pub(super) fn wanted(place: &Place) -> Result<Wanted, VaultProblem> {
    let mut wanted = Wanted::New;
    for which in [Which::Main, Which::Backup] {
        let Some(content) = place.read(which)? else {
            continue;
        };
        match Document::parse(&content.bytes) {
            Ok(Document { key, .. }) if key.source == KeySource::Keychain => {
                return Ok(Wanted::Key(key.kek_id.0));
            }
            Ok(_) | Err(Unreadable::TooNew { .. }) => return Ok(Wanted::Nothing),
            // It is looked at the backup next.
            Err(Unreadable::Corrupt) => wanted = Wanted::Nothing,
        }
    }
    Ok(wanted)
}

/// Reads the files. Makes them where there are none, and mends them where one is damaged.
pub(super) fn find(place: &Place, opener: &mut Opener) -> Result<Found, VaultProblem> {
    match place.read(Which::Main)? {
        Some(content) => {
            if let Ok(state) = read(&content.bytes, opener) {
                return Ok(Found::of(content.stamp, state));
            }
        }
        None if opener.credential.is_none() && place.read(Which::Backup)?.is_none() => {
            return Ok(Found::default());
        }
        None => {}
    }
    let held = place.hold()?;
    find_held(place, &held, opener)
}

/// The newest content, for who is about to write.
pub(super) fn latest(
    place: &Place,
    held: &Held<'_>,
    opener: &mut Opener,
    known: &Arc<Found>,
) -> Result<Found, VaultProblem> {
    match &known.state {
        State::Open(open) if known.stamp.is_some() && known.stamp == place.stamp() => {
            Ok(Found::of_known(known, open.clone()))
        }
        _ => find_held(place, held, opener),
    }
}

fn find_held(place: &Place, held: &Held<'_>, opener: &mut Opener) -> Result<Found, VaultProblem> {
    let main = place.read(Which::Main)?;
    if let Some(content) = &main
        && let Ok(state) = read(&content.bytes, opener)
    {
        return Ok(Found::of(content.stamp.clone(), state));
    }
    let backup = place.read(Which::Backup)?;
    match backup {
        Some(Content { bytes, .. }) => match read(&bytes, opener) {
            Ok(state) => restore(held, &bytes, state),
            Err(Damaged) => put_aside(held),
        },
        None if main.is_some() => put_aside(held),
        None => make(place, held, opener),
    }
}

/// The backup is good, the file is not, or is not there.
fn restore(held: &Held<'_>, bytes: &[u8], state: State) -> Result<Found, VaultProblem> {
    if let State::Locked {
        problem: VaultProblem::KeyMismatch { .. } | VaultProblem::TooNew { .. },
        ..
    } = state
    {
        // Whether it is the right one is not known: both stay as they are.
        return Ok(Found {
            state,
            ..Found::default()
        });
    }
    held.put_aside(Which::Main, "corrupt")?;
    let stamp = held.restore(bytes)?;
    tracing::warn!("the vault's file was damaged; the one before it is used");
    Ok(Found {
        recovered: true,
        ..Found::of(stamp, state)
    })
}

/// Neither is good.
fn put_aside(held: &Held<'_>) -> Result<Found, VaultProblem> {
    let backup = held.put_aside(Which::Backup, "corrupt")?;
    let main = held.put_aside(Which::Main, "corrupt")?;
    let aside = main.or(backup).unwrap_or_default();
    Ok(Found::failed(VaultProblem::Corrupt { aside }))
}

fn make(place: &Place, held: &Held<'_>, opener: &mut Opener) -> Result<Found, VaultProblem> {
    let Some(credential) = &opener.credential else {
        return Ok(Found::default());
    };
    if let Err(problem) = credential.check() {
        return Ok(Found::failed(problem));
    }
    let failed = || VaultProblem::io(place.path(Which::Main));
    let kek = credential.new_kek().map_err(failed())?;
    let dek = Key::random().map_err(failed())?;
    let vault_id = Uuid::new_v4().to_string();
    let slot = kek.wrap(&vault_id, &dek).map_err(failed())?;
    let mut document = Document::new(vault_id, slot);
    document.seal(&dek);
    let stamp = held.replace(&document.bytes())?;
    opener.know(&kek);
    let open = Open { document, kek, dek };
    Ok(Found::open(stamp, open))
}

fn read(bytes: &[u8], opener: &mut Opener) -> Result<State, Damaged> {
    let locked = |problem, document| State::Locked { problem, document };
    let document = match Document::parse(bytes) {
        Ok(document) => document,
        Err(Unreadable::Corrupt) => return Err(Damaged),
        Err(Unreadable::TooNew { version }) => {
            return Ok(locked(VaultProblem::TooNew { version }, None));
        }
    };
    let opened = opener.kek_for(&document).and_then(|kek| {
        let dek = kek.unwrap(&document.vault_id, &document.key)?;
        Ok((kek, dek))
    });
    match opened {
        Err(problem) => Ok(locked(problem, Some(document))),
        Ok((kek, Some(dek))) if document.verify(&dek) => {
            opener.know(&kek);
            Ok(State::Open(Open { document, kek, dek }))
        }
        Ok(_) => Err(Damaged),
    }
}

impl Opener {
    pub(super) fn new(credential: Option<Credential>) -> Self {
        Self {
            credential,
            kek: None,
        }
    }

    pub(super) fn source(&self) -> Option<KeySource> {
        self.credential.as_ref().map(Credential::source)
    }

    pub(super) fn know(&mut self, kek: &Kek) {
        self.kek = Some(kek.clone());
    }

    fn kek_for(&self, document: &Document) -> Result<Kek, VaultProblem> {
        let slot = &document.key;
        match (&self.kek, &self.credential) {
            (Some(kek), _)
                if kek.source == slot.source
                    && kek.kdf == slot.kdf
                    && (kek.source != KeySource::Keychain || kek.id() == slot.kek_id.0) =>
            {
                Ok(kek.clone())
            }
            (_, Some(credential)) => credential.kek_for(slot),
            (_, None) => Err(VaultProblem::Locked { needs: slot.source }),
        }
    }
}

impl Found {
    fn of(stamp: Stamp, state: State) -> Self {
        Self {
            stamp: Some(stamp),
            state,
            recovered: false,
        }
    }

    fn of_known(known: &Self, open: Open) -> Self {
        Self {
            stamp: known.stamp.clone(),
            state: State::Open(open),
            recovered: known.recovered,
        }
    }

    pub(super) fn open(stamp: Stamp, open: Open) -> Self {
        Self::of(stamp, State::Open(open))
    }

    pub(super) fn failed(problem: VaultProblem) -> Self {
        let document = None;
        Self {
            state: State::Locked { problem, document },
            ..Self::default()
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Whether it may be changed. A new vault is made when one is opened, and not by a change.
    pub(super) fn check_open(&self) -> Result<(), VaultProblem> {
        match &self.state {
            State::Open(_) => Ok(()),
            State::Locked { problem, .. } => Err(problem.clone()),
            State::None => Err(VaultProblem::NoVault),
        }
    }

    /// The open vault, to be changed.
    pub(super) fn into_open(self) -> Result<Open, VaultProblem> {
        match self.state {
            State::Open(open) => Ok(open),
            State::Locked { problem, .. } => Err(problem),
            State::None => Err(VaultProblem::NoVault),
        }
    }

    pub(super) fn document(&self) -> Option<&Document> {
        match &self.state {
            State::None => None,
            State::Locked { document, .. } => document.as_ref(),
            State::Open(open) => Some(&open.document),
        }
    }

    pub(super) fn entry(&self, owner: &str, field: &str) -> Option<&Entry> {
        self.document()?.entries.get(owner)?.get(field)
    }

    pub(super) fn status(&self) -> VaultStatus {
        let document = self.document();
        let key = document.map(|document| document.key.source);
        VaultStatus {
            vault_id: document.map(|document| document.vault_id.clone()),
            key,
            entries: document.map_or(0, Document::count),
            problem: match &self.state {
                State::Locked { problem, .. } => Some(problem.clone()),
                State::None | State::Open(_) => None,
            },
            recovered: self.recovered,
        }
    }
}
