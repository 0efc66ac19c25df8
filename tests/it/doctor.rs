//! `puffin-remote-llm doctor`, as a person calls it.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG, PASSWORD, USER, by_key, with};
use crate::support::daemon::binary;
use crate::support::peer::{installed, is_here};
use crate::support::ssh_server::{Key, Login};

const API_KEY: &str = "sk-a-canary-that-sings-0123456789";

/// The daemon's binary, with nothing of this machine's user in its environment, and no terminal.
fn doctor(bed: &Bed) -> Command {
    let mut command = Command::new("setsid");
    command
        .arg("--wait")
        .arg(binary())
        .arg("doctor")
        .arg("--data-dir")
        .arg(bed.path("data"))
        .env_clear()
        .env("HOME", bed.home())
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .current_dir(bed.project());
    command
}

/// Runs it beside the servers of this process.
async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output().unwrap())
        .await
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A world with a saved profile whose key file opens the server.
async fn bed_with_profile() -> Bed {
    let key = Key::generate();
    let bed = Bed::with_login(Login::key(USER, &key)).await;
    let file = bed.write_private("key", &key.private_file(None).unwrap());
    let daemon = bed.daemon().await;
    let mut llm = bed.llm_params();
    llm["apiKey"] = API_KEY.into();
    llm["headers"] = json!({"X-Team": "a-team-of-canaries"});
    let commands = json!({
        "passwordSource": {"command": ["pass", "show", "canaries/gpu"]},
        "passphraseSource": {"command": ["pass", "show", "canaries/key"]},
    });
    let ssh = with(by_key(USER, bed.ssh.port(), &file), &commands);
    bed.configure_with(&daemon, ssh, llm).await;
    daemon.shut_down().await;
    bed
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_target_every_profile_is_examined_and_shown_in_a_table() {
    let bed = bed_with_profile().await;
    let output = run(doctor(&bed)).await;
    let table = stdout(&output);
    assert!(output.status.success(), "{table}");
    assert!(table.starts_with("lab (Lab)\n"), "{table}");
    for stage in [
        "resolve", "tcp", "host-key", "auth", "forward", "http", "models",
    ] {
        let row = table.lines().find(|row| row.trim().starts_with(stage));
        assert!(
            row.is_some_and(|row| row.contains(" passed ")),
            "{stage}: {table}"
        );
    }
    assert!(table.contains("  Ready: "), "{table}");
    let audit = bed.path("data/remote-llm/audit");
    assert!(!audit.exists(), "the doctor leaves no trail");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_types_after_ssh_is_examined_and_told_as_json() {
    let bed = bed_with_profile().await;
    let target = format!(
        "ssh -i {} -p {} {USER}@127.0.0.1",
        bed.path("key").display(),
        bed.ssh.port()
    );
    let mut command = doctor(&bed);
    command.args(["--json", "--endpoint", &bed.llm.endpoint(), &target]);
    let output = run(command).await;
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "{told:#}");
    assert_eq!(told["success"], true);
    let [result] = &told["results"].as_array().unwrap()[..] else {
        panic!("one target, one result: {told:#}");
    };
    assert_eq!(result["target"], target);
    assert_eq!(result["result"]["models"][0]["id"], "smol", "{told:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_names_its_stage_and_ends_with_1() {
    let bed = bed_with_profile().await;
    bed.write_known_hosts("");
    let output = run(doctor(&bed)).await;
    let table = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{table}");
    // Nobody is there to be asked.
    assert!(table.contains("  host-key        FAILED"), "{table}");
    assert!(table.contains("  auth            skipped"), "{table}");
    assert!(table.contains("\n  SSH_HOST_KEY_UNKNOWN: "), "{table}");
    assert!(bed.ssh.seen().auth_attempts.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_to_examine_is_said_and_no_success() {
    let bed = Bed::start().await;
    let output = run(doctor(&bed)).await;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("There is no saved profile here."),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_has_what_helps_and_neither_secrets_nor_names() {
    let bed = bed_with_profile().await;
    let file = bed.path("bundle.json");
    let bundle = |target: Option<&str>| {
        let mut command = doctor(&bed);
        command.arg("--bundle").arg(&file).args(target);
        command
    };
    let output = run(bundle(None)).await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(mode(&file), 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    let read: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read["results"][0]["result"]["success"], true, "{text}");
    assert_eq!(read["profiles"][0]["ssh"]["username"], "user-1", "{text}");
    assert_eq!(read["profiles"][0]["llm"]["headers"], json!(["X-Team"]));
    assert!(!read["log"].as_array().unwrap().is_empty(), "{text}");
    let home = bed.home();
    for private in [
        API_KEY,
        "canaries",
        &format!("\"{USER}\""),
        home.to_str().unwrap(),
    ] {
        assert!(!text.contains(private), "{private} is in {text}");
    }

    // What is there is somebody's.
    let output = run(bundle(Some(CONFIG))).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_at_a_terminal_is_asked_and_types_unseen() {
    if !is_here("script", installed(&["script"])) {
        return;
    }
    let bed = Bed::start().await;
    bed.write_known_hosts("");
    let target = format!("ssh -p {} {USER}@127.0.0.1", bed.ssh.port());
    // A question that nobody answers is a failure, not a wait without end.
    let mut command = Command::new("timeout");
    command
        .args(["--foreground", "60", "script"])
        .args(["--quiet", "--return", "--echo", "always", "--command"])
        .arg(format!(
            "'{}' doctor --data-dir '{}' --endpoint {} '{target}'",
            binary().display(),
            bed.path("data").display(),
            bed.llm.endpoint(),
        ))
        .arg("/dev/null")
        .env("HOME", bed.home())
        .env_remove("SSH_AUTH_SOCK")
        .current_dir(bed.project())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let (success, seen) = tokio::task::spawn_blocking(move || converse(command))
        .await
        .unwrap();
    assert!(success, "{seen}");
    assert!(seen.contains("Its ssh-ed25519 fingerprint is"), "{seen}");
    assert!(seen.contains("  Ready: "), "{seen}");
    assert!(!seen.contains(PASSWORD), "{seen}");
    assert!(
        !bed.path("data/remote-llm/known_hosts").exists(),
        "accepted once is not remembered"
    );
}

/// Accepts the host key, then gives the password; returns all that the terminal showed.
fn converse(mut command: Command) -> (bool, String) {
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut seen = String::new();
    let mut answers = [
        ("[y/N]", "y\n".to_owned()),
        ("assword", format!("{PASSWORD}\n")),
    ]
    .into_iter()
    .peekable();
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = output.read(&mut buffer) {
        seen += &String::from_utf8_lossy(&buffer[..length]);
        if let Some((_, answer)) = answers.next_if(|(question, _)| seen.contains(question)) {
            input.write_all(answer.as_bytes()).unwrap();
        }
    }
    (child.wait().unwrap().success(), seen)
}

fn mode(file: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).unwrap().permissions().mode() & 0o777
}
