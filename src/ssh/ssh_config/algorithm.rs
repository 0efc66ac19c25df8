//! Lists of algorithm names: `+`, `-`, `^` and wildcards, put together onto
//! OpenSSH's own lists as its kex.c does it.

use super::found::Found;
use super::pattern::{self, Verdict};
use super::value::Values;

/// What a list is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Cipher,
    Mac,
    Exchange,
    /// Host keys and signatures.
    Key,
}

impl Algorithm {
    /// Every name that OpenSSH 9.2 knows.
    fn known(self) -> &'static str {
        match self {
            Self::Cipher => {
                "3des-cbc,aes128-cbc,aes192-cbc,aes256-cbc,aes128-ctr,aes192-ctr,aes256-ctr,\
                 aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com"
            }
            Self::Mac => {
                "hmac-sha1,hmac-sha1-96,hmac-sha2-256,hmac-sha2-512,hmac-md5,hmac-md5-96,\
                 umac-64@openssh.com,umac-128@openssh.com,hmac-sha1-etm@openssh.com,\
                 hmac-sha1-96-etm@openssh.com,hmac-sha2-256-etm@openssh.com,\
                 hmac-sha2-512-etm@openssh.com,hmac-md5-etm@openssh.com,\
                 hmac-md5-96-etm@openssh.com,umac-64-etm@openssh.com,umac-128-etm@openssh.com"
            }
            Self::Exchange => {
                "diffie-hellman-group1-sha1,diffie-hellman-group14-sha1,\
                 diffie-hellman-group14-sha256,diffie-hellman-group16-sha512,\
                 diffie-hellman-group18-sha512,diffie-hellman-group-exchange-sha1,\
                 diffie-hellman-group-exchange-sha256,ecdh-sha2-nistp256,ecdh-sha2-nistp384,\
                 ecdh-sha2-nistp521,curve25519-sha256,curve25519-sha256@libssh.org,\
                 sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com"
            }
            Self::Key => {
                "ssh-ed25519,ssh-ed25519-cert-v01@openssh.com,sk-ssh-ed25519@openssh.com,\
                 sk-ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256,\
                 ecdsa-sha2-nistp256-cert-v01@openssh.com,ecdsa-sha2-nistp384,\
                 ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521,\
                 ecdsa-sha2-nistp521-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,\
                 sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,\
                 webauthn-sk-ecdsa-sha2-nistp256@openssh.com,ssh-dss,\
                 ssh-dss-cert-v01@openssh.com,ssh-rsa,ssh-rsa-cert-v01@openssh.com,\
                 rsa-sha2-256,rsa-sha2-256-cert-v01@openssh.com,rsa-sha2-512,\
                 rsa-sha2-512-cert-v01@openssh.com"
            }
        }
    }

    /// Whether OpenSSH takes the list as it reads it. What follows an empty name is
    /// not looked at; a list of names to remove is not either.
    pub(super) fn accepts(self, list: &str, default: &str) -> bool {
        if list.starts_with('-') {
            return true;
        }
        let names = list.strip_prefix(['+', '^']).unwrap_or(list);
        !names.is_empty()
            && names
                .split(',')
                .take_while(|name| !name.is_empty())
                .all(|name| self.accepts_name(name, default))
    }

    fn accepts_name(self, name: &str, default: &str) -> bool {
        let mut known = self.known().split(',').chain(default.split(','));
        match self {
            Self::Cipher | Self::Mac | Self::Exchange => known.any(|known| known == name),
            Self::Key => {
                ["ED25519", "ED25519-SK", "ECDSA", "ECDSA-SK", "DSA", "RSA"]
                    .iter()
                    .any(|short| short.eq_ignore_ascii_case(name))
                    || known.any(|known| pattern::list(known, name) != Verdict::Unnamed)
            }
        }
    }

    /// Puts a list together; `None` where OpenSSH would end up with no name.
    pub(super) fn assemble(self, list: &str, default: &str) -> Option<String> {
        let (first, names) = match list.chars().next() {
            Some(sign @ ('+' | '-' | '^')) => (Some(sign), list.get(1..).unwrap_or_default()),
            Some(_) | None => (None, list),
        };
        let wanted = match first {
            Some('-') => {
                let kept: Vec<_> = default
                    .split(',')
                    .filter(|name| pattern::list(name, names) != Verdict::Yes)
                    .collect();
                return Some(kept.join(","));
            }
            Some('+') => {
                // An empty name ends what is added.
                let added = names.split(',').take_while(|name| !name.is_empty());
                default
                    .split(',')
                    .chain(added)
                    .collect::<Vec<_>>()
                    .join(",")
            }
            Some(_) => format!("{names},{default}"),
            None => names.to_owned(),
        };
        let mut all: Vec<&str> = self.known().split(',').collect();
        all.extend(
            default
                .split(',')
                .filter(|name| !self.known().contains(name)),
        );
        let mut found: Vec<&str> = Vec::new();
        for pattern in wanted.split(',') {
            if pattern.starts_with('!') {
                return None;
            }
            for name in &all {
                if pattern::list(name, pattern) == Verdict::Yes && !found.contains(name) {
                    found.push(name);
                }
            }
        }
        (!found.is_empty()).then(|| found.join(","))
    }
}

/// Whether HostKeyAlgorithms is a list whose order counts, which `ssh -G` does not tell:
/// it prints every list put together. Our own reading knows, where it came to the same
/// list. Where a command of `Match exec` made it another, this is the best guess: what
/// `+` and `-` make begins as the default does, or is the default with gaps.
pub(super) fn keeps_order(dumped: &Values, read: Option<&Found>, defaults: &Values) -> bool {
    const KEY: &str = "hostkeyalgorithms";
    if let Some(read) = read
        && read.values.all(KEY) == dumped.all(KEY)
    {
        return read.keeps_host_key_order;
    }
    let (Some(list), Some(default)) = (dumped.one(KEY), defaults.one(KEY)) else {
        return false;
    };
    let is_longer = list
        .strip_prefix(default)
        .is_some_and(|more| more.starts_with(','));
    let mut left = default.split(',');
    let has_gaps = list.split(',').all(|name| left.any(|one| one == name));
    !(is_longer || has_gaps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_put_together_as_in_openssh() {
        let default = "aes128-ctr,aes256-ctr";
        for (list, expected) in [
            ("aes256-ctr", Some("aes256-ctr")),
            (
                "+aes256-cbc,aes128-ctr",
                Some("aes128-ctr,aes256-ctr,aes256-cbc"),
            ),
            ("^aes256-ctr", Some("aes256-ctr,aes128-ctr")),
            ("-aes128-*", Some("aes256-ctr")),
            ("-*", Some("")),
            ("-", Some("aes128-ctr,aes256-ctr")),
            ("aes1??-cbc", Some("aes128-cbc,aes192-cbc")),
            ("!aes128-ctr", None),
            ("nothing", None),
        ] {
            let found = Algorithm::Cipher.assemble(list, default);
            assert_eq!(found.as_deref(), expected, "{list}");
        }
    }

    /// What only `ssh` knows, because it ran a command.
    #[test]
    fn a_list_that_was_not_read_by_us_is_judged_by_its_look() {
        let with = |list: &str| {
            let mut values = Values::default();
            values.set("hostkeyalgorithms", vec![list.to_owned()]);
            values
        };
        let default = with("a-cert,b-cert,a,b");
        for (list, expected) in [
            ("a-cert,b-cert,a,b,c", false),
            ("a-cert,a", false),
            ("b,a", true),
            ("c", true),
            ("b,a-cert,b-cert,a", true),
        ] {
            assert_eq!(keeps_order(&with(list), None, &default), expected, "{list}");
        }
        assert!(!keeps_order(&Values::default(), None, &default));
    }
}
