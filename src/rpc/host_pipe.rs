//! The host's end of our output.

use std::fs::File;
use std::io::{self, PipeWriter, Write};

use super::writer::HostWriter;

/// A pipe to the host, written to without a buffer.
#[derive(Debug)]
pub struct HostPipe {
    file: File,
    #[cfg(unix)]
    kind: unix::Kind,
}

/// What a host gave us: a pipe, a socket, a file, a terminal.
impl From<File> for HostPipe {
    fn from(file: File) -> Self {
        Self {
            #[cfg(unix)]
            kind: unix::Kind::of(&file),
            file,
        }
    }
}

/// The other end is in this process.
impl From<PipeWriter> for HostPipe {
    fn from(pipe: PipeWriter) -> Self {
        #[cfg(unix)]
        let owned = std::os::fd::OwnedFd::from(pipe);
        #[cfg(windows)]
        let owned = std::os::windows::io::OwnedHandle::from(pipe);
        File::from(owned).into()
    }
}

impl Write for HostPipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(unix)]
impl HostWriter for HostPipe {
    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.kind.try_write(&mut self.file, bytes)
    }
}

/// There is no telling whether a pipe of Windows takes anything.
#[cfg(not(unix))]
impl HostWriter for HostPipe {
    fn try_write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

/// The open file may be shared with the host, or with standard error: it must stay blocking.
#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io::{self, Write as _};
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::FileTypeExt as _;

    use nix::libc::{MSG_DONTWAIT, PIPE_BUF};
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use socket2::SockRef;

    #[derive(Debug, Clone, Copy)]
    pub(super) enum Kind {
        /// What Node gives to its children.
        Socket,
        Pipe,
        Other,
    }

    impl Kind {
        pub(super) fn of(file: &File) -> Self {
            match file.metadata().map(|metadata| metadata.file_type()) {
                Ok(kind) if kind.is_socket() => Self::Socket,
                Ok(kind) if kind.is_fifo() => Self::Pipe,
                Ok(_) | Err(_) => Self::Other,
            }
        }

        pub(super) fn try_write(self, file: &mut File, bytes: &[u8]) -> io::Result<usize> {
            match self {
                Self::Socket => SockRef::from(&*file).send_with_flags(bytes, MSG_DONTWAIT),
                // POSIX: one that polls as writable takes so much without waiting.
                Self::Pipe if takes_some(file)? => {
                    file.write(bytes.get(..PIPE_BUF).unwrap_or(bytes))
                }
                Self::Pipe | Self::Other => Err(io::ErrorKind::WouldBlock.into()),
            }
        }
    }

    fn takes_some(file: &File) -> io::Result<bool> {
        let mut polled = [PollFd::new(file.as_fd(), PollFlags::POLLOUT)];
        poll(&mut polled, PollTimeout::ZERO)?;
        // An error of the pipe is told by the write.
        Ok(polled.iter().any(|fd| fd.any().unwrap_or_default()))
    }
}
