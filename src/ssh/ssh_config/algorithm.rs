//! Lists of algorithm names: `+`, `-`, `^` and wildcards, put together onto
//! OpenSSH's own lists as its kex.c does it.

use super::pattern::{self, Verdict};

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
}
