//! What was measured: of each figure, on each way, a value a round.

use std::collections::HashMap;

/// A way from the host to the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Way {
    /// The daemon over its pipes.
    Ours,
    /// `ssh -L`, and Node's HTTP client.
    Tunnel,
    /// The npm package ssh2, and Node's HTTP client.
    Ssh2,
    /// Node's HTTP client alone: the limit.
    Direct,
}

impl Way {
    pub(crate) const ALL: [Self; 4] = [Self::Ours, Self::Tunnel, Self::Ssh2, Self::Direct];

    /// As `host/main.mjs` calls it.
    pub(crate) fn argument(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Tunnel => "tunnel",
            Self::Ssh2 => "ssh2",
            Self::Direct => "direct",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Tunnel => "ssh -L",
            Self::Ssh2 => "Node ssh2",
            Self::Direct => "no SSH",
        }
    }

    pub(crate) fn uses_ssh(self) -> bool {
        self != Self::Direct
    }
}

/// One figure's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Name {
    /// The heading that it stands under.
    pub(crate) group: &'static str,
    pub(crate) what: String,
    pub(crate) unit: &'static str,
}

/// All figures, in the order in which they first came.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    names: Vec<Name>,
    values: HashMap<(usize, Way), Vec<f64>>,
    /// What could not be done, once each.
    pub(crate) failures: Vec<String>,
}

/// The middle and the ends of the rounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Figures {
    pub(crate) fn add(
        &mut self,
        way: Way,
        group: &'static str,
        what: impl Into<String>,
        unit: &'static str,
        value: f64,
    ) {
        let what = what.into();
        let name = Name { group, what, unit };
        let known = self.names.iter().position(|known| *known == name);
        let index = known.unwrap_or_else(|| {
            self.names.push(name);
            self.names.len() - 1
        });
        self.values.entry((index, way)).or_default().push(value);
    }

    pub(crate) fn fail(&mut self, failure: String) {
        if !self.failures.contains(&failure) {
            self.failures.push(failure);
        }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = (usize, &Name)> {
        self.names.iter().enumerate()
    }

    pub(crate) fn spread(&self, index: usize, way: Way) -> Option<Spread> {
        let mut values = self.values.get(&(index, way))?.clone();
        values.retain(|value| value.is_finite());
        values.sort_by(f64::total_cmp);
        Some(Spread {
            median: median(&values)?,
            least: *values.first()?,
            most: *values.last()?,
        })
    }

    /// The median of a figure that is named so.
    pub(crate) fn median(&self, group: &str, what: &str, way: Way) -> Option<f64> {
        let mut names = self.names();
        let (index, _) = names.find(|(_, name)| name.group == group && name.what == what)?;
        Some(self.spread(index, way)?.median)
    }
}

/// Of sorted values; between two, the middle of both.
pub(crate) fn median(sorted: &[f64]) -> Option<f64> {
    let upper = sorted.get(sorted.len() / 2)?;
    match sorted.len() % 2 {
        0 => Some((sorted.get(sorted.len() / 2 - 1)? + upper) / 2.0),
        _ => Some(*upper),
    }
}
