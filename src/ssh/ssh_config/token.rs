//! `%` tokens, `${NAME}` and `~`: one way to expand, whoever read the files.

use std::path::{Path, PathBuf};

use sha1::{Digest as _, Sha1};

use super::problem::Problem;
use crate::ssh::{Environment, Variables};

/// Which tokens a directive takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    /// HostName.
    Name,
    /// ProxyCommand and ProxyJump.
    Proxy,
    /// Paths.
    Path,
}

/// What the tokens stand for.
#[derive(Debug)]
pub(super) struct Tokens<'a> {
    pub(super) environment: &'a Environment,
    /// `%h`
    pub(super) host: &'a str,
    /// `%n`
    pub(super) original: &'a str,
    /// `%p`
    pub(super) port: u16,
    /// `%r`
    pub(super) user: Option<&'a str>,
    /// HostKeyAlias, for `%k`.
    pub(super) alias: Option<&'a str>,
    /// The last host of ProxyJump, for `%j`.
    pub(super) jump: &'a str,
}

impl Tokens<'_> {
    /// Expands a path: first `~`, then tokens and variables.
    pub(super) fn path(&self, directive: &'static str, text: &str) -> Result<PathBuf, Problem> {
        let expanded = tilde(text, self.environment)
            .and_then(|text| self.replace(&text, Allowed::Path, true))
            .map_err(|what| Problem::expansion(directive, text, &what))?;
        Ok(PathBuf::from(expanded))
    }

    pub(super) fn text(
        &self,
        directive: &'static str,
        text: &str,
        allowed: Allowed,
    ) -> Result<String, Problem> {
        self.replace(text, allowed, false)
            .map_err(|what| Problem::expansion(directive, text, &what))
    }

    fn replace(&self, text: &str, allowed: Allowed, dollar: bool) -> Result<String, String> {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['%', '$']) {
            let (before, sign) = rest.split_at(at);
            expanded.push_str(before);
            if let Some(after) = sign.strip_prefix("${").filter(|_| dollar) {
                let (value, after) = variable(after, &self.environment.variables)?;
                expanded.push_str(value);
                rest = after;
                continue;
            }
            let mut characters = sign.chars();
            if characters.next() == Some('$') {
                expanded.push('$');
            } else {
                let token = characters.next().ok_or("it ends with a lone %")?;
                expanded.push_str(&self.token(token, allowed)?);
            }
            rest = characters.as_str();
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    fn token(&self, token: char, allowed: Allowed) -> Result<String, String> {
        let tokens = match allowed {
            Allowed::Name => "%h",
            Allowed::Proxy => "%hknpr",
            Allowed::Path => "%hknprCLdijlu",
        };
        if !tokens.contains(token) {
            return Err(format!("%{token} has no meaning there"));
        }
        let account = &self.environment.local_user;
        let unknown = |what: &str| format!("%{token} needs {what}, which is not known");
        Ok(match token {
            'h' => self.host.to_owned(),
            'n' => self.original.to_owned(),
            'p' => self.port.to_string(),
            'r' => {
                let user = self.user.ok_or_else(|| unknown("the remote user's name"))?;
                user.to_owned()
            }
            'k' => self.alias.unwrap_or(self.original).to_owned(),
            'j' => self.jump.to_owned(),
            'l' => self.environment.local_host_name.clone(),
            'L' => short(&self.environment.local_host_name).to_owned(),
            'd' => {
                let home = self.environment.home.as_deref();
                utf8(home.ok_or_else(|| unknown("the home directory"))?)?.to_owned()
            }
            'u' => account
                .name
                .clone()
                .ok_or_else(|| unknown("the local user's name"))?,
            'i' => account
                .id
                .clone()
                .ok_or_else(|| unknown("the local user's number"))?,
            'C' => self.connection(),
            _ => "%".to_owned(),
        })
    }

    /// A hash that names the connection.
    fn connection(&self) -> String {
        let mut hash = Sha1::new();
        hash.update(&self.environment.local_host_name);
        hash.update(self.host);
        hash.update(self.port.to_string());
        hash.update(self.user.unwrap_or_default());
        hash.finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// A HostName as it is, whatever else is set: only `%h` and `%%`.
pub(super) fn host_name(text: &str, given: &str) -> Result<String, Problem> {
    let environment = Environment::default();
    let tokens = Tokens {
        environment: &environment,
        host: given,
        original: given,
        port: 0,
        user: None,
        alias: None,
        jump: "",
    };
    tokens.text("HostName", text, Allowed::Name)
}

fn short(name: &str) -> &str {
    name.split('.').next().unwrap_or_default()
}

/// Replaces `~`, `~/` or `~user` at the beginning.
pub(super) fn tilde(text: &str, environment: &Environment) -> Result<String, String> {
    let Some(rest) = text.strip_prefix('~') else {
        return Ok(text.to_owned());
    };
    let (user, path) = rest.split_once('/').unwrap_or((rest, ""));
    let home = if user.is_empty() {
        environment
            .home
            .clone()
            .ok_or("the home directory is not known")?
    } else {
        home_of(user).ok_or_else(|| format!("there is no user {user}"))?
    };
    let home = utf8(&home)?;
    let slash = if home.ends_with('/') { "" } else { "/" };
    Ok(format!("{home}{slash}{}", path.trim_start_matches('/')))
}

#[cfg(unix)]
fn home_of(user: &str) -> Option<PathBuf> {
    let user = nix::unistd::User::from_name(user).ok().flatten()?;
    Some(user.dir)
}

#[cfg(not(unix))]
fn home_of(_: &str) -> Option<PathBuf> {
    None
}

fn utf8(path: &Path) -> Result<&str, String> {
    path.to_str()
        .ok_or_else(|| format!("{} is not UTF-8", path.display()))
}

/// Replaces every `${NAME}`.
pub(super) fn variables(text: &str, variables: &Variables) -> Result<String, String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        expanded.push_str(before);
        let (value, after) = variable(after, variables)?;
        expanded.push_str(value);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// The variable that is named up to the brace, and what follows.
fn variable<'a, 'v>(text: &'a str, variables: &'v Variables) -> Result<(&'v str, &'a str), String> {
    let (name, after) = text.split_once('}').ok_or("a closing brace is missing")?;
    if name.is_empty() {
        return Err("${} names no variable".to_owned());
    }
    let value = variables
        .get(name)
        .ok_or_else(|| format!("the environment variable {name} has no value"))?;
    Ok((value, after))
}
