//! Host keys: the same files, the same server, and `ssh` beside us.

mod cases;
mod generated;

use super::*;
use crate::ssh::ssh_config::{self, Query};
use cases::Case;

/// What becomes of a connect as far as host keys are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Accepted,
    Unknown,
    Changed,
    Revoked,
    /// A file cannot be read.
    Unreadable,
    NoAlgorithm,
}

/// Where we differ from `ssh` on purpose. Everything else is a defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// `ssh` trusts a key on every port of a host as soon as it is known on 22.
    /// On one machine those may be another person's servers (containers, jump
    /// hosts): we ask, and say that it is known there. When another key is
    /// recorded for the port, and the server shows a certificate of nobody's,
    /// `ssh` looks at the portless name first and connects: we refuse.
    PortlessName,
    /// An authority is recorded for the host, and the server shows a key that
    /// nobody knows. Whoever set up an authority expects certificates: `ssh`
    /// learns the key under accept-new, we refuse.
    AuthorityExpected,
    /// The certificate is no good and its key not known: `ssh` forgets the
    /// certificate and learns the key under accept-new, we refuse and say why.
    InvalidCertificate,
    /// A revocation for the portless name. `ssh` prints its warning, and goes on.
    PortlessRevocation,
    /// A revocation that `ssh` cannot read, which it overhears: a tab after the
    /// marker, a key that makes no sense.
    UnreadableRevocation,
    /// `ssh` takes a file that it cannot read for an empty one. It might revoke
    /// the key: we refuse.
    UnreadableFile,
}

/// Everything that differs between the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    /// An Ed25519, an ECDSA and an RSA key.
    Three,
    /// Only an RSA key.
    Rsa,
    /// Three keys and a certificate for the Ed25519 one.
    Certified,
    /// As before, but the certificate was valid until a while ago.
    Expired,
    /// Made out to another host.
    OtherHost,
    /// Made out to nobody, which means everybody.
    Everybody,
    /// A user's certificate.
    User,
    /// Signed with SHA-1.
    Weak,
    /// Three keys, and a certificate for the RSA one.
    CertifiedRsa,
}

const ALL: [Which; 9] = [
    Which::Three,
    Which::Rsa,
    Which::Certified,
    Which::Expired,
    Which::OtherHost,
    Which::Everybody,
    Which::User,
    Which::Weak,
    Which::CertifiedRsa,
];

/// Servers that share their keys.
pub(super) struct Lab {
    directory: tempfile::TempDir,
    servers: Vec<(Which, Child, u16)>,
    others: Vec<Child>,
}

impl Drop for Lab {
    fn drop(&mut self) {
        let known = self.servers.iter_mut().map(|server| &mut server.1);
        for process in known.chain(&mut self.others) {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Lab {
    /// A server with these host keys, and this in its configuration.
    pub(super) async fn server(&mut self, keys: &[&str], more: &str) -> u16 {
        let name = self.others.len().to_string();
        let (process, port) = self.spawn(&name, keys, more);
        self.others.push(process);
        listening(port).await;
        port
    }

    pub(super) async fn without_servers() -> Self {
        Self::start(&[]).await
    }

    async fn start(which: &[Which]) -> Self {
        let mut lab = Self {
            directory: tempfile::tempdir().unwrap(),
            servers: Vec::new(),
            others: Vec::new(),
        };
        for (kind, name) in [
            ("ed25519", "ed"),
            ("ecdsa", "ec"),
            ("rsa", "rsa"),
            ("ed25519", "x"),
            ("ecdsa", "xec"),
            ("rsa", "xrsa"),
            ("ed25519", "ca"),
            ("ed25519", "ca2"),
            ("rsa", "oldca"),
        ] {
            let file = lab.path(name);
            run(
                "ssh-keygen",
                &["-q", "-t", kind, "-N", "", "-C", "", "-f", &file],
            );
        }
        std::fs::create_dir_all("/run/sshd").unwrap();
        for which in which {
            let (process, port) = lab.sshd(*which);
            lab.servers.push((*which, process, port));
        }
        for (_, _, port) in &lab.servers {
            listening(*port).await;
        }
        lab
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn sshd(&self, which: Which) -> (Child, u16) {
        let keys: &[&str] = match which {
            Which::Rsa => &["rsa"],
            _ => &["ed", "ec", "rsa"],
        };
        let certificate = self.certify(which);
        let more = certificate.map(|file| format!("HostCertificate {file}"));
        self.spawn(&format!("{which:?}"), keys, &more.unwrap_or_default())
    }

    /// Starts a server with these host keys, and this in its configuration.
    fn spawn(&self, name: &str, keys: &[&str], more: &str) -> (Child, u16) {
        let port = free_port();
        let config = self.path(&format!("{name}.config"));
        let mut lines: Vec<String> = keys
            .iter()
            .map(|key| format!("HostKey {}", self.path(key)))
            .collect();
        lines.extend([
            more.into(),
            format!("Port {port}"),
            "ListenAddress 127.0.0.1".into(),
            "PidFile none".into(),
            "StrictModes no".into(),
            "UsePAM no".into(),
            "MaxStartups 100".into(),
        ]);
        std::fs::write(&config, lines.join("\n") + "\n").unwrap();
        // Newer servers ban whoever connects often without logging in.
        let lenient = ["-f", &config, "-o", "PerSourcePenalties=no"];
        let mut command = Command::new("/usr/sbin/sshd");
        let knows = Command::new("/usr/sbin/sshd")
            .arg("-t")
            .args(lenient)
            .stderr(Stdio::null())
            .status()
            .unwrap();
        if knows.success() {
            command.args(lenient);
        } else {
            command.args(["-f", &config]);
        }
        let log = std::fs::File::create(self.path(&format!("{name}.log"))).unwrap();
        let process = command.args(["-D", "-e"]).stderr(log).spawn().unwrap();
        (process, port)
    }

    /// Makes the certificate of a server.
    fn certify(&self, which: Which) -> Option<String> {
        let here = "127.0.0.1,localhost,cluster";
        let (key, ca, more): (_, _, &[&str]) = match which {
            Which::Three | Which::Rsa => return None,
            Which::Certified => ("ed", "ca", &["-h", "-n", here, "-V", "-1d:+1d"]),
            Which::Expired => ("ed", "ca", &["-h", "-n", here, "-V", "-2d:-1d"]),
            Which::OtherHost => ("ed", "ca", &["-h", "-n", "gpu7,*", "-V", "-1d:+1d"]),
            Which::Everybody => ("ed", "ca", &["-h", "-V", "-1d:+1d"]),
            Which::User => ("ed", "ca", &["-n", here, "-V", "-1d:+1d"]),
            Which::Weak => (
                "ed",
                "oldca",
                &["-t", "ssh-rsa", "-h", "-n", here, "-V", "-1d:+1d"],
            ),
            Which::CertifiedRsa => ("rsa", "ca", &["-h", "-n", here, "-V", "-1d:+1d"]),
        };
        let public = self.path(&format!("{which:?}.pub"));
        std::fs::copy(self.path(&format!("{key}.pub")), &public).unwrap();
        let ca = self.path(ca);
        let mut arguments = vec!["-q", "-s", &ca, "-I", "id"];
        arguments.extend(more);
        arguments.push(&public);
        run("ssh-keygen", &arguments);
        Some(self.path(&format!("{which:?}-cert.pub")))
    }

    fn port(&self, which: Which) -> u16 {
        let server = self.servers.iter().find(|server| server.0 == which);
        server.unwrap().2
    }

    /// Writes keys, ports and hashed names where a case has their names.
    fn fill_in(&self, text: &str, port: u16) -> String {
        let mut text = text.replace("PORT", &port.to_string());
        for name in ["ed", "ec", "rsa", "xrsa", "xec", "x", "ca2", "oldca", "ca"] {
            let word = format!("<{name}>");
            if text.contains(&word) {
                let key = std::fs::read_to_string(self.path(&format!("{name}.pub"))).unwrap();
                text = text.replace(&word, key.trim());
            }
        }
        if text.contains("<cert>") {
            let file = self.path("Certified-cert.pub");
            let certificate = std::fs::read_to_string(file).unwrap();
            text = text.replace("<cert>", certificate.trim());
        }
        while let Some((before, rest)) = text.split_once("#{") {
            let (name, after) = rest.split_once('}').unwrap();
            text = format!("{before}{}{after}", self.hash(name));
        }
        text
    }

    /// A name as ssh-keygen hashes it.
    fn hash(&self, name: &str) -> String {
        let file = self.path("hashing");
        let key = std::fs::read_to_string(self.path("x.pub")).unwrap();
        std::fs::write(&file, format!("{name} {key}")).unwrap();
        run("ssh-keygen", &["-q", "-H", "-f", &file]);
        let line = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        line.split(' ').next().unwrap().to_owned()
    }

    /// What `ssh` makes of a case, and its words.
    fn ssh(&self, case: &Case) -> (Outcome, String) {
        let scene = Scene::new(self, case);
        let mut command = Command::new("ssh");
        command.args([
            "-F",
            "/dev/null",
            "-n",
            "-T",
            "-o",
            "BatchMode=yes",
            "-o",
            "PreferredAuthentications=none",
            "-o",
            "UpdateHostKeys=no",
            // The default of 9.2 is the same with a slower first choice.
            "-o",
            "KexAlgorithms=curve25519-sha256",
        ]);
        let mut option = |name: &str, value: &str| {
            command.args(["-o", &format!("{name}={value}")]);
        };
        option("StrictHostKeyChecking", case.policy_name());
        option("UserKnownHostsFile", &scene.user.display().to_string());
        option("GlobalKnownHostsFile", &scene.global.display().to_string());
        if let Some(alias) = case.alias {
            option("HostKeyAlias", alias);
        }
        if let Some(algorithms) = case.algorithms {
            option("HostKeyAlgorithms", algorithms);
        }
        let output = command
            .args(["-p", &self.port(case.server).to_string()])
            .arg(format!("nobody@{}", case.host))
            .arg("true")
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        let said = |text: &str| words.contains(text);
        let outcome = if said("Permission denied (") {
            Outcome::Accepted
        } else if said("REVOKED HOST KEY DETECTED") {
            Outcome::Revoked
        } else if said("REMOTE HOST IDENTIFICATION HAS CHANGED") {
            Outcome::Changed
        } else if said("Host key verification failed") {
            Outcome::Unknown
        } else if said("no matching host key type") {
            Outcome::NoAlgorithm
        } else {
            panic!("ssh said {words}\nin {case:?}");
        };
        (outcome, words)
    }

    /// What we make of a case.
    async fn ours(&self, case: &Case) -> (Outcome, String) {
        let scene = Scene::new(self, case);
        let error = scene.connect(self, case).await.unwrap_err();
        let outcome = match &error.cause {
            Cause::AuthFailed { .. } => Outcome::Accepted,
            Cause::HostKeyUnknown { .. } | Cause::HostCertificateInvalid { .. } => Outcome::Unknown,
            Cause::HostKeyChanged { .. } => Outcome::Changed,
            Cause::HostKeyRevoked { .. } => Outcome::Revoked,
            Cause::KnownHostsUnreadable { .. } => Outcome::Unreadable,
            Cause::NoCommonAlgorithm { .. } => Outcome::NoAlgorithm,
            other => panic!("{other:?} in {case:?}"),
        };
        (outcome, format!("{error}"))
    }
}

/// The files of one connect.
struct Scene {
    fixture: Fixture,
    user: PathBuf,
    global: PathBuf,
}

impl Scene {
    fn new(lab: &Lab, case: &Case) -> Self {
        let fixture = Fixture::new();
        let port = lab.port(case.server);
        let user = fixture.directory.path().join("known_hosts");
        let global = fixture.directory.path().join("global");
        for (file, content) in [(&user, &case.user), (&global, &case.global)] {
            if *content == "<directory>" {
                std::fs::create_dir(file).unwrap();
            } else if *content != "<missing>" {
                std::fs::write(file, lab.fill_in(content, port)).unwrap();
            }
        }
        Self {
            fixture,
            user,
            global,
        }
    }

    /// HostKeyAlgorithms, from an ssh_config that is read by `ssh -G` and by ourselves.
    async fn algorithms(&self, names: &str) -> Algorithms {
        let file = self
            .fixture
            .file("config", &format!("HostKeyAlgorithms {names}\n"));
        let query = Query {
            host: "gpu1".into(),
            port: None,
            user: None,
        };
        let mut found = Vec::new();
        for ssh_program in [None, Some("/usr/bin/ssh".into())] {
            let environment = Environment {
                user_config: Some(file.clone()),
                ssh_program,
                ..Environment::clone(&self.fixture.environment)
            };
            let settings = ssh_config::resolve(&query, &environment).await.unwrap();
            assert_eq!(settings.warnings, Vec::<String>::new());
            found.push(settings.algorithms);
        }
        assert_eq!(found[0], found[1], "{names}");
        found.remove(0)
    }

    async fn connect(&self, lab: &Lab, case: &Case) -> Result<Session, Error> {
        let algorithms = match case.algorithms {
            Some(names) => self.algorithms(names).await,
            None => Algorithms::default(),
        };
        let hop = Hop {
            auth: AuthMethod::None,
            host_key_policy: case.policy,
            known_hosts: KnownHostsFiles {
                alias: case.alias.map(str::to_owned),
                user: Some(vec![self.user.clone()]),
                global: Some(vec![self.global.clone()]),
            },
            algorithms,
            ..Hop::new(case.host, lab.port(case.server), "nobody")
        };
        soon(self.fixture.connect(&Target::new(vec![hop]))).await
    }
}

async fn listening(port: u16) {
    soon(async {
        while tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// Runs the cases on both sides and tells every difference that is not kept.
async fn compare(lab: &Lab, cases: &[Case]) {
    let mut wrong = Vec::new();
    let mut seen = std::collections::BTreeMap::new();
    for case in cases {
        let (theirs, words) = lab.ssh(case);
        let (ours, error) = lab.ours(case).await;
        *seen.entry(format!("{theirs:?}")).or_insert(0) += 1;
        let right = match case.kept {
            None => ours == theirs || case.may_differ(theirs, ours),
            // A difference that is gone must leave the list.
            Some((_, expected)) => ours == expected && ours != theirs,
        };
        if !right {
            let user = lab.fill_in(&case.user, lab.port(case.server));
            wrong.push(format!(
                "ssh {theirs:?}, we {ours:?}: {case:?}\n{user}\n{error}\n{words}"
            ));
        }
    }
    println!("{} cases: {seen:?}", cases.len());
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs sshd"]
async fn host_keys_are_judged_as_ssh_judges_them() {
    let lab = Lab::start(&ALL).await;
    let by_hand = cases::all();
    let generated = generated::cases(60);
    assert!(by_hand.len() + generated.len() >= 120, "{}", by_hand.len());
    compare(&lab, &by_hand).await;
    compare(&lab, &generated).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs sshd"]
async fn what_we_record_is_what_ssh_accepts() {
    let lab = Lab::start(&[Which::Three, Which::Certified]).await;
    for server in [Which::Three, Which::Certified] {
        for alias in [None, Some("Cluster.Example")] {
            let case = Case {
                alias,
                ..Case::new(server, "").learning()
            };
            let scene = Scene::new(&lab, &case);
            let error = scene.connect(&lab, &case).await.unwrap_err();
            assert!(matches!(error.cause, Cause::AuthFailed { .. }), "{error:?}");
            let recorded =
                std::fs::read_to_string(&scene.fixture.environment.own_known_hosts).unwrap();
            assert!(recorded.starts_with("|1|"), "{recorded}");
            assert_eq!(recorded.lines().count(), 1);
            let strict = Case {
                alias,
                ..Case::new(server, &recorded).strict()
            };
            let (outcome, words) = lab.ssh(&strict);
            assert_eq!(outcome, Outcome::Accepted, "{recorded}{words}");
        }
    }
}

/// The command is run as it is printed, by a shell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs sshd"]
async fn the_command_that_we_print_removes_what_is_in_the_way() {
    let lab = Lab::start(&[Which::Three]).await;
    for (alias, user, own) in [
        (None, "[127.0.0.1]:PORT <x>\n", ""),
        (None, "#{[127.0.0.1]:PORT} <x>\n[127.0.0.1]:* <xec>\n", ""),
        (None, "", "#{[127.0.0.1]:PORT} <x>\n"),
        (
            None,
            "[127.0.0.1]:PORT,gpu1 <xrsa>\n",
            "#{[127.0.0.1]:PORT} <x>\n",
        ),
        (Some("it's"), "other <x>\n", "#{it's} <x>\n"),
        (Some("Alias"), "alias <x>\n", "#{alias} <xec>\n"),
    ] {
        let case = Case {
            alias,
            ..Case::new(Which::Three, user).learning()
        };
        let scene = Scene::new(&lab, &case);
        let port = lab.port(Which::Three);
        let own_file = &scene.fixture.environment.own_known_hosts;
        std::fs::write(own_file, lab.fill_in(own, port)).unwrap();
        let error = scene.connect(&lab, &case).await.unwrap_err();
        let Cause::HostKeyChanged {
            remove_command,
            known,
            ..
        } = &error.cause
        else {
            panic!("{error:?}");
        };
        for known in known {
            assert!(known.line >= 1 && known.file.exists(), "{known:?}");
        }
        run("sh", &["-c", remove_command]);
        let error = scene.connect(&lab, &case).await.unwrap_err();
        assert!(
            matches!(error.cause, Cause::AuthFailed { .. }),
            "{remove_command}: {error:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs sshd"]
async fn a_certificate_that_is_no_good_says_why() {
    let lab = Lab::start(&[
        Which::Certified,
        Which::CertifiedRsa,
        Which::Expired,
        Which::OtherHost,
        Which::User,
        Which::Weak,
    ])
    .await;
    let lines = "\n@cert-authority 127.0.0.1 <ca>\n@cert-authority 127.0.0.1 <oldca>\n";
    for (server, expected) in [
        (Which::Certified, None),
        (Which::CertifiedRsa, None),
        (Which::Expired, Some("has expired")),
        (Which::OtherHost, Some("is not made out to 127.0.0.1")),
        (Which::User, Some("is a user's certificate")),
        (
            Which::Weak,
            Some("is signed with an algorithm that is too weak"),
        ),
    ] {
        for case in [
            Case::new(server, lines),
            Case::new(server, lines).learning(),
            Case::new(server, lines).strict(),
        ] {
            let scene = Scene::new(&lab, &case);
            let error = scene.connect(&lab, &case).await.unwrap_err();
            match (&error.cause, expected) {
                (Cause::AuthFailed { .. }, None) => {}
                (Cause::HostCertificateInvalid { certificate }, Some(expected)) => {
                    assert_eq!(certificate.problem.to_string(), expected);
                    let line = if server == Which::Weak { 3 } else { 2 };
                    assert_eq!(certificate.authority.as_ref().unwrap().line, line);
                }
                other => panic!("{server:?}: {other:?}"),
            }
            // Nothing was learnt.
            assert!(!scene.fixture.environment.own_known_hosts.exists());
        }
    }
}

/// That `ssh` refuses what `an_rsa_key_that_can_be_broken_is_refused` has us refuse.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs ssh and openssl"]
async fn ssh_refuses_a_short_rsa_key() {
    let fixture = Fixture::new();
    let server = super::super::host_keys::with_short_key(&fixture)
        .await
        .unwrap();
    let output = tokio::process::Command::new("ssh")
        .args(["-F", "/dev/null", "-n", "-o", "BatchMode=yes"])
        .args(["-o", "StrictHostKeyChecking=no"])
        .args(["-o", "UserKnownHostsFile=/dev/null"])
        .args(["-p", &server.address.port().to_string()])
        .args(["nobody@127.0.0.1", "true"])
        .output();
    let output = soon(output).await.unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("Invalid key length"), "{words}");
}
