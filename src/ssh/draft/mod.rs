//! What people paste: an `ssh …` command, an alias, a URL, a block of ssh_config.
//!
//! Nothing is connected to, and no key is looked at; an alias is looked up in
//! ssh_config as a connect would.

mod address;
mod command_line;
mod words;

use super::plan::{Stop, policy};
use super::ssh_config::{self, Block, Problem, Query, Settings};
use super::target::Environment;
use super::text::sanitize;

/// A longer text is not what somebody wanted to paste here.
const MAX_TEXT: usize = 64 * 1024;

/// What becomes of `StrictHostKeyChecking no`.
const CHECKED: &str = "Host keys are always checked; unknown ones are asked about.";

/// A profile's beginnings.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// The jump hosts in order, then the machine; empty if the text names none.
    pub stops: Vec<Stop>,
    /// The LLM server as seen from there, `http://localhost:11434`.
    pub endpoint: Option<String>,
    /// What was left out, and why. Sentences.
    pub warnings: Vec<String>,
}

/// Why a text is none of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftProblem {
    #[error("is empty")]
    Empty,
    #[error("is too long; paste one command, address or Host block")]
    TooLong,
    /// An option of `ssh` without its value, or unbalanced quotes.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    #[error("names no host")]
    NoHost,
    #[error("is not an ssh command, a host, a URL or a Host block")]
    Unknown,
    /// The pasted block is broken.
    #[error("cannot be used: {0}")]
    Block(Problem),
    /// The user's ssh_config, in which a name was looked up, is broken.
    #[error("cannot be looked up: {0}")]
    Lookup(Problem),
}

/// Reads a pasted text. May run `ssh -G`, with time limits of its own.
pub async fn parse(text: &str, environment: &Environment) -> Result<Draft, DraftProblem> {
    let draft = read(text, environment).await?;
    draft.stops.iter().try_for_each(check)?;
    let endpoint = draft.endpoint.as_deref().unwrap_or_default();
    if endpoint.contains(char::is_control) {
        let problem = "the LLM server's address has a control character";
        return Err(DraftProblem::Unreadable(problem.to_owned()));
    }
    Ok(draft)
}

/// `ssh` takes no name that a shell or itself might misread. It knows ASCII's control characters
/// only; in a pasted name there is no place for any.
fn check(stop: &Stop) -> Result<(), DraftProblem> {
    let user = stop.username.as_deref().unwrap_or_default();
    for (name, is_good, what) in [
        (stop.host.as_str(), ssh_config::is_host(&stop.host), "host"),
        (user, ssh_config::is_user(user), "user"),
    ] {
        if !is_good || name.contains(char::is_control) {
            let name = sanitize(name);
            let problem = format!("\"{name}\" is not a {what} name");
            return Err(DraftProblem::Unreadable(problem));
        }
    }
    Ok(())
}

async fn read(text: &str, environment: &Environment) -> Result<Draft, DraftProblem> {
    if text.len() > MAX_TEXT {
        return Err(DraftProblem::TooLong);
    }
    let text = text.trim();
    if text.is_empty() {
        return Err(DraftProblem::Empty);
    }
    if is_block(text) {
        return from_block(text, environment);
    }
    let words = words::split(text).map_err(|why| DraftProblem::Unreadable(why.to_owned()))?;
    // A prompt that was copied along.
    let words = match words.split_first() {
        Some((prompt, rest)) if matches!(prompt.as_str(), "$" | "%" | "#" | ">") => rest,
        _ => &words[..],
    };
    match words {
        [] => Err(DraftProblem::Empty),
        [program, arguments @ ..] if is_ssh(program) => command_line::parse(arguments),
        [one] => from_address(one, environment).await,
        several if is_after_ssh(several) => command_line::parse(several),
        [_, _, ..] => Err(DraftProblem::Unknown),
    }
}

fn is_ssh(program: &str) -> bool {
    let name = program.rsplit(['/', '\\']).next().unwrap_or_default();
    name.eq_ignore_ascii_case("ssh") || name.eq_ignore_ascii_case("ssh.exe")
}

/// Whether this is what one would write after `ssh`: `user@host -p 22`, or an alias with options only.
/// Other commands have more words, or other ones.
fn is_after_ssh(words: &[String]) -> bool {
    const OPTIONS: [&str; 6] = ["-F", "-J", "-i", "-l", "-o", "-p"];
    let is_pair =
        |pair: &[String]| matches!(pair, [option, _] if OPTIONS.contains(&option.as_str()));
    match words {
        [host, options @ ..] if !host.starts_with('-') => {
            let is_account = host.contains('@') && !host.contains("://");
            (is_account && options.iter().any(|word| word.starts_with('-')))
                || options.chunks(2).all(is_pair)
        }
        [options @ .., _] => options.chunks(2).all(is_pair),
        [] => false,
    }
}

/// Whether one of the lines begins a block.
fn is_block(text: &str) -> bool {
    text.lines().any(|line| {
        let word = line
            .split([' ', '\t', '='])
            .find(|word| !word.is_empty())
            .unwrap_or_default();
        (word.eq_ignore_ascii_case("host") || word.eq_ignore_ascii_case("match"))
            && line.trim().len() > word.len()
    })
}

fn from_block(text: &str, environment: &Environment) -> Result<Draft, DraftProblem> {
    let Block { alias, settings } =
        ssh_config::parse_block(text, environment).map_err(DraftProblem::Block)?;
    let mut warnings = settings.warnings.clone();
    let mut stops: Vec<_> = settings
        .proxy_jump
        .iter()
        .cloned()
        .map(Stop::from)
        .collect();
    let mut keys = settings
        .identity_files
        .clone()
        .unwrap_or_default()
        .into_iter();
    let mut certificates = settings.certificate_files.iter().cloned();
    let machine = Stop {
        port: Some(settings.port),
        username: settings.user.clone(),
        private_key_path: keys.next(),
        certificate_path: certificates.next(),
        identity_agent: settings.identity_agent.clone(),
        identities_only: Some(settings.identities_only).filter(|only| *only),
        host_key_policy: settings.strict_host_key_checking.map(policy),
        // Its tokens are replaced already; a profile's has some.
        proxy_command: settings
            .proxy_command
            .as_ref()
            .map(|command| command.replace('%', "%%")),
        connect_timeout: settings.connect_timeout,
        keepalive_interval: settings.server_alive_interval,
        keepalive_count_max: settings.server_alive_count_max,
        ..Stop::new(settings.host_name.clone())
    };
    if settings.strict_host_key_checking == Some(ssh_config::StrictHostKeyChecking::No) {
        warnings.push(CHECKED.to_owned());
    }
    let others = ssh_config::names_of_block(text).len().saturating_sub(1);
    if others > 0 {
        warnings.push(format!(
            "The text names {} hosts; only {} was taken.",
            others + 1,
            sanitize(&alias)
        ));
    }
    if keys.next().is_some() || certificates.next().is_some() {
        warnings.push(
            "A profile names one key and one certificate; the others were left out.".to_owned(),
        );
    }
    for left_out in only_in_config(&settings) {
        warnings.push(format!(
            "{left_out} can't be said in a profile; put the block into ~/.ssh/config and use \
             the name {}.",
            sanitize(&alias)
        ));
    }
    stops.push(machine);
    Ok(Draft {
        stops,
        endpoint: None,
        warnings,
    })
}

/// What only ssh_config itself can say.
fn only_in_config(settings: &Settings) -> Vec<&'static str> {
    let algorithms = &settings.algorithms;
    [
        (settings.known_hosts.alias.is_some(), "HostKeyAlias"),
        (settings.known_hosts.user.is_some(), "UserKnownHostsFile"),
        (
            settings.known_hosts.global.is_some(),
            "GlobalKnownHostsFile",
        ),
        (algorithms.key_exchanges.is_some(), "KexAlgorithms"),
        (algorithms.ciphers.is_some(), "Ciphers"),
        (algorithms.macs.is_some(), "MACs"),
        (algorithms.host_keys.is_some(), "HostKeyAlgorithms"),
        (algorithms.public_keys.is_some(), "PubkeyAcceptedAlgorithms"),
        (
            settings.preferred_authentications.is_some(),
            "PreferredAuthentications",
        ),
        (settings.bind_address.is_some(), "BindAddress"),
        (
            settings.address_family != super::AddressFamily::Any,
            "AddressFamily",
        ),
    ]
    .into_iter()
    .filter_map(|(is_set, name)| is_set.then_some(name))
    .collect()
}

async fn from_address(text: &str, environment: &Environment) -> Result<Draft, DraftProblem> {
    if let Some(draft) = address::endpoint(text)? {
        return Ok(draft);
    }
    let without_password = address::without_password(text);
    let bare = without_password.as_deref().unwrap_or(text);
    let jump = address::destination(bare).ok_or(DraftProblem::Unknown)?;
    let left_out = without_password.map(|_| address::PASSWORD_LEFT_OUT.to_owned());
    let mut draft = Draft {
        stops: vec![jump.into()],
        warnings: left_out.into_iter().collect(),
        ..Draft::default()
    };
    let aliases = ssh_config::aliases(environment)
        .await
        .map_err(DraftProblem::Lookup)?;
    let machine = &mut draft.stops[0];
    if aliases
        .iter()
        .any(|alias| alias.eq_ignore_ascii_case(&machine.host))
    {
        let query = Query {
            host: machine.host.clone(),
            port: machine.port,
            user: machine.username.clone(),
        };
        let settings = ssh_config::resolve(&query, environment)
            .await
            .map_err(DraftProblem::Lookup)?;
        machine.port = Some(settings.port);
        machine.username = settings.user.or(machine.username.take());
        draft.warnings.extend(settings.warnings);
    }
    Ok(draft)
}

#[cfg(test)]
mod tests;
