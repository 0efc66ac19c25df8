//! Nothing that proves who we are leaves this machine before its owner trusts the server's key.
//! The servers are the witnesses: none of them may have seen even the first request of a login.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::bed::{Bed, ssh_to, with};
use crate::support::daemon::{Answer, Daemon};
use crate::support::peer::agent::{self, Agent};
use crate::support::peer::asyncssh::{self, AsyncSsh};
use crate::support::peer::is_here;
use crate::support::peer::keys::Authority;
use crate::support::peer::sshd::{self, Sshd};
use crate::support::ssh_server::{Key, Login, SshServer};

/// A server that tells what it saw.
enum Witness {
    OpenSsh(Sshd),
    AsyncSsh(AsyncSsh),
    InProcess(SshServer),
}

impl Witness {
    fn openssh() -> Self {
        Self::OpenSsh(Sshd::start(&["LogLevel DEBUG"]))
    }

    fn asyncssh() -> Self {
        Self::AsyncSsh(AsyncSsh::start(&json!({"password": asyncssh::PASSWORD})))
    }

    async fn in_process() -> Self {
        let login = Login::password("ai", "sesame");
        Self::InProcess(SshServer::start(login).await.unwrap())
    }

    fn address(&self) -> Value {
        match self {
            Self::OpenSsh(sshd) => ssh_to(sshd.username(), sshd.port()),
            Self::AsyncSsh(server) => ssh_to(asyncssh::USER, server.port()),
            Self::InProcess(server) => ssh_to("ai", server.port()),
        }
    }

    fn host_key_line(&self) -> String {
        match self {
            Self::OpenSsh(sshd) => sshd.host_key_line(),
            Self::AsyncSsh(server) => server.host_key_line(),
            Self::InProcess(server) => server.known_hosts_line(),
        }
    }

    /// Requests of a login that it saw, of any method.
    fn requests(&self) -> usize {
        match self {
            Self::OpenSsh(sshd) => sshd.log().matches("userauth-request").count(),
            Self::AsyncSsh(server) => server.count("userauth"),
            Self::InProcess(server) => server.seen().auth_attempts.len(),
        }
    }

    /// Waits until it saw the end of so many connections of ours.
    async fn wait_ended(&self, times: usize) {
        match self {
            Self::OpenSsh(sshd) => {
                // One more is the lab's own look whether it answers.
                let all_ended = |log: &str| {
                    let ended = log.matches("Connection closed by").count()
                        + log.matches("Connection reset by").count()
                        + log.matches("Received disconnect from").count();
                    ended > times
                };
                sshd.wait_log("the ends of our connections", all_ended)
                    .await;
            }
            Self::AsyncSsh(server) => server.wait_count("disconnected", times).await,
            Self::InProcess(server) => {
                let ended = server.wait(Duration::from_secs(30), |seen| {
                    (seen.connections == times && seen.live_connections == 0).then_some(())
                });
                ended.await.expect("a connection was left open");
            }
        }
    }
}

/// Why a server's key is not trusted.
#[derive(Clone, Copy, Debug)]
enum Verdict {
    Rejected,
    Changed,
    Revoked,
}

impl Verdict {
    const ALL: [Self; 3] = [Self::Rejected, Self::Changed, Self::Revoked];

    fn code(self) -> &'static str {
        match self {
            Self::Rejected => "SSH_HOST_KEY_REJECTED",
            Self::Changed => "SSH_HOST_KEY_CHANGED",
            Self::Revoked => "SSH_HOST_KEY_REVOKED",
        }
    }

    fn known_hosts(self, server: &Witness) -> String {
        let line = server.host_key_line();
        match self {
            Self::Rejected => String::new(),
            Self::Changed => {
                let (name, _) = line.split_once(' ').unwrap();
                format!("{name} {}\n", Key::generate().public_line())
            }
            Self::Revoked => format!("{line}@revoked {line}"),
        }
    }
}

/// Params with everything that could be sent, one way after the other.
fn ways(address: &Value, key: &Path, agent: &Agent) -> [Value; 4] {
    let everything = json!({
        "password": "a secret", "privateKeyPath": key, "identityAgent": agent.socket(),
    });
    ["password", "privateKey", "agent", "auto"].map(|method| {
        let whole = with(address.clone(), &everything);
        with(whole, &json!({ "authMethod": method }))
    })
}

async fn tested(daemon: &Daemon, ssh: Value) -> Value {
    let params = json!({ "ssh": ssh });
    daemon.ok("remote-llm/test-connection", params).await
}

/// Every verdict with every way in; then, so that silence means something, one that is trusted.
async fn sees_nothing_before_the_verdict(server: Witness) {
    let bed = Bed::start().await;
    let key = bed.write_private("key", &Key::generate().private_file(None).unwrap());
    let agent = Agent::start(&[&key]);
    let ways = ways(&server.address(), &key, &agent);
    let mut connections = 0;
    for verdict in Verdict::ALL {
        bed.write_known_hosts(&verdict.known_hosts(&server));
        let daemon = bed.daemon().await;
        daemon.answer_with(|question| Answer::host_key(question, "reject"));
        for ssh in &ways {
            let result = tested(&daemon, ssh.clone()).await;
            let what = format!("{verdict:?}, {}", ssh["authMethod"]);
            let code = &result["error"]["data"]["code"];
            assert_eq!(*code, verdict.code(), "{what}: {result:#}");
            connections += 1;
            server.wait_ended(connections).await;
            assert_eq!(server.requests(), 0, "{what}");
        }
        daemon.shut_down().await;
    }

    bed.write_known_hosts("");
    let daemon = bed.daemon().await;
    daemon.answer_with(|_| Answer::Later);
    let [ssh, ..] = ways;
    let params = json!({ "ssh": ssh });
    let ticket = daemon.send("remote-llm/test-connection", params).await;
    let asked = daemon.wait_question("host/verify-host-key", 1).await;
    // Time enough for what was sent before the question; what is slower is seen at the end.
    daemon.ok("remote-llm/list-configs", json!({})).await;
    assert_eq!(server.requests(), 0, "while the question is open");
    daemon
        .answer(&asked, Answer::host_key(&asked.question, "reject"))
        .await;
    daemon.reply(&ticket).await.unwrap();
    server.wait_ended(connections + 1).await;
    assert_eq!(server.requests(), 0, "after the answer");

    bed.write_known_hosts(&server.host_key_line());
    daemon.answer_with(|_| Answer::Result(json!({"cancelled": true})));
    tested(&daemon, ssh).await;
    server.wait_ended(connections + 2).await;
    assert!(server.requests() > 0, "this server would not have told");
    daemon.shut_down().await;
}

fn agent_is_here() -> bool {
    is_here("ssh-agent", agent::available())
}

#[tokio::test(flavor = "multi_thread")]
async fn openssh_sees_nothing_before_the_verdict() {
    if agent_is_here() && is_here("sshd", sshd::available()) {
        sees_nothing_before_the_verdict(Witness::openssh()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn asyncssh_sees_nothing_before_the_verdict() {
    if agent_is_here() && is_here("asyncssh", asyncssh::available()) {
        sees_nothing_before_the_verdict(Witness::asyncssh()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_in_process_server_sees_nothing_before_the_verdict() {
    if agent_is_here() {
        sees_nothing_before_the_verdict(Witness::in_process().await).await;
    }
}

/// The authority vouches for another name. ssh asks about the key under the certificate then; we
/// refuse, as with a changed key.
#[tokio::test(flavor = "multi_thread")]
async fn openssh_with_a_host_certificate_for_another_name_sees_nothing() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let authority = Authority::generate();
    let (key, certificate) = authority.certify_host("host", "elsewhere");
    let sshd = Sshd::start(&[
        &format!("HostKey {}", key.display()),
        &format!("HostCertificate {}", certificate.display()),
        "LogLevel DEBUG",
    ]);
    let line = format!("[127.0.0.1]:{} {}", sshd.port(), authority.public());
    bed.write_known_hosts(&format!("@cert-authority {line}"));
    let server = Witness::OpenSsh(sshd);
    let daemon = bed.daemon().await;
    daemon.answer_with(|question| Answer::host_key(question, "accept"));
    let ssh = with(server.address(), &json!({"password": "a secret"}));
    let result = tested(&daemon, ssh).await;
    assert_eq!(result["success"], false, "{result:#}");
    assert_eq!(result["error"]["data"]["stage"], "host-key", "{result:#}");
    server.wait_ended(1).await;
    assert_eq!(server.requests(), 0);
}
