//! Names that a stranger should not read, replaced by others, the same one each time.

use std::{collections::BTreeMap, net::IpAddr, sync::LazyLock};

use regex::{Captures, Regex};
use serde_json::Value;

use crate::conversation::redact_secrets;

/// What may be an address; whether it is one, the standard library says.
static ADDRESS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"[0-9A-Fa-f:.]*[0-9A-Fa-f][.:][0-9A-Fa-f:.]*[0-9A-Fa-f:]").ok());

/// A key in an agent has whatever its owner called it; most are called `person@machine`.
static AGENT_KEY: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\(agent: ([^)]*)\)").ok());

/// The words of a command of the user's: they name whatever it wants, as the command does itself. The
/// first is how an error repeats them, the second how the log does.
static COMMANDS_WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let pattern = r"(; it said: ).*(\)\. Run it in a terminal)|^(proxy command: ).*";
    Regex::new(pattern).ok()
});

/// Names and what stands for them.
#[derive(Debug, Default)]
pub(super) struct Redaction {
    names: BTreeMap<String, String>,
    addresses: BTreeMap<IpAddr, String>,
    kinds: BTreeMap<&'static str, usize>,
}

impl Redaction {
    /// From now on `name` is called `kind-N`.
    pub(super) fn hide(&mut self, kind: &'static str, name: &str) {
        let name = name.trim_matches(['[', ']']);
        if name.is_empty() || is_harmless(name) || self.names.contains_key(name) {
            return;
        }
        // Addresses are found by their form.
        if name.parse::<IpAddr>().is_err() {
            let other = self.number(kind);
            self.names.insert(name.to_owned(), other);
        }
    }

    /// From now on `name` is called `other`.
    pub(super) fn call(&mut self, name: &str, other: &str) {
        if name.len() > 1 {
            self.names.insert(name.to_owned(), other.to_owned());
        }
    }

    /// Every string in `value`, the names of its fields but.
    pub(super) fn apply(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.apply(item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.apply(field)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn text(&mut self, text: &str) -> String {
        let mut text = redact_secrets(text);
        let mut names: Vec<_> = self.names.iter().collect();
        // A name inside another one must not break it.
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        for (name, other) in names {
            text = replace_word(&text, name, other);
        }
        if let Some(words) = COMMANDS_WORDS.as_ref() {
            text = words.replace_all(&text, "$1$3[left out]$2").into_owned();
        }
        if let Some(key) = AGENT_KEY.as_ref() {
            let hidden = key.replace_all(&text, |found: &Captures<'_>| agent_key(&found[1]));
            text = hidden.into_owned();
        }
        let Some(address) = ADDRESS.as_ref() else {
            return text;
        };
        address
            .replace_all(&text, |found: &Captures<'_>| self.address(&found[0]))
            .into_owned()
    }

    fn address(&mut self, found: &str) -> String {
        let bare = found.trim_end_matches(['.', ':']);
        // An address, or one of the fourth version with a port.
        let (address, rest): (IpAddr, _) = match bare.parse() {
            Ok(address) => (address, &found[bare.len()..]),
            Err(_) => match bare.rsplit_once(':').map(|(host, _)| (host, host.parse())) {
                Some((host, Ok(address))) => (address, &found[host.len()..]),
                _ => return found.to_owned(),
            },
        };
        if is_harmless(&address.to_string()) {
            return found.to_owned();
        }
        let other = match self.addresses.get(&address) {
            Some(known) => known.clone(),
            None => {
                let other = self.number("address");
                self.addresses.insert(address, other.clone());
                other
            }
        };
        format!("{other}{rest}")
    }

    fn number(&mut self, kind: &'static str) -> String {
        let number = self.kinds.entry(kind).or_default();
        *number += 1;
        format!("{kind}-{number}")
    }
}

fn agent_key(called: &str) -> String {
    let (name, certificate) = match called.strip_suffix(", certificate") {
        Some(name) => (name, ", certificate"),
        None => (called, ""),
    };
    match name.starts_with("SHA256:") {
        true => format!("(agent: {called})"),
        false => format!("(agent: a key{certificate})"),
    }
}

/// Every machine calls itself so.
fn is_harmless(name: &str) -> bool {
    matches!(
        name,
        "localhost" | "127.0.0.1" | "::1" | "0.0.0.0" | "::" | "root"
    )
}

/// Replaces `name` where it is not a part of a longer word.
fn replace_word(text: &str, name: &str, other: &str) -> String {
    let is_word = |letter: Option<char>| {
        letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
    };
    let first = is_word(name.chars().next());
    let last = is_word(name.chars().next_back());
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let end = at + name.len();
        let before = rest[..at].chars().next_back().or(out.chars().next_back());
        let goes_on = last && is_word(rest[end..].chars().next());
        out.push_str(&rest[..at]);
        out.push_str(match (first && is_word(before)) || goes_on {
            true => name,
            false => other,
        });
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(redaction: &mut Redaction, text: &str) -> String {
        let mut value = Value::from(text);
        redaction.apply(&mut value);
        value.as_str().unwrap().to_owned()
    }

    #[test]
    fn names_and_addresses_become_others_and_stay_apart() {
        let mut redaction = Redaction::default();
        redaction.hide("host", "gpu1.example.com");
        redaction.hide("host", "gpu1");
        redaction.hide("user", "ai");
        redaction.hide("host", "localhost");
        redaction.call("/home/jane", "~");
        let text = "ai@gpu1 is gpu1.example.com (10.0.0.5:22, 2001:db8::7, again 10.0.0.5.), \
                    which failed; /home/jane/.ssh/id at localhost, 127.0.0.1:11434";
        assert_eq!(
            redacted(&mut redaction, text),
            "user-1@host-2 is host-1 (address-1:22, address-2, again address-1.), which failed; \
             ~/.ssh/id at localhost, 127.0.0.1:11434"
        );
    }

    #[test]
    fn versions_times_and_fingerprints_are_no_addresses() {
        let mut redaction = Redaction::default();
        for text in [
            "OpenSSH_9.2p1 0.65.1",
            "12:30:05.250",
            "SHA256:abc/DEF",
            "at :11434.",
        ] {
            assert_eq!(redacted(&mut redaction, text), text);
        }
    }

    #[test]
    fn what_a_key_in_an_agent_is_called_is_its_owners_business() {
        let text = "publickey (agent: jane@laptop); publickey (agent: Jane's, certificate); \
                    publickey (agent: SHA256:abc/DEF); publickey (~/.ssh/id)";
        assert_eq!(
            redacted(&mut Redaction::default(), text),
            "publickey (agent: a key); publickey (agent: a key, certificate); \
             publickey (agent: SHA256:abc/DEF); publickey (~/.ssh/id)"
        );
    }

    #[test]
    fn what_a_command_says_is_left_out() {
        for (text, expected) in [
            (
                "The proxy command for gpu ended (exit status: 3; it said: no way to gw (x)). Run it in \
                 a terminal to see why.",
                "The proxy command for gpu ended (exit status: 3; it said: [left out]). Run it in a \
                 terminal to see why.",
            ),
            (
                "proxy command: no way to gw host=gpu",
                "proxy command: [left out]",
            ),
            (
                "gpu hung up (it said: too many). Try again.",
                "gpu hung up (it said: too many). Try again.",
            ),
        ] {
            assert_eq!(redacted(&mut Redaction::default(), text), expected);
        }
    }

    #[test]
    fn what_looks_like_a_secret_goes_everywhere() {
        let text = "header: Bearer abcdefgh12345678";
        let shown = redacted(&mut Redaction::default(), text);
        assert_eq!(shown, "header: Bearer [redacted]");
    }
}
