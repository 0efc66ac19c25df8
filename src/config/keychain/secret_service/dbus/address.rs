//! Where the session's message bus is.

use std::path::PathBuf;

/// A place to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// A socket in the file system.
    Path(PathBuf),
    /// A name of Linux's own, without a file.
    Abstract(Vec<u8>),
}

/// The addresses of this kind in the text of `DBUS_SESSION_BUS_ADDRESS`, in order. Of other kinds
/// (TCP, programs to be started) none is used.
pub(super) fn parse(text: &str) -> Vec<Address> {
    let unix = text
        .split(';')
        .filter_map(|address| address.strip_prefix("unix:"));
    unix.filter_map(|pairs| {
        pairs.split(',').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            let value = unescaped(value)?;
            match name {
                "path" => Some(Address::Path(path(value)?)),
                "abstract" => Some(Address::Abstract(value)),
                _ => None,
            }
        })
    })
    .collect()
}

fn path(bytes: Vec<u8>) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;
    let path = PathBuf::from(std::ffi::OsString::from_vec(bytes));
    path.is_absolute().then_some(path)
}

/// `%2f` is a slash.
fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut plain = Vec::new();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_found_among_other_addresses() {
        let text = "tcp:host=gpu,port=1;unix:path=/run/user/1/a%20bus,guid=0f;unixexec:path=/bin/sh;\
                    unix:guid=1,abstract=/tmp/dbus-%41;unix:tmpdir=/tmp;unix:path=relative;unix:path=/%zz;";
        assert_eq!(
            parse(text),
            [
                Address::Path("/run/user/1/a bus".into()),
                Address::Abstract(b"/tmp/dbus-A".into()),
            ]
        );
        for nothing in ["", ";", "unix:", "autolaunch:", "unix:path=/%4"] {
            assert_eq!(parse(nothing), [], "{nothing}");
        }
    }
}
