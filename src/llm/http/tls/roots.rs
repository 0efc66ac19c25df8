//! Whom to believe: the platform's authorities, or those of a file. Everything here blocks.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
    sync::Arc,
};

use tokio_rustls::rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer, CertificateRevocationListDer,
        pem::{PemObject as _, SectionKind},
    },
};

use super::failure::{CaFileProblem, TlsFailure};

/// Larger than any platform's own bundle.
const MOST_BYTES: u64 = 4 << 20;

/// Certificates that are believed, and those they took back.
#[derive(Debug)]
pub(super) struct Trusted {
    pub(super) roots: Arc<RootCertStore>,
    /// The file's certificates as they are: a server may show one of them as its own.
    pub(super) pinned: Vec<CertificateDer<'static>>,
    pub(super) revoked: Vec<CertificateRevocationListDer<'static>>,
}

/// The platform's store; on Unix `SSL_CERT_FILE` and `SSL_CERT_DIR` point elsewhere, as they do
/// for OpenSSL.
pub(super) fn platform() -> Result<Trusted, TlsFailure> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // What can't be read is skipped as everyone does: stores are full of old things.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(ToString::to_string);
        return Err(TlsFailure::NoPlatformRoots { why });
    }
    Ok(Trusted {
        roots: Arc::new(roots),
        pinned: Vec::new(),
        revoked: Vec::new(),
    })
}

/// A PEM file of certificates, and of revocation lists if there are any.
pub(super) fn of_file(path: &Path) -> Result<Trusted, TlsFailure> {
    let wrong = |problem| TlsFailure::CaFile {
        path: path.to_owned(),
        problem,
    };
    let text = read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => wrong(CaFileProblem::Missing),
        _ => wrong(CaFileProblem::Unreadable(error.to_string())),
    })?;
    let mut roots = RootCertStore::empty();
    let mut pinned = Vec::new();
    let mut revoked = Vec::new();
    let mut has_key = false;
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(&text) {
        let (kind, der) = section.map_err(|_| wrong(CaFileProblem::Malformed))?;
        match kind {
            SectionKind::Certificate => {
                let certificate = CertificateDer::from(der);
                let added = roots.add(certificate.clone());
                added.map_err(|_| wrong(CaFileProblem::Malformed))?;
                pinned.push(certificate);
            }
            SectionKind::Crl => revoked.push(der.into()),
            SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey => {
                has_key = true;
            }
            _ => {}
        }
    }
    match (pinned.is_empty(), has_key) {
        (false, _) => Ok(Trusted {
            roots: Arc::new(roots),
            pinned,
            revoked,
        }),
        (true, true) => Err(wrong(CaFileProblem::PrivateKey)),
        (true, false) => Err(wrong(CaFileProblem::NoCertificate)),
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a pipe would wait for who writes to it.
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if metadata.len() > MOST_BYTES {
        return Err(io::Error::other("it is larger than 4 MiB"));
    }
    let mut text = Vec::new();
    File::open(path)?.take(MOST_BYTES).read_to_end(&mut text)?;
    Ok(text)
}
