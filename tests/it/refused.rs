//! What real servers do not accept, and what is said of it.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::bed::{Bed, by_key, ssh_to, with};
use crate::support::daemon::RpcError;
use crate::support::peer::agent::{self, Agent};
use crate::support::peer::asyncssh::{self, AsyncSsh};
use crate::support::peer::dropbear::{self, Dropbear};
use crate::support::peer::is_here;
use crate::support::peer::keys::Authority;
use crate::support::peer::sshd::{self, Sshd};

/// A login that fails where nobody can be asked.
async fn refused(bed: &Bed, ssh: Value) -> RpcError {
    let daemon = bed.daemon_with(bed.hello_with(&json!({}))).await;
    let params = json!({ "ssh": ssh });
    let result = daemon.ok("remote-llm/test-connection", params).await;
    assert_eq!(result["success"], false, "{result:#}");
    let error = RpcError::new(&result["error"]);
    assert_eq!(error.data["stage"], "auth", "{result:#}");
    assert_eq!(error.data["retryable"], false, "{result:#}");
    daemon.shut_down().await;
    error
}

async fn refuses_a_password(host_key: &str, address: Value) {
    let bed = Bed::start().await;
    bed.write_known_hosts(host_key);
    let wrong = json!({"authMethod": "password", "password": "not this one"});
    let error = refused(&bed, with(address, &wrong)).await;
    assert_eq!(error.code(), "SSH_AUTH_FAILED", "{error:?}");
    assert!(error.message.contains("password"), "{}", error.message);
    assert!(!error.message.contains("not this one"), "{}", error.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_by_every_server() {
    if is_here("sshd with PAM", sshd::pam_available()) {
        for config in [&[], sshd::PAM] {
            let sshd = Sshd::start(config);
            let address = ssh_to(sshd.username(), sshd.port());
            refuses_a_password(&sshd.host_key_line(), address).await;
        }
    }
    if is_here("dropbear", dropbear::available()) {
        let dropbear = Dropbear::start(&[]);
        let address = ssh_to(dropbear.username(), dropbear.port());
        refuses_a_password(&dropbear.host_key_line(), address).await;
    }
    if is_here("asyncssh", asyncssh::available()) {
        let server = AsyncSsh::start(&json!({"password": asyncssh::PASSWORD}));
        let address = ssh_to(asyncssh::USER, server.port());
        refuses_a_password(&server.host_key_line(), address).await;
    }
}

/// An sshd that trusts an authority, and two certificates of it that let nobody in: an expired
/// one and one that is made out to somebody else.
struct Useless {
    sshd: Sshd,
    expired: std::path::PathBuf,
    other: std::path::PathBuf,
    _authority: Authority,
}

impl Useless {
    fn make() -> Self {
        let authority = Authority::generate();
        let trusted = format!("TrustedUserCAKeys {}", authority.public_file().display());
        let sshd = Sshd::start(&[&trusted]);
        let user = sshd.username();
        Self {
            expired: authority.certify("one", "ed25519", user, "-2h:-1h"),
            other: authority.certify("two", "ecdsa", "somebody-else", "-5m:+1h"),
            sshd,
            _authority: authority,
        }
    }

    fn known_to(&self, bed: &Bed) {
        bed.write_known_hosts(&self.sshd.host_key_line());
    }

    fn address(&self, key: &Path) -> Value {
        by_key(self.sshd.username(), self.sshd.port(), key)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_lets_nobody_in_says_why() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let useless = Useless::make();
    useless.known_to(&bed);
    let error = refused(&bed, useless.address(&useless.expired)).await;
    assert!(error.message.contains("has expired"), "{}", error.message);
    let error = refused(&bed, useless.address(&useless.other)).await;
    let user = useless.sshd.username();
    let why = format!("is not made out to {user}");
    assert!(error.message.contains(&why), "{}", error.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_in_an_agent_that_lets_nobody_in_says_why() {
    if !is_here("sshd", sshd::available()) || !is_here("ssh-agent", agent::available()) {
        return;
    }
    let bed = Bed::start().await;
    let useless = Useless::make();
    useless.known_to(&bed);
    let cases = [
        (&useless.expired, "has expired"),
        (&useless.other, "made out to"),
    ];
    for (key, why) in cases {
        let agent = Agent::start(&[key]);
        let by_agent = json!({"authMethod": "agent", "identityAgent": agent.socket()});
        let ssh = with(useless.address(key), &by_agent);
        let error = refused(&bed, ssh).await;
        assert!(error.message.contains(why), "{why}: {}", error.message);
    }
}
