//! A pasted piece of ssh_config.

use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Files, Unread};
use super::parse::{self, Owner, Root};
use super::problem::Problem;
use super::settings::{self, Settings};
use super::value::Values;
use super::{Query, alias, default, warning};
use crate::ssh::Environment;

/// A pasted host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ssh) struct Block {
    /// The first name of a `Host` line that is no pattern.
    pub alias: String,
    pub settings: Settings,
}

/// Longer texts are no block.
const MAX_TEXT: usize = 64 * 1024;

/// Reads a text as if it were the only file: nothing else is opened, and nothing run.
pub(in crate::ssh) fn parse_block(text: &str, environment: &Environment) -> Result<Block, Problem> {
    if text.len() > MAX_TEXT {
        return Err(Problem::TooMuch("the text is too long".to_owned()));
    }
    let alias = alias::of_text(text)
        .into_iter()
        .next()
        .ok_or(Problem::NoHost)?;
    let query = Query {
        host: alias.clone(),
        port: None,
        user: None,
    };
    let file = Path::new("text");
    let roots = [Root {
        file,
        owner: Owner::User,
    }];
    let mut pasted = Pasted(text);
    let found = parse::resolve(
        &query,
        environment,
        &roots,
        &default::compiled(),
        &mut pasted,
    )?;
    let mut settings = settings::settle(&found, environment)?;
    settings.warnings = warning::sentences(&found, &Values::default());
    Ok(Block { alias, settings })
}

/// The names of a text's `Host` lines that are no patterns.
pub(in crate::ssh) fn names_of_block(text: &str) -> Vec<String> {
    alias::of_text(text)
}

struct Pasted<'a>(&'a str);

impl Files for Pasted<'_> {
    fn read(&mut self, file: &Path, _: bool) -> Result<String, Unread> {
        if file == Path::new("text") {
            Ok(self.0.to_owned())
        } else {
            Err(Unread::Io(io::ErrorKind::NotFound.into()))
        }
    }

    fn list(&mut self, _: &str) -> Result<Vec<PathBuf>, Problem> {
        Ok(Vec::new())
    }
}
