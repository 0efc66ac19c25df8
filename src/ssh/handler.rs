//! What russh asks and tells us about a connection.
//!
//! These calls run inside russh's session loop, so none may wait for anything;
//! the one exception is the host key, which only delays its own connect.

use std::sync::Arc;

use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, PublicKey, PublicKeyOrCertificate};
use russh::{Channel, ChannelId, ChannelOpenFailure, Error as RusshError};
use tokio_util::sync::DropGuard;

use super::error::{Cause, HostKeyInfo};
use super::host_key::{Shown, Verifier};
use super::known_hosts;
use super::link::Link;
use super::observe::Stage;
use super::stages::Stages;

pub(super) struct ClientHandler {
    link: Arc<Link>,
    verifier: Verifier,
    offered: Offered,
    stages: Arc<Stages>,
    /// However the session's task ends, even by a panic, this goes with it.
    _dead: DropGuard,
}

/// The kinds of host keys that were asked for.
pub(super) struct Offered {
    pub(super) keys: Vec<Algorithm>,
    pub(super) certificates: Vec<Algorithm>,
}

impl Offered {
    /// russh does not compare what a server shows with what was agreed on, nor
    /// whether it is a certificate where a key was: ssh-key reads either. What
    /// stays hidden here is the hash of an RSA signature: russh would take SHA-1.
    fn has(&self, shown: &PublicKeyOrCertificate) -> bool {
        let (list, key) = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => (&self.keys, key.key_data()),
            PublicKeyOrCertificate::Certificate(certificate) => {
                (&self.certificates, certificate.public_key())
            }
        };
        let shown = key.algorithm();
        !matches!(key, KeyData::Certificate(_))
            && list.iter().any(|offered| {
                *offered == shown || (offered.clone().is_rsa() && shown.clone().is_rsa())
            })
    }
}

/// A key that anybody may have broken: the host's, or the one that certifies it. `ssh`
/// hangs up on either ("Invalid key length"), whatever is recorded.
fn too_short(shown: &PublicKeyOrCertificate) -> Option<HostKeyInfo> {
    let own = shown.public_key();
    let signer = shown
        .certificate()
        .map(|certificate| PublicKey::new(certificate.signature_key().clone(), ""));
    let short = |key: &PublicKey| !known_hosts::is_large_enough(key.key_data());
    if short(&own) {
        return Some(known_hosts::describe(&own));
    }
    signer.filter(short).map(|key| known_hosts::describe(&key))
}

/// Why the handshake failed.
#[derive(Debug)]
pub(super) enum HandlerError {
    /// We do not want this server.
    Refused(Box<Cause>),
    Russh(RusshError),
}

impl From<RusshError> for HandlerError {
    fn from(error: RusshError) -> Self {
        Self::Russh(error)
    }
}

impl ClientHandler {
    pub(super) fn new(
        link: Arc<Link>,
        verifier: Verifier,
        offered: Offered,
        stages: Arc<Stages>,
    ) -> Self {
        let dead = link.dead.clone().drop_guard();
        Self {
            link,
            verifier,
            offered,
            stages,
            _dead: dead,
        }
    }
}

impl Handler for ClientHandler {
    type Error = HandlerError;

    async fn check_server_key(
        &mut self,
        presented: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        self.stages.pass("keys exchanged");
        self.stages.begin(Stage::HostKey);
        if !self.offered.has(presented) {
            return Err(RusshError::UnknownKey.into());
        }
        if let Some(key) = too_short(presented) {
            return Err(HandlerError::Refused(Box::new(Cause::HostKeyTooShort {
                key,
            })));
        }
        let info = known_hosts::describe(&presented.public_key());
        let shown = Shown::new(presented);
        let _ = self.link.host_key.set(info.clone());
        let verified = tokio::select! {
            biased;
            () = self.link.cut.cancelled() => Err(Cause::Closed),
            verified = self.verifier.verify(&shown) => verified,
        };
        match verified {
            Ok(why) => {
                self.stages
                    .pass(&format!("{} {} ({why})", info.key_type, info.fingerprint));
                Ok(true)
            }
            Err(cause) => Err(HandlerError::Refused(Box::new(cause))),
        }
    }

    async fn auth_banner(&mut self, banner: &str, _: &mut Session) -> Result<(), Self::Error> {
        self.link.add_banner(banner);
        Ok(())
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<Self::Error>,
    ) -> Result<(), Self::Error> {
        self.link.end(match reason {
            DisconnectReason::ReceivedDisconnect(info) => Cause::Disconnected {
                message: Some(self.link.confided.clean(&info.message))
                    .filter(|text| !text.is_empty()),
            },
            DisconnectReason::Error(_) if self.link.closing.is_cancelled() => Cause::Closed,
            DisconnectReason::Error(HandlerError::Refused(cause)) => *cause,
            DisconnectReason::Error(HandlerError::Russh(error)) => classify(error),
        });
        self.link.dead.cancel();
        Ok(())
    }

    /// russh tells whoever opened the channel of it just before, without these words.
    async fn channel_open_failure(
        &mut self,
        _: ChannelId,
        _: ChannelOpenFailure,
        description: &str,
        _: &str,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let said = self.link.confided.clean(description);
        self.link.refusal.send_replace(said);
        Ok(())
    }

    // A server has no business opening channels here. Dropping the handle says no.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// What an error of russh means once a connection stands.
pub(super) fn classify(error: RusshError) -> Cause {
    match error {
        RusshError::KeepaliveTimeout | RusshError::InactivityTimeout => Cause::KeepaliveTimeout,
        RusshError::Disconnect | RusshError::HUP => Cause::Disconnected { message: None },
        RusshError::IO(source) if source.kind() == std::io::ErrorKind::UnexpectedEof => {
            Cause::Disconnected { message: None }
        }
        RusshError::IO(source) => Cause::ConnectionLost {
            source: Arc::new(source),
        },
        RusshError::SendError | RusshError::RecvError => Cause::Disconnected { message: None },
        error => Cause::Protocol {
            source: Arc::new(error),
        },
    }
}
