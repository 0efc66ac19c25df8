//! Sentences about TLS inside the tunnel.

use std::{path::Path, time::SystemTime};

use crate::{
    llm::{CaFileProblem, TlsFailure},
    protocol::{ErrorCode, ErrorData, ErrorObject, StageName},
};

use super::{list, llm::Scene};

const CA_PATH: &str = "llm.tls.caPath";
const SERVER_NAME: &str = "llm.tls.serverName";

/// Why there is no secure connection to the LLM server.
pub(super) fn tls(failure: &TlsFailure, scene: &Scene) -> ErrorObject {
    let code = match failure {
        TlsFailure::TimedOut { .. } => ErrorCode::TimeoutConnect,
        _ => ErrorCode::ApiTlsFailed,
    };
    let mut data = ErrorData::new(code, failure.is_transient());
    data.host = Some(scene.host.clone());
    data.stage = Some(match failure {
        TlsFailure::Wanted => StageName::Http,
        _ => StageName::Tls,
    });
    data.hint = hint(failure, scene);
    data.field = match failure {
        TlsFailure::CaFile { .. } => Some(CA_PATH.to_owned()),
        TlsFailure::ServerName(_) => Some(SERVER_NAME.to_owned()),
        _ => None,
    };
    super::with_data(data, sentence(failure, scene))
}

fn sentence(failure: &TlsFailure, scene: &Scene) -> String {
    match failure {
        TlsFailure::UnknownIssuer { issuer } => format!(
            "{scene} shows a certificate of {}, which {}. Nothing was sent.",
            match issuer {
                Some(issuer) => format!("the authority {issuer:?}"),
                None => "an authority without a name".to_owned(),
            },
            match scene.ca_path() {
                Some(path) => format!("{} does not have", path.display()),
                None => "this computer does not trust".to_owned(),
            }
        ),
        TlsFailure::SelfSigned => format!(
            "{scene} shows a certificate that it made itself, and {}. Nothing was sent.",
            match scene.ca_path() {
                Some(path) => format!("it is not the one in {}", path.display()),
                None => "that proves nothing yet".to_owned(),
            }
        ),
        TlsFailure::Expired { not_after } => format!(
            "The certificate of {scene} has expired{}. Renew it there, or set this computer's \
             clock. Nothing was sent.",
            at(": it was good until ", *not_after)
        ),
        TlsFailure::NotYetValid { not_before } => format!(
            "The certificate of {scene} is not valid yet{}. Set this computer's clock, or the \
             server's before it makes certificates. Nothing was sent.",
            at(": it begins on ", *not_before)
        ),
        TlsFailure::WrongName { asked, names } if names.is_empty() => format!(
            "The certificate of {scene} has no name or address to be checked by, and had to be \
             for {asked}. Nothing was sent. A common name alone counts no more: make one with \
             subjectAltName."
        ),
        TlsFailure::WrongName { asked, names } => format!(
            "The certificate of {scene} is for {}, not for {asked}. Nothing was sent.",
            list(names)
        ),
        TlsFailure::Revoked => format!(
            "The certificate of {scene} is revoked by a list in {}. Nothing was sent. Ask the \
             administrator for a new one.",
            scene
                .ca_path()
                .map_or_else(|| CA_PATH.to_owned(), |path| path.display().to_string())
        ),
        TlsFailure::BadCertificate(why) => format!(
            "The certificate of {scene} can't be used: {why}. Nothing was sent. Ask the \
             administrator for a new one."
        ),
        TlsFailure::ServerName(name) => format!(
            "{name:?} is not a name or an address that a certificate can have. Write the one that \
             the certificate of {scene} has."
        ),
        TlsFailure::CaFile { path, problem } => ca_file(path, problem),
        TlsFailure::NoPlatformRoots { why } => format!(
            "This computer has no authorities{}, so the certificate of {scene} can't be checked. \
             Install them (ca-certificates on Linux), or name a file with the right one in \
             `{CA_PATH}`.",
            why.as_ref()
                .map_or_else(String::new, |why| format!(" ({why})"))
        ),
        TlsFailure::PlainHttp => format!(
            "{scene} speaks HTTP without TLS. Write http:// in the endpoint; as far as {} the SSH \
             connection encrypts it.",
            scene.host
        ),
        TlsFailure::NotTls { said } => {
            format!("What listens on {scene} does not speak TLS (it said: {said}). Check the port.")
        }
        TlsFailure::Wanted => format!("{scene} wants TLS, and the endpoint is one without."),
        TlsFailure::Incompatible => format!(
            "{scene} has no version of TLS, or no cipher, that is good enough: it takes TLS 1.2 or \
             1.3. Update the server."
        ),
        TlsFailure::ClientCertificate => format!(
            "{scene} wants a client certificate, and there is no way to give it one. Let it be \
             content with an API key."
        ),
        TlsFailure::Alert(what) => format!("{scene} broke off TLS: {what}."),
        TlsFailure::Closed => format!(
            "{scene} closed the connection when TLS was to begin. Does it speak TLS on this port?"
        ),
        TlsFailure::TimedOut { limit } => format!(
            "{scene} did not answer the beginning of TLS within {} s. Does it speak TLS on this \
             port?",
            limit.as_secs_f64()
        ),
        TlsFailure::Other(why) => format!("There is no TLS with {scene}: {why}."),
    }
}

fn ca_file(path: &Path, problem: &CaFileProblem) -> String {
    let path = path.display();
    match problem {
        CaFileProblem::Missing => {
            format!("There is no file {path}. Check `{CA_PATH}`: it is a file of this computer.")
        }
        CaFileProblem::Unreadable(why) => format!("{path} can't be read: {why}."),
        CaFileProblem::NoCertificate => format!(
            "{path} has no certificate in PEM form: a text between BEGIN CERTIFICATE and END \
             CERTIFICATE."
        ),
        CaFileProblem::PrivateKey => {
            format!("{path} is a private key. The certificate that goes with it is what is needed.")
        }
        CaFileProblem::Malformed => format!("A certificate in {path} is damaged. Get it anew."),
    }
}

fn hint(failure: &TlsFailure, scene: &Scene) -> Option<String> {
    let no_tls = || "If it does not, write http:// in the endpoint.".to_owned();
    match failure {
        TlsFailure::UnknownIssuer { .. } => Some(match scene.ca_path() {
            Some(_) => "The file needs the certificate of the topmost authority; those between \
                        have to come from the server."
                .to_owned(),
            None => format!(
                "Save the certificate of that authority in a file, and name it in `{CA_PATH}`."
            ),
        }),
        TlsFailure::SelfSigned => Some(format!(
            "If it is the right server, `ssh {} 'openssl s_client -connect {} </dev/null | openssl \
             x509' >server.pem` saves its certificate; name the file in `{CA_PATH}`.",
            scene.host, scene.endpoint
        )),
        TlsFailure::WrongName { names, .. } if !names.is_empty() => {
            Some(format!("Name one of these in `{SERVER_NAME}`."))
        }
        TlsFailure::Wanted => Some("Write https:// in the endpoint.".to_owned()),
        TlsFailure::Alert(_) => Some(format!(
            "A server with several names may need the right one in `{SERVER_NAME}`. Its own log \
             has more about it."
        )),
        TlsFailure::Closed | TlsFailure::TimedOut { .. } => Some(no_tls()),
        TlsFailure::WrongName { .. }
        | TlsFailure::Expired { .. }
        | TlsFailure::NotYetValid { .. }
        | TlsFailure::Revoked
        | TlsFailure::BadCertificate(_)
        | TlsFailure::ServerName(_)
        | TlsFailure::CaFile { .. }
        | TlsFailure::NoPlatformRoots { .. }
        | TlsFailure::PlainHttp
        | TlsFailure::NotTls { .. }
        | TlsFailure::Incompatible
        | TlsFailure::ClientCertificate
        | TlsFailure::Other(_) => None,
    }
}

fn at(words: &str, time: Option<SystemTime>) -> String {
    let time = time.map(humantime::format_rfc3339_seconds);
    time.map_or_else(String::new, |time| format!("{words}{time}"))
}
