//! Ids of profiles, which are names of files.

use super::error::Error;

const LENGTH: usize = 64;
/// Room for `-` and the number.
const SLUG_LENGTH: usize = 40;
/// Names that Windows keeps for devices, whatever follows a dot.
const RESERVED: &[&str] = &["con", "prn", "aux", "nul"];
const RESERVED_NUMBERED: &[&str] = &["com", "lpt"];

/// Checks `[A-Za-z0-9][A-Za-z0-9_-]{0,63}` without Windows's reserved names.
pub(super) fn check(id: &str) -> Result<(), Error> {
    let first = id.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    let rest = id
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if !first || !rest || id.len() > LENGTH {
        return Err(Error::invalid(
            "configId",
            "must be 1 to 64 letters, digits, `-` or `_`, and start with a letter or digit",
        ));
    }
    if is_reserved(id) {
        return Err(Error::invalid(
            "configId",
            "must not be a name that Windows reserves",
        ));
    }
    Ok(())
}

/// The first id made from a profile's name and a number that is not `taken`: `GPU box` becomes
/// `gpu-box-1`.
pub(super) fn generate(name: &str, taken: impl Fn(&str) -> bool) -> Option<String> {
    let mut slug = String::new();
    for c in name.chars() {
        if slug.len() >= SLUG_LENGTH {
            break;
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = match slug.trim_end_matches('-') {
        "" => "remote",
        slug => slug,
    };
    (1..=100_000_u32)
        .map(|number| format!("{slug}-{number}"))
        .find(|id| !taken(id))
}

fn is_reserved(id: &str) -> bool {
    let id = id.to_ascii_lowercase();
    let numbered = RESERVED_NUMBERED.iter().any(|device| {
        id.strip_prefix(device)
            .is_some_and(|rest| rest.len() == 1 && rest.chars().all(|c| c.is_ascii_digit()))
    });
    numbered || RESERVED.contains(&id.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_are_plain_file_names() {
        for id in ["a", "remote-1", "0_x", "Con1", "com10", &"a".repeat(64)] {
            check(id).unwrap();
        }
        for id in [
            "",
            "-a",
            "_a",
            ".",
            "..",
            "../a",
            "a/../b",
            "a/b",
            "a\\b",
            "%2e",
            "a\0b",
            "a.json",
            "é",
            "a b",
            "con",
            "NUL",
            "Com0",
            "lpt9",
            &"a".repeat(65),
        ] {
            check(id).unwrap_err();
        }
    }

    #[test]
    fn an_id_is_made_from_the_name() {
        let taken = |id: &str| id == "gpu-box-1";
        assert_eq!(generate("  GPU / box!", taken).unwrap(), "gpu-box-2");
        assert_eq!(generate("日本", |_| false).unwrap(), "remote-1");
        assert_eq!(generate("con", |_| false).unwrap(), "con-1");
    }

    proptest! {
        #[test]
        fn every_made_id_is_valid(name in ".{0,80}") {
            check(&generate(&name, |_| false).unwrap()).unwrap();
        }

        #[test]
        fn no_valid_id_leaves_its_folder(id in ".{0,80}") {
            if check(&id).is_ok() {
                let path = std::path::Path::new("folder").join(format!("{id}.json"));
                prop_assert_eq!(path.parent(), Some(std::path::Path::new("folder")));
                prop_assert_eq!(path.components().count(), 2);
            }
        }
    }
}
