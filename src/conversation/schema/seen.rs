//! Which parts of a value were looked at, for `unevaluatedProperties` and `unevaluatedItems`.

use std::collections::HashSet;

#[derive(Debug)]
pub(super) struct Seen<'v> {
    /// Without those keywords, nothing is noted.
    on: bool,
    names: HashSet<&'v str>,
    items: HashSet<usize>,
}

impl<'v> Seen<'v> {
    pub(super) fn new(on: bool) -> Self {
        Self {
            on,
            names: HashSet::new(),
            items: HashSet::new(),
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    pub(super) fn name(&mut self, name: &'v str) {
        if self.on {
            self.names.insert(name);
        }
    }

    pub(super) fn item(&mut self, index: usize) {
        if self.on {
            self.items.insert(index);
        }
    }

    pub(super) fn has_name(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    pub(super) fn has_item(&self, index: usize) -> bool {
        self.items.contains(&index)
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.names.extend(other.names);
        self.items.extend(other.items);
    }
}
