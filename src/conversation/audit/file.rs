//! The files: one a day, more where one grows too large, the oldest deleted.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::time::SystemTime;

use crate::conversation::private::{create_folder, open};

use super::chain::{START, digest_of, link};

/// A file that has grown beyond this is not written to any more.
const FILE_BYTES: u64 = 10 * 1024 * 1024;
/// How many are kept.
const FILES: usize = 5;
/// Of a file's end, enough for nearly every last line.
const FIRST_BYTES: u64 = 8 * 1024;
/// Enough for any.
const TAIL_BYTES: u64 = 512 * 1024;
const ENDING: &str = ".jsonl";

/// Where the files are; several daemons may write to them.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Appends a record, a JSON object, as the next line of the chain.
    pub(super) fn append(&self, record: &str) -> io::Result<()> {
        create_folder(&self.path)?;
        let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let today = now.get(..10).unwrap_or_default();
        let latest = self.files()?.pop().filter(|file| file.day == today);
        let mut target = latest.unwrap_or_else(|| Name {
            day: today.to_owned(),
            number: 1,
        });
        let mut carried = None;
        loop {
            let mut file = open(&self.path.join(target.to_string()))?;
            // Let go when the file is closed.
            file.lock()?;
            let length = file.metadata()?.len();
            if length >= FILE_BYTES {
                carried = last_digest(&mut file, length)?;
                target.number += 1;
                continue;
            }
            let is_new = length == 0;
            let prev = match is_new {
                true => carried,
                false => last_digest(&mut file, length)?,
            };
            let (mut line, _) = link(record, prev.as_deref().unwrap_or(START));
            line.push('\n');
            file.write_all(line.as_bytes())?;
            return match is_new {
                true => self.delete_oldest(),
                false => Ok(()),
            };
        }
    }

    fn delete_oldest(&self) -> io::Result<()> {
        let files = self.files()?;
        let too_many = files.len().saturating_sub(FILES);
        for file in files.into_iter().take(too_many) {
            fs::remove_file(self.path.join(file.to_string()))?;
        }
        Ok(())
    }

    /// The oldest first.
    fn files(&self) -> io::Result<Vec<Name>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            files.extend(Name::parse(&entry?.file_name().to_string_lossy()));
        }
        files.sort();
        Ok(files)
    }
}

/// `2026-12-01.jsonl`, then `2026-12-01.2.jsonl`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    day: String,
    number: u32,
}

impl Name {
    /// `None` for what is not ours.
    fn parse(name: &str) -> Option<Self> {
        let stem = name.strip_suffix(ENDING)?;
        let (day, number) = match stem.split_once('.') {
            Some((day, number)) => (day, number.parse().ok()?),
            None => (stem, 1),
        };
        let parsed = Self {
            day: day.to_owned(),
            number,
        };
        (day.len() == 10 && parsed.to_string() == name).then_some(parsed)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            1 => write!(f, "{}{ENDING}", self.day),
            number => write!(f, "{}.{number}{ENDING}", self.day),
        }
    }
}

/// Of the last line. A line that was not written to its end is ended here, so that it is seen as
/// what it is and harms no other.
fn last_digest(file: &mut File, length: u64) -> io::Result<Option<String>> {
    let mut window = FIRST_BYTES;
    loop {
        let start = length.saturating_sub(window);
        file.seek(SeekFrom::Start(start))?;
        let mut tail = Vec::new();
        (&mut *file).take(window).read_to_end(&mut tail)?;
        let found = tail
            .rsplit(|&byte| byte == b'\n')
            .find_map(|line| digest_of(std::str::from_utf8(line).ok()?));
        // Nearly every line is short: who writes one should not read half a megabyte.
        if found.is_none() && start > 0 && window < TAIL_BYTES {
            window *= 8;
            continue;
        }
        let found = found.map(str::to_owned);
        if tail.last().is_some_and(|&last| last != b'\n') {
            file.write_all(b"\n")?;
        }
        return Ok(found);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::chain::verify;
    use super::*;

    fn files(folder: &Path) -> Vec<PathBuf> {
        let names = Folder::new(folder.to_owned()).files().unwrap();
        names
            .iter()
            .map(|name| folder.join(name.to_string()))
            .collect()
    }

    #[test]
    fn two_writers_make_one_chain() {
        let folder = tempfile::tempdir().unwrap();
        let write = || {
            let folder = Folder::new(folder.path().to_owned());
            for number in 0..100 {
                folder.append(&format!("{{\"n\":{number}}}")).unwrap();
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(write);
            scope.spawn(write);
        });
        let records: u64 = files(folder.path())
            .iter()
            .map(|file| verify(&fs::read(file).unwrap()[..]).unwrap().records)
            .sum();
        assert_eq!(records, 200);
    }

    #[test]
    fn a_full_file_is_followed_by_another_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let writer = Folder::new(folder.path().to_owned());
        let large = format!("{{\"text\":\"{}\"}}", "x".repeat(400_000));
        for _ in 0..27 * (FILES + 1) {
            writer.append(&large).unwrap();
        }
        let files = files(folder.path());
        assert_eq!(files.len(), FILES);
        let all: Vec<u8> = files
            .iter()
            .flat_map(|file| fs::read(file).unwrap())
            .collect();
        // Each goes on from the one before.
        assert_eq!(verify(&all[..]).unwrap().records, 27 * FILES as u64);
    }

    #[test]
    fn what_a_crash_left_unfinished_harms_no_other_line() {
        let folder = tempfile::tempdir().unwrap();
        let writer = Folder::new(folder.path().to_owned());
        writer.append("{\"n\":1}").unwrap();
        let path = files(folder.path()).remove(0);
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{whole}{{\"n\":2,\"te")).unwrap();
        writer.append("{\"n\":3}").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        let first = digest_of(lines[0]).unwrap();
        assert!(lines[2].contains(&format!("\"prev\":\"{first}\"")));
    }

    #[cfg(unix)]
    #[test]
    fn the_files_are_for_their_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("audit");
        Folder::new(folder.clone()).append("{\"n\":1}").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&files(&folder)[0])), (0o700, 0o600));
    }
}
