//! What `ssh -G` prints: one value a line.

use super::value::Values;

/// A host as `ssh -G` sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dump {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) values: Values,
}

/// Reads the output; `None` if it is not `ssh -G`'s.
pub(super) fn read(output: &[u8]) -> Option<Dump> {
    let mut values = values(&String::from_utf8_lossy(output));
    let mut one = |key: &str| {
        let mut all = values.0.remove(key)?;
        all.pop()
            .filter(|value| all.is_empty() && !value.is_empty())
    };
    let host = one("hostname")?;
    let port = one("port")?.parse().ok()?;
    let user = one("user")?;
    values.0.remove("host");
    Some(Dump {
        host,
        port,
        user,
        values,
    })
}

pub(super) fn values(text: &str) -> Values {
    let mut values = Values::default();
    for line in text.lines() {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            continue;
        }
        let key = key.to_ascii_lowercase();
        let all = values.0.entry(key.clone()).or_default();
        match key.as_str() {
            "userknownhostsfile" | "globalknownhostsfile" | "canonicaldomains" => {
                all.extend(value.split(' ').map(str::to_owned));
            }
            _ => all.push(value.to_owned()),
        }
    }
    values
}
