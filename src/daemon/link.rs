//! What the daemon knows of each profile's way to its server: the connection's state, and the
//! client that keeps HTTP connections and remembers what the server is.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::SystemTime,
};

use tokio::sync::{Notify, watch};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    config::Profile,
    llm,
    protocol::{ConnectionState, ConnectionStatus, ConnectionStatusChanged, Notification},
    rpc::Outbound,
    ssh,
};

use super::status;

/// The client of one profile's LLM server.
pub(super) type Server = llm::Server<ssh::Error>;

/// Every profile's link.
#[derive(Debug)]
pub(super) struct Links {
    book: Mutex<Book>,
    changed: Arc<Notify>,
    /// How many changes the host knows of.
    told: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Book {
    links: HashMap<String, Link>,
    /// Profiles whose state the host has not been told yet.
    news: BTreeSet<String>,
    /// How many changes there were.
    changes: u64,
}

#[derive(Debug, Default)]
struct Link {
    status: Option<ConnectionStatus>,
    /// What the profile said, and the way to the machine that ssh_config made of it.
    found: Option<(ssh::Plan, ssh::Target)>,
    followed: Option<Followed>,
    /// With the profile that it was made for.
    server: Option<(Arc<Profile>, Server)>,
    discovery: Option<Discovered>,
    /// Held by whoever asks the server what it is.
    asking: Arc<tokio::sync::Mutex<()>>,
    answered: Option<SystemTime>,
}

/// What a server was found to be.
#[derive(Debug)]
struct Discovered {
    at: SystemTime,
    /// Of the connection it was found on: behind another one there may be another server.
    lifetime: ssh::Lifetime,
    found: llm::Discovery,
}

/// The connection that a profile goes by.
#[derive(Debug)]
struct Followed {
    target: ssh::Target,
    /// As long as somebody has this, a lost connection is made again by itself.
    state: watch::Receiver<ssh::State>,
    _task: AbortOnDropHandle<()>,
}

impl Links {
    /// No links; their news go to `outbound`, the newest state only when the host is slow.
    pub(super) fn new(outbound: Outbound) -> Arc<Self> {
        let (told, _) = watch::channel(0);
        let links = Arc::new(Self {
            book: Mutex::default(),
            changed: Arc::default(),
            told,
        });
        tokio::spawn(tell(
            Arc::downgrade(&links),
            Arc::clone(&links.changed),
            outbound,
        ));
        links
    }

    /// Waits until the host has been told of every change so far, so that a reply can come
    /// after the news it caused.
    pub(super) async fn told(&self) {
        let changes = self.lock().changes;
        let mut told = self.told.subscribe();
        // The sender is ours, so it lives.
        let _ = told.wait_for(|&told| told >= changes).await;
    }

    /// A profile's connection as it is now.
    pub(super) fn status(&self, config_id: &str) -> ConnectionStatus {
        self.look(config_id);
        self.lock()
            .links
            .get(config_id)
            .and_then(|link| link.status.clone())
            .unwrap_or_else(|| status::plain(config_id, ConnectionState::Off))
    }

    /// From now on the profile's state is that of the connection to `target`.
    pub(super) fn follow(
        self: &Arc<Self>,
        config_id: &str,
        pool: &ssh::Pool,
        target: &ssh::Target,
    ) {
        let mut book = self.lock();
        let link = book.links.entry(config_id.to_owned()).or_default();
        let follows = |followed: &Followed| {
            followed.target.shares_connection(target) && followed.state.has_changed().is_ok()
        };
        if link.followed.as_ref().is_some_and(follows) {
            return;
        }
        let state = pool.watch(target);
        let following = follow(Arc::downgrade(self), config_id.to_owned(), state.clone());
        link.followed = Some(Followed {
            target: target.clone(),
            state,
            _task: AbortOnDropHandle::new(tokio::spawn(following)),
        });
    }

    /// Takes over the state of the connection that the profile follows; `false`: it follows none.
    pub(super) fn look(&self, config_id: &str) -> bool {
        let status = {
            let book = self.lock();
            let followed = book
                .links
                .get(config_id)
                .and_then(|link| link.followed.as_ref());
            let Some(followed) = followed else {
                return false;
            };
            status::of(config_id, &followed.state.borrow())
        };
        self.set(status);
        true
    }

    /// The profile's way is being looked up, which is the beginning of a connect.
    pub(super) fn looking_up(self: &Arc<Self>, config_id: &str) -> LookingUp {
        match self.status(config_id).state {
            ConnectionState::Off | ConnectionState::Failed | ConnectionState::NeedsUser => {
                self.set(status::plain(config_id, ConnectionState::Connecting));
            }
            ConnectionState::Connecting
            | ConnectionState::Ready
            | ConnectionState::Reconnecting => {}
        }
        LookingUp {
            links: Arc::clone(self),
            config_id: config_id.to_owned(),
            failed: false,
        }
    }

    /// The way to the machine, as it was found last, whatever the profile says by now.
    pub(super) fn target(&self, config_id: &str) -> Option<ssh::Target> {
        let book = self.lock();
        let (_, target) = book.links.get(config_id)?.found.as_ref()?;
        Some(target.clone())
    }

    /// The way to the machine that was found last, if it was for this plan.
    pub(super) fn target_of(&self, config_id: &str, plan: &ssh::Plan) -> Option<ssh::Target> {
        let book = self.lock();
        let (known, target) = book.links.get(config_id)?.found.as_ref()?;
        known.is_like(plan).then(|| target.clone())
    }

    /// Remembers the way to the machine.
    pub(super) fn found(&self, config_id: &str, plan: ssh::Plan, target: ssh::Target) {
        let mut book = self.lock();
        book.links.entry(config_id.to_owned()).or_default().found = Some((plan, target));
    }

    /// The client of a profile's server, made when there is none for the profile as it is now.
    pub(super) fn server<F>(&self, profile: &Arc<Profile>, make: F) -> Server
    where
        F: FnOnce() -> Server,
    {
        let mut book = self.lock();
        let link = book.links.entry(profile.id.clone()).or_default();
        if let Some((of, server)) = &mut link.server {
            if of.ssh == profile.ssh && of.llm == profile.llm {
                // The rest of it may have changed, and is what the next prompts share.
                of.clone_from(profile);
                return server.clone();
            }
            // Another window saved it.
            link.discovery = None;
        }
        let server = make();
        if let Some(known) = &link.discovery {
            server.recall(&known.found);
        }
        link.server = Some((Arc::clone(profile), server.clone()));
        server
    }

    /// The profile, as all its prompts share it: one for each of a thousand would be a megabyte.
    pub(super) fn shared(&self, profile: &Profile) -> Arc<Profile> {
        let book = self.lock();
        let known = book.links.get(&profile.id);
        match known.and_then(|link| link.server.as_ref()) {
            Some((of, _)) if **of == *profile => Arc::clone(of),
            _ => Arc::new(profile.clone()),
        }
    }

    /// Forgets what was made of a profile that somebody else changed; its connection stays.
    pub(super) fn renew(&self, config_id: &str) {
        if let Some(link) = self.lock().links.get_mut(config_id) {
            link.server = None;
            link.discovery = None;
        }
    }

    /// What the server was last found to be, and when, on a connection that still lives.
    pub(super) fn discovery(&self, config_id: &str) -> Option<(SystemTime, llm::Discovery)> {
        let book = self.lock();
        let known = book.links.get(config_id)?.discovery.as_ref()?;
        (!known.lifetime.is_over()).then(|| (known.at, known.found.clone()))
    }

    /// Held by whoever asks the profile's server what it is.
    pub(super) fn asking(&self, config_id: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut book = self.lock();
        Arc::clone(&book.links.entry(config_id.to_owned()).or_default().asking)
    }

    /// Remembers what the server was found to be just now, on a connection of this lifetime.
    pub(super) fn discovered(
        &self,
        config_id: &str,
        found: llm::Discovery,
        lifetime: ssh::Lifetime,
    ) {
        let mut book = self.lock();
        let link = book.links.entry(config_id.to_owned()).or_default();
        // It may have been another client that asked.
        if let Some((_, server)) = &link.server {
            server.recall(&found);
        }
        let at = SystemTime::now();
        link.discovery = Some(Discovered {
            at,
            lifetime,
            found,
        });
        link.answered = Some(at);
    }

    /// Remembers that the server answered just now.
    pub(super) fn answered(&self, config_id: &str) {
        self.lock()
            .links
            .entry(config_id.to_owned())
            .or_default()
            .answered = Some(SystemTime::now());
    }

    /// When the server last answered.
    pub(super) fn last_answered(&self, config_id: &str) -> Option<SystemTime> {
        self.lock().links.get(config_id)?.answered
    }

    /// Forgets everything about a profile that is gone.
    pub(super) fn forget(&self, config_id: &str) {
        let mut book = self.lock();
        book.links.remove(config_id);
        book.news.remove(config_id);
    }

    fn set(&self, mut status: ConnectionStatus) {
        {
            let mut book = self.lock();
            let config_id = status.config_id.clone();
            let link = book.links.entry(config_id.clone()).or_default();
            let known = link.status.as_ref();
            let is_news = match known {
                Some(known) => status::is_news(known, &status),
                None => status.state != ConnectionState::Off,
            };
            if let Some(known) = known
                && known.state == status.state
            {
                status.since.clone_from(&known.since);
            }
            link.status = Some(status);
            if !is_news {
                return;
            }
            book.news.insert(config_id);
            book.changes += 1;
        }
        self.changed.notify_one();
    }

    /// The newest states that the host does not know, and how many changes that covers.
    fn take_news(&self) -> (u64, Vec<ConnectionStatus>) {
        let mut book = self.lock();
        let news = std::mem::take(&mut book.news);
        let news = news
            .into_iter()
            .filter_map(|config_id| book.links.get(&config_id)?.status.clone())
            .collect();
        (book.changes, news)
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connect from its very beginning. At its end, whatever that is, the profile's state is again
/// that of the connection it follows.
pub(super) struct LookingUp {
    links: Arc<Links>,
    config_id: String,
    failed: bool,
}

impl LookingUp {
    /// There is no way.
    pub(super) fn failed(mut self, error: &ssh::Error) {
        let state = ssh::State::after(error.clone());
        self.links.set(status::of(&self.config_id, &state));
        self.failed = true;
    }
}

impl Drop for LookingUp {
    fn drop(&mut self) {
        if self.failed {
            return;
        }
        if !self.links.look(&self.config_id) {
            let off = status::plain(&self.config_id, ConnectionState::Off);
            self.links.set(off);
        }
    }
}

/// Passes the changes of a connection's state on, until it has no owner any more.
async fn follow(links: Weak<Links>, config_id: String, mut state: watch::Receiver<ssh::State>) {
    while state.changed().await.is_ok() {
        let Some(links) = links.upgrade() else { return };
        links.look(&config_id);
    }
}

/// Tells the host of changes, as long as there are links and a host.
async fn tell(links: Weak<Links>, changed: Arc<Notify>, outbound: Outbound) {
    loop {
        changed.notified().await;
        let Some((changes, news)) = links.upgrade().map(|links| links.take_news()) else {
            return;
        };
        for status in news {
            if outbound
                .notify(ConnectionStatusChanged::METHOD, &status)
                .await
                .is_err()
            {
                // Nobody waits for a host that is gone.
                if let Some(links) = links.upgrade() {
                    links.told.send_replace(u64::MAX);
                }
                return;
            }
        }
        let Some(links) = links.upgrade() else { return };
        links.told.send_replace(changes);
    }
}
