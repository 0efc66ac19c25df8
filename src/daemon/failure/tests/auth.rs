//! Proving who we are: every cause, each with its code.

use std::{io, sync::Arc, time::Duration};

use expect_test::{Expect, expect};

use crate::ssh::{
    AgentProblem, AuthAttempt, AuthOutcome, Cause, KeyProblem, PromptFailure, PromptKind,
};

use super::ssh;

fn tried(method: &'static str, detail: Option<&str>, outcome: AuthOutcome) -> AuthAttempt {
    AuthAttempt {
        method,
        detail: detail.map(Into::into),
        outcome,
    }
}

fn skipped(method: &'static str, detail: Option<&str>, reason: &str) -> AuthAttempt {
    tried(method, detail, AuthOutcome::Skipped(reason.into()))
}

fn failed(tried: Vec<AuthAttempt>, allowed: &[&str], banner: Option<&str>, expected: &Expect) {
    let cause = Cause::AuthFailed {
        username: "ai".into(),
        tried,
        allowed: allowed.iter().map(|name| (*name).to_owned()).collect(),
        banner: banner.map(Into::into),
    };
    assert!(!cause.is_transient());
    ssh(cause, expected);
}

fn once(cause: Cause, expected: &Expect) {
    assert!(!cause.is_transient(), "{cause:?}");
    ssh(cause, expected);
}

#[test]
fn nothing_was_accepted() {
    use AuthOutcome::{Partial, Rejected};
    failed(
        vec![
            tried("none", None, Rejected),
            tried("publickey", Some("~/.ssh/id_ed25519"), Rejected),
            tried("keyboard-interactive", None, Rejected),
            tried("keyboard-interactive", None, Rejected),
            skipped("password", None, "no password is saved"),
        ],
        &["publickey", "password"],
        None,
        &expect![[r#"
            1001 "SSH_AUTH_FAILED", retryable false
            gpu1 did not accept user ai with: publickey (~/.ssh/id_ed25519); keyboard-interactive, 2 times; password, not tried: no password is saved. It allows: publickey and password. Add one of these keys to ~/.ssh/authorized_keys there, or check the user name."#]],
    );
    failed(
        vec![
            skipped("publickey", Some("agent"), "SSH_AUTH_SOCK is not set"),
            tried("password", None, Rejected),
            tried("password", None, Rejected),
        ],
        &["password"],
        Some("Authorised users only"),
        &expect![[r#"
            1001 "SSH_AUTH_FAILED", retryable false
            gpu1 did not accept user ai with: publickey (agent), not tried: SSH_AUTH_SOCK is not set; password, 2 times. It allows: password. Check the user name and the password. (It said: Authorised users only)"#]],
    );
    failed(
        vec![
            tried("publickey", Some("agent: work"), Partial),
            tried("keyboard-interactive", None, Rejected),
        ],
        &["keyboard-interactive"],
        None,
        &expect![[r#"
            1001 "SSH_AUTH_FAILED", retryable false
            gpu1 did not accept user ai with: publickey (agent: work), accepted as a first step; keyboard-interactive. It allows: keyboard-interactive. Check the user name and your answers."#]],
    );
    failed(
        vec![skipped(
            "gssapi-with-mic",
            None,
            "only ssh itself can do that (transport: system)",
        )],
        &["gssapi-with-mic"],
        None,
        &expect![[r#"
            1001 "SSH_AUTH_FAILED", retryable false
            gpu1 did not accept user ai with: gssapi-with-mic, not tried: only ssh itself can do that (transport: system). It allows: gssapi-with-mic. Only the system's ssh can do that.
            hint: The system's ssh can sign in with Kerberos (GSSAPI; get a ticket with kinit): set transport to "system" in the profile."#]],
    );
    failed(
        vec![
            tried("publickey", Some("agent: work"), Rejected),
            tried(
                "publickey",
                Some("~/.ssh/id_ed25519_sk"),
                AuthOutcome::LeftToSystem(KeyProblem::SecurityKey.to_string()),
            ),
        ],
        &["publickey", "gssapi-with-mic", "hostbased"],
        None,
        &expect![[r#"
            1001 "SSH_AUTH_FAILED", retryable false
            gpu1 did not accept user ai with: publickey (agent: work); publickey (~/.ssh/id_ed25519_sk), not tried: belongs to a security key, which only an SSH agent can use. It allows: publickey, gssapi-with-mic and hostbased. Add one of these keys to ~/.ssh/authorized_keys there, or check the user name.
            hint: The system's ssh can sign in with Kerberos (GSSAPI; get a ticket with kinit), let this computer vouch for you (hostbased) and use a security key without an agent: set transport to "system" in the profile."#]],
    );
    failed(
        vec![],
        &["publickey"],
        None,
        &expect![[r#"
        1001 "SSH_AUTH_FAILED", retryable false
        gpu1 did not accept user ai with: nothing; there was nothing to try. It allows: publickey. Choose a private key that the server knows."#]],
    );
}

#[test]
fn too_many_keys_and_no_methods() {
    let keys = |untried| Cause::TooManyKeys {
        username: "ai".into(),
        offered: 2,
        untried,
        tried: vec![
            tried("publickey", Some("agent: one"), AuthOutcome::Rejected),
            tried("publickey", Some("agent: two"), AuthOutcome::Rejected),
        ],
        allowed: vec!["publickey".into()],
    };
    once(
        keys(6),
        &expect![[r#"
            1021 "SSH_TOO_MANY_KEYS", retryable false
            gpu1 did not accept the first 2 keys of user ai (publickey (agent: one); publickey (agent: two)), and 6 more were not tried, because servers hang up after a few. Choose one key in the profile, or switch on identitiesOnly."#]],
    );
    once(
        keys(0),
        &expect![[r#"
            1021 "SSH_TOO_MANY_KEYS", retryable false
            gpu1 did not accept the first 2 keys of user ai (publickey (agent: one); publickey (agent: two)), and a password had no chance any more, because servers hang up after a few. Choose one key in the profile, or switch on identitiesOnly."#]],
    );
    let disabled = |preferred: &[&str]| Cause::MethodsDisabled {
        preferred: preferred.iter().map(|name| (*name).to_owned()).collect(),
        allowed: vec!["publickey".into(), "password".into()],
    };
    once(
        disabled(&[]),
        &expect![[r#"
        1014 "SSH_CONFIG_INVALID", retryable false
        PreferredAuthentications in your ssh configuration is empty, so there is no way to sign in on gpu1. It allows: publickey and password.
        hint: Change PreferredAuthentications, or choose the sign-in method in the profile."#]],
    );
    once(
        disabled(&["gssapi-with-mic"]),
        &expect![[r#"
        1014 "SSH_CONFIG_INVALID", retryable false
        PreferredAuthentications in your ssh configuration allows only gssapi-with-mic, so there is no way to sign in on gpu1. It allows: publickey and password.
        hint: Change PreferredAuthentications, or choose the sign-in method in the profile."#]],
    );
}

#[test]
fn key_files() {
    let missing = io::Error::new(io::ErrorKind::NotFound, "No such file");
    for (problem, expected) in [
        (
            KeyProblem::Unreadable(Arc::new(missing)),
            expect![[r#"
            1011 "SSH_KEY_UNUSABLE", retryable false
            The key file /home/ai/.ssh/id_rsa can't be read. Check its path. (No such file)"#]],
        ),
        (
            KeyProblem::NotAFile,
            expect![[r#"
            1011 "SSH_KEY_UNUSABLE", retryable false
            /home/ai/.ssh/id_rsa is not a file. Choose the private key."#]],
        ),
        (
            KeyProblem::TooLarge,
            expect![[r#"
            1011 "SSH_KEY_UNUSABLE", retryable false
            /home/ai/.ssh/id_rsa is too large for a key. Choose the private key."#]],
        ),
        (
            KeyProblem::Permissions(0o644),
            expect![[r#"
            1012 "SSH_KEY_PERMISSIONS", retryable false
            Others may read the private key /home/ai/.ssh/id_rsa (its mode is 644), so it is not used, as ssh would not.
            hint: chmod 600 /home/ai/.ssh/id_rsa"#]],
        ),
        (
            KeyProblem::PublicKey,
            expect![[r#"
            1011 "SSH_KEY_UNUSABLE", retryable false
            /home/ai/.ssh/id_rsa is a public key; choose the private key beside it (the name without .pub)."#]],
        ),
        (
            KeyProblem::Unrecognised,
            expect![[r#"
            1011 "SSH_KEY_UNUSABLE", retryable false
            /home/ai/.ssh/id_rsa is not a private key in a known format."#]],
        ),
        (
            KeyProblem::OldEncryption,
            expect![[r#"
            1011 "SSH_KEY_UNUSABLE", retryable false
            /home/ai/.ssh/id_rsa is encrypted in an old way that this program can't read.
            hint: Convert it with: ssh-keygen -p -f /home/ai/.ssh/id_rsa"#]],
        ),
        (
            KeyProblem::SecurityKey,
            expect![[r#"
                1011 "SSH_KEY_UNUSABLE", retryable false
                /home/ai/.ssh/id_rsa belongs to a security key. Add it to your SSH agent and choose the agent.
                hint: The system's ssh can use it without an agent: set transport to "system" in the profile."#]],
        ),
        (
            KeyProblem::UnsupportedType,
            expect![[r#"
            1011 "SSH_KEY_UNUSABLE", retryable false
            /home/ai/.ssh/id_rsa is a kind of key that this program can't use. Choose an Ed25519 key."#]],
        ),
        (
            KeyProblem::PassphraseNeeded,
            expect![[r#"
            1011 "SSH_KEY_UNUSABLE", retryable false
            /home/ai/.ssh/id_rsa is encrypted; its passphrase is needed."#]],
        ),
        (
            KeyProblem::PassphraseWrong,
            expect![[r#"
            1011 "SSH_KEY_UNUSABLE", retryable false
            The passphrase does not open /home/ai/.ssh/id_rsa. Enter it again."#]],
        ),
        (
            KeyProblem::Damaged,
            expect![[r#"
            1011 "SSH_KEY_UNUSABLE", retryable false
            /home/ai/.ssh/id_rsa is damaged. Restore it or make a new key."#]],
        ),
        (
            KeyProblem::OnlySha1,
            expect![[r#"
            1011 "SSH_KEY_UNUSABLE", retryable false
            /home/ai/.ssh/id_rsa is an RSA key, and gpu1 accepts it only with SHA-1 signatures, which are not safe any more. Use an Ed25519 key."#]],
        ),
        (
            KeyProblem::Sha1Wanted,
            expect![[r#"
            1011 "SSH_KEY_UNUSABLE", retryable false
            /home/ai/.ssh/id_rsa is an RSA key, and PubkeyAcceptedAlgorithms in your ssh configuration allows it only with SHA-1 signatures, which are not safe any more. Allow rsa-sha2-512 there."#]],
        ),
        (
            KeyProblem::NotAccepted,
            expect![[r#"
            1011 "SSH_KEY_UNUSABLE", retryable false
            /home/ai/.ssh/id_rsa is of a kind that PubkeyAcceptedAlgorithms in your ssh configuration leaves out, or gpu1 does. Choose another key, or add its kind there."#]],
        ),
    ] {
        let path = "/home/ai/.ssh/id_rsa".into();
        once(Cause::KeyUnusable { path, problem }, &expected);
    }
}

#[test]
fn agents() {
    let refused = Arc::new(io::Error::new(io::ErrorKind::NotFound, "No such file"));
    for (problem, expected) in [
        (
            AgentProblem::NoSocket,
            expect![[r#"
                1020 "SSH_AGENT_UNAVAILABLE", retryable false
                The sign-in on gpu1 needs your SSH agent, and SSH_AUTH_SOCK is not set. Start Puffin from a terminal, or choose a key file."#]],
        ),
        (
            AgentProblem::Disabled,
            expect![[r#"
                1020 "SSH_AGENT_UNAVAILABLE", retryable false
                The sign-in on gpu1 needs your SSH agent, and IdentityAgent is none. Name its socket there, or choose a key file."#]],
        ),
        (
            AgentProblem::Unreachable {
                path: "/run/agent".into(),
                source: refused,
            },
            expect![[r#"
                1020 "SSH_AGENT_UNAVAILABLE", retryable false
                The sign-in on gpu1 needs your SSH agent, and it can't be reached at /run/agent. Is it running? (No such file)"#]],
        ),
        (
            AgentProblem::Silent,
            expect![[r#"
                1020 "SSH_AGENT_UNAVAILABLE", retryable false
                The sign-in on gpu1 needs your SSH agent, and it does not answer. Unlock it, or choose a key file."#]],
        ),
        (
            AgentProblem::Empty,
            expect![[r#"
                1020 "SSH_AGENT_UNAVAILABLE", retryable false
                The sign-in on gpu1 needs your SSH agent, and it holds no keys. Add one with ssh-add, or choose a key file."#]],
        ),
        (
            AgentProblem::NoMatch,
            expect![[r#"
                1020 "SSH_AGENT_UNAVAILABLE", retryable false
                The sign-in on gpu1 needs your SSH agent, and it does not hold the chosen key. Add it with ssh-add."#]],
        ),
        (
            AgentProblem::Broken("its list of keys is damaged".into()),
            expect![[r#"
                1020 "SSH_AGENT_UNAVAILABLE", retryable false
                The sign-in on gpu1 needs your SSH agent, and it does not work; choose a key file instead. (its list of keys is damaged)"#]],
        ),
    ] {
        once(Cause::NoAgent { problem }, &expected);
    }
}

#[test]
fn questions_without_an_answer() {
    let path = "/home/ai/.ssh/id_rsa".into();
    for (kind, failure, expected) in [
        (
            PromptKind::Passphrase { path },
            PromptFailure::Cancelled,
            expect![[r#"
                1023 "SSH_PROMPT_CANCELLED", retryable false
                gpu1 needs the passphrase of /home/ai/.ssh/id_rsa; the question was closed, so nobody is signed in. Connect again to be asked again."#]],
        ),
        (
            PromptKind::Password,
            PromptFailure::TimedOut,
            expect![[r#"
            1024 "SSH_PROMPT_TIMEOUT", retryable false
            gpu1 needs a password; the question was not answered in time. Connect again."#]],
        ),
        (
            PromptKind::KeyboardInteractive,
            PromptFailure::Unsupported,
            expect![[r#"
                1025 "SSH_PROMPT_UNAVAILABLE", retryable false
                gpu1 needs an answer from you, and there is no way to ask you here. Connect where you can be asked."#]],
        ),
        (
            PromptKind::KeyboardInteractive,
            PromptFailure::Unfit,
            expect![[r#"
                1025 "SSH_PROMPT_UNAVAILABLE", retryable false
                gpu1 needs an answer from you; the answer that came does not fit the question."#]],
        ),
        (
            PromptKind::Password,
            PromptFailure::HostGone,
            expect![[r#"
                5001 "HOST_UNAVAILABLE", retryable false
                gpu1 needs a password, and nobody is there to ask. Restart Puffin."#]],
        ),
    ] {
        once(Cause::Unanswerable { kind, failure }, &expected);
    }
}

#[test]
fn passwords_that_expired_and_servers_that_think_for_too_long() {
    let expired = Cause::PasswordExpired {
        username: "ai".into(),
        after: Duration::from_secs(12),
    };
    once(
        expired,
        &expect![[r#"
        1022 "SSH_PASSWORD_EXPIRED", retryable false
        gpu1 did not answer to the password of ai within 12 s. It has probably expired: sign in with ssh in a terminal once, and change it there."#]],
    );
    let slow = Cause::AuthTimeout {
        after: Duration::from_secs(20),
    };
    assert!(!slow.is_transient());
    ssh(
        slow,
        &expect![[r#"
        1002 "SSH_CONNECTION_TIMEOUT", retryable false
        gpu1 did not finish the sign-in within 20 s. Try again."#]],
    );
}

#[test]
fn a_connection_that_ends_during_the_login_is_not_a_refusal() {
    let lost = Cause::Disconnected { message: None };
    assert!(lost.is_transient());
    ssh(
        lost,
        &expect![[r#"
        1004 "SSH_DISCONNECTED", retryable true
        gpu1 ended the SSH connection. Try again."#]],
    );
}
