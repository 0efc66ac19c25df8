//! Against OpenSSH's sshd on loopback.
//!
//! Ignored by default, because they want the machine to themselves; `./check` runs them:
//! as root, with openssh-server installed,
//! `cargo test --lib ssh::tests::real -- --ignored --test-threads=1`.

mod host_keys;
mod negotiation;

use std::net::TcpListener as StdListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// A server process with its files; ended by its pid.
pub(super) struct Real {
    pub(super) fixture: Fixture,
    process: Child,
    pub(super) port: u16,
}

impl Drop for Real {
    fn drop(&mut self) {
        for child in self.children() {
            let _ = Command::new("kill").args(["-9", &child]).status();
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(super) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {output:?}"
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A port on which nothing listens, and that no other caller was given. Below those that
/// the system gives to sockets without one: none of them can be in the way a moment later.
pub(super) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(port < 32_000, "no port is free");
        if StdListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Real {
    pub(super) async fn sshd(extra: &str) -> Self {
        let fixture = Fixture::new();
        let directory = fixture.directory.path().to_owned();
        let path = |name: &str| directory.join(name).display().to_string();
        run(
            "ssh-keygen",
            &["-q", "-t", "ed25519", "-N", "", "-f", &path("host")],
        );
        run(
            "ssh-keygen",
            &["-q", "-t", "ecdsa", "-N", "", "-f", &path("host_ecdsa")],
        );
        for (kind, name) in [
            ("ed25519", "key"),
            ("rsa", "rsa"),
            ("ecdsa", "ecdsa"),
            ("ed25519", "stranger"),
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
                "open sesame",
                "-f",
                &path("locked"),
            ],
        );
        let authorized: String = ["key", "rsa", "ecdsa", "locked"]
            .map(|name| std::fs::read_to_string(path(&format!("{name}.pub"))).unwrap())
            .concat();
        std::fs::write(path("authorized"), authorized).unwrap();
        let port = free_port();
        std::fs::write(
            path("config"),
            format!(
                "{extra}\nPort {port}\nListenAddress 127.0.0.1\nHostKey {}\nHostKey {}\n\
                 AuthorizedKeysFile {}\nPidFile {}\nStrictModes no\nPermitRootLogin yes\n\
                 UsePAM no\n",
                path("host"),
                path("host_ecdsa"),
                path("authorized"),
                path("pid"),
            ),
        )
        .unwrap();
        std::fs::create_dir_all("/run/sshd").unwrap();
        let process = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", &path("config")])
            .stderr(Stdio::from(std::fs::File::create(path("log")).unwrap()))
            .spawn()
            .unwrap();
        Self::ready(fixture, process, port, "host").await
    }

    async fn ready(fixture: Fixture, process: Child, port: u16, key: &str) -> Self {
        let public =
            std::fs::read_to_string(fixture.directory.path().join(format!("{key}.pub"))).unwrap();
        std::fs::write(
            &fixture.environment.user_known_hosts[0],
            format!("[127.0.0.1]:{port} {public}"),
        )
        .unwrap();
        // The server says nothing when it is ready: try until it listens.
        soon(async {
            while tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_err()
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        Self {
            fixture,
            process,
            port,
        }
    }

    pub(super) fn target(&self, key: &str) -> Target {
        Target::new(vec![Hop {
            auth: AuthMethod::PrivateKey,
            private_key_path: Some(self.fixture.directory.path().join(key)),
            ..Hop::new("127.0.0.1", self.port, "root")
        }])
    }

    pub(super) async fn connect(&self, key: &str) -> Result<Session, Error> {
        self.fixture.connect(&self.target(key)).await
    }

    /// The processes that serve connections.
    pub(super) fn children(&self) -> Vec<String> {
        let parent = self.process.id().to_string();
        let output = Command::new("pgrep")
            .args(["-P", &parent])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(str::to_owned)
            .collect()
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.fixture.directory.path().join("log")).unwrap()
    }
}

/// Echoes; tells when a connection ends.
pub(super) async fn echo_server() -> (Destination, tokio::sync::mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (ended, ends) = tokio::sync::mpsc::channel(4096);
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.set_nodelay(true).unwrap();
            let ended = ended.clone();
            tokio::spawn(async move {
                let (mut reading, mut writing) = socket.split();
                let _ = tokio::io::copy(&mut reading, &mut writing).await;
                let _ = ended.send(()).await;
            });
        }
    });
    let to = Destination::Tcp {
        host: "127.0.0.1".into(),
        port,
    };
    (to, ends)
}

pub(super) async fn round_trip(stream: &mut Stream) -> Duration {
    let begun = Instant::now();
    stream.write_all(&[1; 200]).await.unwrap();
    let mut back = [0; 200];
    stream.read_exact(&mut back).await.unwrap();
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs sshd"]
async fn every_kind_of_key_logs_in_and_streams_work() {
    let server = Real::sshd("").await;
    let (to, mut ends) = echo_server().await;
    for key in ["key", "rsa", "ecdsa"] {
        let begun = Instant::now();
        let session = soon(server.connect(key)).await.unwrap();
        let connected = begun.elapsed();
        let mut stream = soon(session.open(to.clone())).await.unwrap();
        let first = round_trip(&mut stream).await;
        let opened = begun.elapsed();
        let mut worst = Duration::ZERO;
        for _ in 0..200 {
            worst = worst.max(round_trip(&mut stream).await);
        }
        let closing = Instant::now();
        drop(stream);
        soon(ends.recv()).await.unwrap();
        println!(
            "{key}: connect {connected:?}, first byte {first:?}, all {opened:?}, worst of 200 \
             {worst:?}, drop to FIN {:?}, ping {:?}",
            closing.elapsed(),
            session.latency().await.unwrap().unwrap(),
        );
        let closing = Instant::now();
        session.close().await;
        println!("{key}: close took {:?}", closing.elapsed());
    }
    // Everybody said goodbye before closing.
    soon(async {
        while server.log().matches("Received disconnect from").count() < 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let mut target = server.target("locked");
    target.hops[0].passphrase = Some("open sesame".into());
    soon(server.fixture.connect(&target)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs sshd"]
async fn certificates_and_other_algorithms() {
    let authority = tempfile::tempdir().unwrap();
    let ca = authority.path().join("ca").display().to_string();
    run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &ca]);
    let server = Real::sshd(&format!("TrustedUserCAKeys {ca}.pub")).await;
    let public = server
        .fixture
        .directory
        .path()
        .join("stranger.pub")
        .display()
        .to_string();
    for (principal, validity) in [
        ("root", "-1d:+1d"),
        ("other", "-1d:+1d"),
        ("root", "-2d:-1d"),
    ] {
        run(
            "ssh-keygen",
            &[
                "-q", "-s", &ca, "-I", "id", "-n", principal, "-V", validity, &public,
            ],
        );
        match soon(server.connect("stranger")).await {
            Ok(session) => println!("certificate: {}", session.auth_method()),
            Err(error) => println!("certificate: {error}\n  {:?}", error.cause),
        }
    }

    // Only the ed25519 key is known.
    let server = Real::sshd("HostKeyAlgorithms ecdsa-sha2-nistp256").await;
    let error = soon(server.connect("key")).await.unwrap_err();
    println!("other type: {error}\n  {:?}", error.cause);
    let server =
        Real::sshd("KexAlgorithms ecdh-sha2-nistp256\nCiphers aes128-ctr\nMACs hmac-sha2-256")
            .await;
    soon(server.connect("key")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs sshd"]
async fn refusals_of_a_real_server() {
    let server = Real::sshd("AllowTcpForwarding no").await;
    let session = soon(server.connect("key")).await.unwrap();
    let cause = session.open(somewhere()).await.unwrap_err().cause;
    assert!(matches!(cause, Cause::ForwardingDenied { .. }), "{cause:?}");

    let server = Real::sshd("AllowStreamLocalForwarding yes").await;
    let session = soon(server.connect("key")).await.unwrap();
    let refused = async |destination| match session.open(destination).await.unwrap_err().cause {
        Cause::DestinationRefused { said, .. } => said,
        cause => panic!("{cause:?}"),
    };
    let tcp = |host: &str| Destination::Tcp {
        host: host.into(),
        port: free_port(),
    };
    let said = refused(tcp("127.0.0.1")).await;
    assert_eq!(said.as_deref(), Some("Connection refused"));
    let said = refused(tcp("no-such-host.invalid")).await.unwrap();
    assert!(said.contains("ame"), "{said}");
    let socket = Destination::Unix {
        path: "/nowhere.sock".into(),
    };
    refused(socket).await;
    let error = soon(server.connect("stranger")).await.unwrap_err();
    println!("stranger: {error}\n  {:?}", error.cause);
    let error = soon(server.connect("key.pub")).await.unwrap_err();
    println!("public: {error}");

    let server = Real::sshd("KexAlgorithms diffie-hellman-group14-sha1").await;
    let error = soon(server.connect("key")).await.unwrap_err();
    println!("sha-1: {error}");

    let server = Real::sshd("MaxStartups 1:100:1\nLoginGraceTime 30").await;
    let _first = tokio::net::TcpStream::connect(("127.0.0.1", server.port))
        .await
        .unwrap();
    // The probe that waited for the server may still be there, too.
    let error = soon(server.connect("key")).await.unwrap_err();
    println!("MaxStartups: {error} transient {}", error.is_transient());

    let server = Real::sshd("MaxAuthTries 2\nPasswordAuthentication no").await;
    let mut target = server.target("stranger");
    target.hops[0].auth = AuthMethod::Auto;
    let dot_ssh = server.fixture.directory.path().join(".ssh");
    std::fs::create_dir(&dot_ssh).unwrap();
    for name in ["id_ed25519", "id_ecdsa", "id_rsa"] {
        run(
            "ssh-keygen",
            &[
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-f",
                &dot_ssh.join(name).display().to_string(),
            ],
        );
    }
    target.hops[0].private_key_path = None;
    let error = soon(server.fixture.connect(&target)).await.unwrap_err();
    println!(
        "MaxAuthTries: {error}\n  {:?}\n{}",
        error.cause,
        server.log()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs sshd"]
async fn a_killed_session_is_lost_at_once_and_a_stopped_one_soon() {
    let server = Real::sshd("").await;
    let (to, _ends) = echo_server().await;
    let session = soon(server.connect("key")).await.unwrap();
    let mut stream = session.open(to.clone()).await.unwrap();
    round_trip(&mut stream).await;
    for child in server.children() {
        run("kill", &["-9", &child]);
    }
    let begun = Instant::now();
    let error = soon(stream.read_u8()).await.unwrap_err();
    println!("killed: {error} after {:?}", begun.elapsed());

    let mut target = server.target("key");
    target.hops[0].keepalive_interval = Some(Duration::from_millis(500));
    let session = soon(server.fixture.connect(&target)).await.unwrap();
    let mut stream = session.open(to).await.unwrap();
    round_trip(&mut stream).await;
    for child in server.children() {
        run("kill", &["-STOP", &child]);
    }
    let begun = Instant::now();
    let upload = async {
        let chunk = vec![0; 1 << 20];
        loop {
            if let Err(error) = stream.write_all(&chunk).await {
                return error;
            }
        }
    };
    let error = soon(upload).await;
    println!("stopped: {error} after {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs sshd"]
async fn bulk_both_ways_with_rekeying_and_a_token_stream_beside_it() {
    let server = Real::sshd("RekeyLimit 4M").await;
    let (to, _ends) = echo_server().await;
    let session = soon(server.connect("key")).await.unwrap();
    let bulk = session.open(to.clone()).await.unwrap();
    let mut tokens = session.open(to).await.unwrap();
    let (mut reading, mut writing) = tokio::io::split(bulk);
    let size = 64 << 20;
    let begun = Instant::now();
    let up = tokio::spawn(async move {
        let chunk: Vec<u8> = (0..1 << 20_u32).map(|n| (n % 251) as u8).collect();
        for _ in 0..size / chunk.len() {
            writing.write_all(&chunk).await.unwrap();
        }
        writing.flush().await.unwrap();
        writing
    });
    let down = tokio::spawn(async move {
        let expected: Vec<u8> = (0..1 << 20_u32).map(|n| (n % 251) as u8).collect();
        let mut chunk = vec![0; 1 << 20];
        for _ in 0..size / chunk.len() {
            reading.read_exact(&mut chunk).await.unwrap();
            assert!(chunk == expected);
        }
        begun.elapsed()
    });
    let mut gaps = Vec::new();
    while !down.is_finished() {
        gaps.push(round_trip(&mut tokens).await);
    }
    gaps.sort();
    let took = down.await.unwrap();
    up.await.unwrap();
    println!(
        "64 MiB there and back in {took:?}; beside it {} round trips, median {:?}, p99 {:?}, max {:?}",
        gaps.len(),
        gaps[gaps.len() / 2],
        gaps[gaps.len() * 99 / 100],
        gaps[gaps.len() - 1]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs sshd"]
async fn a_thousand_cancels_leave_nothing_behind() {
    let server = Real::sshd("").await;
    let (to, mut ends) = echo_server().await;
    let session = soon(server.connect("key")).await.unwrap();
    let memory = || {
        std::fs::read_to_string("/proc/self/status")
            .unwrap()
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:").map(|kb| kb.trim().to_owned()))
            .unwrap()
    };
    let files = |pid: &str| {
        std::fs::read_dir(format!("/proc/{pid}/fd"))
            .map(Iterator::count)
            .unwrap_or_default()
    };
    for round in 0..4 {
        for _ in 0..1000 {
            let mut stream = session.open(to.clone()).await.unwrap();
            stream.write_all(b"x").await.unwrap();
            drop(stream);
            soon(ends.recv()).await.unwrap();
        }
        let counts: Vec<_> = server.children().iter().map(|pid| files(pid)).collect();
        println!(
            "after {} cancels: RSS {}, fds of sshd {counts:?}",
            (round + 1) * 1000,
            memory()
        );
    }
    let begun = Instant::now();
    let streams = futures_util::future::join_all((0..400).map(|_| session.open(to.clone()))).await;
    assert!(streams.iter().all(Result::is_ok));
    println!("400 channels at once in {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs sshd and ssh-agent"]
async fn a_real_agent_signs() {
    let server = Real::sshd("").await;
    let socket = server.fixture.directory.path().join("agent");
    let mut agent = Command::new("ssh-agent")
        .args(["-D", "-a", &socket.display().to_string()])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    soon(async {
        while tokio::net::UnixStream::connect(&socket).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    for key in ["stranger", "rsa"] {
        let path = server.fixture.directory.path().join(key);
        let status = Command::new("ssh-add")
            .env("SSH_AUTH_SOCK", &socket)
            .arg(&path)
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
    }
    let mut target = server.target("key");
    target.hops[0].auth = AuthMethod::Agent;
    target.hops[0].private_key_path = None;
    target.hops[0].identity_agent = Some(socket);
    let session = soon(server.fixture.connect(&target)).await;
    agent.kill().unwrap();
    agent.wait().unwrap();
    println!("agent: {}", session.unwrap().auth_method());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs sshd"]
async fn through_a_real_jump_host() {
    let bastion = Real::sshd("").await;
    let machine = Real::sshd("").await;
    let mut target = bastion.target("key");
    target.hops.extend(machine.target("key").hops);
    // Both keys known, each under its own name.
    let lines: String = [&bastion, &machine]
        .iter()
        .map(|server| {
            std::fs::read_to_string(&server.fixture.environment.user_known_hosts[0]).unwrap()
        })
        .collect();
    std::fs::write(&bastion.fixture.environment.user_known_hosts[0], lines).unwrap();
    let begun = Instant::now();
    let session = soon(bastion.fixture.connect(&target)).await.unwrap();
    println!("two hops in {:?}", begun.elapsed());
    let (to, _ends) = echo_server().await;
    let mut stream = session.open(to).await.unwrap();
    println!("round trip {:?}", round_trip(&mut stream).await);
    let begun = Instant::now();
    drop(stream);
    session.close().await;
    println!("closed in {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs sshd"]
async fn twenty_unread_floods_cost_little_and_hold_nobody_up() {
    let server = Real::sshd("").await;
    let (to, _ends) = echo_server().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let chunk = vec![1; 64 * 1024];
                while socket.write_all(&chunk).await.is_ok() {}
            });
        }
    });
    let flood = Destination::Tcp {
        host: "127.0.0.1".into(),
        port,
    };
    let session = soon(server.connect("key")).await.unwrap();
    let mut tokens = session.open(to).await.unwrap();
    let memory = |name: &str| {
        std::fs::read_to_string("/proc/self/status")
            .unwrap()
            .lines()
            .find_map(|line| line.strip_prefix(name).map(|kb| kb.trim().to_owned()))
            .unwrap()
    };
    println!("before: RSS {}", memory("VmRSS:"));
    let mut floods = Vec::new();
    for _ in 0..20 {
        floods.push(session.open(flood.clone()).await.unwrap());
    }
    let begun = Instant::now();
    let mut gaps = Vec::new();
    while begun.elapsed() < Duration::from_secs(3) {
        gaps.push(round_trip(&mut tokens).await);
    }
    gaps.sort();
    let given_up = floods
        .iter()
        .filter(|stream| stream.buffered() == 0)
        .count();
    println!(
        "20 floods: {given_up} given up, RSS {}, peak {}; beside them {} round trips, median {:?}, \
         p99 {:?}, max {:?}",
        memory("VmRSS:"),
        memory("VmHWM:"),
        gaps.len(),
        gaps[gaps.len() / 2],
        gaps[gaps.len() * 99 / 100],
        gaps[gaps.len() - 1]
    );
}
