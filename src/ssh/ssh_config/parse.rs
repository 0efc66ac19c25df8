//! Our own reading of the files: what `ssh` does with them, but for running commands.

use std::path::{Path, PathBuf};

use super::criteria::{self, Known};
use super::directive::{self, Form};
use super::disk::{Files, Unread};
use super::found::Found;
use super::line::Line;
use super::name;
use super::pattern::{self, Verdict};
use super::problem::{Fault, Problem, shown};
use super::token;
use super::value::{self, Context, Values};
use super::{Jump, Query, jump};
use crate::ssh::{AddressFamily, Environment};

/// As deep as OpenSSH follows Include.
pub(super) const MAX_DEPTH: usize = 16;

/// Whose file it is: that decides where relative paths of Include lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    User,
    System,
}

/// A file to begin with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Root<'a> {
    pub(super) file: &'a Path,
    pub(super) owner: Owner,
}

/// The files that `ssh` reads, in order.
pub(super) fn roots(environment: &Environment) -> Vec<Root<'_>> {
    let user = environment.user_config.as_deref();
    let system = environment.system_config.as_deref();
    user.map(|file| (file, Owner::User))
        .into_iter()
        .chain(system.map(|file| (file, Owner::System)))
        .map(|(file, owner)| Root { file, owner })
        .collect()
}

/// Resolves a host. Blocks on the files, not for long.
pub(super) fn resolve(
    query: &Query,
    environment: &Environment,
    roots: &[Root<'_>],
    defaults: &Values,
    files: &mut dyn Files,
) -> Result<Found, Problem> {
    let mut reading = Reading {
        files,
        query,
        environment,
        defaults,
        host: query.host.clone(),
        is_final: false,
        wants_final: false,
        values: Values::default(),
        commands: Vec::new(),
        unread: Vec::new(),
    };
    if let Some(port) = query.port {
        reading.values.set("port", vec![port.to_string()]);
    }
    if let Some(user) = &query.user {
        reading.values.set("user", vec![user.clone()]);
    }
    reading.all(roots)?;
    let host = match reading.values.one("hostname") {
        Some(text) => token::host_name(text, &query.host)?,
        None => query.host.clone(),
    };
    let host = name::canonical(&host, family(&reading.values));
    let is_canonicalized = reading
        .values
        .one("canonicalizehostname")
        .is_some_and(|value| value != "false");
    if reading.wants_final || is_canonicalized {
        reading
            .values
            .0
            .insert("hostname".to_owned(), vec![host.clone()]);
        reading.host.clone_from(&host);
        reading.is_final = true;
        reading.all(roots)?;
    }
    reading.finish(host)
}

pub(super) fn family(values: &Values) -> AddressFamily {
    match values.one("addressfamily") {
        Some("inet") => AddressFamily::Inet,
        Some("inet6") => AddressFamily::Inet6,
        Some(_) | None => AddressFamily::Any,
    }
}

struct Reading<'a> {
    files: &'a mut dyn Files,
    query: &'a Query,
    environment: &'a Environment,
    defaults: &'a Values,
    /// What the patterns of `Host` see.
    host: String,
    is_final: bool,
    wants_final: bool,
    values: Values,
    /// Where a `Match exec` would have decided.
    commands: Vec<(PathBuf, usize)>,
    /// Files that are there and cannot be read.
    unread: Vec<String>,
}

/// Where a line is.
#[derive(Clone, Copy)]
struct Place<'a> {
    file: &'a Path,
    line: usize,
    owner: Owner,
    depth: usize,
    /// Inside an Include of a block that does not count.
    never: bool,
}

impl Reading<'_> {
    fn all(&mut self, roots: &[Root<'_>]) -> Result<(), Problem> {
        for root in roots {
            let is_private = root.owner == Owner::User;
            let text = match self.files.read(root.file, is_private) {
                Ok(text) => text,
                Err(Unread::Problem(problem)) => return Err(problem),
                Err(Unread::Io(error)) => {
                    // OpenSSH goes on without a word.
                    let is_missing = error.kind() == std::io::ErrorKind::NotFound;
                    if !is_missing && !self.is_final {
                        self.unread
                            .push(format!("{} cannot be read: {error}", shown(root.file)));
                    }
                    continue;
                }
            };
            let place = Place {
                file: root.file,
                line: 0,
                owner: root.owner,
                depth: 0,
                never: false,
            };
            self.text(&text, place, true)?;
        }
        Ok(())
    }

    fn text(&mut self, text: &str, place: Place<'_>, counts: bool) -> Result<(), Problem> {
        let mut counts = counts;
        for (index, line) in text.split_inclusive('\n').enumerate() {
            let place = Place {
                line: index + 1,
                ..place
            };
            let at = |fault: &Fault| Problem::at(place.file, place.line, fault);
            let Some(line) = Line::read(line).map_err(|fault| at(&fault))? else {
                continue;
            };
            self.line(&line, place, &mut counts)?;
        }
        Ok(())
    }

    fn line(
        &mut self,
        line: &Line<'_>,
        place: Place<'_>,
        counts: &mut bool,
    ) -> Result<(), Problem> {
        let at = |fault: &Fault| Problem::at(place.file, place.line, fault);
        let Some(directive) = directive::find(&line.keyword) else {
            let ignored = self.values.one("ignoreunknown").unwrap_or_default();
            let ignored = ignored.to_ascii_lowercase();
            return match pattern::list(&line.keyword, &ignored) {
                Verdict::Yes => Ok(()),
                Verdict::No | Verdict::Unnamed => Err(at(&Fault::Keyword(line.keyword.clone()))),
            };
        };
        match directive.form {
            Form::Host => {
                *counts = !place.never
                    && criteria::host(&line.words, &self.host).map_err(|fault| at(&fault))?;
                Ok(())
            }
            Form::Match => {
                let matched = self.matches(line.rest, place)?;
                *counts = !place.never && matched;
                Ok(())
            }
            Form::Include => self.include(&line.words, place, *counts),
            _ => {
                let context = Context {
                    defaults: self.defaults,
                    variables: &self.environment.variables,
                };
                value::take(&mut self.values, context, directive, line, *counts)
                    .map_err(|fault| at(&fault))
            }
        }
    }

    fn matches(&mut self, rest: &str, place: Place<'_>) -> Result<bool, Problem> {
        let host = match self.values.one("hostname") {
            Some(name) if self.is_final => name.to_owned(),
            Some(name) => token::host_name(name, &self.host)?,
            None => self.host.clone(),
        };
        let local_user = self.environment.local_user.name.as_deref();
        let local_user = local_user.unwrap_or_default();
        let known = Known {
            original: &self.query.host,
            host: &host,
            user: self.values.one("user").unwrap_or(local_user),
            local_user,
            is_final: self.is_final,
        };
        let matched = criteria::matches(rest, &known)
            .map_err(|fault| Problem::at(place.file, place.line, &fault))?;
        self.wants_final |= matched.wants_final;
        if matched.needs_command && !place.never {
            let command = (place.file.to_owned(), place.line);
            if !self.commands.contains(&command) {
                self.commands.push(command);
            }
        }
        Ok(matched.counts)
    }

    fn include(
        &mut self,
        patterns: &[String],
        place: Place<'_>,
        counts: bool,
    ) -> Result<(), Problem> {
        let at = |fault: &Fault| Problem::at(place.file, place.line, fault);
        for pattern in patterns {
            let pattern =
                anchored(pattern, place.owner, self.environment).map_err(|fault| at(&fault))?;
            let Some(pattern) = pattern else { continue };
            for file in self.files.list(&pattern)? {
                if place.depth >= MAX_DEPTH {
                    return Err(Problem::TooMuch(format!(
                        "{}:{}: files include each other without an end",
                        shown(place.file),
                        place.line
                    )));
                }
                let text = match self.files.read(&file, true) {
                    Ok(text) => text,
                    Err(Unread::Problem(problem)) => return Err(problem),
                    Err(Unread::Io(error)) => {
                        return Err(at(&Fault::Include {
                            file: file.display().to_string(),
                            reason: error.to_string(),
                        }));
                    }
                };
                let inner = Place {
                    file: &file,
                    line: 0,
                    owner: place.owner,
                    depth: place.depth + 1,
                    never: place.never || !counts,
                };
                self.text(&text, inner, counts)?;
            }
        }
        Ok(())
    }

    fn finish(self, host: String) -> Result<Found, Problem> {
        let mut values = self.values;
        let port = take(&mut values, "port").and_then(|port| port.parse().ok());
        let user = take(&mut values, "user").or_else(|| self.environment.local_user.name.clone());
        values.0.remove("hostname");
        values.0.remove("ignoreunknown");
        if let Some(alias) = take(&mut values, "hostkeyalias") {
            values.set("hostkeyalias", vec![alias.to_ascii_lowercase()]);
        }
        let is_keepalive_off = values.is("serveraliveinterval", "0");
        let keeps_host_key_order = values
            .one("hostkeyalgorithms")
            .is_some_and(|list| !list.starts_with(['+', '-']));
        assemble(&mut values, self.defaults)?;
        for key in CLEARED_BY_NONE {
            if values
                .one(key)
                .is_some_and(|value| value.eq_ignore_ascii_case("none"))
            {
                values.0.remove(*key);
            }
        }
        let found = Found {
            original: self.query.host.clone(),
            host,
            port: port.unwrap_or(22),
            user,
            values: values.without(self.defaults),
            is_expanded: false,
            is_keepalive_off,
            keeps_host_key_order,
            is_canonicalized: false,
            commands: self.commands,
            notes: self.unread,
        };
        match loops(&found) {
            Some(host) => Err(Problem::JumpLoop(host)),
            None => Ok(found),
        }
    }
}

const CLEARED_BY_NONE: &[&str] = &[
    "proxycommand",
    "proxyjump",
    "localcommand",
    "remotecommand",
    "controlpath",
    "revokedhostkeys",
    "pkcs11provider",
    "securitykeyprovider",
    "knownhostscommand",
];

fn take(values: &mut Values, key: &str) -> Option<String> {
    values.0.remove(key)?.into_iter().next()
}

/// Puts lists of algorithms together.
fn assemble(values: &mut Values, defaults: &Values) -> Result<(), Problem> {
    for key in [
        "ciphers",
        "macs",
        "kexalgorithms",
        "hostkeyalgorithms",
        "pubkeyacceptedalgorithms",
    ] {
        let (Some(directive), Some(list)) = (directive::find(key), values.one(key)) else {
            continue;
        };
        let Form::Algorithms(algorithm) = directive.form else {
            continue;
        };
        let default = defaults.one(key).unwrap_or_default();
        let names = algorithm
            .assemble(list, default)
            .ok_or_else(|| Problem::expansion(directive.title, list, "this names no algorithm"))?;
        values.0.insert(key.to_owned(), vec![names]);
    }
    Ok(())
}

/// Whether the last host on the way is the host itself.
fn loops(found: &Found) -> Option<String> {
    let Jump { user, host, port } = jump::parse(found.values.one("proxyjump")?)?.pop()?;
    let is_same = host == found.host
        && port.unwrap_or(22) == found.port
        && user.is_none_or(|user| Some(user) == found.user);
    is_same.then(|| crate::ssh::text::sanitize(&host))
}

/// A pattern of Include with the folder that it is relative to. `None` if that is unknown:
/// nothing is found there.
pub(super) fn anchored(
    pattern: &str,
    owner: Owner,
    environment: &Environment,
) -> Result<Option<String>, Fault> {
    if pattern.is_empty() {
        return Err(Fault::Missing("Include"));
    }
    if pattern.starts_with('~') {
        return match owner {
            Owner::User => Ok(token::tilde(pattern, environment).ok()),
            Owner::System => Err(Fault::IncludePath(pattern.to_owned())),
        };
    }
    if pattern.starts_with('/') {
        return Ok(Some(pattern.to_owned()));
    }
    Ok(match owner {
        Owner::User => token::tilde(&format!("~/.ssh/{pattern}"), environment).ok(),
        Owner::System => Some(format!("/etc/ssh/{pattern}")),
    })
}
