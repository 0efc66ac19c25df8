//! TCP to the first hop: name lookup, staggered attempts, socket options.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::{Instant, sleep_until};

use super::error::Cause;
use super::target::AddressFamily;
use super::text::sanitize;

/// How long an attempt may stay silent before the next address is tried beside it (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);

/// More addresses than this are not tried.
const MAX_ADDRESSES: usize = 16;

/// How long sent data may stay unacknowledged: ends an upload into a dead
/// network long before the kernel's own quarter of an hour.
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(15);

/// Larger reads are bulk: the kernel acknowledges those in time by itself.
const SMALL_READ: usize = 8 * 1024;

/// The addresses of a host that may be used, the families taking turns.
pub(super) async fn resolve(
    host: &str,
    port: u16,
    family: AddressFamily,
) -> Result<Vec<SocketAddr>, Cause> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let failed = |source| Cause::Resolve {
        source: Arc::new(source),
    };
    let addresses: Vec<_> = lookup_host((bare, port))
        .await
        .map_err(failed)?
        .filter(|address| family.has(address))
        .collect();
    if addresses.is_empty() {
        let none = match family {
            AddressFamily::Any => "the name has no addresses",
            AddressFamily::Inet => "the name has no IPv4 address, and AddressFamily is inet",
            AddressFamily::Inet6 => "the name has no IPv6 address, and AddressFamily is inet6",
        };
        return Err(failed(io::Error::new(io::ErrorKind::NotFound, none)));
    }
    Ok(interleave(addresses))
}

/// Connects to whichever address answers first, from the local address `bind` if
/// there is one (a name or an address; OpenSSH's BindAddress).
pub(super) async fn connect(addresses: &[SocketAddr], bind: Option<&str>) -> Result<Stream, Cause> {
    let stream = match bind {
        None => race(addresses, TcpStream::connect)
            .await
            .map_err(classify)?,
        Some(bind) => connect_from(bind, addresses).await?,
    };
    tune(&stream).map_err(classify)?;
    Ok(Stream(stream))
}

async fn connect_from(bind: &str, addresses: &[SocketAddr]) -> Result<TcpStream, Cause> {
    let unfit = |source: io::Error| Cause::BindAddress {
        address: sanitize(bind),
        source: Arc::new(source),
    };
    let from: Vec<_> = lookup_host((bind, 0)).await.map_err(unfit)?.collect();
    let socket = |to: SocketAddr| {
        let from = from
            .iter()
            .find(|from| from.is_ipv4() == to.is_ipv4())
            .ok_or(io::ErrorKind::AddrNotAvailable)?;
        let socket = if to.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        socket.bind(*from)?;
        Ok::<_, io::Error>(socket)
    };
    // If it can't be used for any of them, that is what is wrong, not the network.
    let mut usable = Vec::new();
    let mut problem = None;
    for to in addresses {
        match socket(*to) {
            Ok(_) => usable.push(*to),
            Err(error) => problem = Some(error),
        }
    }
    if let (true, Some(problem)) = (usable.is_empty(), problem) {
        return Err(unfit(problem));
    }
    race(&usable, |to| {
        let socket = socket(to);
        async move { socket?.connect(to).await }
    })
    .await
    .map_err(classify)
}

impl AddressFamily {
    fn has(self, address: &SocketAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Inet => address.is_ipv4(),
            Self::Inet6 => address.is_ipv6(),
        }
    }
}

/// A TCP connection that acknowledges small packets at once.
///
/// Up to OpenSSH 10.0, sshd uses Nagle's algorithm on connections that only
/// forward: it sends the next token when the last one was acknowledged, and our
/// kernel would delay that by 40 ms.
pub(super) struct Stream(TcpStream);

impl Stream {
    /// The address at the other end, for people.
    pub(super) fn peer(&self) -> String {
        self.0
            .peer_addr()
            .map(|address| address.to_string())
            .unwrap_or_default()
    }

    /// The kernel forgets this after a while: to be repeated with every read.
    #[cfg(target_os = "linux")]
    fn acknowledge_quickly(&self) {
        // A connection without it is slower, nothing else.
        let _ = socket2::SockRef::from(&self.0).set_tcp_quickack(true);
    }

    #[cfg(not(target_os = "linux"))]
    fn acknowledge_quickly(&self) {}
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(cx, buf))?;
        if buf.filled().len() - before < SMALL_READ {
            self.acknowledge_quickly();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}

/// Tries the addresses one after the other, without waiting longer than
/// [`STAGGER`] for a silent one; the first to answer wins and the others are dropped.
async fn race<T, F>(addresses: &[SocketAddr], connect: impl Fn(SocketAddr) -> F) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let mut waiting = addresses.iter().copied();
    let mut attempts = FuturesUnordered::new();
    let mut errors = Vec::new();
    let mut next_start = Instant::now();
    let mut exhausted = false;
    loop {
        if attempts.is_empty() && !exhausted {
            next_start = Instant::now();
        }
        tokio::select! {
            biased;
            Some(result) = attempts.next(), if !attempts.is_empty() => match result {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    errors.push(error);
                    next_start = Instant::now();
                }
            },
            () = sleep_until(next_start), if !exhausted => match waiting.next() {
                Some(address) => {
                    attempts.push(connect(address));
                    next_start = Instant::now() + STAGGER;
                }
                None => exhausted = true,
            },
            else => return Err(most_telling(errors)),
        }
    }
}

/// A refusal says more than an unreachable network: it came from the machine.
fn most_telling(errors: Vec<io::Error>) -> io::Error {
    errors
        .into_iter()
        .min_by_key(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused => 0,
            io::ErrorKind::TimedOut => 1,
            io::ErrorKind::HostUnreachable => 2,
            io::ErrorKind::NetworkUnreachable => 3,
            _ => 4,
        })
        .unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no address to try"))
}

fn classify(error: io::Error) -> Cause {
    let source = Arc::new(error);
    match source.kind() {
        io::ErrorKind::ConnectionRefused => Cause::Refused { source },
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable => Cause::Unreachable { source },
        _ => Cause::Tcp { source },
    }
}

/// Alternates between the address families, keeping the resolver's order within each.
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (same, other): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let mut out = Vec::new();
    let (mut same, mut other) = (same.into_iter(), other.into_iter());
    loop {
        let (a, b) = (same.next(), other.next());
        if (a.is_none() && b.is_none()) || out.len() >= MAX_ADDRESSES {
            return out;
        }
        for address in [a, b].into_iter().flatten() {
            if !out.contains(&address) {
                out.push(address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use std::sync::Mutex;
    use tokio::time::sleep;

    fn addresses(text: &[&str]) -> Vec<SocketAddr> {
        text.iter().map(|a| a.parse().unwrap()).collect()
    }

    #[test]
    fn the_families_take_turns() {
        assert_eq!(
            interleave(addresses(&["[::1]:1", "[::2]:1", "1.1.1.1:1", "[::1]:1"])),
            addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1"])
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_address_delays_the_next_by_a_quarter_second() {
        let begun = Instant::now();
        let started = Mutex::new(Vec::new());
        let list = addresses(&["[::1]:1", "1.1.1.1:1", "1.1.1.2:1"]);
        let won = race(&list, |address| {
            started.lock().unwrap().push((address, begun.elapsed()));
            async move {
                if address.is_ipv6() {
                    pending::<()>().await;
                }
                sleep(Duration::from_millis(300)).await;
                Ok(address)
            }
        })
        .await
        .unwrap();
        assert_eq!(won, list[1]);
        let millis = Duration::from_millis;
        assert_eq!(
            *started.lock().unwrap(),
            [
                (list[0], millis(0)),
                (list[1], millis(250)),
                (list[2], millis(500))
            ]
        );
        assert_eq!(begun.elapsed(), millis(550));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_address_makes_room_at_once() {
        let begun = Instant::now();
        let list = addresses(&["[::1]:1", "1.1.1.1:1"]);
        let won = race(&list, |address| async move {
            if address.is_ipv6() {
                return Err(io::Error::from(io::ErrorKind::NetworkUnreachable));
            }
            Ok(address)
        })
        .await
        .unwrap();
        assert_eq!(won, list[1]);
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_most_telling_error_is_reported() {
        let list = addresses(&["[::1]:1", "1.1.1.1:1", "1.1.1.2:1"]);
        let error = race(&list, |address| async move {
            Err::<(), _>(io::Error::from(match address.to_string().as_str() {
                "1.1.1.1:1" => io::ErrorKind::ConnectionRefused,
                _ => io::ErrorKind::NetworkUnreachable,
            }))
        })
        .await
        .unwrap_err();
        assert!(matches!(classify(error), Cause::Refused { .. }));
    }

    #[tokio::test]
    async fn a_connection_does_not_wait_for_small_packets_nor_for_the_dead() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = connect(&[listener.local_addr().unwrap()], None)
            .await
            .unwrap();
        assert!(stream.0.nodelay().unwrap());
        #[cfg(target_os = "linux")]
        assert_eq!(
            socket2::SockRef::from(&stream.0)
                .tcp_user_timeout()
                .unwrap(),
            Some(USER_TIMEOUT)
        );
    }

    #[tokio::test]
    async fn a_name_without_address_is_told_apart() {
        assert!(matches!(
            resolve("no-such-host.invalid", 22, AddressFamily::Any).await,
            Err(Cause::Resolve { .. })
        ));
        assert_eq!(
            resolve("[::1]", 22, AddressFamily::Any).await.unwrap(),
            addresses(&["[::1]:22"])
        );
    }

    #[tokio::test]
    async fn only_addresses_of_the_wanted_family_are_used() {
        let families = [AddressFamily::Inet, AddressFamily::Inet6];
        assert_eq!(
            resolve("127.0.0.1", 22, families[0]).await.unwrap(),
            addresses(&["127.0.0.1:22"])
        );
        let error = resolve("127.0.0.1", 22, families[1]).await.unwrap_err();
        assert!(error.to_string().contains("IPv6"), "{error}");
    }

    #[tokio::test]
    async fn a_connection_comes_from_the_address_that_is_wanted() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = [listener.local_addr().unwrap()];
        let _stream = connect(&to, Some("127.0.0.9")).await.unwrap();
        let (_, peer) = listener.accept().await.unwrap();
        assert_eq!(peer.ip().to_string(), "127.0.0.9");
        for not_ours in ["192.0.2.1", "::1", "no-such-host.invalid"] {
            assert!(
                matches!(
                    connect(&to, Some(not_ours)).await,
                    Err(Cause::BindAddress { .. })
                ),
                "{not_ours}"
            );
        }
    }
}
