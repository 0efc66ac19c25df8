//! As much of D-Bus as it takes to talk to one service on the session's bus: calls, their
//! replies, and the signals that come in between.
//!
//! No crate does it: those that there are bring an executor and a dozen of macros, or a C library
//! that neither waits for a time nor lets go. Here a dropped future closes the socket, and whoever
//! was asked for it is not asked any more.

mod address;
#[cfg(any(test, feature = "fuzzing"))]
pub(in crate::config) mod fuzzing;
mod message;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;

use secrecy::zeroize::Zeroizing;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use address::Address;
pub(super) use message::{Body, Method};
use message::{HEAD, Header, Kind};
pub(super) use wire::{Malformed, Writer};

/// Signals that are kept until somebody waits for one. A bus that sends more is not listened to.
const SIGNALS: usize = 64;

/// The longest line of a bus while it greets.
const GREETING: usize = 1024;

/// A connection to a bus. What fails leaves it useless.
pub(super) struct Bus {
    stream: UnixStream,
    serial: u32,
    signals: VecDeque<(Header, Body)>,
}

/// Why a call has no result.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection, or what came over it.
    Connection(io::Error),
    /// The other side answered an error: its name, such as `org.freedesktop.DBus.Error.NoReply`.
    Error(String),
}

/// Where the session's bus may be, as its variables say it.
pub(super) struct Places {
    addresses: Vec<Address>,
}

impl Places {
    /// `DBUS_SESSION_BUS_ADDRESS`, and where systemd has the bus of a user.
    pub(super) fn of_session(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let addresses = match (set("DBUS_SESSION_BUS_ADDRESS"), set("XDG_RUNTIME_DIR")) {
            (Some(text), _) => address::parse(&text),
            (None, Some(folder)) => vec![Address::Path(PathBuf::from(folder).join("bus"))],
            (None, None) => Vec::new(),
        };
        Self { addresses }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// Connects to the first that answers.
    pub(super) async fn connect(&self) -> io::Result<Bus> {
        let mut failed = io::Error::from(io::ErrorKind::NotFound);
        for address in &self.addresses {
            match open(address).await {
                Ok(stream) => return Bus::greet(stream).await,
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

async fn open(address: &Address) -> io::Result<UnixStream> {
    match address {
        Address::Path(path) => UnixStream::connect(path).await,
        #[cfg(target_os = "linux")]
        Address::Abstract(name) => {
            use std::os::linux::net::SocketAddrExt as _;
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            // Never waits: the socket is on this machine.
            let stream = std::os::unix::net::UnixStream::connect_addr(&address)?;
            stream.set_nonblocking(true)?;
            UnixStream::from_std(stream)
        }
        #[cfg(not(target_os = "linux"))]
        Address::Abstract(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

impl Bus {
    /// Says who we are; the kernel vouches for it.
    async fn greet(mut stream: UnixStream) -> io::Result<Self> {
        let user = nix::unistd::geteuid().to_string();
        let hex: String = user.bytes().map(|byte| format!("{byte:02x}")).collect();
        stream
            .write_all(format!("\0AUTH EXTERNAL {hex}\r\n").as_bytes())
            .await?;
        let answer = line(&mut stream).await?;
        if !answer.starts_with(b"OK ") {
            return Err(io::Error::other("the bus does not let this user in"));
        }
        stream.write_all(b"BEGIN\r\n").await?;
        let mut bus = Self {
            stream,
            serial: 0,
            signals: VecDeque::new(),
        };
        let hello = bus.call(of_bus("Hello"), "", |_| {}).await;
        match hello {
            Ok(_) => Ok(bus),
            Err(Failure::Connection(error)) => Err(error),
            Err(Failure::Error(name)) => Err(io::Error::other(name)),
        }
    }

    /// Calls a method whose arguments have this signature, and waits for its reply.
    pub(super) async fn call(
        &mut self,
        method: Method<'_>,
        signature: &str,
        arguments: impl FnOnce(&mut Writer),
    ) -> Result<Body, Failure> {
        self.serial += 1;
        let serial = self.serial;
        let bytes = message::call(serial, method, signature, arguments);
        self.stream.write_all(&bytes).await?;
        loop {
            let (header, body) = self.receive().await?;
            match header.kind {
                Kind::Return if header.reply_to == Some(serial) => return Ok(body),
                Kind::Error if header.reply_to == Some(serial) => {
                    return Err(Failure::Error(header.error));
                }
                Kind::Signal if self.signals.len() < SIGNALS => {
                    self.signals.push_back((header, body));
                }
                Kind::Signal => return Err(Failure::malformed()),
                // Of a call that was given up.
                Kind::Return | Kind::Error | Kind::Other => {}
            }
        }
    }

    /// Asks for a signal of an object. Before whatever makes it come.
    pub(super) async fn subscribe(
        &mut self,
        path: &str,
        interface: &str,
        member: &str,
    ) -> Result<(), Failure> {
        let rule = format!("type='signal',path='{path}',interface='{interface}',member='{member}'");
        let add = of_bus("AddMatch");
        self.call(add, "s", |arguments| {
            arguments.text(&rule);
        })
        .await
        .map(drop)
    }

    /// Waits for a signal that was asked for.
    pub(super) async fn signal(
        &mut self,
        path: &str,
        interface: &str,
        member: &str,
    ) -> Result<Body, Failure> {
        loop {
            let (header, body) = match self.signals.pop_front() {
                Some(signal) => signal,
                None => self.receive().await?,
            };
            if header.kind == Kind::Signal
                && (&*header.path, &*header.interface, &*header.member) == (path, interface, member)
            {
                return Ok(body);
            }
        }
    }

    async fn receive(&mut self) -> Result<(Header, Body), Failure> {
        let mut head = [0; HEAD];
        self.stream.read_exact(&mut head).await?;
        let rest = message::rest(&head)?;
        let mut message = Zeroizing::new(vec![0; HEAD + rest]);
        message[..HEAD].copy_from_slice(&head);
        self.stream.read_exact(&mut message[HEAD..]).await?;
        let (header, begin) = message::parse(&message)?;
        let bytes = message.get(begin..).ok_or(Malformed)?;
        let body = Body {
            signature: header.signature.clone(),
            bytes: Zeroizing::new(bytes.to_owned()),
        };
        Ok((header, body))
    }
}

/// One line, without its end. Byte for byte: what comes behind it is not for us.
async fn line(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    while line.len() < GREETING {
        match stream.read_u8().await? {
            b'\n' => return Ok(line),
            byte => line.push(byte),
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

/// A method of the bus itself.
fn of_bus(member: &str) -> Method<'_> {
    Method {
        destination: "org.freedesktop.DBus",
        path: "/org/freedesktop/DBus",
        interface: "org.freedesktop.DBus",
        member,
    }
}

impl Failure {
    fn malformed() -> Self {
        let problem = "what came is not D-Bus";
        Self::Connection(io::Error::new(io::ErrorKind::InvalidData, problem))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Connection(error)
    }
}

impl From<Malformed> for Failure {
    fn from(_: Malformed) -> Self {
        Self::malformed()
    }
}
