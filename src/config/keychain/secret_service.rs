//! freedesktop.org's Secret Service, as GNOME's keyring, KWallet and KeePassXC serve it.
//!
//! A secret goes over the bus as it is, which is a socket of this user: who can listen there can
//! ask the service himself.

pub(in crate::config) mod dbus;

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;

use super::{ANSWER, Answer, Entries, KeychainProblem, PERSON, SERVICE};
use dbus::{Body, Bus, Failure, Malformed, Method, Places, Writer};

const DESTINATION: &str = "org.freedesktop.secrets";
const PATH: &str = "/org/freedesktop/secrets";
/// The object that is none.
const NOTHING: &str = "/";
/// The collection that programs put secrets into.
const DEFAULT: &str = "default";

/// The Secret Service on the session's bus.
pub(super) struct SecretService {
    places: Places,
    /// For each answer of the service.
    answer: Duration,
    /// For a person's.
    person: Duration,
}

/// A conversation with the service.
struct Session<'a> {
    bus: Bus,
    service: &'a SecretService,
    path: String,
}

impl SecretService {
    /// On the bus that these variables name. Nothing is opened yet.
    pub(super) fn at(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            places: Places::of_session(variable),
            answer: ANSWER,
            person: PERSON,
        }
    }

    async fn session(&self) -> Result<Session<'_>, KeychainProblem> {
        if self.places.is_empty() {
            let reason = "there is no message bus of a session (DBUS_SESSION_BUS_ADDRESS and \
                          XDG_RUNTIME_DIR are not set)";
            return Err(KeychainProblem::unavailable(reason));
        }
        let connected = timeout(self.answer, self.places.connect()).await;
        let bus = connected.map_err(|_| silent("the session's message bus"))?;
        let bus = bus.map_err(|error| {
            KeychainProblem::unavailable(format!("the session's message bus: {error}"))
        })?;
        let mut session = Session {
            bus,
            service: self,
            path: String::new(),
        };
        let opened = session
            .service("OpenSession", "sv", |arguments| {
                arguments.text("plain").signature("s").text("");
            })
            .await?;
        let mut opened = opened.read("vo")?;
        // What a plain session answers besides: an empty text.
        opened.signature()?;
        opened.text()?;
        session.path = opened.text()?.to_owned();
        Ok(session)
    }
}

impl Entries for SecretService {
    fn get<'a>(&'a self, account: &'a str) -> Answer<'a, Option<SecretString>> {
        Box::pin(async move {
            let mut session = self.session().await?;
            match session.find(account).await? {
                Some(item) => session.read(&item).await.map(Some),
                None => Ok(None),
            }
        })
    }

    fn add<'a>(&'a self, account: &'a str, secret: &'a SecretString) -> Answer<'a, ()> {
        Box::pin(async move { self.session().await?.create(account, secret).await })
    }

    fn remove<'a>(&'a self, account: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut session = self.session().await?;
            let Some(item) = session.find(account).await? else {
                return Ok(());
            };
            let deleted = session.item(&item, "Delete", "", |_| {}).await?;
            let prompt = deleted.read("o")?.text()?.to_owned();
            session.prompt(&prompt).await
        })
    }
}

impl Session<'_> {
    /// An entry that is not locked, or that a person has just unlocked.
    async fn find(&mut self, account: &str) -> Result<Option<String>, KeychainProblem> {
        if let Some(item) = self.search(account).await? {
            return Ok(Some(item));
        }
        // Some services show nothing of what is locked: an entry is gone only where all is open.
        match self.collection().await? {
            Some(collection) if self.is_locked(&collection).await? => {
                self.unlock(&[collection]).await?;
                self.search(account).await
            }
            Some(_) | None => Ok(None),
        }
    }

    async fn search(&mut self, account: &str) -> Result<Option<String>, KeychainProblem> {
        let found = self
            .service("SearchItems", "a{ss}", |arguments| {
                attributes(arguments, account);
            })
            .await?;
        let mut found = found.read("aoao")?;
        let (open, locked) = (found.texts()?, found.texts()?);
        if let Some(item) = open.into_iter().next() {
            return Ok(Some(item));
        }
        let Some(item) = locked.into_iter().next() else {
            return Ok(None);
        };
        self.unlock(std::slice::from_ref(&item)).await?;
        Ok(Some(item))
    }

    async fn read(&mut self, item: &str) -> Result<SecretString, KeychainProblem> {
        let session = self.path.clone();
        let answer = self
            .item(item, "GetSecret", "o", |arguments| {
                arguments.text(&session);
            })
            .await?;
        let mut secret = answer.read("(oayays)")?;
        secret.structure()?;
        secret.text()?;
        secret.bytes()?;
        let text = std::str::from_utf8(secret.bytes()?);
        // Whatever is in there, it is no key of ours.
        Ok(text.unwrap_or_default().into())
    }

    async fn create(
        &mut self,
        account: &str,
        secret: &SecretString,
    ) -> Result<(), KeychainProblem> {
        let collection = match self.collection().await? {
            Some(collection) => collection,
            None => self.create_collection().await?,
        };
        if self.is_locked(&collection).await? {
            self.unlock(std::slice::from_ref(&collection)).await?;
        }
        let session = self.path.clone();
        let method = Method {
            destination: DESTINATION,
            path: &collection,
            interface: "org.freedesktop.Secret.Collection",
            member: "CreateItem",
        };
        let created = self
            .call(method, "a{sv}(oayays)b", |arguments| {
                arguments.array(8, |properties| {
                    let label = properties.structure();
                    label.text("org.freedesktop.Secret.Item.Label");
                    label
                        .signature("s")
                        .text("puffin-remote-llm: key of the vault");
                    let names = properties.structure();
                    names.text("org.freedesktop.Secret.Item.Attributes");
                    attributes(names.signature("a{ss}"), account);
                });
                let wrapped = arguments.structure().text(&session).bytes(b"");
                wrapped.bytes(secret.expose_secret().as_bytes());
                // Nothing is replaced: there is no such entry.
                wrapped.text("text/plain").truth(false);
            })
            .await?;
        let mut created = created.read("oo")?;
        created.text()?;
        let prompt = created.text()?.to_owned();
        self.prompt(&prompt).await
    }

    /// Where new entries go; `None`: there is no such place yet.
    async fn collection(&mut self) -> Result<Option<String>, KeychainProblem> {
        let found = self
            .service("ReadAlias", "s", |arguments| {
                arguments.text(DEFAULT);
            })
            .await?;
        let path = found.read("o")?.text()?.to_owned();
        Ok((path != NOTHING).then_some(path))
    }

    /// Of somebody who never kept a secret. The service asks for a password for it.
    async fn create_collection(&mut self) -> Result<String, KeychainProblem> {
        let created = self
            .service("CreateCollection", "a{sv}s", |arguments| {
                arguments.array(8, |properties| {
                    let label = properties.structure();
                    label.text("org.freedesktop.Secret.Collection.Label");
                    label.signature("s").text("Default");
                });
                arguments.text(DEFAULT);
            })
            .await?;
        let mut created = created.read("oo")?;
        created.text()?;
        let prompt = created.text()?.to_owned();
        self.prompt(&prompt).await?;
        self.collection().await?.ok_or(KeychainProblem::Refused)
    }

    async fn is_locked(&mut self, collection: &str) -> Result<bool, KeychainProblem> {
        let method = Method {
            destination: DESTINATION,
            path: collection,
            interface: "org.freedesktop.DBus.Properties",
            member: "Get",
        };
        let value = self
            .call(method, "ss", |arguments| {
                let interface = "org.freedesktop.Secret.Collection";
                arguments.text(interface).text("Locked");
            })
            .await?;
        let mut value = value.read("v")?;
        match value.signature()? {
            "b" => Ok(value.truth()?),
            _ => Err(Malformed.into()),
        }
    }

    async fn unlock(&mut self, paths: &[String]) -> Result<(), KeychainProblem> {
        let unlocked = self
            .service("Unlock", "ao", |arguments| {
                arguments.array(4, |array| {
                    for path in paths {
                        array.text(path);
                    }
                });
            })
            .await?;
        let mut unlocked = unlocked.read("aoo")?;
        let (open, prompt) = (unlocked.texts()?, unlocked.text()?.to_owned());
        match prompt == NOTHING && open.is_empty() {
            true => Err(KeychainProblem::Refused),
            false => self.prompt(&prompt).await,
        }
    }

    /// Lets the service ask a person, if it wants to, and waits for them.
    async fn prompt(&mut self, path: &str) -> Result<(), KeychainProblem> {
        if path == NOTHING {
            return Ok(());
        }
        let interface = "org.freedesktop.Secret.Prompt";
        self.bus.subscribe(path, interface, "Completed").await?;
        let method = Method {
            destination: DESTINATION,
            path,
            interface,
            member: "Prompt",
        };
        self.call(method, "s", |arguments| {
            arguments.text("");
        })
        .await?;
        let completed = self.bus.signal(path, interface, "Completed");
        let completed = timeout(self.service.person, completed).await;
        let completed = completed.map_err(|_| KeychainProblem::TimedOut)??;
        match completed.read("bv")?.truth()? {
            true => Err(KeychainProblem::Refused),
            false => Ok(()),
        }
    }

    async fn service(
        &mut self,
        member: &str,
        signature: &str,
        arguments: impl FnOnce(&mut Writer),
    ) -> Result<Body, KeychainProblem> {
        let method = Method {
            destination: DESTINATION,
            path: PATH,
            interface: "org.freedesktop.Secret.Service",
            member,
        };
        self.call(method, signature, arguments).await
    }

    async fn item(
        &mut self,
        path: &str,
        member: &str,
        signature: &str,
        arguments: impl FnOnce(&mut Writer),
    ) -> Result<Body, KeychainProblem> {
        let method = Method {
            destination: DESTINATION,
            path,
            interface: "org.freedesktop.Secret.Item",
            member,
        };
        self.call(method, signature, arguments).await
    }

    async fn call(
        &mut self,
        method: Method<'_>,
        signature: &str,
        arguments: impl FnOnce(&mut Writer),
    ) -> Result<Body, KeychainProblem> {
        let answer = self.bus.call(method, signature, arguments);
        let answer = timeout(self.service.answer, answer).await;
        Ok(answer.map_err(|_| silent("the Secret Service"))??)
    }
}

/// What finds an entry, in the names that the keyring crate uses.
fn attributes(arguments: &mut Writer, account: &str) {
    arguments.array(8, |pairs| {
        pairs.structure().text("service").text(SERVICE);
        pairs.structure().text("username").text(account);
    });
}

fn silent(who: &str) -> KeychainProblem {
    KeychainProblem::unavailable(format!("{who} does not answer"))
}

impl From<Failure> for KeychainProblem {
    fn from(failure: Failure) -> Self {
        const OF_BUS: &str = "org.freedesktop.DBus.Error.";
        match failure {
            Failure::Connection(error) => {
                Self::unavailable(format!("the session's message bus: {error}"))
            }
            Failure::Error(name) => match name.strip_prefix(OF_BUS) {
                Some("ServiceUnknown" | "NameHasNoOwner") => {
                    Self::unavailable("nobody serves org.freedesktop.secrets in this session")
                }
                // It could not be started, ended in the middle, or does not answer the bus.
                Some(what)
                    if what.starts_with("Spawn")
                        || matches!(what, "NoReply" | "TimedOut" | "Disconnected") =>
                {
                    Self::unavailable(format!("the Secret Service does not run ({what})"))
                }
                _ if name == "org.freedesktop.Secret.Error.IsLocked" => Self::Refused,
                _ => Self::failed(name),
            },
        }
    }
}

impl From<Malformed> for KeychainProblem {
    fn from(_: Malformed) -> Self {
        Self::failed("its answer is not understood")
    }
}
