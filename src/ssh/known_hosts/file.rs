//! Reads a known_hosts file line by line, within bounds.

use std::io::{self, BufReader};
use std::path::Path;

/// Larger files are refused rather than searched on every connect.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// A longer line can't be a key.
const MAX_LINE: usize = 1024 * 1024;

/// `None` for a file that does not exist (or is /dev/null, which people use for "no file").
pub(super) fn open(file: &Path) -> io::Result<Option<BufReader<std::fs::File>>> {
    if file == Path::new("/dev/null") {
        return Ok(None);
    }
    let metadata = match std::fs::metadata(file) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    if metadata.len() > MAX_FILE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(Some(BufReader::new(std::fs::File::open(file)?)))
}

/// Reads up to the next line feed. A line that is too long is read and left empty.
pub(super) fn read_line(from: &mut impl io::BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut any = false;
    let mut too_long = false;
    loop {
        let available = match from.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if available.is_empty() {
            break;
        }
        any = true;
        let (part, used, ended) = match available.iter().position(|byte| *byte == b'\n') {
            Some(end) => (available.get(..end), end + 1, true),
            None => (Some(available), available.len(), false),
        };
        let part = part.unwrap_or_default();
        if line.len() + part.len() > MAX_LINE {
            too_long = true;
            line.clear();
        } else if !too_long {
            line.extend_from_slice(part);
        }
        from.consume(used);
        if ended {
            break;
        }
    }
    Ok(any)
}
