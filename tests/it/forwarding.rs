//! What real servers forward, and how they refuse.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpStream, UnixListener};
use tokio::task::JoinHandle;

use crate::support::bed::{Bed, by_key, set_mode, with};
use crate::support::daemon::RpcError;
use crate::support::peer::asyncssh::{self, AsyncSsh};
use crate::support::peer::dropbear::{self, Dropbear};
use crate::support::peer::is_here;
use crate::support::peer::sshd::{self, Sshd};

/// A server that can't be used for `llm`: the error, which names the hop.
async fn refused(bed: &Bed, host_key: &str, ssh: Value, llm: Value) -> RpcError {
    bed.write_known_hosts(host_key);
    let daemon = bed.daemon().await;
    let params = json!({"ssh": ssh, "llm": llm});
    let result = daemon.ok("remote-llm/test-connection", params).await;
    assert_eq!(result["success"], false, "{result:#}");
    let error = RpcError::new(&result["error"]);
    assert_eq!(error.data["stage"], "forward", "{result:#}");
    assert_eq!(error.data["hop"], 1, "{result:#}");
    assert!(error.message.contains("127.0.0.1"), "{}", error.message);
    daemon.shut_down().await;
    error
}

async fn refused_by_sshd(config: &[&str], llm: impl Fn(&Bed) -> Value) -> RpcError {
    let bed = Bed::start().await;
    let sshd = Sshd::start(config);
    let ssh = by_key(sshd.username(), sshd.port(), &sshd.keys.ed25519);
    let error = refused(&bed, &sshd.host_key_line(), ssh, llm(&bed)).await;
    assert!(bed.llm.exchanges().is_empty());
    error
}

fn hint(error: &RpcError) -> &str {
    error.data["hint"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_openssh_that_forbids_forwarding_is_told_with_its_option() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    for config in [
        ["AllowTcpForwarding no"],
        ["PermitOpen 127.0.0.1:1"],
        ["DisableForwarding yes"],
    ] {
        let error = refused_by_sshd(&config, Bed::llm_params).await;
        assert_eq!(error.code(), "SSH_FORWARD_DENIED", "{config:?}: {error:?}");
        let hint = hint(&error);
        for option in ["AllowTcpForwarding", "PermitOpen"] {
            assert!(hint.contains(option), "{config:?}: {hint}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permitted_port_is_reached() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(&[&format!("PermitOpen 127.0.0.1:{}", bed.llm.port())]);
    let ssh = by_key(sshd.username(), sshd.port(), &sshd.keys.ed25519);
    reaches(&bed, &sshd.host_key_line(), ssh, bed.llm_params()).await;
}

async fn reaches(bed: &Bed, host_key: &str, ssh: Value, llm: Value) {
    bed.write_known_hosts(host_key);
    let daemon = bed.daemon().await;
    let params = json!({"ssh": ssh, "llm": llm});
    let result = daemon.ok("remote-llm/test-connection", params).await;
    assert_eq!(result["success"], true, "{result:#}");
    assert_eq!(result["models"][0]["id"], "smol", "{result:#}");
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asyncssh_that_forbids_forwarding_is_told() {
    if !is_here("asyncssh", asyncssh::available()) {
        return;
    }
    let bed = Bed::start().await;
    let server = AsyncSsh::start(&json!({"forwarding": "deny"}));
    let ssh = by_key(asyncssh::USER, server.port(), &server.keys.ed25519);
    let error = refused(&bed, &server.host_key_line(), ssh, bed.llm_params()).await;
    assert_eq!(error.code(), "SSH_FORWARD_DENIED", "{error:?}");
    assert!(server.count("channel-requested") > 0);
    assert_eq!(server.count("channel-opened"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asyncssh_that_never_answers_a_channel_is_given_up() {
    if !is_here("asyncssh", asyncssh::available()) {
        return;
    }
    let bed = Bed::start().await;
    let server = AsyncSsh::start(&json!({"forwarding": "stall"}));
    let ssh = by_key(asyncssh::USER, server.port(), &server.keys.ed25519);
    let error = refused(&bed, &server.host_key_line(), ssh, bed.llm_params()).await;
    let codes = ["API_UNAVAILABLE", "SSH_CHANNEL_ERROR"];
    assert!(codes.contains(&error.code()), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropbear_that_forbids_forwarding_is_told() {
    if !is_here("dropbear", dropbear::available()) {
        return;
    }
    let bed = Bed::start().await;
    let dropbear = Dropbear::start(&["-j", "-k"]);
    let key = &dropbear.keys.ed25519;
    let ssh = by_key(dropbear.username(), dropbear.port(), key);
    let error = refused(&bed, &dropbear.host_key_line(), ssh, bed.llm_params()).await;
    assert_eq!(error.code(), "SSH_FORWARD_DENIED", "{error:?}");
}

// --- Unix sockets ---------------------------------------------------------------------------

/// A socket in the file system behind which a bed's LLM server answers.
struct Socket {
    path: PathBuf,
    carrier: JoinHandle<()>,
    _folder: TempDir,
}

impl Socket {
    fn to(bed: &Bed) -> Self {
        let folder = TempDir::with_prefix("puffin-socket-").unwrap();
        // The account of the SSH server is another one.
        set_mode(folder.path(), 0o755);
        let path = folder.path().join("llm.sock");
        let listener = UnixListener::bind(&path).unwrap();
        set_mode(&path, 0o777);
        Self {
            carrier: tokio::spawn(carry(listener, bed.llm.port())),
            path,
            _folder: folder,
        }
    }

    fn llm(&self) -> Value {
        unix(&self.path)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

async fn carry(listener: UnixListener, port: u16) {
    while let Ok((mut near, _)) = listener.accept().await {
        let mut far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        tokio::spawn(async move {
            // However it ends, both ends have seen it.
            let _ended = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        });
    }
}

fn unix(path: &Path) -> Value {
    json!({"apiEndpoint": format!("unix:{}", path.display()), "apiType": "openai-compatible"})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_behind_openssh_is_reached() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let socket = Socket::to(&bed);
    let sshd = Sshd::start(&[]);
    let ssh = by_key(sshd.username(), sshd.port(), &sshd.keys.ed25519);
    reaches(&bed, &sshd.host_key_line(), ssh, socket.llm()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_behind_asyncssh_is_reached() {
    if !is_here("asyncssh", asyncssh::available()) {
        return;
    }
    let bed = Bed::start().await;
    let socket = Socket::to(&bed);
    let server = AsyncSsh::start(&json!({}));
    let ssh = by_key(asyncssh::USER, server.port(), &server.keys.ed25519);
    reaches(&bed, &server.host_key_line(), ssh, socket.llm()).await;
    let path = socket.path.to_str().unwrap();
    let events = server.events();
    assert!(events.iter().any(|event| event["target"] == path));
}

/// sshd answers as if nothing listened there, so both are to be thought of. What its manual says
/// of TCP counts for sockets, too.
#[tokio::test(flavor = "multi_thread")]
async fn an_openssh_that_forbids_unix_sockets_is_told_with_its_option() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    for config in [
        "AllowStreamLocalForwarding no",
        "AllowStreamLocalForwarding remote",
        "AllowTcpForwarding no",
        "AllowTcpForwarding remote",
        "PermitOpen 127.0.0.1:1",
        "DisableForwarding yes",
    ] {
        let bed = Bed::start().await;
        let socket = Socket::to(&bed);
        let sshd = Sshd::start(&[config]);
        let ssh = by_key(sshd.username(), sshd.port(), &sshd.keys.ed25519);
        let error = refused(&bed, &sshd.host_key_line(), ssh, socket.llm()).await;
        assert_eq!(error.code(), "API_UNAVAILABLE", "{config}: {error:?}");
        let path = socket.path.to_str().unwrap();
        assert!(error.message.contains(path), "{}", error.message);
        for option in [
            "AllowStreamLocalForwarding",
            "AllowTcpForwarding",
            "PermitOpen",
            "DisableForwarding",
        ] {
            assert!(hint(&error).contains(option), "{config}: {}", hint(&error));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_behind_an_openssh_that_forwards_one_way_only_is_reached() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let socket = Socket::to(&bed);
    let sshd = Sshd::start(&[
        "AllowTcpForwarding local",
        "AllowStreamLocalForwarding local",
    ]);
    let ssh = by_key(sshd.username(), sshd.port(), &sshd.keys.ed25519);
    reaches(&bed, &sshd.host_key_line(), ssh, socket.llm()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropbear_that_knows_no_unix_sockets_is_told() {
    if !is_here("dropbear", dropbear::available()) {
        return;
    }
    let bed = Bed::start().await;
    let socket = Socket::to(&bed);
    let dropbear = Dropbear::start(&[]);
    let key = &dropbear.keys.ed25519;
    let ssh = by_key(dropbear.username(), dropbear.port(), key);
    let error = refused(&bed, &dropbear.host_key_line(), ssh, socket.llm()).await;
    assert_eq!(error.code(), "SSH_FORWARD_DENIED", "{error:?}");
    assert!(error.message.contains("TCP"), "{}", error.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_where_nothing_listens_is_told_apart() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let nobody = |_: &Bed| {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        with(
            json!({"apiType": "openai-compatible"}),
            &json!({"apiEndpoint": format!("http://127.0.0.1:{port}")}),
        )
    };
    let error = refused_by_sshd(&[], nobody).await;
    assert_eq!(error.code(), "API_UNAVAILABLE", "{error:?}");
}
