//! One connection: both ways of it, and how it ends.

use std::io;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::fault::{Admission, End, Way};
use super::lane::{Lane, Side};
use super::{KERNEL_BUFFER, Shared};

/// How long a closed connection is still read: a socket with unread bytes would say RST.
const LINGER: Duration = Duration::from_secs(1);

pub(super) async fn serve(
    mut near: TcpStream,
    number: usize,
    admission: Admission,
    mut end: watch::Receiver<Option<End>>,
    shared: &Shared,
) {
    let mut far = match admission {
        Admission::Silent => None,
        Admission::Open | Admission::Refused => match TcpStream::connect(shared.to).await {
            Ok(far) if limit(&far).is_ok() => Some(far),
            Ok(_) | Err(_) => return reset(&near),
        },
    };
    let carried = async {
        match &mut far {
            Some(far) => carry(&mut near, far, number, shared).await,
            None => ignore(&mut near).await,
        }
    };
    let ended = tokio::select! {
        biased;
        ended = told(&mut end) => Err(ended),
        ended = carried => ended,
    };
    let sockets = [Some(near), far].into_iter().flatten();
    match ended {
        Ok(()) => {}
        Err(End::Reset) => sockets.for_each(|socket| reset(&socket)),
        Err(End::Close) => {
            let closing = sockets.map(close);
            let closed = futures_util::future::join_all(closing);
            let _in_time = tokio::time::timeout(LINGER, closed).await;
        }
    }
}

fn limit(far: &TcpStream) -> io::Result<()> {
    SockRef::from(far).set_recv_buffer_size(KERNEL_BUFFER)
}

/// Waits until the test ends the connection. When the proxy itself is gone, so is this task.
async fn told(end: &mut watch::Receiver<Option<End>>) -> End {
    match end.wait_for(Option::is_some).await.map(|end| *end) {
        Ok(Some(end)) => end,
        Ok(None) | Err(_) => std::future::pending().await,
    }
}

async fn carry(
    near: &mut TcpStream,
    far: &mut TcpStream,
    number: usize,
    shared: &Shared,
) -> Result<(), End> {
    for socket in [&*near, &*far] {
        socket.set_nodelay(true).map_err(|_| End::Reset)?;
    }
    let (near_side, far_side) = (Side::default(), Side::default());
    let up = Lane::new(Way::Up, shared, number, &near_side, &far_side);
    let down = Lane::new(Way::Down, shared, number, &far_side, &near_side);
    let (near_reading, near_writing) = near.split();
    let (far_reading, far_writing) = far.split();
    tokio::try_join!(
        up.run(near_reading, far_writing),
        down.run(far_reading, near_writing)
    )?;
    Ok(())
}

/// Until the client goes.
async fn ignore(near: &mut TcpStream) -> Result<(), End> {
    let mut space = vec![0; 4096];
    while near.read(&mut space).await.is_ok_and(|length| length > 0) {}
    Ok(())
}

/// With this set, the close that comes with the drop is an RST.
pub(super) fn reset(socket: &TcpStream) {
    // A socket that can't be reset is broken already.
    let _set = SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

async fn close(mut socket: TcpStream) {
    let _ended = socket.shutdown().await;
    let _gone = ignore(&mut socket).await;
}
