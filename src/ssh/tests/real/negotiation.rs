//! The lists of algorithms, against servers that know little.

use super::host_keys::Lab;
use super::*;

/// Learns the server's key; tells which kind it was.
async fn kind_of_key(port: u16) -> String {
    let fixture = Fixture::new();
    let target = |host_key_policy| {
        Target::new(vec![Hop {
            auth: AuthMethod::None,
            host_key_policy,
            ..Hop::new("127.0.0.1", port, "nobody")
        }])
    };
    // The second time, only that key is known.
    for policy in [HostKeyPolicy::AcceptNew, HostKeyPolicy::Strict] {
        let error = soon(fixture.connect(&target(policy))).await.unwrap_err();
        // Nobody lets us in, but the handshake was done.
        assert!(matches!(error.cause, Cause::AuthFailed { .. }), "{error:?}");
    }
    let recorded = std::fs::read_to_string(&fixture.environment.own_known_hosts).unwrap();
    recorded.split(' ').nth(1).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs sshd"]
async fn servers_with_only_one_choice_are_understood() {
    let mut lab = Lab::without_servers().await;
    for only in [
        "KexAlgorithms ecdh-sha2-nistp256",
        "KexAlgorithms ecdh-sha2-nistp384",
        "KexAlgorithms ecdh-sha2-nistp521",
        "KexAlgorithms diffie-hellman-group-exchange-sha256",
        "KexAlgorithms diffie-hellman-group14-sha256",
        "KexAlgorithms diffie-hellman-group16-sha512",
        "KexAlgorithms curve25519-sha256@libssh.org",
        "Ciphers aes192-ctr\nMACs hmac-sha2-256",
        "Ciphers aes128-ctr\nMACs hmac-sha2-512-etm@openssh.com",
        "Ciphers chacha20-poly1305@openssh.com",
        "Ciphers aes128-gcm@openssh.com",
    ] {
        let port = lab.server(&["ed"], only).await;
        assert_eq!(kind_of_key(port).await, "ssh-ed25519", "{only}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs sshd"]
async fn servers_with_only_one_kind_of_host_key_are_understood() {
    let mut lab = Lab::without_servers().await;
    for (keys, more, expected) in [
        (&["ec"][..], "", "ecdsa-sha2-nistp256"),
        (&["rsa"], "", "ssh-rsa"),
        (&["rsa"], "HostKeyAlgorithms rsa-sha2-256", "ssh-rsa"),
        (
            &["ed", "ec"],
            "HostKeyAlgorithms ecdsa-sha2-nistp256",
            "ecdsa-sha2-nistp256",
        ),
        (&["ed", "ec", "rsa"], "", "ssh-ed25519"),
    ] {
        let port = lab.server(keys, more).await;
        assert_eq!(kind_of_key(port).await, expected, "{keys:?} {more}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs sshd"]
async fn the_users_lists_decide_what_is_agreed_on() {
    let server = Real::sshd("LogLevel DEBUG1").await;
    let list = |names: &str| Some(names.split(',').map(str::to_owned).collect());
    let mut target = server.target("key");
    target.hops[0].algorithms = Algorithms {
        key_exchanges: list("diffie-hellman-group1-sha1,ecdh-sha2-nistp384,curve25519-sha256"),
        ciphers: list("3des-cbc,aes192-ctr,aes256-gcm@openssh.com"),
        macs: list("hmac-md5,hmac-sha2-256,hmac-sha2-512"),
        host_keys: list("ssh-rsa,ssh-ed25519"),
        keeps_host_key_order: true,
        public_keys: None,
    };
    soon(server.fixture.connect(&target)).await.unwrap();
    let log = server.log();
    for agreed in [
        "kex: algorithm: ecdh-sha2-nistp384",
        "kex: host key algorithm: ssh-ed25519",
        "cipher: aes192-ctr MAC: hmac-sha2-256 compression: none",
    ] {
        assert!(log.contains(agreed), "{agreed}\n{log}");
    }

    // Nothing of this list is any good: no server is asked.
    target.hops[0].algorithms.ciphers = list("aes128-cbc,3des-cbc");
    let error = soon(server.fixture.connect(&target)).await.unwrap_err();
    assert!(
        matches!(
            error.cause,
            Cause::NoUsableAlgorithm {
                kind: AlgorithmList::Cipher,
                ..
            }
        ),
        "{error:?}"
    );
    // All of this one is, but the server has another.
    target.hops[0].algorithms.ciphers = list("aes128-ctr");
    let server = Real::sshd("Ciphers aes256-ctr").await;
    let mut other = server.target("key");
    other.hops[0].algorithms.ciphers = list("aes128-ctr");
    let error = soon(server.fixture.connect(&other)).await.unwrap_err();
    assert!(
        matches!(error.cause, Cause::NoCommonAlgorithm { kind: "cipher", .. }),
        "{error:?}"
    );
}
