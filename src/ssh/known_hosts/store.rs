//! Appends an accepted key to our own known_hosts file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use russh::keys::PublicKey;

use super::{HostName, Records, Verdict, pattern};

/// How long another process may hold the lock.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// What became of a key that was to be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Appended {
    /// It is in the file, now or already.
    Recorded,
    /// Somebody has recorded another key, or revoked this one, meanwhile.
    Contradicted,
}

/// Records that `host` shows `key`. Blocks on the disk; when it returns, the
/// record is there to stay. A key that is recorded already is not added again.
pub(in super::super) fn append(
    file: &Path,
    host: &HostName,
    key: &PublicKey,
) -> io::Result<Appended> {
    if let Some(directory) = file.parent() {
        create_private_directory(directory)?;
    }
    let mut own = open_private(file)?;
    lock(&own)?;
    // Read again under the lock: another process may have been faster.
    let recorded = Records::read(&[file.to_owned()], host, None)
        .map_err(|_| io::Error::other("the file cannot be read"))?;
    match recorded.judge(key) {
        Verdict::Known => return Ok(Appended::Recorded),
        Verdict::Changed(_) | Verdict::Revoked { .. } => return Ok(Appended::Contradicted),
        Verdict::Unknown { .. } => {}
    }
    let mut line = Vec::new();
    if lacks_final_newline(&mut own)? {
        line.push(b'\n');
    }
    let plain = PublicKey::new(key.key_data().clone(), "");
    let text = plain.to_openssh().map_err(io::Error::other)?;
    let name = pattern::hash(&host.full, &salt())
        .ok_or_else(|| io::Error::other("the name cannot be hashed"))?;
    line.extend_from_slice(format!("{name} {}\n", text.trim_end()).as_bytes());
    own.seek(SeekFrom::End(0))?;
    own.write_all(&line)?;
    own.sync_all()?;
    Ok(Appended::Recorded)
}

fn salt() -> [u8; 20] {
    // 122 random bits each, from the system: plenty for a salt.
    let mut bytes = uuid::Uuid::new_v4().as_bytes().to_vec();
    bytes.extend_from_slice(uuid::Uuid::new_v4().as_bytes());
    let mut salt = [0; 20];
    for (to, from) in salt.iter_mut().zip(bytes) {
        *to = from;
    }
    salt
}

fn create_private_directory(directory: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

fn open_private(file: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}

fn lock(file: &File) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if begun.elapsed() > LOCK_WAIT => {
                return Err(io::ErrorKind::ResourceBusy.into());
            }
            // On a thread for blocking work: a short nap is fine.
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn lacks_final_newline(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != [b'\n'])
}
