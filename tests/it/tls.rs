//! LLM servers that speak TLS, at the far end of the tunnel.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_util::task::AbortOnDropHandle;

use crate::support::bed::{Bed, CONFIG, prompt, with};
use crate::support::daemon::{Daemon, RpcError};

/// What terminates TLS in front of the bed's LLM server, and the authority that vouches for it.
struct Front {
    address: SocketAddr,
    ca: PathBuf,
    _acceptor: AbortOnDropHandle<()>,
}

impl Front {
    /// With a certificate for these names.
    async fn start(bed: &Bed, names: &[&str]) -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority
            .distinguished_name
            .push(DnType::CommonName, "Lab CA");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let text = base64::engine::general_purpose::STANDARD
            .encode(authority.self_signed(&key).unwrap().der());
        let ca = bed.path("home/ca.pem");
        let pem = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
        std::fs::write(&ca, pem).unwrap();

        let issuer = Issuer::new(authority, key);
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap();
        let certificate = certificate.signed_by(&key, &issuer).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .unwrap();

        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = tokio::spawn(accept(listener, config, bed.llm.port()));
        Self {
            address,
            ca,
            _acceptor: AbortOnDropHandle::new(acceptor),
        }
    }

    fn llm(&self, bed: &Bed, tls: Value) -> Value {
        let endpoint = format!("https://{}", self.address);
        with(
            bed.llm_params(),
            &json!({"apiEndpoint": endpoint, "tls": tls, "apiKey": "sk-it"}),
        )
    }
}

async fn accept(listener: TcpListener, config: ServerConfig, to: u16) {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        connections.spawn(async move {
            let mut plain = TcpStream::connect(("127.0.0.1", to)).await?;
            let mut secure = acceptor.accept(socket).await?;
            tokio::io::copy_bidirectional(&mut secure, &mut plain).await
        });
    }
}

/// The stages of a test of this server, by name, with their status.
async fn stages(bed: &Bed, daemon: &Daemon, llm: Value) -> (Value, Vec<(String, String)>) {
    let params = json!({"ssh": bed.ssh_params(), "llm": llm});
    let result = daemon.ok("remote-llm/test-connection", params).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let stages = result["stages"].as_array().unwrap().iter();
    let stages = stages
        .map(|stage| (text(&stage["name"]), text(&stage["status"])))
        .skip_while(|(name, _)| name != "forward")
        .collect();
    (result, stages)
}

fn each(stages: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(name, status): &(&str, &str)| ((*name).to_owned(), (*status).to_owned());
    stages.iter().map(own).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_goes_through_tls_inside_the_tunnel() {
    let bed = Bed::start().await;
    let front = Front::start(&bed, &["127.0.0.1"]).await;
    let daemon = bed.daemon().await;
    // As a person writes it.
    let llm = front.llm(&bed, json!({"caPath": "~/ca.pem"}));
    let (result, stages) = stages(&bed, &daemon, llm.clone()).await;
    assert_eq!(result["success"], true, "{result:#}");
    let passed = ["forward", "tls", "http", "server", "models"].map(|name| (name, "passed"));
    assert_eq!(stages, each(&passed));

    let view = bed.configure_with(&daemon, bed.ssh_params(), llm).await;
    assert_eq!(view["warnings"], json!([]));
    let params = with(prompt("p", "Hi."), &json!({"model": "smol"}));
    let result = daemon.ok("remote-llm/stream-prompt", params).await;
    assert_eq!(daemon.text("p"), "Hello from the scripted server.");
    assert_eq!(result["stopReason"], "end_turn");
    let chats = bed.llm.chats();
    let request = &chats[0].request;
    assert_eq!(request.header("authorization"), Some("Bearer sk-it"));
    let host = front.address.to_string();
    assert_eq!(request.header("host"), Some(host.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_another_name_gets_no_key_until_the_profile_names_it() {
    let bed = Bed::start().await;
    let front = Front::start(&bed, &["gpu1.example"]).await;
    let daemon = bed.daemon().await;
    let (result, failed) =
        stages(&bed, &daemon, front.llm(&bed, json!({"caPath": front.ca}))).await;
    let expected = [
        ("forward", "passed"),
        ("tls", "failed"),
        ("http", "skipped"),
        ("server", "skipped"),
        ("models", "skipped"),
    ];
    assert_eq!(failed, each(&expected), "{result:#}");
    let error = RpcError::new(&result["error"]);
    assert_eq!(error.code(), "API_TLS_FAILED");
    assert!(error.message.contains("gpu1.example"), "{}", error.message);
    assert!(bed.llm.exchanges().is_empty(), "nothing was sent");

    let named = json!({"caPath": front.ca, "serverName": "gpu1.example"});
    let (result, _) = stages(&bed, &daemon, front.llm(&bed, named)).await;
    assert_eq!(result["success"], true, "{result:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_file_the_platform_s_authorities_count() {
    let bed = Bed::start().await;
    let front = Front::start(&bed, &["127.0.0.1"]).await;
    let llm = front.llm(&bed, json!({}));
    // Where OpenSSL would look, too.
    let knows = bed
        .launch()
        .environment("SSL_CERT_FILE", front.ca.to_str().unwrap());
    let (result, _) = stages(&bed, &bed.launched(&knows).await, llm.clone()).await;
    assert_eq!(result["success"], true, "{result:#}");

    let empty = bed.write_private("home/empty.pem", "");
    let knows_none = bed
        .launch()
        .environment("SSL_CERT_FILE", empty.to_str().unwrap());
    let (result, _) = stages(&bed, &bed.launched(&knows_none).await, llm).await;
    let error = RpcError::new(&result["error"]);
    assert_eq!(error.code(), "API_TLS_FAILED");
    assert!(
        error.message.contains("no authorities"),
        "{}",
        error.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_to_an_untrusted_server_fails_at_once_and_sends_nothing() {
    let bed = Bed::start().await;
    let front = Front::start(&bed, &["127.0.0.1"]).await;
    let other = bed.write_private("home/other.pem", "no certificate");
    let daemon = bed.daemon().await;
    let llm = front.llm(&bed, json!({"caPath": other}));
    bed.configure_with(&daemon, bed.ssh_params(), llm).await;
    let params = with(prompt("p", "Hi."), &json!({"model": "smol"}));
    let error = daemon.err("remote-llm/stream-prompt", params).await;
    assert_eq!(error.code(), "API_TLS_FAILED");
    assert_eq!(error.data["field"], "llm.tls.caPath");
    assert_eq!(error.data["stage"], "tls");
    let params = json!({"configId": CONFIG});
    let error = daemon.err("remote-llm/list-models", params).await;
    assert_eq!(error.code(), "API_TLS_FAILED");
    assert!(bed.llm.exchanges().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_of_the_wrong_kind_says_which_one_is_right() {
    let bed = Bed::start().await;
    let front = Front::start(&bed, &["127.0.0.1"]).await;
    let daemon = bed.daemon().await;
    let llm = front.llm(&bed, json!({"caPath": front.ca}));
    let plain = format!("http://{}", front.address);
    let (result, failed) = stages(
        &bed,
        &daemon,
        with(llm.clone(), &json!({"apiEndpoint": plain})),
    )
    .await;
    let error = RpcError::new(&result["error"]);
    assert_eq!(error.code(), "API_TLS_FAILED", "{result:#}");
    assert_eq!(error.data["hint"], "Write https:// in the endpoint.");
    assert_eq!(failed[1], ("http".to_owned(), "failed".to_owned()));

    let plain = a_server_without_tls().await;
    let secure = format!("https://127.0.0.1:{plain}");
    let (result, _) = stages(&bed, &daemon, with(llm, &json!({"apiEndpoint": secure}))).await;
    let error = RpcError::new(&result["error"]);
    assert_eq!(error.code(), "API_TLS_FAILED", "{result:#}");
}

/// The port of a server that answers the beginning of TLS as HTTP servers do.
async fn a_server_without_tls() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut hello = [0; 1];
            if stream.read_exact(&mut hello).await.is_ok() {
                let answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
                let _gone = stream.write_all(answer).await;
            }
        }
    });
    port
}
