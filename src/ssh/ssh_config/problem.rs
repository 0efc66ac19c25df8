//! What can be wrong with an ssh_config, in sentences for people.

use std::path::{Path, PathBuf};

use crate::ssh::text::{sanitize, sanitize_lines};

/// Why there are no settings. The files' owner can mend every one of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The host or user that was asked for cannot be one.
    #[error("{0}")]
    Query(String),
    /// A line that `ssh` would refuse, too.
    #[error("{}:{line}: {what}", shown(.file))]
    Line {
        file: PathBuf,
        line: usize,
        what: String,
    },
    /// Another user could have written the file.
    #[error(
        "{} may be written by others, or belongs to somebody else; ssh refuses it, too (chmod go-w)",
        shown(.0)
    )]
    Permissions(PathBuf),
    /// Include within Include without an end, or files of absurd size.
    #[error("{0}")]
    TooMuch(String),
    /// A value whose `%` tokens, `~` or `${}` cannot be replaced.
    #[error("{directive} {value:?}: {what}")]
    Expansion {
        directive: &'static str,
        value: String,
        what: String,
    },
    /// The host would be reached through itself.
    #[error("ProxyJump leads from {0} to itself")]
    JumpLoop(String),
    /// What `ssh -G` said as it refused the files.
    #[error("ssh refuses the configuration: {0}")]
    Refused(String),
    /// Text that names no host.
    #[error("there is no Host line that names one host")]
    NoHost,
    /// The files could not be read in time: a network drive that does not answer?
    #[error("reading ssh_config took longer than {0} seconds")]
    TooLong(u64),
}

/// A path as it may be shown: its name can be anything.
pub(super) fn shown(path: &Path) -> String {
    sanitize(&path.display().to_string())
}

impl Problem {
    pub(super) fn too_much(what: &str) -> Self {
        Self::TooMuch(sanitize(what))
    }

    pub(super) fn expansion(directive: &'static str, value: &str, what: &str) -> Self {
        Self::Expansion {
            directive,
            value: sanitize(value),
            what: sanitize(what),
        }
    }

    pub(super) fn at(file: &Path, line: usize, fault: &Fault) -> Self {
        Self::Line {
            file: file.to_owned(),
            line,
            what: sanitize(&fault.to_string()),
        }
    }

    pub(super) fn refused(stderr: &[u8]) -> Self {
        let text = String::from_utf8_lossy(stderr);
        let lines: Vec<_> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with("Pseudo-terminal"))
            .collect();
        if let Some(host) = lines
            .iter()
            .find_map(|line| line.strip_prefix("jumphost loop via "))
        {
            return Self::JumpLoop(sanitize(host));
        }
        Self::Refused(sanitize_lines(&lines.join("; ")))
    }
}

/// What is wrong with one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("no argument after keyword \"{0}\"")]
    NoArgument(String),
    #[error("invalid quotes")]
    Quotes,
    #[error("bad configuration option: {0}")]
    Keyword(String),
    #[error("{0} needs an argument")]
    Missing(&'static str),
    #[error("{0} has extra arguments at the end of the line")]
    Extra(&'static str),
    #[error("{directive} cannot be \"{value}\"")]
    Value {
        directive: &'static str,
        value: String,
    },
    #[error("\"{1}\" must be the only argument of {0}")]
    Alone(&'static str, &'static str),
    #[error("there are more than {1} entries for {0}")]
    TooMany(&'static str, usize),
    #[error("unsupported Match attribute {0}")]
    Attribute(String),
    #[error("Match {0} needs an argument")]
    MatchMissing(String),
    #[error("Match {0} cannot be combined with other attributes")]
    MatchAll(String),
    #[error("Match needs one or more attributes")]
    MatchEmpty,
    #[error("a system-wide file cannot include {0}")]
    IncludePath(String),
    #[error("the included file {file} cannot be read: {reason}")]
    Include { file: String, reason: String },
    #[error("{0}")]
    Text(String),
}
