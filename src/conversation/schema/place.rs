//! Where in an input something is: a JSON Pointer that is only written when it is told.

use std::fmt::{self, Display, Formatter};

#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    Root,
    Name(&'a Self, &'a str),
    Index(&'a Self, usize),
}

impl Display for Place<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Name(parent, name) => {
                let name = name.replace('~', "~0").replace('/', "~1");
                write!(out, "{parent}/{name}")
            }
            Self::Index(parent, index) => write!(out, "{parent}/{index}"),
        }
    }
}
