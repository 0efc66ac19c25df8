//! A profile that names a host of the user's ssh_config is reached as the file says, whether
//! there is an `ssh` that can be asked or not.

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG, with};
use crate::support::daemon::{Answer, RpcError};
use crate::support::peer::is_here;
use crate::support::peer::sshd::{self, Sshd};

/// Nothing but the name: the rest is ssh_config's to say.
fn alias(name: &str) -> Value {
    json!({ "host": name })
}

/// The alias leads to the server, both ways, without a question and without a warning.
async fn leads_to(bed: &Bed, sshd: &Sshd, name: &str) {
    for launch in bed.both_ways() {
        let before = sshd.logins();
        let daemon = bed.launched(&launch).await;
        let result = bed.test(&daemon, alias(name)).await;
        assert_eq!(result["success"], true, "{launch:?}: {result:#}");
        assert_eq!(result["warnings"], json!([]), "{launch:?}: {result:#}");
        assert_eq!(sshd.logins(), before + 1, "{launch:?}");
        daemon.shut_down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_says_where_as_whom_with_which_key_and_which_known_hosts() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(&[]);
    bed.write_known_hosts("");
    // The name that HostKeyAlias gives comes without a port.
    let line = sshd.host_key_line();
    let (_, key) = line.split_once(' ').unwrap();
    let known = bed.write_private("home/elsewhere", &format!("the-box {key}"));
    bed.write_ssh_config(&format!(
        "{}  UserKnownHostsFile {}\n  HostKeyAlias the-box\n",
        sshd.block("box"),
        known.display()
    ));
    leads_to(&bed, &sshd, "box").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_with_a_tilde_and_tokens_are_below_the_users_home() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(&[]);
    bed.write_known_hosts("");
    bed.write_private("home/known_box", &sshd.host_key_line());
    let key = std::fs::read_to_string(&sshd.keys.ed25519).unwrap();
    bed.write_private("home/.ssh/box_key", &key);
    bed.write_ssh_config(&format!(
        "Host box\n  HostName 127.0.0.1\n  Port {}\n  User {}\n  IdentityFile ~/.ssh/%n_key\n  \
         UserKnownHostsFile %d/known_%k\n  IdentitiesOnly yes\n",
        sshd.port(),
        sshd.username()
    ));
    leads_to(&bed, &sshd, "box").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn included_files_and_match_count_as_for_ssh() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(&[]);
    bed.write_known_hosts(&sshd.host_key_line());
    std::fs::create_dir(bed.path("home/.ssh/config.d")).unwrap();
    bed.write_private(
        "home/.ssh/config.d/10-box.conf",
        &format!(
            "Host box\n  HostName 127.0.0.1\nMatch originalhost box user \"{}\"\n  Port {}\n",
            sshd.username(),
            sshd.port()
        ),
    );
    bed.write_ssh_config(&format!(
        "Match host b*,!bar\n  User {}\nHost *\n  Include config.d/*.conf\n\
         Match host 127.0.0.1\n  IdentityFile {}\nMatch all\n  Port 1\n  User nobody\n",
        sshd.username(),
        sshd.keys.ed25519.display()
    ));
    leads_to(&bed, &sshd, "box").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_may_do_without_the_file() {
    let bed = Bed::start().await;
    bed.write_ssh_config("Host gone.invalid\n  HostName 127.0.0.1\n");
    let daemon = bed.daemon().await;
    let ssh = with(bed.ssh_params(), &json!({"host": "gone.invalid"}));
    let result = bed.test(&daemon, ssh.clone()).await;
    assert_eq!(result["error"]["data"]["code"], "SSH_UNREACHABLE");
    assert_eq!(result["error"]["data"]["stage"], "resolve");
    let result = bed.test(&daemon, with(ssh, &json!({"useSshConfig": true})));
    let result = result.await;
    assert_eq!(result["success"], true, "{result:#}");
    // Not even a broken one matters to it.
    bed.write_ssh_config("Host *\n  Port many\n");
    let result = bed.test(&daemon, bed.ssh_params()).await;
    assert_eq!(result["success"], true, "{result:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_profile_says_itself_wins() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(&[]);
    bed.write_known_hosts("");
    bed.write_ssh_config(
        "Host box\n  HostName 127.0.0.1\n  Port 1\n  User nobody\n  IdentityFile /nowhere\n  \
         StrictHostKeyChecking yes\n  ProxyCommand false\n  IdentitiesOnly yes\n",
    );
    for launch in bed.both_ways() {
        let daemon = bed.launched(&launch).await;
        let ssh = json!({
            "host": "box", "port": sshd.port(), "username": sshd.username(),
            "privateKeyPath": sshd.keys.ed25519, "hostKeyPolicy": "accept-new",
            "proxyCommand": "none",
        });
        let result = bed.test(&daemon, ssh).await;
        assert_eq!(result["success"], true, "{launch:?}: {result:#}");
        daemon.shut_down().await;
    }
}

// --- unknown host keys ----------------------------------------------------------------------

async fn of_an_unknown_key(bed: &Bed, sshd: &Sshd, checking: &str) -> (Value, usize) {
    bed.write_known_hosts("");
    let block = sshd.block("box");
    bed.write_ssh_config(&format!("{block}  StrictHostKeyChecking {checking}\n"));
    let daemon = bed.daemon().await;
    daemon.answer_with(|question| Answer::host_key(question, "reject"));
    let result = bed.test(&daemon, alias("box")).await;
    let asked = daemon.questions("host/verify-host-key").len();
    daemon.shut_down().await;
    (result, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_checking_is_taken_from_the_file_but_never_switched_off() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(&[]);
    let (result, asked) = of_an_unknown_key(&bed, &sshd, "yes").await;
    assert_eq!(result["error"]["data"]["code"], "SSH_HOST_KEY_UNKNOWN");
    assert_eq!(asked, 0);
    for off in ["no", "off", "ask"] {
        let (result, asked) = of_an_unknown_key(&bed, &sshd, off).await;
        let error = RpcError::new(&result["error"]);
        assert_eq!(error.code(), "SSH_HOST_KEY_REJECTED", "{off}: {error:?}");
        assert_eq!(asked, 1, "{off}");
        let is_told = result["warnings"].to_string().contains("host keys");
        assert_eq!(is_told, off != "ask", "{off}: {result:#}");
    }
    let (result, asked) = of_an_unknown_key(&bed, &sshd, "accept-new").await;
    assert_eq!(result["success"], true, "{result:#}");
    assert_eq!(asked, 0);
    // It was recorded, so even a strict one passes now.
    let (result, asked) = of_an_unknown_key(&bed, &sshd, "yes").await;
    assert_eq!(result["success"], true, "{result:#}");
    assert_eq!(asked, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ignored_directive_is_told_when_a_profile_is_saved_and_tested() {
    let bed = Bed::start().await;
    bed.write_ssh_config("Host *\n  LocalForward 8080 localhost:80\n  ForwardAgent yes\n");
    for launch in bed.both_ways() {
        let daemon = bed.launched(&launch).await;
        let ssh = with(bed.ssh_params(), &json!({"useSshConfig": true}));
        let view = bed.configure_with(&daemon, ssh, bed.llm_params()).await;
        let params = json!({"configId": CONFIG});
        let tested = daemon.ok("remote-llm/test-connection", params).await;
        assert_eq!(tested["success"], true, "{tested:#}");
        for warnings in [&view["warnings"], &tested["warnings"]] {
            let told = warnings.to_string();
            for directive in ["LocalForward", "ForwardAgent"] {
                assert!(told.contains(directive), "{launch:?}: {warnings:#}");
            }
        }
        daemon.shut_down().await;
    }
}
