//! The hosts that people gave names to.

use std::collections::HashSet;
use std::path::Path;

use super::disk::{Files, Unread};
use super::line::Line;
use super::name;
use super::parse::{self, MAX_DEPTH, Owner, Root};
use super::problem::Problem;
use crate::ssh::Environment;

/// The names of `Host` lines that one can type, in the files' order.
pub(super) fn collect(
    roots: &[Root<'_>],
    environment: &Environment,
    files: &mut dyn Files,
) -> Result<Vec<String>, Problem> {
    let mut names = Names::default();
    for root in roots {
        let is_private = root.owner == Owner::User;
        match files.read(root.file, is_private) {
            Ok(text) => names.read(&text, root.owner, 0, environment, files)?,
            Err(Unread::Problem(problem)) => return Err(problem),
            Err(Unread::Io(_)) => {}
        }
    }
    Ok(names.in_order)
}

/// The names of one text.
pub(super) fn of_text(text: &str) -> Vec<String> {
    let mut names = Names::default();
    for line in lines(text).filter(|line| line.keyword == "host") {
        names.take(&line.words);
    }
    names.in_order
}

#[derive(Default)]
struct Names {
    in_order: Vec<String>,
    known: HashSet<String>,
}

impl Names {
    fn read(
        &mut self,
        text: &str,
        owner: Owner,
        depth: usize,
        environment: &Environment,
        files: &mut dyn Files,
    ) -> Result<(), Problem> {
        for line in lines(text) {
            match line.keyword.as_str() {
                "host" => self.take(&line.words),
                "include" if depth < MAX_DEPTH => {
                    for file in included(&line, owner, environment, files)? {
                        // A bad file spoils a connection, not the list.
                        if let Ok(text) = files.read(Path::new(&file), true) {
                            self.read(&text, owner, depth + 1, environment, files)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn take(&mut self, patterns: &[String]) {
        for pattern in patterns {
            let is_concrete = !pattern.starts_with('!') && !pattern.contains(['*', '?']);
            if is_concrete && name::is_host(pattern) && self.known.insert(pattern.clone()) {
                self.in_order.push(pattern.clone());
            }
        }
    }
}

/// The lines that can be understood.
fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.split_inclusive('\n')
        .filter_map(|line| Line::read(line).ok().flatten())
}

fn included(
    line: &Line<'_>,
    owner: Owner,
    environment: &Environment,
    files: &mut dyn Files,
) -> Result<Vec<std::path::PathBuf>, Problem> {
    let mut found = Vec::new();
    for pattern in &line.words {
        if let Ok(Some(pattern)) = parse::anchored(pattern, owner, environment) {
            found.extend(files.list(&pattern)?);
        }
    }
    Ok(found)
}
