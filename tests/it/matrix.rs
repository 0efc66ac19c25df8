//! Every SSH server, and every way in that it has: connect, list the models, stream an answer,
//! call a tool. What differs between the rows is data.

use serde_json::{Value, json};

use crate::support::bed::{Bed, by_key, ssh_to, with};
use crate::support::peer::agent::{self, Agent};
use crate::support::peer::asyncssh::{self, AsyncSsh};
use crate::support::peer::dropbear::{self, Dropbear};
use crate::support::peer::is_here;
use crate::support::peer::keys::{self, Authority, ClientKeys};
use crate::support::peer::sshd::{self, Sshd};
use crate::support::row::{Certified, Row, run};

fn agent_of(keys: &ClientKeys) -> Agent {
    Agent::start(&[&keys.ed25519, &keys.ecdsa, &keys.rsa])
}

// --- OpenSSH --------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn openssh_by_every_key_and_certificate() {
    if !is_here("sshd", sshd::available()) || !is_here("ssh-agent", agent::available()) {
        return;
    }
    let bed = Bed::start().await;
    let authority = Authority::generate();
    let trusted = format!("TrustedUserCAKeys {}", authority.public_file().display());
    let sshd = Sshd::start(&[&trusted]);
    bed.write_known_hosts(&sshd.host_key_line());
    let ssh = ssh_to(sshd.username(), sshd.port());
    let certified = Certified::by(&authority, sshd.username());
    let keys = agent_of(&sshd.keys);
    let certificates = certified.agent();
    let mut rows = Row::keys(&ssh, &sshd.keys, &keys);
    rows.extend(Row::certificates(&ssh, &certified, &certificates));
    run(&bed, rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openssh_by_password_and_by_questions() {
    if !is_here("sshd with PAM", sshd::pam_available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(sshd::PAM);
    bed.write_known_hosts(&sshd.host_key_line());
    let ssh = ssh_to(sshd.username(), sshd.port());
    let password = sshd.password().unwrap();
    let rows = vec![
        Row::password(&ssh, password),
        Row::questions(&ssh).answered("Password:", password),
    ];
    run(&bed, rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openssh_by_a_key_and_then_by_questions() {
    if !is_here("sshd with PAM", sshd::pam_available()) {
        return;
    }
    let bed = Bed::start().await;
    let both = "AuthenticationMethods publickey,keyboard-interactive";
    let sshd = Sshd::start(&[sshd::PAM, &[both]].concat());
    bed.write_known_hosts(&sshd.host_key_line());
    let way = "publickey + keyboard-interactive";
    let ssh = by_key(sshd.username(), sshd.port(), &sshd.keys.ed25519);
    let password = sshd.password().unwrap();
    let row = Row::new("two-factors", ssh, way).answered("Password:", password);
    run(&bed, vec![row]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openssh_that_speaks_nistp_only() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(&[
        "KexAlgorithms ecdh-sha2-nistp256",
        "HostKeyAlgorithms ecdsa-sha2-nistp256",
    ]);
    bed.write_known_hosts(&sshd.host_key_line_of("127.0.0.1", "ecdsa"));
    let ssh = by_key(sshd.username(), sshd.port(), &sshd.keys.ecdsa);
    run(&bed, vec![Row::new("nistp", ssh, "publickey")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openssh_with_a_host_certificate_of_a_known_authority() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let authority = Authority::generate();
    let (key, certificate) = authority.certify_host("host", "127.0.0.1");
    // The first key of its type is the one that is shown.
    let sshd = Sshd::start(&[
        &format!("HostKey {}", key.display()),
        &format!("HostCertificate {}", certificate.display()),
    ]);
    let ssh = by_key(sshd.username(), sshd.port(), &sshd.keys.ed25519);
    let line = format!("[127.0.0.1]:{} {}", sshd.port(), authority.public());
    bed.write_known_hosts(&format!("@cert-authority {line}"));
    run(&bed, vec![Row::new("host-certificate", ssh, "publickey")]).await;
}

// --- dropbear -------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn dropbear_by_every_key_and_the_password() {
    if !is_here("dropbear", dropbear::available()) || !is_here("ssh-agent", agent::available()) {
        return;
    }
    let bed = Bed::start().await;
    let dropbear = Dropbear::start(&[]);
    bed.write_known_hosts(&dropbear.host_key_line());
    let ssh = ssh_to(dropbear.username(), dropbear.port());
    let agent = agent_of(&dropbear.keys);
    let mut rows = Row::keys(&ssh, &dropbear.keys, &agent);
    rows.push(Row::password(&ssh, dropbear.password()));
    run(&bed, rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropbear_by_a_key_and_then_the_password() {
    if !is_here("dropbear", dropbear::available()) {
        return;
    }
    let bed = Bed::start().await;
    let dropbear = Dropbear::start(&["-t"]);
    bed.write_known_hosts(&dropbear.host_key_line());
    let key = &dropbear.keys.ed25519;
    let ssh = by_key(dropbear.username(), dropbear.port(), key);
    let ssh = with(ssh, &json!({"password": dropbear.password()}));
    let row = Row::new("two-factors", ssh, "publickey + password");
    run(&bed, vec![row]).await;
}

// --- asyncssh -------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn asyncssh_by_every_key_certificate_and_the_password() {
    if !is_here("asyncssh", asyncssh::available()) || !is_here("ssh-agent", agent::available()) {
        return;
    }
    let bed = Bed::start().await;
    let authority = Authority::generate();
    let server = AsyncSsh::start(&json!({
        "password": asyncssh::PASSWORD, "authorities": [authority.public()],
    }));
    bed.write_known_hosts(&server.host_key_line());
    let ssh = ssh_to(asyncssh::USER, server.port());
    let certified = Certified::by(&authority, asyncssh::USER);
    let keys = agent_of(&server.keys);
    let certificates = certified.agent();
    let mut rows = Row::keys(&ssh, &server.keys, &keys);
    rows.extend(Row::certificates(&ssh, &certified, &certificates));
    rows.push(Row::password(&ssh, asyncssh::PASSWORD));
    run(&bed, rows).await;
}

/// Two rounds, the second with two prompts at once.
fn questions() -> Value {
    json!([
        [["Password: ", false, "first"]],
        [["Token: ", false, "123456"], ["Place: ", true, "home"]],
    ])
}

fn answered(row: Row) -> Row {
    row.answered("Password: ", "first")
        .answered("Token: ", "123456")
        .answered("Place: ", "home")
}

#[tokio::test(flavor = "multi_thread")]
async fn asyncssh_by_rounds_of_questions() {
    if !is_here("asyncssh", asyncssh::available()) {
        return;
    }
    let bed = Bed::start().await;
    let server = AsyncSsh::start(&json!({"questions": questions()}));
    bed.write_known_hosts(&server.host_key_line());
    let ssh = ssh_to(asyncssh::USER, server.port());
    run(&bed, vec![answered(Row::questions(&ssh))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asyncssh_by_a_key_and_then_by_rounds_of_questions() {
    if !is_here("asyncssh", asyncssh::available()) {
        return;
    }
    let bed = Bed::start().await;
    let plan = json!({"questions": questions(), "keyThenQuestions": true});
    let server = AsyncSsh::start(&plan);
    bed.write_known_hosts(&server.host_key_line());
    let ssh = by_key(asyncssh::USER, server.port(), &server.keys.ed25519);
    let way = "publickey + keyboard-interactive";
    run(&bed, vec![answered(Row::new("two-factors", ssh, way))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asyncssh_that_wants_no_proof() {
    if !is_here("asyncssh", asyncssh::available()) {
        return;
    }
    let bed = Bed::start().await;
    let server = AsyncSsh::start(&json!({"none": true}));
    bed.write_known_hosts(&server.host_key_line());
    let none = json!({"authMethod": "none"});
    let ssh = with(ssh_to(asyncssh::USER, server.port()), &none);
    run(&bed, vec![Row::new("none", ssh, "none")]).await;
}

/// What asyncssh can do but prefers not to.
#[tokio::test(flavor = "multi_thread")]
async fn asyncssh_with_other_algorithms_and_many_new_keys() {
    if !is_here("asyncssh", asyncssh::available()) {
        return;
    }
    let bed = Bed::start().await;
    let server = AsyncSsh::start(&json!({
        "kexAlgs": ["ecdh-sha2-nistp384"], "encryptionAlgs": ["aes256-ctr"], "rekeyBytes": 4096,
    }));
    bed.write_known_hosts(&server.host_key_line());
    let ssh = by_key(asyncssh::USER, server.port(), &server.keys.ed25519);
    run(&bed, vec![Row::new("rekeyed", ssh, "publickey")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asyncssh_by_an_ecdsa_key_with_a_short_secret() {
    if !is_here("asyncssh", asyncssh::available()) {
        return;
    }
    let bed = Bed::start().await;
    let key = keys::short_ecdsa(&bed.home());
    let server = AsyncSsh::start(&json!({"authorizedKeys": [keys::public(&key)]}));
    bed.write_known_hosts(&server.host_key_line());
    let ssh = by_key(asyncssh::USER, server.port(), &key);
    run(&bed, vec![Row::new("short", ssh, "publickey")]).await;
}
