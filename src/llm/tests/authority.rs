//! Authorities and certificates of every kind, made anew for each test.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SerialNumber, date_time_ymd,
};
use tokio_rustls::rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    server::{ResolvesServerCertUsingSni, WebPkiClientVerifier},
};

pub(super) struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
    key: Vec<u8>,
}

/// A server's certificate and its key.
pub(super) struct Identity {
    certificate: CertificateDer<'static>,
    serial: Vec<u8>,
    key: Vec<u8>,
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        Self {
            certificate: params.self_signed(&key).unwrap(),
            key: key.serialize_der(),
            issuer: Issuer::new(params, key),
        }
    }

    pub(super) fn pem(&self) -> String {
        pem("CERTIFICATE", self.certificate.der())
    }

    pub(super) fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.key)
    }

    /// A certificate for names and addresses, of today.
    pub(super) fn issue(&self, names: &[&str]) -> Identity {
        self.sign(params(names))
    }

    /// One that is valid from the beginning of a year to that of another.
    pub(super) fn issue_for(&self, names: &[&str], from: i32, to: i32) -> Identity {
        let mut params = params(names);
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        self.sign(params)
    }

    /// One that servers must not show.
    pub(super) fn issue_for_clients(&self, names: &[&str]) -> Identity {
        let mut params = params(names);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    fn sign(&self, mut params: CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let serial = uuid::Uuid::new_v4().as_u64_pair().0 >> 1;
        let serial = serial.to_be_bytes().to_vec();
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity {
            certificate: certificate.der().clone(),
            serial,
            key: key.serialize_der(),
        }
    }

    /// One that nobody vouches for but itself; an authority's or a server's.
    pub(super) fn self_signed(names: &[&str], is_authority: bool) -> Identity {
        Self::self_signed_for(names, is_authority, 2000, 4000)
    }

    pub(super) fn self_signed_for(
        names: &[&str],
        is_authority: bool,
        from: i32,
        to: i32,
    ) -> Identity {
        let mut params = params(names);
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        if is_authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let key = KeyPair::generate().unwrap();
        Identity {
            certificate: params.self_signed(&key).unwrap().der().clone(),
            serial: Vec::new(),
            key: key.serialize_der(),
        }
    }

    /// A list, in PEM form, that takes a certificate back.
    pub(super) fn revoke(&self, identity: &Identity) -> String {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from_slice(&identity.serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(4000, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        pem("X509 CRL", list.signed_by(&self.issuer).unwrap().der())
    }

    /// A server that has nothing for whoever asks.
    pub(super) fn server_without_fitting_name(&self) -> ServerConfig {
        ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()))
    }

    pub(super) fn server_that_wants_clients_certificates(&self, names: &[&str]) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let identity = self.issue(names);
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(
                vec![identity.certificate],
                PrivatePkcs8KeyDer::from(identity.key).into(),
            )
            .unwrap()
    }
}

impl Identity {
    pub(super) fn pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }
}

/// A server that shows a certificate and speaks HTTP/1.1.
pub(super) fn server_config(identity: Identity) -> ServerConfig {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![identity.certificate],
            PrivatePkcs8KeyDer::from(identity.key).into(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

fn params(names: &[&str]) -> CertificateParams {
    let names = names.iter().map(|&name| name.to_owned());
    let mut params = CertificateParams::new(names.collect::<Vec<_>>()).unwrap();
    params
        .distinguished_name
        .push(DnType::CommonName, "a server");
    params
}

fn pem(kind: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    format!(
        "-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n",
        lines.join("\n")
    )
}
