//! The arguments of an `ssh` command.

use std::path::PathBuf;
use std::time::Duration;

use super::{Draft, DraftProblem, address};
use crate::ssh::plan::{Stop, policy};
use crate::ssh::ssh_config::{Jump, StrictHostKeyChecking, parse_jumps};
use crate::ssh::text::sanitize;

/// The options of `ssh` that take a value.
const WITH_VALUE: &str = "bceilmopBDEFIJLOPQRSwW";

/// Those that take none.
const FLAGS: &str = "1246afgknqstvxACGKMNTVXYy";

/// Flags that would change how the machine is reached.
const TELLING_FLAGS: &str = "46AKX";

/// As with ssh, the first of them counts.
const ONE_WAY: &str =
    "Jump hosts and a ProxyCommand can't be had together; the first one was taken.";

pub(super) fn parse(arguments: &[String]) -> Result<Draft, DraftProblem> {
    let mut reading = Reading::default();
    let mut rest = arguments.iter();
    let mut only_operands = false;
    let mut destination: Option<&String> = None;
    let mut has_command = false;
    while let Some(argument) = rest.next() {
        if argument == "--" && !only_operands {
            only_operands = true;
        } else if argument.len() > 1 && argument.starts_with('-') && !only_operands {
            reading.options(argument, &mut rest)?;
        } else if destination.is_none() {
            // Options may follow the host, too.
            destination = Some(argument);
        } else {
            has_command = true;
            break;
        }
    }
    let destination = destination.ok_or(DraftProblem::NoHost)?;
    if has_command {
        reading.warn("The command after the host was left out: nothing is run there.");
    }
    reading.finish(destination)
}

#[derive(Default)]
struct Reading {
    host_name: Option<String>,
    port: Option<u16>,
    user: Option<String>,
    keys: Vec<String>,
    certificate: Option<String>,
    identity_agent: Option<String>,
    identities_only: Option<bool>,
    jumps: Option<Vec<Jump>>,
    proxy_command: Option<String>,
    checking: Option<StrictHostKeyChecking>,
    connect_timeout: Option<Duration>,
    alive_interval: Option<Duration>,
    alive_count_max: Option<u32>,
    endpoint: Option<String>,
    warnings: Vec<String>,
}

impl Reading {
    fn warn(&mut self, warning: impl Into<String>) {
        let warning = warning.into();
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// One argument that begins with a dash: flags, perhaps an option with its value.
    fn options<'a>(
        &mut self,
        argument: &str,
        rest: &mut impl Iterator<Item = &'a String>,
    ) -> Result<(), DraftProblem> {
        for (at, letter) in argument.char_indices().skip(1) {
            if WITH_VALUE.contains(letter) {
                let attached = argument.get(at + letter.len_utf8()..).unwrap_or_default();
                let value = if attached.is_empty() {
                    rest.next().cloned().ok_or_else(|| {
                        DraftProblem::Unreadable(format!("the option -{letter} has no value"))
                    })?
                } else {
                    attached.to_owned()
                };
                return self.option(letter, &value);
            }
            if !FLAGS.contains(letter) {
                return Err(DraftProblem::Unreadable(format!(
                    "ssh has no option -{}",
                    sanitize(&letter.to_string())
                )));
            }
            if TELLING_FLAGS.contains(letter) {
                self.warn(format!("The option -{letter} has no effect here."));
            }
        }
        Ok(())
    }

    fn option(&mut self, letter: char, value: &str) -> Result<(), DraftProblem> {
        match letter {
            'p' => {
                let port = port(value)?;
                self.port.get_or_insert(port);
            }
            'l' => {
                self.user.get_or_insert_with(|| value.to_owned());
            }
            'i' => self.keys.push(value.to_owned()),
            'J' => self.jump(value)?,
            'o' => self.setting(value)?,
            'L' => match forward(value) {
                Some(endpoint) if self.endpoint.is_none() => {
                    self.endpoint = Some(endpoint);
                }
                _ => self.warn(format!(
                    "The forwarding -L {} was left out.",
                    sanitize(value)
                )),
            },
            'e' | 'E' | 'O' | 'Q' | 'c' | 'm' => {
                self.warn(format!("The option -{letter} has no effect here."));
            }
            letter => self.warn(format!(
                "The option -{letter} {} was left out.",
                sanitize(value)
            )),
        }
        Ok(())
    }

    fn jump(&mut self, value: &str) -> Result<(), DraftProblem> {
        let jumps = parse_jumps(value).ok_or_else(|| {
            DraftProblem::Unreadable(format!("{} is no list of jump hosts", sanitize(value)))
        })?;
        if self.proxy_command.is_some() {
            self.warn(ONE_WAY);
        } else {
            self.jumps.get_or_insert(jumps);
        }
        Ok(())
    }

    /// `-o Name=value`: the first one counts.
    fn setting(&mut self, text: &str) -> Result<(), DraftProblem> {
        let text = text.trim();
        let end = text
            .find(|c: char| c == '=' || c.is_whitespace())
            .ok_or_else(|| {
                DraftProblem::Unreadable(format!("-o {} has no value", sanitize(text)))
            })?;
        let (name, value) = text.split_at(end);
        let value = value
            .trim_start()
            .trim_start_matches('=')
            .trim()
            .trim_matches('"');
        let bad = || DraftProblem::Unreadable(format!("-o {} has a bad value", sanitize(text)));
        match name.to_ascii_lowercase().as_str() {
            "hostname" => {
                self.host_name.get_or_insert_with(|| value.to_owned());
            }
            "port" => self.option('p', value)?,
            "user" => self.option('l', value)?,
            "identityfile" => self.option('i', value)?,
            "proxyjump" => self.jump(value)?,
            "proxycommand" if value.eq_ignore_ascii_case("none") => {}
            "proxycommand" if self.jumps.is_some() => self.warn(ONE_WAY),
            "proxycommand" => {
                self.proxy_command.get_or_insert_with(|| value.to_owned());
            }
            "certificatefile" => {
                self.certificate.get_or_insert_with(|| value.to_owned());
            }
            "identityagent" => {
                self.identity_agent.get_or_insert_with(|| value.to_owned());
            }
            "identitiesonly" => {
                let only = match value.to_ascii_lowercase().as_str() {
                    "yes" | "true" => true,
                    "no" | "false" => false,
                    _ => return Err(bad()),
                };
                self.identities_only.get_or_insert(only);
            }
            "stricthostkeychecking" => {
                let checking = StrictHostKeyChecking::parse(value).ok_or_else(bad)?;
                self.checking.get_or_insert(checking);
            }
            "connecttimeout" => {
                self.connect_timeout
                    .get_or_insert(seconds(value).ok_or_else(bad)?);
            }
            "serveraliveinterval" => {
                self.alive_interval
                    .get_or_insert(seconds(value).ok_or_else(bad)?);
            }
            "serveralivecountmax" => {
                let count = value.parse().map_err(|_| bad())?;
                self.alive_count_max.get_or_insert(count);
            }
            _ => self.warn(format!(
                "The option -o {} was left out; ssh_config can say it.",
                sanitize(name)
            )),
        }
        Ok(())
    }

    fn finish(mut self, destination: &str) -> Result<Draft, DraftProblem> {
        let without_password = address::without_password(destination);
        if without_password.is_some() {
            self.warn(address::PASSWORD_LEFT_OUT);
        }
        let destination = without_password.as_deref().unwrap_or(destination);
        let to = address::destination(destination).ok_or_else(|| {
            DraftProblem::Unreadable(format!("{} is no host", sanitize(destination)))
        })?;
        // Only an ssh:// URI has a port: `ssh host:22` looks for a host of that name.
        let is_uri = destination.starts_with("ssh://");
        if to.port.is_some() && !is_uri {
            self.warn(format!(
                "ssh itself would take {} for a name; the port is taken from it.",
                sanitize(destination)
            ));
        }
        if self.keys.len() > 1 {
            self.warn("A profile names one key; the first one was taken.");
        }
        if self.checking == Some(StrictHostKeyChecking::No) {
            self.warn(super::CHECKED);
        }
        let path = |text: String| PathBuf::from(text);
        let machine = Stop {
            // What the destination says comes first, as with ssh.
            username: to.user.or(self.user),
            port: to.port.or(self.port),
            private_key_path: self.keys.into_iter().next().map(path),
            certificate_path: self.certificate.map(path),
            identity_agent: self.identity_agent.map(path),
            identities_only: self.identities_only,
            host_key_policy: self.checking.map(policy),
            proxy_command: self.proxy_command,
            connect_timeout: self.connect_timeout,
            keepalive_interval: self.alive_interval,
            keepalive_count_max: self.alive_count_max,
            ..Stop::new(self.host_name.unwrap_or(to.host))
        };
        let jumps = self.jumps.unwrap_or_default().into_iter().map(Stop::from);
        Ok(Draft {
            stops: jumps.chain([machine]).collect(),
            endpoint: self.endpoint,
            warnings: self.warnings,
        })
    }
}

fn port(text: &str) -> Result<u16, DraftProblem> {
    text.parse()
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| DraftProblem::Unreadable(format!("{} is no port", sanitize(text))))
}

fn seconds(text: &str) -> Option<Duration> {
    text.parse().ok().map(Duration::from_secs)
}

/// What `-L [address:]port:host:port` leads to, seen from the machine.
fn forward(text: &str) -> Option<String> {
    if let Some((_, path)) = text.split_once(":/") {
        return Some(format!("unix:/{path}"));
    }
    let (rest, port) = text.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    let host = match rest.strip_suffix(']') {
        Some(bracketed) => format!("[{}]", bracketed.rsplit_once('[')?.1),
        None => rest.rsplit_once(':')?.1.to_owned(),
    };
    (!host.is_empty()).then(|| format!("http://{host}:{port}"))
}
