//! Whether a certificate is believed, and if not, why in words that help.

use std::sync::Arc;

use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

use super::roots::Trusted;

/// rustls's own verifier, with two differences: a certificate that the user's file has as it is
/// needs no authority, and for one that nobody vouches for there is [`NotTrusted`].
#[derive(Debug)]
pub(super) struct Verifier {
    chain: Arc<WebPkiServerVerifier>,
    trusted: Arc<Trusted>,
}

/// Nobody we believe vouches for the certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not trusted")]
pub(super) struct NotTrusted {
    /// It vouches for itself.
    pub(super) self_signed: bool,
    /// Who does, by the certificate's own words.
    pub(super) issuer: Option<String>,
}

impl Verifier {
    pub(super) fn new(trusted: Arc<Trusted>, provider: Arc<CryptoProvider>) -> Result<Self, Error> {
        let roots = Arc::clone(&trusted.roots);
        let chain = WebPkiServerVerifier::builder_with_provider(roots, provider)
            .with_crls(trusted.revoked.iter().cloned())
            // A list is of one authority; of the others nothing is known, as without a list.
            .allow_unknown_revocation_status()
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        Ok(Self { chain, trusted })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.chain.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        let error = match verified {
            Ok(verified) => return Ok(verified),
            Err(error) => error,
        };
        let is_authority = is_authority(&error);
        // `openssl req -x509` makes certificates that are authorities, and servers show them.
        // That is found out after their dates were looked at.
        if is_authority
            && self
                .trusted
                .pinned
                .iter()
                .any(|pinned| pinned == end_entity)
        {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            return Ok(ServerCertVerified::assertion());
        }
        if is_authority || error == CertificateError::UnknownIssuer.into() {
            let not_trusted = NotTrusted::of(end_entity);
            return Err(CertificateError::Other(OtherError(Arc::new(not_trusted))).into());
        }
        Err(error)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// Whether the only fault so far is that an authority shows its own certificate as a server's.
fn is_authority(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) = error else {
        return false;
    };
    inner.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity)
}

impl NotTrusted {
    fn of(certificate: &CertificateDer<'_>) -> Self {
        let Ok(certificate) = webpki::EndEntityCert::try_from(certificate) else {
            return Self {
                self_signed: false,
                issuer: None,
            };
        };
        Self {
            self_signed: certificate.issuer() == certificate.subject(),
            issuer: name_in(certificate.issuer()),
        }
    }
}

/// The common name in a distinguished name, else the organisation. Only for people: whatever is
/// written in another way than everybody's is not found.
fn name_in(distinguished: &[u8]) -> Option<String> {
    const COMMON_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x03];
    const ORGANISATION: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x0a];
    let find = |kind: &[u8]| {
        let at = distinguished
            .windows(kind.len())
            .position(|window| window == kind)?;
        let [_tag, length, text @ ..] = distinguished.get(at + kind.len()..)? else {
            return None;
        };
        let text = text.get(..usize::from(*length).min(127))?;
        Some(String::from_utf8_lossy(text).into_owned())
    };
    find(COMMON_NAME).or_else(|| find(ORGANISATION))
}
