//! A port that is kept while nothing listens on it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

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
