//! Which methods may be used, and in which order.

use russh::MethodKind;

use super::Login;
use crate::ssh::error::{AuthOutcome, Cause};
use crate::ssh::target::AuthMethod;

/// What this program can do, in OpenSSH's order.
const ORDER: [MethodKind; 3] = [
    MethodKind::PublicKey,
    MethodKind::KeyboardInteractive,
    MethodKind::Password,
];

/// What OpenSSH tries before, and this program can't do.
const ONLY_SSH: [MethodKind; 2] = [MethodKind::GssapiWithMic, MethodKind::HostBased];

impl Login<'_> {
    /// The methods that may be used now, in order.
    pub(super) fn wanted(&self) -> Vec<MethodKind> {
        use MethodKind::{KeyboardInteractive, Password, PublicKey};
        // The first factor was the chosen one; what the server wants on top
        // is its own choice.
        let another_factor = !self.ledger.passed.is_empty();
        match self.hop.auth {
            AuthMethod::Auto => self.preferred(),
            AuthMethod::PrivateKey | AuthMethod::Agent if another_factor => self.preferred(),
            AuthMethod::PrivateKey | AuthMethod::Agent => vec![PublicKey],
            // Many servers ask for the password in a keyboard-interactive dialogue only.
            AuthMethod::Password if self.password_is_answered() => vec![Password],
            AuthMethod::Password => vec![Password, KeyboardInteractive],
            AuthMethod::KeyboardInteractive if another_factor => {
                vec![KeyboardInteractive, Password]
            }
            AuthMethod::KeyboardInteractive => vec![KeyboardInteractive],
            AuthMethod::None => vec![],
        }
    }

    /// PreferredAuthentications, or OpenSSH's order, as far as we can.
    fn preferred(&self) -> Vec<MethodKind> {
        match &self.hop.preferred_authentications {
            None => ORDER.to_vec(),
            Some(names) => names
                .iter()
                .filter_map(|name| ORDER.into_iter().find(|method| name == name_of(*method)))
                .collect(),
        }
    }

    /// The password method was tried, and the same password would only be
    /// refused once more in a dialogue.
    fn password_is_answered(&self) -> bool {
        self.ledger.passed.is_empty()
            && self.ledger.tried.iter().any(|attempt| {
                attempt.method == "password" && attempt.outcome == AuthOutcome::Rejected
            })
    }

    /// No method is left of those in PreferredAuthentications: nothing can ever work.
    pub(super) fn methods_disabled(&self) -> Option<Cause> {
        let preferred = self.hop.preferred_authentications.as_ref()?;
        (self.hop.auth == AuthMethod::Auto && self.preferred().is_empty()).then(|| {
            Cause::MethodsDisabled {
                preferred: preferred
                    .iter()
                    .map(|name| crate::ssh::text::sanitize(name))
                    .collect(),
                allowed: self.allowed_names(),
            }
        })
    }

    /// Whether a person, or a stored password, may still get us in.
    pub(super) fn answers_may_help(&self) -> bool {
        let can =
            self.prompter.can_answer() || (self.has_password() && !self.ledger.password_spent);
        can && self.wanted().iter().any(|method| {
            matches!(
                method,
                MethodKind::KeyboardInteractive | MethodKind::Password
            ) && self.ledger.allowed.contains(method)
                && !self.ledger.exhausted.contains(method)
        })
    }

    /// Notes the methods that were not tried, for the error in the end.
    pub(super) fn note_untried(&mut self, wanted: &[MethodKind]) {
        for method in wanted {
            if !self.ledger.allowed.contains(method) && !self.is_noted(*method) {
                self.skip(name_of(*method), None, "the server does not allow it");
            }
        }
        if self.hop.auth != AuthMethod::Auto {
            return;
        }
        let preferred = self.hop.preferred_authentications.clone();
        let is_preferred = |name: &str| {
            preferred
                .as_ref()
                .is_none_or(|names| names.iter().any(|n| n == name))
        };
        for method in self.ledger.allowed.clone() {
            let name = name_of(method);
            if self.is_noted(method) || wanted.contains(&method) {
                continue;
            }
            if !is_preferred(name) {
                self.skip(name, None, "ssh_config leaves it out or switches it off");
            } else if ONLY_SSH.contains(&method) {
                self.skip(
                    name,
                    None,
                    "only ssh itself can do that (transport: system)",
                );
            }
        }
        for name in preferred.into_iter().flatten() {
            let known = ORDER
                .iter()
                .chain(&ONLY_SSH)
                .any(|method| name == name_of(*method));
            if !known && name != "none" {
                let name = Some(crate::ssh::text::sanitize(&name));
                self.skip("PreferredAuthentications", name, "no such method");
            }
        }
    }

    fn is_noted(&self, method: MethodKind) -> bool {
        let name = name_of(method);
        self.ledger.tried.iter().any(|tried| tried.method == name)
    }
}

fn name_of(method: MethodKind) -> &'static str {
    (&method).into()
}
