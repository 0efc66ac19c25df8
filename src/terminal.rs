//! The person at the terminal. Questions go to the terminal itself, whatever standard input and
//! output are.

use puffin_remote_llm::daemon::doctor::Person;
use secrecy::SecretString;

/// The terminal that this process was started from, if any.
#[derive(Debug)]
pub(crate) struct Terminal(#[cfg(unix)] Option<std::fs::File>);

#[cfg(unix)]
impl Terminal {
    pub(crate) fn open() -> Self {
        let tty = std::fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/tty");
        Self(tty.ok())
    }
}

#[cfg(unix)]
impl Person for Terminal {
    fn is_there(&self) -> bool {
        self.0.is_some()
    }

    fn ask(&mut self, question: &str, echo: bool) -> Option<SecretString> {
        use std::io::Write as _;

        let tty = self.0.as_mut()?;
        // Before the question: what is typed as soon as that is there would be shown, or lost.
        let unseen = match echo {
            true => None,
            false => Some(unix::Unseen::begin(tty)?),
        };
        tty.write_all(question.as_bytes()).ok()?;
        let answer = read_line(tty);
        drop(unseen);
        if !echo {
            // The person's own end of line was not shown.
            tty.write_all(b"\n").ok()?;
        }
        answer
    }
}

/// Ctrl-C, where it is an end of line.
#[cfg(unix)]
const INTERRUPT: u8 = 3;

/// One line, which is what one read of a terminal gives; `None` at the end of the input (Ctrl-D)
/// and after Ctrl-C.
#[cfg(unix)]
fn read_line(mut tty: &std::fs::File) -> Option<SecretString> {
    use std::io::Read as _;

    let mut line = [0; 4096];
    let length = tty.read(&mut line).ok()?;
    let (last, _) = line.get(..length)?.split_last()?;
    let text = String::from_utf8(line.get(..length)?.to_vec()).ok()?;
    (*last != INTERRUPT).then(|| text.trim_end_matches(['\n', '\r']).into())
}

#[cfg(unix)]
mod unix {
    use std::fs::File;

    use nix::sys::termios::{
        LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
    };

    /// What is typed is not shown until this is dropped.
    pub(super) struct Unseen {
        tty: File,
        before: Termios,
    }

    impl Unseen {
        pub(super) fn begin(tty: &File) -> Option<Self> {
            let tty = tty.try_clone().ok()?;
            let before = tcgetattr(&tty).ok()?;
            let mut unseen = before.clone();
            // Ctrl-C would end the process with the echo off; as an end of line it ends the
            // question.
            unseen
                .local_flags
                .remove(LocalFlags::ECHO | LocalFlags::ISIG);
            unseen.control_chars[SpecialCharacterIndices::VEOL as usize] = super::INTERRUPT;
            tcsetattr(&tty, SetArg::TCSAFLUSH, &unseen).ok()?;
            Some(Self { tty, before })
        }
    }

    impl Drop for Unseen {
        fn drop(&mut self) {
            // Nothing is left to be done where that fails.
            let _ = tcsetattr(&self.tty, SetArg::TCSANOW, &self.before);
        }
    }
}

/// Nobody can be asked here yet: what needs a person fails, and says so.
#[cfg(not(unix))]
impl Terminal {
    pub(crate) fn open() -> Self {
        Self()
    }
}

#[cfg(not(unix))]
impl Person for Terminal {
    fn is_there(&self) -> bool {
        false
    }

    fn ask(&mut self, _: &str, _: bool) -> Option<SecretString> {
        None
    }
}
