//! The order of keys, judged by `ssh` itself: both log in to the same sshd, which
//! refuses every key, and its log says what was offered.

use std::process::{Child, Command, Stdio};

use super::real::{Real, run};
use super::*;

/// What there is to offer, by the names of files in the fixture.
#[derive(Default)]
struct Setup {
    /// `ssh -i`, and the profile's own key.
    own: Option<&'static str>,
    /// IdentityFile.
    configured: &'static [&'static str],
    /// CertificateFile.
    certificates: &'static [&'static str],
    /// What ssh-add has loaded.
    agent: &'static [&'static str],
    identities_only: bool,
    /// PubkeyAcceptedAlgorithms.
    algorithms: Option<&'static str>,
}

struct Bench {
    server: Real,
    agent: Child,
    seen: usize,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}

/// Starts ssh-agent on a socket.
pub(super) async fn start_agent(socket: &std::path::Path) -> Child {
    let agent = Command::new("ssh-agent")
        .args(["-D", "-a", &socket.display().to_string()])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    soon(async {
        while tokio::net::UnixStream::connect(socket).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    agent
}

pub(super) fn ssh_add(socket: &std::path::Path, arguments: &[&str]) {
    let output = Command::new("ssh-add")
        .env("SSH_AUTH_SOCK", socket)
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?} {output:?}");
}

impl Bench {
    async fn new() -> Self {
        let server = Real::sshd(
            "LogLevel DEBUG\nMaxAuthTries 100\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no",
        )
        .await;
        let bench = |name: &str| server.fixture.directory.path().join(name);
        let path = |name: &str| bench(name).display().to_string();
        for (name, kind) in [
            ("a", "ed25519"),
            ("b", "ecdsa"),
            ("c", "rsa"),
            ("d", "ed25519"),
            ("e", "ecdsa"),
            ("x", "ed25519"),
            ("y", "rsa"),
            ("z", "ecdsa"),
            ("ca", "ed25519"),
        ] {
            run(
                "ssh-keygen",
                &["-q", "-t", kind, "-N", "", "-f", &path(name)],
            );
        }
        run(
            "ssh-keygen",
            &[
                "-q",
                "-t",
                "ed25519",
                "-N",
                "pass phrase",
                "-f",
                &path("secret"),
            ],
        );
        for name in ["x", "y", "z"] {
            let public = path(&format!("{name}.pub"));
            run(
                "ssh-keygen",
                &["-q", "-s", &path("ca"), "-I", "id", "-n", "root", &public],
            );
        }
        // A certificate that is not beside its key.
        std::fs::rename(bench("z-cert.pub"), bench("of_z")).unwrap();
        // A public half without its private one: the agent may have that.
        std::fs::copy(bench("d.pub"), bench("only_d.pub")).unwrap();
        let agent = start_agent(&bench("agent")).await;
        Self {
            server,
            agent,
            seen: 0,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.server.fixture.directory.path().join(name)
    }

    fn load(&self, keys: &[&str]) {
        let socket = self.path("agent");
        ssh_add(&socket, &["-q", "-D"]);
        for key in keys {
            ssh_add(&socket, &["-q", &self.path(key).display().to_string()]);
        }
    }

    /// What was offered since the last look, from sshd's log of one connection.
    async fn offered(&mut self) -> Vec<String> {
        let ended = [
            "Connection closed by",
            "Connection reset by",
            "Received disconnect",
        ];
        let log = soon(async {
            loop {
                let log = self
                    .server
                    .log()
                    .get(self.seen..)
                    .unwrap_or_default()
                    .to_owned();
                if ended.iter().any(|words| log.contains(words)) {
                    return log;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        self.seen += log.len();
        log.lines()
            .filter_map(|line| line.split_once("publickey test pkalg "))
            .map(|(_, key)| key.trim_end_matches(" [preauth]").to_owned())
            .collect()
    }

    async fn by_ssh(&mut self, setup: &Setup) -> Vec<String> {
        let mut config = String::new();
        for name in setup.configured {
            config += &format!("IdentityFile {}\n", self.path(name).display());
        }
        for name in setup.certificates {
            config += &format!("CertificateFile {}\n", self.path(name).display());
        }
        if setup.identities_only {
            config += "IdentitiesOnly yes\n";
        }
        if let Some(algorithms) = setup.algorithms {
            config += &format!("PubkeyAcceptedAlgorithms {algorithms}\n");
        }
        config += &format!(
            "BatchMode yes\nIdentityAgent {}\nUserKnownHostsFile {}\n",
            self.path("agent").display(),
            self.path("user").display()
        );
        std::fs::write(self.path("ssh_config"), config).unwrap();
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(self.path("ssh_config"));
        ssh.args(["-p", &self.server.port.to_string()]);
        if let Some(own) = setup.own {
            ssh.arg("-i").arg(self.path(own));
        }
        let output = ssh.args(["root@127.0.0.1", "true"]).output().unwrap();
        assert!(!output.status.success());
        self.offered().await
    }

    async fn by_us(&mut self, setup: &Setup) -> Vec<String> {
        let mut target = self.server.target("key");
        let paths = |names: &[&str]| names.iter().map(|name| self.path(name)).collect();
        let hop = &mut target.hops[0];
        hop.auth = AuthMethod::Auto;
        hop.private_key_path = setup.own.map(|name| self.path(name));
        hop.identity_files = (!setup.configured.is_empty()).then(|| paths(setup.configured));
        hop.certificate_paths = paths(setup.certificates);
        hop.identity_agent = Some(self.path("agent"));
        hop.identities_only = setup.identities_only;
        hop.algorithms.public_keys = setup
            .algorithms
            .map(|names| names.split(',').map(str::to_owned).collect());
        let error = soon(self.server.fixture.connect(&target))
            .await
            .unwrap_err();
        assert!(matches!(error.cause, Cause::AuthFailed { .. }), "{error:?}");
        self.offered().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs sshd, ssh and ssh-agent"]
async fn keys_are_offered_in_the_order_of_ssh() {
    let mut bench = Bench::new().await;
    // The probe that waited for the server may still be in the log.
    let _ = bench.offered().await;
    let default = Setup::default;
    let setups = [
        Setup {
            own: Some("a"),
            ..default()
        },
        Setup {
            configured: &["a", "b", "c"],
            ..default()
        },
        Setup {
            own: Some("c"),
            configured: &["a", "b"],
            ..default()
        },
        Setup {
            configured: &["a", "b", "c"],
            agent: &["c", "d", "a"],
            ..default()
        },
        Setup {
            configured: &["a", "b", "c"],
            agent: &["c", "d", "a"],
            identities_only: true,
            ..default()
        },
        Setup {
            own: Some("only_d.pub"),
            agent: &["a", "d", "e"],
            ..default()
        },
        Setup {
            configured: &["only_d"],
            agent: &["a", "d", "e"],
            identities_only: true,
            ..default()
        },
        Setup {
            configured: &["x", "a"],
            ..default()
        },
        Setup {
            configured: &["y", "x"],
            agent: &["x"],
            ..default()
        },
        Setup {
            configured: &["y", "x", "a"],
            agent: &["d", "x", "y"],
            identities_only: true,
            ..default()
        },
        Setup {
            configured: &["a", "z"],
            certificates: &["of_z"],
            agent: &["d"],
            ..default()
        },
        Setup {
            configured: &["x"],
            certificates: &["of_z"],
            agent: &["z"],
            ..default()
        },
        Setup {
            own: Some("x"),
            configured: &["z"],
            certificates: &["x-cert.pub", "of_z"],
            ..default()
        },
        Setup {
            agent: &["c", "b", "a"],
            ..default()
        },
        Setup {
            configured: &["secret", "a"],
            ..default()
        },
        Setup {
            configured: &["a", "b", "c", "y"],
            algorithms: Some("rsa-sha2-256,ssh-ed25519"),
            agent: &["e", "d"],
            ..default()
        },
        Setup {
            configured: &["y", "x"],
            algorithms: Some(
                "rsa-sha2-256-cert-v01@openssh.com,ssh-ed25519-cert-v01@openssh.com,rsa-sha2-512",
            ),
            ..default()
        },
    ];
    for (number, setup) in setups.iter().enumerate() {
        bench.load(setup.agent);
        let theirs = bench.by_ssh(setup).await;
        let ours = bench.by_us(setup).await;
        assert!(!theirs.is_empty(), "setup {number}");
        assert_eq!(ours, theirs, "setup {number}");
        println!("setup {number}: the same {} keys: {ours:?}", ours.len());
    }

    // The one kept difference: the profile's own key does not wait for what else the agent has.
    let setup = Setup {
        own: Some("a"),
        configured: &["b"],
        agent: &["d", "b", "e"],
        ..default()
    };
    bench.load(setup.agent);
    let [b, d, e, a] = <[String; 4]>::try_from(bench.by_ssh(&setup).await).unwrap();
    assert_eq!(bench.by_us(&setup).await, [b, a, d, e]);
}

#[test]
#[ignore = "needs ssh"]
fn the_default_names_are_those_of_ssh() {
    let printed = run("ssh", &["-G", "-F", "none", "gpu1"]);
    let names: Vec<_> = printed
        .lines()
        .filter_map(|line| line.strip_prefix("identityfile ~/.ssh/"))
        // Kinds that no current server takes, nor this program knows.
        .filter(|name| !["id_dsa", "id_xmss"].contains(name))
        .collect();
    assert_eq!(names, super::super::auth::DEFAULT_NAMES);
}
