//! Logins against OpenSSH's sshd; run as those in `real`.

use russh::keys::ssh_encoding::{Decode as _, Encode as _};
use russh::keys::{HashAlg, PrivateKey, PublicKey};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::real::{Real, run};
use super::real_key_order::{ssh_add, start_agent};
use super::server::random_key;
use super::*;

/// An authority that signs users' keys.
struct Authority(tempfile::TempDir);

impl Authority {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca").display().to_string();
        run(
            "ssh-keygen",
            &["-q", "-t", "ed25519", "-N", "", "-f", &path],
        );
        Self(directory)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn trusting(&self, more: &str) -> String {
        format!("TrustedUserCAKeys {}\n{more}", self.path("ca.pub"))
    }

    /// A new key with a certificate beside it.
    fn certified(&self, name: &str, kind: &str, principal: &str, validity: &str) -> PathBuf {
        let path = self.path(name);
        run("ssh-keygen", &["-q", "-t", kind, "-N", "", "-f", &path]);
        let public = format!("{path}.pub");
        let (authority, number) = (self.path("ca"), "id");
        run(
            "ssh-keygen",
            &[
                "-q", "-s", &authority, "-I", number, "-n", principal, "-V", validity, &public,
            ],
        );
        path.into()
    }
}

const NOW: &str = "-1d:+1d";
const PAST: &str = "-10m:-5m";

fn with_key(server: &Real, path: PathBuf) -> Target {
    let mut target = server.target("key");
    target.hops[0].private_key_path = Some(path);
    target
}

fn tried(error: &Error) -> String {
    let Cause::AuthFailed { tried, .. } = &error.cause else {
        panic!("{error:?}");
    };
    format!("{tried:?}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs sshd and ssh-agent"]
async fn certificates_of_every_kind_log_in_from_files_and_from_the_agent() {
    let authority = Authority::new();
    let server = Real::sshd(&authority.trusting("")).await;
    let socket = server.fixture.directory.path().join("agent");
    let mut agent = start_agent(&socket).await;
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let path = authority.certified(kind, kind, "root", NOW);
        let target = with_key(&server, path.clone());
        let session = soon(server.fixture.connect(&target)).await.unwrap();
        let method = session.auth_method();
        assert!(method.ends_with("-cert.pub, certificate)"), "{method}");

        ssh_add(&socket, &["-q", "-D"]);
        ssh_add(&socket, &["-q", &path.display().to_string()]);
        let mut target = server.target("key");
        target.hops[0].auth = AuthMethod::Agent;
        target.hops[0].private_key_path = None;
        target.hops[0].identity_agent = Some(socket.clone());
        let session = soon(server.fixture.connect(&target)).await.unwrap();
        let method = session.auth_method();
        assert!(method.starts_with("publickey (agent: "), "{method}");
        assert!(method.ends_with(", certificate)"), "{method}");

        // Named apart from its key, which only the agent holds.
        ssh_add(&socket, &["-q", "-D"]);
        let moved = authority.path(&format!("{kind}.certificate"));
        std::fs::rename(format!("{}-cert.pub", path.display()), &moved).unwrap();
        ssh_add(&socket, &["-q", &path.display().to_string()]);
        target.hops[0].certificate_paths = vec![moved.into()];
        let session = soon(server.fixture.connect(&target)).await.unwrap();
        let method = session.auth_method();
        assert!(method.ends_with(".certificate, certificate)"), "{method}");
    }
    agent.kill().unwrap();
    agent.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs sshd"]
async fn a_certificate_of_no_use_is_noted_and_the_plain_key_goes_on() {
    let authority = Authority::new();
    let server = Real::sshd(&authority.trusting("")).await;
    for (name, principal, validity, reason) in [
        ("expired", "root", PAST, "certificate that has expired"),
        (
            "other",
            "eve",
            NOW,
            "certificate that is not made out to root",
        ),
    ] {
        let path = authority.certified(name, "ed25519", principal, validity);
        let target = with_key(&server, path.clone());
        let error = soon(server.fixture.connect(&target)).await.unwrap_err();
        assert!(tried(&error).contains(reason), "{error:?}");

        // Named, it comes first; then the key that the server knows.
        let mut target = server.target("key");
        target.hops[0].identity_files = Some(vec![path.clone()]);
        let certificate = format!("{}-cert.pub", path.display());
        target.hops[0].certificate_paths = vec![certificate.into()];
        let session = soon(server.fixture.connect(&target)).await.unwrap();
        assert!(session.auth_method().ends_with("/key)"));
    }
    // That of another key is not even offered.
    let path = authority.certified("mine", "ed25519", "root", NOW);
    let theirs = authority.certified("theirs", "ed25519", "root", NOW);
    std::fs::rename(
        format!("{}-cert.pub", theirs.display()),
        format!("{}-cert.pub", path.display()),
    )
    .unwrap();
    let error = soon(server.fixture.connect(&with_key(&server, path)))
        .await
        .unwrap_err();
    assert!(
        tried(&error).contains("belongs to another key"),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs sshd"]
async fn a_certificate_for_a_principal_that_the_server_maps_to_the_user_is_good() {
    let authority = Authority::new();
    std::fs::write(authority.path("principals"), "admins\n").unwrap();
    let mapping = format!("AuthorizedPrincipalsFile {}", authority.path("principals"));
    let server = Real::sshd(&authority.trusting(&mapping)).await;
    let path = authority.certified("mapped", "ed25519", "admins", NOW);
    let target = with_key(&server, path);
    soon(server.fixture.connect(&target)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs sshd"]
async fn rsa_signs_with_what_the_server_and_the_configuration_allow() {
    let server = Real::sshd("PubkeyAcceptedAlgorithms rsa-sha2-256\nLogLevel DEBUG").await;
    // This sshd says that it knows rsa-sha2-512 and then refuses it, to ssh as well.
    let error = soon(server.connect("rsa")).await.unwrap_err();
    assert!(matches!(error.cause, Cause::AuthFailed { .. }), "{error:?}");

    let mut target = server.target("rsa");
    target.hops[0].algorithms.public_keys = Some(vec!["rsa-sha2-256".into()]);
    soon(server.fixture.connect(&target)).await.unwrap();
    assert!(server.log().contains("test pkalg rsa-sha2-256"));

    let mut target = server.target("rsa");
    for (name, expected) in [
        ("ssh-ed25519", "PubkeyAcceptedAlgorithms leaves out"),
        ("ssh-rsa", "only SHA-1"),
    ] {
        target.hops[0].algorithms.public_keys = Some(vec![name.into()]);
        let error = soon(server.fixture.connect(&target)).await.unwrap_err();
        let Cause::KeyUnusable { problem, .. } = error.cause else {
            panic!("{error:?}");
        };
        assert!(problem.to_string().contains(expected), "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs sshd and ssh-agent"]
async fn a_server_that_hangs_up_on_the_keys_is_told_by_their_number() {
    for limit in [1, 2, 3, 6] {
        let server = Real::sshd(&format!("MaxAuthTries {limit}\nPasswordAuthentication no")).await;
        let socket = server.fixture.directory.path().join("agent");
        let mut agent = start_agent(&socket).await;
        let directory = server.fixture.directory.path();
        for number in 0..8 {
            let path = directory
                .join(format!("agent{number}"))
                .display()
                .to_string();
            run(
                "ssh-keygen",
                &["-q", "-t", "ed25519", "-N", "", "-f", &path],
            );
            ssh_add(&socket, &["-q", &path]);
        }
        let mut target = server.target("key");
        target.hops[0].auth = AuthMethod::Auto;
        target.hops[0].private_key_path = None;
        target.hops[0].identity_agent = Some(socket.clone());
        let error = soon(server.fixture.connect(&target)).await.unwrap_err();
        // The key itself, chosen, still gets in.
        target.hops[0].private_key_path = Some(directory.join("key"));
        target.hops[0].identities_only = true;
        let chosen = soon(server.fixture.connect(&target)).await;
        agent.kill().unwrap();
        agent.wait().unwrap();
        let Cause::TooManyKeys {
            offered, untried, ..
        } = error.cause
        else {
            panic!("{limit}: {error:?}");
        };
        assert_eq!((offered, untried), (limit, 8 - limit));
        chosen.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs sshd"]
async fn a_server_that_wants_two_keys_gets_two_and_one_passphrase_is_asked_for() {
    let server = Real::sshd("AuthenticationMethods publickey,publickey").await;
    let path = |name: &str| server.fixture.directory.path().join(name);
    let mut target = server.target("locked");
    target.hops[0].identity_files = Some(vec![path("stranger"), path("ecdsa")]);
    let prompter = Answering::with([Ok(vec!["open sesame"])]);
    let session = soon(server.fixture.connect_asking(&target, prompter.clone()))
        .await
        .unwrap();
    assert_eq!(
        session.auth_method(),
        "publickey (~/locked) + publickey (~/ecdsa)"
    );
    assert_eq!(prompter.asked().len(), 1);

    // One is not enough, and the server says what is still missing.
    let error = soon(server.connect("key")).await.unwrap_err();
    assert!(tried(&error).contains("Partial"), "{error:?}");
}

/// An agent with a security key made of software.
struct SoftwareKey {
    key: PrivateKey,
    public: PublicKey,
}

const SK: &str = "sk-ssh-ed25519@openssh.com";
const APPLICATION: &str = "ssh:";

impl SoftwareKey {
    fn new() -> Self {
        let key = random_key();
        let mut blob = Vec::new();
        SK.encode(&mut blob).unwrap();
        let point = key.public_key().key_data().ed25519().unwrap().0;
        point.as_slice().encode(&mut blob).unwrap();
        APPLICATION.encode(&mut blob).unwrap();
        Self {
            key,
            public: PublicKey::from_bytes(&blob).unwrap(),
        }
    }

    /// As a FIDO device signs: with flags and a counter.
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        use russh::keys::signature::Signer as _;
        let (flags, counter) = (1_u8, 7_u32);
        let mut signed = HashAlg::Sha256.digest(APPLICATION.as_bytes());
        signed.push(flags);
        signed.extend(counter.to_be_bytes());
        signed.extend(HashAlg::Sha256.digest(message));
        let signature = self.key.try_sign(&signed).unwrap();
        let mut blob = Vec::new();
        SK.encode(&mut blob).unwrap();
        signature.as_bytes().encode(&mut blob).unwrap();
        blob.push(flags);
        blob.extend(counter.to_be_bytes());
        blob
    }

    fn answer(&self, request: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        match request.split_first() {
            Some((11, _)) => {
                answer.push(12);
                2_u32.encode(&mut answer).unwrap();
                // One of a kind that nobody knows comes first.
                let mut unknown = Vec::new();
                "ssh-future@example.org".encode(&mut unknown).unwrap();
                unknown.encode(&mut answer).unwrap();
                "from the future".encode(&mut answer).unwrap();
                self.public.to_bytes().unwrap().encode(&mut answer).unwrap();
                "security key".encode(&mut answer).unwrap();
            }
            Some((13, mut rest)) => {
                let blob = Vec::<u8>::decode(&mut rest).unwrap();
                assert_eq!(blob, self.public.to_bytes().unwrap());
                let message = Vec::<u8>::decode(&mut rest).unwrap();
                answer.push(14);
                self.sign(&message).encode(&mut answer).unwrap();
            }
            _ => answer.push(5),
        }
        answer
    }

    async fn serve(self, listener: tokio::net::UnixListener) {
        while let Ok((mut stream, _)) = listener.accept().await {
            while let Ok(length) = stream.read_u32().await {
                let mut request = vec![0; length as usize];
                stream.read_exact(&mut request).await.unwrap();
                let answer = self.answer(&request);
                stream.write_u32(answer.len() as u32).await.unwrap();
                stream.write_all(&answer).await.unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs sshd"]
async fn a_security_key_signs_through_the_agent() {
    let server = Real::sshd("").await;
    let directory = server.fixture.directory.path();
    let key = SoftwareKey::new();
    let line = key.public.to_openssh().unwrap();
    std::fs::write(directory.join("authorized"), &line).unwrap();
    let socket = directory.join("fake");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    tokio::spawn(key.serve(listener));
    let mut target = server.target("key");
    target.hops[0].auth = AuthMethod::Auto;
    target.hops[0].private_key_path = None;
    target.hops[0].identity_agent = Some(socket);
    let session = soon(server.fixture.connect(&target)).await.unwrap();
    assert_eq!(session.auth_method(), "publickey (agent: security key)");
    // It has to be touched each time.
    assert!(!session.logged_in_silently());
}

/// Does something while the question is open, and answers when told to.
struct Meanwhile<F> {
    then: F,
    answers: bool,
}

impl<F: Fn() + Send + Sync> Prompter for Meanwhile<F> {
    fn verify_host_key(
        &self,
        _: HostKeyQuestion,
    ) -> BoxFuture<'_, Result<HostKeyDecision, PromptFailure>> {
        Box::pin(std::future::ready(Ok(HostKeyDecision::Accept)))
    }

    fn answer(&self, _: PromptQuestion) -> BoxFuture<'_, Result<Answers, PromptFailure>> {
        (self.then)();
        let answers = self.answers;
        Box::pin(async move {
            if !answers {
                std::future::pending::<()>().await;
            }
            Ok(vec!["open sesame".into()])
        })
    }
}

fn is_lost(error: &Error) -> bool {
    let lost = matches!(error.cause, Cause::EndedDuringLogin { .. });
    lost && error.is_transient()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs sshd"]
async fn a_server_that_goes_away_during_the_login_is_lost_and_not_refused() {
    // LoginGraceTime ends while nobody answers: no need to wait for the answer.
    let server = Real::sshd("LoginGraceTime 2").await;
    let target = server.target("locked");
    let prompter = Arc::new(Meanwhile {
        then: || {},
        answers: false,
    });
    let error = soon(server.fixture.connect_asking(&target, prompter))
        .await
        .unwrap_err();
    assert!(is_lost(&error), "{error:?}");

    // Killed while somebody answers, before a key is signed with or a password is sent.
    let server = Arc::new(Real::sshd("PermitRootLogin yes").await);
    let kill = || {
        let server = server.clone();
        move || {
            for child in server.children() {
                // A grandchild may be gone with its parent already.
                let _ = std::process::Command::new("kill")
                    .args(["-9", &child])
                    .status();
            }
        }
    };
    let mut password = server.target("key");
    password.hops[0].auth = AuthMethod::Password;
    for target in [server.target("locked"), password] {
        let prompter = Arc::new(Meanwhile {
            then: kill(),
            answers: true,
        });
        let error = soon(server.fixture.connect_asking(&target, prompter))
            .await
            .unwrap_err();
        assert!(is_lost(&error), "{error:?}");
    }

    // Too many others are signing in: it hangs up at once.
    let server = Real::sshd("MaxStartups 1:100:1").await;
    let _first = tokio::net::TcpStream::connect(("127.0.0.1", server.port))
        .await
        .unwrap();
    let error = soon(server.connect("key")).await.unwrap_err();
    assert!(
        matches!(error.cause, Cause::HandshakeClosed { .. }) && error.is_transient(),
        "{error:?}"
    );
}
