//! What the daemon knows of each profile's way to its server: the connection's state, and the
//! client that keeps HTTP connections and remembers what the server is.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, SystemTime},
};

use tokio::sync::{Notify, watch};

use crate::{
    llm,
    protocol::{
        ConnectionState, ConnectionStatus, ConnectionStatusChanged, ErrorObject, Notification,
    },
    rpc::Outbound,
    ssh,
};

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
    /// The session that [`Links::ready`] saw; its end is being watched for.
    session: Option<ssh::Session>,
    server: Option<Server>,
    discovery: Option<(SystemTime, llm::Discovery)>,
    /// Held by whoever asks the server what it is.
    asking: Arc<tokio::sync::Mutex<()>>,
    answered: Option<SystemTime>,
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
        self.lock()
            .links
            .get(config_id)
            .and_then(|link| link.status.clone())
            .unwrap_or_else(|| status(config_id, ConnectionState::Off))
    }

    /// Nothing is connected, and nothing is wrong.
    pub(super) fn off(&self, config_id: &str) {
        self.set(status(config_id, ConnectionState::Off));
    }

    /// A connection is being made; `step` says how far it is.
    pub(super) fn connecting(&self, config_id: &str, step: String) {
        let step = Some(step).filter(|step| !step.is_empty());
        self.set(ConnectionStatus {
            step,
            ..status(config_id, ConnectionState::Connecting)
        });
    }

    /// A connection is there. `true`: the session is new to this profile, so the caller has
    /// to watch for its end and call [`Self::ended`].
    pub(super) fn ready(
        &self,
        config_id: &str,
        session: &ssh::Session,
        latency: Option<Duration>,
    ) -> bool {
        let new = {
            let mut book = self.lock();
            let link = book.links.entry(config_id.to_owned()).or_default();
            !link
                .session
                .replace(session.clone())
                .is_some_and(|known| known.is(session))
        };
        let known = self.status(config_id);
        if new || known.state != ConnectionState::Ready || latency.is_some() {
            let latency_ms = latency
                .map(|latency| latency.as_secs_f64() * 1e3)
                .or(known.latency_ms);
            self.set(ConnectionStatus {
                latency_ms,
                ..status(config_id, ConnectionState::Ready)
            });
        }
        new
    }

    /// A session ended; `error` when nobody here wanted it to.
    pub(super) fn ended(
        &self,
        config_id: &str,
        session: &ssh::Session,
        error: Option<ErrorObject>,
    ) {
        {
            let mut book = self.lock();
            let Some(link) = book.links.get_mut(config_id) else {
                return;
            };
            if !link.session.as_ref().is_some_and(|known| known.is(session)) {
                return;
            }
            link.session = None;
        }
        match error {
            Some(error) => self.failed(config_id, ConnectionState::Failed, error),
            None => self.off(config_id),
        }
    }

    /// Connecting did not work, or the connection was lost.
    pub(super) fn failed(&self, config_id: &str, state: ConnectionState, error: ErrorObject) {
        self.set(ConnectionStatus {
            error: Some(error),
            ..status(config_id, state)
        });
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

    /// The client of a profile's server, made when there is none.
    pub(super) fn server<F>(&self, config_id: &str, make: F) -> Server
    where
        F: FnOnce() -> Server,
    {
        let mut book = self.lock();
        let link = book.links.entry(config_id.to_owned()).or_default();
        link.server.get_or_insert_with(make).clone()
    }

    /// What the server was last found to be, and when.
    pub(super) fn discovery(&self, config_id: &str) -> Option<(SystemTime, llm::Discovery)> {
        self.lock().links.get(config_id)?.discovery.clone()
    }

    /// Held by whoever asks the profile's server what it is.
    pub(super) fn asking(&self, config_id: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut book = self.lock();
        Arc::clone(&book.links.entry(config_id.to_owned()).or_default().asking)
    }

    /// Remembers what the server was found to be just now.
    pub(super) fn discovered(&self, config_id: &str, discovery: llm::Discovery) {
        let mut book = self.lock();
        let link = book.links.entry(config_id.to_owned()).or_default();
        let now = SystemTime::now();
        link.discovery = Some((now, discovery));
        link.answered = Some(now);
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
            if let Some(known) = &link.status
                && known.state == status.state
                && known.step == status.step
                && known.latency_ms == status.latency_ms
                && known.error.as_ref().map(|error| &error.message)
                    == status.error.as_ref().map(|error| &error.message)
            {
                return;
            }
            if let Some(known) = &link.status
                && known.state == status.state
            {
                status.since.clone_from(&known.since);
            }
            link.status = Some(status);
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

fn status(config_id: &str, state: ConnectionState) -> ConnectionStatus {
    ConnectionStatus {
        config_id: config_id.to_owned(),
        state,
        step: None,
        latency_ms: None,
        retry_in_ms: None,
        error: None,
        since: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
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
