//! Everything that can go wrong with TLS, told apart by what would help.

use std::{
    fmt, io,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use tokio_rustls::rustls::{
    AlertDescription, CertificateError, Error, InvalidMessage, OtherError, PeerIncompatible,
    pki_types::UnixTime,
};

use super::{Insecure, verifier::NotTrusted};
use crate::llm::sanitize::{Redactor, sanitize};

/// The most names of a certificate that are told.
const MOST_NAMES: usize = 20;

/// Why there is no TLS connection. Nothing of a request was sent, except where it is said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsFailure {
    /// Nobody we believe vouches for the certificate.
    #[error("the server's certificate is not signed by a trusted authority")]
    UnknownIssuer {
        /// Who does, by the certificate's own words.
        issuer: Option<String>,
    },
    /// The certificate vouches for itself, and is not in the file of authorities.
    #[error("the server's certificate is self-signed")]
    SelfSigned,
    #[error("the server's certificate has expired")]
    Expired { not_after: Option<SystemTime> },
    #[error("the server's certificate is not valid yet")]
    NotYetValid { not_before: Option<SystemTime> },
    /// The certificate is another server's.
    #[error("the server's certificate is not for {asked}")]
    WrongName {
        /// The name or address it had to be for.
        asked: String,
        /// Those it is for.
        names: Vec<String>,
    },
    /// By a revocation list in the file of authorities.
    #[error("the server's certificate is revoked")]
    Revoked,
    /// Another fault in the certificate.
    #[error("the server's certificate is not usable: {0}")]
    BadCertificate(String),
    /// The name that the certificate had to be for is none.
    #[error("{0:?} is not a name that a certificate can have")]
    ServerName(String),
    /// The file of authorities can't be used.
    #[error("the file {} can't be used: {problem}", path.display())]
    CaFile {
        path: PathBuf,
        problem: CaFileProblem,
    },
    /// The platform has no authorities, or none that can be read.
    #[error("no authorities were found on this machine")]
    NoPlatformRoots { why: Option<String> },
    /// HTTP without TLS is spoken there.
    #[error("the server speaks HTTP without TLS")]
    PlainHttp,
    /// Something else than TLS is spoken there.
    #[error("the server does not speak TLS (it said: {said})")]
    NotTls {
        /// The first bytes, made readable.
        said: String,
    },
    /// TLS is spoken there, and the endpoint is one without.
    #[error("the server wants TLS")]
    Wanted,
    /// No version or cipher in common.
    #[error("the server has no version of TLS, or no cipher, in common with us")]
    Incompatible,
    /// The server wants a certificate of ours. It may say so only after a request was sent.
    #[error("the server wants a client certificate")]
    ClientCertificate,
    /// The server broke it off, and said why. It may do so after a request was sent.
    #[error("the server broke off TLS: {0}")]
    Alert(String),
    /// The connection ended within the handshake.
    #[error("the server closed the connection during the TLS handshake")]
    Closed,
    /// The connect clock ran out within the handshake.
    #[error("the TLS handshake took more than {limit:?}")]
    TimedOut { limit: Duration },
    #[error("TLS failed: {0}")]
    Other(String),
}

/// What is wrong with a file of authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaFileProblem {
    Missing,
    /// With the system's words.
    Unreadable(String),
    /// There is PEM in it, but nothing of a certificate.
    NoCertificate,
    /// There is a private key in it, and no certificate.
    PrivateKey,
    /// A certificate or a list in it is damaged.
    Malformed,
}

impl fmt::Display for CaFileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "it is not there",
            Self::Unreadable(why) => why,
            Self::NoCertificate => "it has no certificate in PEM form",
            Self::PrivateKey => "it has a private key, and no certificate",
            Self::Malformed => "a certificate in it is damaged",
        })
    }
}

impl TlsFailure {
    /// Whether trying again may help without anyone changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Closed | Self::TimedOut { .. })
    }
}

/// What an error of the handshake means, given the first bytes that the other side said.
pub(super) fn explain(error: io::Error, heard: &[u8], redactor: &Redactor) -> Insecure {
    let inner = error.get_ref();
    if let Some(tls) = inner.and_then(|inner| inner.downcast_ref::<Error>()) {
        return Insecure::Failed(match tls {
            Error::InvalidMessage(InvalidMessage::InvalidContentType)
                if heard.starts_with(b"HTTP/") =>
            {
                TlsFailure::PlainHttp
            }
            Error::InvalidMessage(_) if !heard.is_empty() && !is_record(heard) => {
                TlsFailure::NotTls {
                    said: redactor.clean(&String::from_utf8_lossy(heard)),
                }
            }
            tls => of(tls),
        });
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Insecure::Failed(TlsFailure::Closed),
        // The other side's doing; of what a carrier did there is more to tell.
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe if inner.is_none() => {
            Insecure::Failed(TlsFailure::Closed)
        }
        _ => Insecure::Carrier(error),
    }
}

/// Whether bytes begin as a record of TLS: of a handshake, or of an alert.
pub(in crate::llm::http) fn is_record(bytes: &[u8]) -> bool {
    matches!(bytes, [0x15 | 0x16, 0x03, ..])
}

/// What an error of rustls means.
pub(super) fn of(error: &Error) -> TlsFailure {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired => TlsFailure::ClientCertificate,
            AlertDescription::ProtocolVersion => TlsFailure::Incompatible,
            alert => TlsFailure::Alert(words(&format!("{alert:?}"))),
        },
        Error::PeerIncompatible(
            PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon
            | PeerIncompatible::NoSignatureSchemesInCommon,
        ) => TlsFailure::BadCertificate("it is signed with an algorithm that is too weak".into()),
        Error::PeerIncompatible(_) => TlsFailure::Incompatible,
        Error::NoApplicationProtocol => TlsFailure::Alert("no application protocol".into()),
        error => TlsFailure::Other(error.to_string()),
    }
}

fn certificate(error: &CertificateError) -> TlsFailure {
    match error {
        CertificateError::Expired => TlsFailure::Expired { not_after: None },
        CertificateError::ExpiredContext { not_after, .. } => TlsFailure::Expired {
            not_after: Some(time(*not_after)),
        },
        CertificateError::NotValidYet => TlsFailure::NotYetValid { not_before: None },
        CertificateError::NotValidYetContext { not_before, .. } => TlsFailure::NotYetValid {
            not_before: Some(time(*not_before)),
        },
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => TlsFailure::WrongName {
            asked: expected.to_str().into_owned(),
            names: presented
                .iter()
                .take(MOST_NAMES)
                .map(|name| bare(name))
                .collect(),
        },
        CertificateError::Revoked => TlsFailure::Revoked,
        CertificateError::UnknownIssuer => TlsFailure::UnknownIssuer { issuer: None },
        CertificateError::Other(OtherError(inner)) => match inner.downcast_ref::<NotTrusted>() {
            Some(NotTrusted {
                self_signed: true, ..
            }) => TlsFailure::SelfSigned,
            Some(NotTrusted { issuer, .. }) => TlsFailure::UnknownIssuer {
                issuer: issuer.as_deref().map(sanitize),
            },
            None => TlsFailure::BadCertificate(inner.to_string()),
        },
        error => TlsFailure::BadCertificate(error.to_string()),
    }
}

fn time(time: UnixTime) -> SystemTime {
    // The last second that can be written as people write it.
    const LAST: u64 = 253_402_300_799;
    SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs().min(LAST))
}

/// `DnsName("a.example")` and `IpAddress(127.0.0.1)` without their clothes.
fn bare(name: &str) -> String {
    let inner = name
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    sanitize(inner.unwrap_or(name).trim_matches('"'))
}

/// `HandshakeFailure` as people write it.
fn words(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !text.is_empty() && !text.ends_with(' ') {
            text.push(' ');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}
