//! The processes of the system's `ssh`: which there are, what can be seen of them, and that none
//! is left.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG, by_key, prompt, with};
use crate::support::daemon::Daemon;
use crate::support::llm_server::{Reply, Step, script};
use crate::support::peer::sshd::{self, Sshd};
use crate::support::peer::{find, free_port, is_here};
use crate::support::processes::{command_line, listening, wait_gone};

/// How long what is no longer wanted may be there.
const GONE: Duration = Duration::from_secs(5);

const SECRETS: [&str; 4] = [
    "canary-password",
    "canary-frase",
    "canary-key",
    "canary-head",
];

/// A daemon that is connected by the system's ssh through a jump host, with a prompt that is
/// being answered, and all of its processes.
async fn talking(bed: &Bed, bastion: &Sshd, sshd: &Sshd) -> (Daemon, Vec<u32>) {
    let [password, passphrase, key, header] = SECRETS;
    bed.write_known_hosts(&(bastion.host_key_line() + &sshd.host_key_line()));
    bed.llm
        .on_chat(|_| Reply::Stream(vec![script::role(), script::text("so far"), Step::Silence]));
    let temporary = bed.path("tmp");
    std::fs::create_dir_all(&temporary).unwrap();
    let launch = bed.launch();
    let launch = launch.environment("TMPDIR", temporary.to_str().unwrap());
    let daemon = bed.launched(&launch).await;
    let hop = |sshd: &Sshd| {
        let secrets = json!({
            "password": password, "passphrase": passphrase, "useSshConfig": true,
        });
        with(
            by_key(sshd.username(), sshd.port(), &sshd.keys.ed25519),
            &secrets,
        )
    };
    let ssh = with(
        hop(sshd),
        &json!({"transport": "system", "jumpHosts": [hop(bastion)]}),
    );
    let llm = with(
        bed.llm_params(),
        &json!({"apiKey": key, "secretHeaders": {"X-Gate": header}}),
    );
    bed.configure_with(&daemon, ssh, llm).await;
    let question = with(prompt("p", "Talk."), &json!({"model": "smol"}));
    daemon.send("remote-llm/stream-prompt", question).await;
    daemon.wait_text("p").await;
    let children = daemon.children();
    assert!(children.len() >= 3, "master, jump and stream: {children:?}");
    (daemon, children)
}

#[tokio::test(flavor = "multi_thread")]
async fn they_open_no_port_and_show_no_secret() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let (bastion, sshd) = (Sshd::start_for("bastion", &[]), Sshd::start(&[]));
    // Whatever the user forwards in a terminal.
    bed.write_ssh_config(&format!(
        "Host *\n  LocalForward {} localhost:80\n  DynamicForward {}\n  ForwardAgent yes\n  \
         ControlMaster auto\n  ControlPath {}\n",
        free_port(),
        free_port(),
        bed.path("control").display()
    ));
    let (daemon, children) = talking(&bed, &bastion, &sshd).await;
    assert!(!bed.path("control").exists());
    let all = [&[daemon.pid()], &children[..]].concat();
    assert_eq!(listening(&all), [0_u16; 0]);
    for id in &children {
        let environment = std::fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment).into_owned();
        let line = command_line(*id).join(" ");
        for secret in SECRETS {
            assert!(!line.contains(secret), "{line}");
            assert!(!environment.contains(secret), "{line}: {environment}");
        }
    }
    daemon.shut_down().await;
}

/// No process is left, and soon no file.
async fn is_all_gone(bed: &Bed, children: &[u32]) {
    wait_gone(children, GONE).await;
    let deadline = Instant::now() + GONE;
    loop {
        let files: Vec<_> = std::fs::read_dir(bed.path("tmp")).unwrap().collect();
        if files.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{files:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn none_is_left_however_the_connection_ends() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let (bastion, sshd) = (Sshd::start_for("bastion", &[]), Sshd::start(&[]));

    let (daemon, children) = talking(&bed, &bastion, &sshd).await;
    let config = json!({"configId": CONFIG});
    daemon.ok("remote-llm/disconnect", config).await;
    is_all_gone(&bed, &children).await;
    daemon.shut_down().await;

    let (daemon, children) = talking(&bed, &bastion, &sshd).await;
    daemon.shut_down().await;
    is_all_gone(&bed, &children).await;

    let (daemon, children) = talking(&bed, &bastion, &sshd).await;
    daemon.close_stdin().await;
    is_all_gone(&bed, &children).await;
    drop(daemon);

    let (daemon, children) = talking(&bed, &bastion, &sshd).await;
    daemon.signal("KILL").await;
    is_all_gone(&bed, &children).await;

    let (daemon, children) = talking(&bed, &bastion, &sshd).await;
    sshd.kill_sessions();
    wait_gone(&children, GONE).await;
    // The daemon connects again by itself.
    daemon.shut_down().await;
    is_all_gone(&bed, &children).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_wish_for_it_ssh_is_only_asked_for_its_configuration() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let (bastion, sshd) = (Sshd::start_for("bastion", &[]), Sshd::start(&[]));
    bed.write_known_hosts(&(bastion.host_key_line() + &sshd.host_key_line()));
    bed.write_ssh_config(&format!(
        "{}{}  ProxyJump outer\n  GSSAPIAuthentication yes\n",
        bastion.block("outer"),
        sshd.block("box")
    ));
    let log = bed.path("calls");
    let script = format!(
        "echo \"$*\" >>'{}'; exec {} \"$@\"",
        log.display(),
        find("ssh").unwrap().display()
    );
    let daemon = bed.launched(&bed.launch_with_ssh(&script)).await;
    for ssh in [
        json!({"host": "box"}),
        json!({"host": "box", "transport": "auto"}),
    ] {
        bed.configure_with(&daemon, ssh, bed.llm_params()).await;
        let question = with(prompt("p", "Hello?"), &json!({"model": "smol"}));
        daemon.ok("remote-llm/stream-prompt", question).await;
        let config = json!({"configId": CONFIG});
        daemon
            .ok("remote-llm/test-connection", config.clone())
            .await;
        // Nor when there is no other way in.
        let stranger = json!({"host": "box", "username": "stranger"});
        let result = bed.test(&daemon, stranger).await;
        assert_eq!(result["success"], Value::Bool(false), "{result:#}");
        daemon.ok("remote-llm/disconnect", config).await;
    }
    daemon.shut_down().await;
    let calls = std::fs::read_to_string(log).unwrap();
    assert!(!calls.is_empty());
    for call in calls.lines() {
        assert!(call.starts_with("-G "), "{calls}");
    }
}
