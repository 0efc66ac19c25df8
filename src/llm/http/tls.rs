//! TLS inside the byte stream: who the server has to prove to be, and to whose satisfaction.
//!
//! rustls's types end in this folder. Sessions are not resumed, so that each connection is checked
//! against what the options say now; the file of authorities is read anew each time.

use std::{io, path::PathBuf, sync::Arc};

use tokio::sync::OnceCell;
use tokio_rustls::{
    TlsConnector,
    rustls::{self, ClientConfig, ProtocolVersion, client::Resumption, pki_types::ServerName},
};

mod failure;
mod overheard;
mod roots;
mod verifier;

pub(super) use self::failure::is_record;
pub use self::failure::{CaFileProblem, TlsFailure};
use self::{overheard::overheard, roots::Trusted, verifier::Verifier};
use crate::llm::{
    carrier::ByteStream,
    endpoint::{Dial, Endpoint},
    options::TlsOptions,
    sanitize::Redactor,
};

/// The only protocol spoken here.
const ALPN: &[u8] = b"http/1.1";

/// How to make a TLS connection to one server.
pub(super) struct Tls {
    server_name: String,
    ca_path: Option<PathBuf>,
    /// The platform's authorities, once they were needed.
    platform: OnceCell<Arc<Trusted>>,
}

/// A connection that was secured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// As people know it: `TLS 1.3`.
    pub version: &'static str,
    /// The name or address that the certificate was checked for.
    pub server_name: String,
    /// The file of authorities that vouch for it; `None` is the platform's.
    pub ca_path: Option<PathBuf>,
}

/// Why there is no secure connection.
#[derive(Debug)]
pub(super) enum Insecure {
    Failed(TlsFailure),
    /// Whoever carries the bytes lost them.
    Carrier(io::Error),
}

impl Tls {
    /// `None` for an endpoint without TLS.
    pub(super) fn new(endpoint: &Endpoint, options: &TlsOptions) -> Option<Self> {
        let Dial::Tcp { host, .. } = endpoint.dial() else {
            return None;
        };
        endpoint.is_tls().then(|| Self {
            server_name: options.server_name.as_ref().unwrap_or(host).clone(),
            ca_path: options.ca_path.clone(),
            platform: OnceCell::new(),
        })
    }

    /// Secures a fresh stream. Has no clock; dropping the future closes the stream.
    pub(super) async fn secure(
        &self,
        stream: Box<dyn ByteStream>,
        redactor: &Redactor,
    ) -> Result<(Box<dyn ByteStream>, Handshake), Insecure> {
        let name = ServerName::try_from(self.server_name.clone())
            .map_err(|_| Insecure::Failed(TlsFailure::ServerName(self.server_name.clone())))?;
        let trusted = self.trusted().await.map_err(Insecure::Failed)?;
        let config = config(&trusted).map_err(|error| Insecure::Failed(failure::of(&error)))?;
        let (stream, heard) = overheard(stream);
        let connected = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await;
        let stream = connected.map_err(|error| failure::explain(error, &heard.take(), redactor))?;
        heard.stop();
        let handshake = Handshake {
            version: match stream.get_ref().1.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
                Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
                _ => "TLS",
            },
            server_name: self.server_name.clone(),
            ca_path: self.ca_path.clone(),
        };
        Ok((Box::new(stream), handshake))
    }

    /// Whom to believe. Files are read on another thread.
    async fn trusted(&self) -> Result<Arc<Trusted>, TlsFailure> {
        let Some(path) = self.ca_path.clone() else {
            let platform = self.platform.get_or_try_init(|| blocking(roots::platform));
            return platform.await.cloned();
        };
        blocking(move || roots::of_file(&path)).await
    }
}

async fn blocking(
    read: impl FnOnce() -> Result<Trusted, TlsFailure> + Send + 'static,
) -> Result<Arc<Trusted>, TlsFailure> {
    let read = tokio::task::spawn_blocking(read).await;
    let read = read.unwrap_or_else(|error| Err(TlsFailure::Other(error.to_string())));
    read.map(Arc::new)
}

fn config(trusted: &Arc<Trusted>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new(Arc::clone(trusted), Arc::clone(&provider))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous() // which is how rustls calls every verifier that is not its own
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// An error of TLS that came out of a stream secured here, which arrives as an I/O error.
pub(super) fn failure_in(error: &io::Error) -> Option<TlsFailure> {
    let inner = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(failure::of(inner))
}
