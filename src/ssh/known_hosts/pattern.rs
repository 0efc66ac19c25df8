//! Does the first field of a known_hosts line name a host? As OpenSSH's match.c
//! and hostfile.c have it, byte by byte.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

const HASH_PREFIX: &str = "|1|";
const SALT_LENGTH: usize = 20;

/// A sub-pattern that is longer spoils the whole list, as in OpenSSH.
const MAX_PATTERN: usize = 1023;

/// Whether `field` names `host`, which is in lower case.
pub(super) fn names(field: &[u8], host: &str) -> bool {
    if field.first() == Some(&b'|') {
        return is_hash_of(field, host);
    }
    let mut found = false;
    for pattern in field.split(|byte| *byte == b',') {
        let (negated, pattern) = match pattern.strip_prefix(b"!") {
            Some(rest) => (true, rest),
            None => (false, pattern),
        };
        if pattern.len() >= MAX_PATTERN {
            return false;
        }
        if glob(&pattern.to_ascii_lowercase(), host.as_bytes()) {
            if negated {
                return false;
            }
            found = true;
        }
    }
    found
}

/// Writes a host name so that only those who know it can find it again.
pub(super) fn hash(host: &str, salt: &[u8; SALT_LENGTH]) -> Option<String> {
    let mut mac = Hmac::<Sha1>::new_from_slice(salt).ok()?;
    mac.update(host.as_bytes());
    Some(format!(
        "{HASH_PREFIX}{}|{}",
        BASE64.encode(salt),
        BASE64.encode(mac.finalize().into_bytes())
    ))
}

fn is_hash_of(field: &[u8], host: &str) -> bool {
    let salt = std::str::from_utf8(field)
        .ok()
        .and_then(|field| field.strip_prefix(HASH_PREFIX)?.split_once('|'))
        .and_then(|(salt, _)| BASE64.decode(salt).ok())
        .and_then(|salt| <[u8; SALT_LENGTH]>::try_from(salt).ok());
    salt.and_then(|salt| hash(host, &salt))
        .is_some_and(|expected| expected.as_bytes() == field)
}

/// `*` stands for any run of bytes, `?` for one.
pub(in crate::ssh) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on when the last star has to swallow one byte more.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(p), text.get(t)) {
            (Some(b'*'), _) => {
                p += 1;
                retry = Some((p, t));
            }
            (Some(b'?'), Some(_)) => {
                p += 1;
                t += 1;
            }
            (Some(a), Some(b)) if a == b => {
                p += 1;
                t += 1;
            }
            (None, None) => return true,
            _ => match retry {
                Some((after_star, swallowed)) if swallowed < text.len() => {
                    retry = Some((after_star, swallowed + 1));
                    p = after_star;
                    t = swallowed + 1;
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_wildcards_and_negations_match_as_in_openssh() {
        for (field, host, expected) in [
            ("h", "h", true),
            ("h", "h2", false),
            ("H.Example", "h.example", true),
            ("a,h,b", "h", true),
            ("*.example.com", "gpu.example.com", true),
            ("*.example.com", "example.com", false),
            ("gpu?", "gpu1", true),
            ("gpu?", "gpu", false),
            ("*", "[h]:2222", true),
            ("[h]:2222", "[h]:2222", true),
            ("[h]:*", "[h]:2222", true),
            ("h", "[h]:2222", false),
            ("!h,h", "h", false),
            ("h,!h", "h", false),
            ("*,!h", "g", true),
            ("!h", "g", false),
            ("", "", true),
            ("a**b*", "axyzb", true),
        ] {
            assert_eq!(names(field.as_bytes(), host), expected, "{field} {host}");
        }
    }

    #[test]
    fn a_hashed_name_is_found_only_by_its_host() {
        // Written by ssh-keygen -H for the host "gpu1".
        let salt = [7; SALT_LENGTH];
        let field = hash("[gpu1]:2222", &salt).unwrap();
        assert!(names(field.as_bytes(), "[gpu1]:2222"));
        assert!(!names(field.as_bytes(), "gpu1"));
        for broken in ["|1|", "|1||", "|1|AAAA|AAAA", "|2|x|y", "|1|%|%", "|"] {
            assert!(!names(broken.as_bytes(), "gpu1"), "{broken}");
        }
        assert!(!names(format!("{field},gpu1").as_bytes(), "gpu1"));
    }

    #[test]
    fn an_overlong_pattern_spoils_its_list() {
        let field = format!("h,{}", "x".repeat(2000));
        assert!(!names(field.as_bytes(), "h"));
    }

    proptest! {
        #[test]
        fn any_field_is_survived(field: Vec<u8>, host in "[a-z*?.]{0,12}") {
            names(&field, &host);
        }

        #[test]
        fn glob_agrees_with_its_plain_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            fn plain(pattern: &[u8], text: &[u8]) -> bool {
                match pattern.split_first() {
                    None => text.is_empty(),
                    Some((b'*', rest)) => (0..=text.len()).any(|n| plain(rest, &text[n..])),
                    Some((b'?', rest)) => !text.is_empty() && plain(rest, &text[1..]),
                    Some((a, rest)) => text.first() == Some(a) && plain(rest, &text[1..]),
                }
            }
            prop_assert_eq!(
                glob(pattern.as_bytes(), text.as_bytes()),
                plain(pattern.as_bytes(), text.as_bytes())
            );
        }
    }
}
