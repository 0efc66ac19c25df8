//! Ports of 127.0.0.1: free, kept while nothing listens, and a black hole.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A socket that has a port of 127.0.0.1 (0: a free one) and does not listen. Who connects to it is
/// refused, and nobody is given the port, while a server that asks for it can still have it.
pub(crate) fn reserve(port: u16) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    Ok(socket)
}

/// The port that a socket has.
pub(crate) fn of(socket: &Socket) -> io::Result<u16> {
    let address = socket.local_addr()?.as_socket();
    Ok(address.ok_or(io::ErrorKind::AddrNotAvailable)?.port())
}

/// A port that neither accepts nor refuses: who connects waits, as for a machine behind a firewall
/// that drops everything.
pub(crate) struct BlackHole {
    port: u16,
    /// Listens, and accepts nobody.
    _listener: Socket,
    /// These fill its queue; the kernel leaves everybody else without an answer.
    _first: Vec<TcpStream>,
}

impl BlackHole {
    pub(crate) async fn dig() -> io::Result<Self> {
        let listener = reserve(0)?;
        listener.listen(0)?;
        let port = of(&listener)?;
        let mut first = Vec::new();
        // On loopback, whoever is accepted is accepted at once.
        let at_once = Duration::from_millis(200);
        while let Ok(accepted) =
            timeout(at_once, TcpStream::connect((Ipv4Addr::LOCALHOST, port))).await
        {
            first.push(accepted?);
        }
        Ok(Self {
            port,
            _listener: listener,
            _first: first,
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}
