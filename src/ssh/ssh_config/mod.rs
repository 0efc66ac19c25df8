//! What the user's OpenSSH configuration says about a host.
//!
//! Two ways, one result: `ssh -G` where there is an `ssh`, and our own reading of the
//! files otherwise. Both come to the same form (`found`), which `settings` expands.
//!
//! The way of a query: [`resolve`] → `system` (→ `dump`) or `parse` (→ `line`,
//! `criteria`, `value`, `include`) → `settings` (→ `token`, `jump`) → `warning`.
//!
//! # Where this differs from `ssh`
//!
//! Whichever way is taken:
//!
//! - Home is `$HOME`, not the account's: that is what our users mean, and where our other
//!   files are.
//! - A value that only repeats OpenSSH's default counts as not set, since `ssh -G` cannot
//!   tell; but for ServerAliveInterval 0, which somebody's bastion may need.
//! - A host of ProxyJump with blanks or characters that mean something to a shell is
//!   refused; `ssh` lets a shell take it apart. Quotes around the whole are taken away.
//! - `ssh -G` is run with `-N`, so ForkAfterAuthentication is no error: no session is opened.
//! - `%j` is known (OpenSSH has it since 9.6); `%C` is 9.2's, which has no `%j` in it.
//!
//! Without `ssh`:
//!
//! - `Match exec` is never run and does not hold: a file is read, not obeyed.
//! - CanonicalizeHostname asks no name server, and its final reading sees the name as it is.
//! - The values of directives without an effect here are judged only roughly (forwardings,
//!   RekeyLimit, IPQoS, LogLevel and the like); `ssh` would refuse more of them. Two of them
//!   (SyslogFacility, StreamLocalBindMask) count for `ssh` in blocks that do not.
//! - Directives younger than 9.2 are known by name. Younger attributes of Match (`tagged`,
//!   `localnetwork`, `command`, `version`, `sessiontype`) are refused, as 9.2 does.
//! - A comma in a comment after ProxyJump is no part of the list. (A bug of 9.2.)
//! - Of the names for ports, only `ssh` is known: /etc/services is not read.
//! - Defaults and lists of algorithms are those of 9.2, without what distributions patch:
//!   Debian lets a private group write a file, and asks every 300 s with BatchMode.
//! - Bytes that are not UTF-8 are replaced; folders, pipes and devices count as empty;
//!   `.` and `..` are never included; the number and the size of files have bounds.
//! - A first file that cannot be opened is told in a warning; `ssh` says nothing.

mod algorithm;
mod alias;
mod block;
mod broken;
mod criteria;
mod default;
mod directive;
mod disk;
mod dump;
mod found;
mod given;
mod include;
mod jump;
mod line;
mod name;
mod parse;
mod pattern;
mod problem;
mod settings;
mod system;
#[cfg(test)]
mod tests;
mod token;
mod value;
mod warning;

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

use self::broken::Subject;
use self::disk::Disk;
use self::found::Found;
use self::parse::{Owner, Root};
use self::system::{Answer, Sources};
use self::value::Values;
use super::Environment;

pub(super) use self::block::{Block, names_of_block, parse_block};
pub(super) use self::broken::BrokenPrograms;
pub(super) use self::default::is_usual_algorithm;
pub(super) use self::given::{parse_jump, parse_jumps};
pub(super) use self::jump::Jump;
pub(super) use self::name::{is_host, is_user};
pub use self::problem::Problem;
pub(super) use self::settings::{Settings, StrictHostKeyChecking};
pub(super) use self::value::Values as ConfigValues;

/// How long our own reading of the files may take.
const READING_LIMIT: Duration = Duration::from_secs(10);

/// A host as `ssh` would be given it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    pub host: String,
    /// `-p`
    pub port: Option<u16>,
    /// `-l`
    pub user: Option<String>,
}

/// Resolves a host. It may run `ssh -G`, and that what the user's `Match exec` names;
/// dropping the future ends those.
pub(super) async fn resolve(query: &Query, environment: &Environment) -> Result<Settings, Problem> {
    check(query)?;
    let found = match &environment.ssh_program {
        Some(program) => through_ssh(program, query, environment).await?,
        None => read(query, environment, Arc::new(default::compiled())).await?,
    };
    let system = system_alone(query, environment).await;
    let mut settings = settings::settle(&found, environment)?;
    settings.warnings = warning::sentences(&found, &system);
    Ok(settings)
}

/// The names that the user's and the system's files have for hosts, in order.
pub async fn aliases(environment: &Environment) -> Result<Vec<String>, Problem> {
    let environment = environment.clone();
    in_background(move || {
        let mut disk = Disk::new(environment.local_user.id.as_deref());
        alias::collect(&parse::roots(&environment), &environment, &mut disk)
    })
    .await
}

/// Host and user end up on command lines; `ssh` itself is as strict.
fn check(query: &Query) -> Result<(), Problem> {
    // `ssh` would take a user or an address out of these.
    let has_user = query.host.contains('@') || query.host.starts_with("ssh://");
    if !name::is_host(&query.host) || has_user {
        let host = super::text::sanitize(&query.host);
        return Err(Problem::Query(format!("\"{host}\" is not a host name")));
    }
    match &query.user {
        Some(user) if user.is_empty() || !name::is_user(user) => {
            let user = super::text::sanitize(user);
            Err(Problem::Query(format!("\"{user}\" is not a user name")))
        }
        Some(_) | None => Ok(()),
    }
}

/// Asks `ssh -G`; reads the files ourselves if it has no answer.
async fn through_ssh(
    program: &Path,
    query: &Query,
    environment: &Environment,
) -> Result<Found, Problem> {
    let defaults = match system::defaults(program, environment).await {
        Ok(defaults) => defaults,
        Err(reason) => return without_ssh(&reason, query, environment).await,
    };
    // What -G cannot tell: what was written although it is the default, and where a path ends.
    let read = read(query, environment, defaults.clone()).await;
    let file = match stand_in(environment).await? {
        Ok(Some(_)) if is_for_this_home(&read, environment) => return read,
        Ok(file) => file,
        Err(reason) => return without_ssh(&reason, query, environment).await,
    };
    let sources = file
        .as_ref()
        .map_or(Sources::Usual, |file| Sources::File(file.path()));
    let subject = Subject::host(program, &query.host);
    let known = environment
        .memory
        .broken_ssh()
        .reason(&subject, Instant::now());
    if let Some(reason) = known {
        return without_ssh(&reason, query, environment).await;
    }
    let dump = match system::ask(program, query, sources, environment).await {
        Answer::Resolved(dump) => dump,
        Answer::Refused(problem) => return Err(problem),
        Answer::Unusable(reason) => {
            environment
                .memory
                .broken_ssh()
                .remember(subject, &reason, Instant::now());
            return without_ssh(&reason, query, environment).await;
        }
    };
    let mut values = dump.values.without(&defaults);
    values.0.remove("ignoreunknown");
    let keeps_host_key_order = algorithm::keeps_order(&values, read.as_ref().ok(), &defaults);
    let mut is_keepalive_off = false;
    let mut notes = Vec::new();
    if let Ok(read) = read {
        settings::split_alike(&mut values, &read, environment);
        is_keepalive_off = read.is_keepalive_off && values.all("serveraliveinterval").is_none();
        notes = read.notes;
    }
    Ok(Found {
        original: query.host.clone(),
        host: dump.host,
        port: dump.port,
        user: Some(dump.user),
        values,
        is_expanded: true,
        is_keepalive_off,
        keeps_host_key_order,
        is_canonicalized: true,
        commands: Vec::new(),
        notes,
    })
}

/// Whether `ssh` would expand something with the account's home instead of the user's.
fn is_for_this_home(read: &Result<Found, Problem>, environment: &Environment) -> bool {
    environment.home != environment.local_user.home
        && read
            .as_ref()
            .is_ok_and(|found| settings::depends_on_home(&found.values))
}

/// A file for `ssh` to read instead of its usual ones, if it needs one.
async fn stand_in(
    environment: &Environment,
) -> Result<Result<Option<NamedTempFile>, String>, Problem> {
    let environment = environment.clone();
    in_background(move || {
        let Some(text) = system::stand_in(&environment).transpose() else {
            return Ok(Ok(None));
        };
        Ok(text.and_then(|text| written(&text).map(Some).map_err(|error| error.to_string())))
    })
    .await
}

fn written(text: &str) -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new()?;
    file.write_all(text.as_bytes())?;
    Ok(file)
}

async fn without_ssh(
    reason: &str,
    query: &Query,
    environment: &Environment,
) -> Result<Found, Problem> {
    let mut found = read(query, environment, Arc::new(default::compiled())).await?;
    let reason = super::text::sanitize(reason);
    found.notes.push(format!(
        "ssh -G could not be used ({reason}); ssh_config was read without it."
    ));
    Ok(found)
}

/// Reads the files ourselves.
async fn read(
    query: &Query,
    environment: &Environment,
    defaults: Arc<Values>,
) -> Result<Found, Problem> {
    let (query, environment) = (query.clone(), environment.clone());
    in_background(move || {
        let mut disk = Disk::new(environment.local_user.id.as_deref());
        let roots = parse::roots(&environment);
        parse::resolve(&query, &environment, &roots, &defaults, &mut disk)
    })
    .await
}

/// What the system-wide file sets, as far as it can be read.
async fn system_alone(query: &Query, environment: &Environment) -> Values {
    let (query, environment) = (query.clone(), environment.clone());
    let found = in_background(move || {
        let mut disk = Disk::new(environment.local_user.id.as_deref());
        let roots: Vec<Root<'_>> = parse::roots(&environment)
            .into_iter()
            .filter(|root| root.owner == Owner::System)
            .collect();
        let defaults = default::compiled();
        parse::resolve(&query, &environment, &roots, &defaults, &mut disk)
    });
    found.await.map(|found| found.values).unwrap_or_default()
}

/// Runs what blocks on files. A thread that a dead network drive holds is left alone.
async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let task = tokio::task::spawn_blocking(work);
    match tokio::time::timeout(READING_LIMIT, task).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(Problem::TooMuch("ssh_config could not be read".to_owned())),
        Err(_) => Err(Problem::TooLong(READING_LIMIT.as_secs())),
    }
}
