//! The wire between a client and the server, which a test can freeze or cut.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Open,
    /// Nothing is read or written any more, and TCP stays up: a suspended machine.
    Frozen,
    /// The TCP connection is closed at once, without a word of SSH.
    Cut,
}

/// Carries bytes both ways until one side ends or the line is cut.
pub(super) async fn carry(outer: TcpStream, inner: DuplexStream, line: watch::Receiver<Line>) {
    let (outer_read, outer_write) = outer.into_split();
    let (inner_read, inner_write) = tokio::io::split(inner);
    tokio::select! {
        () = pump(outer_read, inner_write, line.clone()) => {}
        () = pump(inner_read, outer_write, line.clone()) => {}
        () = cut(line) => {}
    }
}

/// Ends when the line is cut.
pub(super) async fn cut(mut line: watch::Receiver<Line>) {
    // An error means that the server itself is gone, which cuts the line as well.
    let _gone = line.wait_for(|state| *state == Line::Cut).await;
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut line: watch::Receiver<Line>,
) {
    let mut buffer = vec![0; 32 * 1024];
    loop {
        if thawed(&mut line).await.is_none() {
            return;
        }
        let length = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(length) => length,
        };
        if thawed(&mut line).await.is_none() {
            return;
        }
        let Some(bytes) = buffer.get(..length) else {
            return;
        };
        if to.write_all(bytes).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
}

async fn thawed(line: &mut watch::Receiver<Line>) -> Option<()> {
    line.wait_for(|state| *state != Line::Frozen)
        .await
        .is_ok_and(|state| *state == Line::Open)
        .then_some(())
}
