//! Both ways from a query to settings, with whole environments.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::oracle::{self, program, query};
use crate::ssh::ssh_config::{
    Problem, Settings, StrictHostKeyChecking, aliases, parse_block, resolve, system,
};
use crate::ssh::{Environment, Variables};

/// A home of its own, which is not the account's, and a system-wide file.
struct House {
    folder: TempDir,
    environment: Environment,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        std::fs::create_dir_all(home.join(".ssh")).unwrap();
        let basis = oracle::environment();
        let variables: Variables = basis
            .variables
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let environment = Environment {
            user_config: Some(home.join(".ssh/config")),
            system_config: Some(folder.path().join("system")),
            home: Some(home),
            variables,
            ..basis
        };
        Self {
            folder,
            environment,
        }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        file
    }

    fn home(&self, path: &str) -> PathBuf {
        self.environment.home.as_ref().unwrap().join(path)
    }

    async fn read(&self, host: &str) -> Result<Settings, Problem> {
        resolve(&query(host), &self.environment).await
    }

    async fn ask(&self, program: &Path, host: &str) -> Result<Settings, Problem> {
        let environment = Environment {
            ssh_program: Some(program.to_owned()),
            ..self.environment.clone()
        };
        resolve(&query(host), &environment).await
    }

    /// An executable that stands for `ssh`. It is written by a shell: a file that this
    /// process had open for writing could be busy as another test starts a process.
    fn script(&self, name: &str, text: &str) -> PathBuf {
        let source = self.write(&format!("{name}.txt"), &format!("#!/bin/sh\n{text}\n"));
        let file = self.folder.path().join(name);
        let status = std::process::Command::new("/bin/sh")
            .args(["-c", "cat \"$0\" > \"$1\" && chmod 700 \"$1\""])
            .args([&source, &file])
            .status()
            .unwrap();
        assert!(status.success());
        file
    }
}

#[tokio::test]
async fn both_ways_lead_to_the_same_settings() {
    let Some(program) = program() else { return };
    let house = House::new();
    house.write(
        "home/.ssh/relative",
        "Host gpu1\nPort 2222\nIdentityFile ~/.ssh/id_%r\n",
    );
    house.write("home/tilde", "Host *\nUser ai\nServerAliveInterval 20\n");
    house.write(
        "system",
        "Host *\n SendEnv LANG LC_*\n HashKnownHosts yes\n GSSAPIAuthentication yes\n \
         StrictHostKeyChecking yes\n LocalForward 1 localhost:1\n",
    );
    for text in [
        "Include relative\nInclude ~/tilde\n",
        "",
        "Host gpu1\n HostName real.example\n UserKnownHostsFile ~/known \"/a b/c\"\n",
        "IdentityAgent ~/agent.sock\nIdentityFile %d/x\nCertificateFile ~/c\n",
        "UserKnownHostsFile /a /b\nSendEnv MINE\nCompression yes\nForwardAgent yes\n",
        "UserKnownHostsFile ~/.ssh/known_hosts ~/.ssh/known_hosts2\n",
        "ServerAliveInterval 0\nProxyJump gw\nCiphers +aes128-cbc\n",
        "ServerAliveInterval 0\nHost other\nServerAliveInterval 7\n",
        "GSSAPIAuthentication yes\nPKCS11Provider /p11.so\n",
        "Match final host gpu1\n Port 9\n",
        "PasswordAuthentication no\nMACs -*sha1*\nConnectTimeout 3\n",
        "HostKeyAlgorithms ^ssh-ed25519-cert-v01@openssh.com\n",
        "HostKeyAlgorithms -ssh-rsa*\nHostKeyAlgorithms ssh-ed25519\n",
    ] {
        house.write("home/.ssh/config", text);
        let asked = house.ask(&program, "gpu1").await;
        assert!(asked.is_ok(), "{text}: {asked:?}");
        assert_eq!(asked, house.read("gpu1").await, "{text}");
    }
}

#[tokio::test]
async fn the_usual_files_are_read_alike() {
    let Some(program) = program() else { return };
    let basis = oracle::environment();
    let user_config = basis.home.as_ref().map(|home| home.join(".ssh/config"));
    if user_config.as_ref().is_some_and(|file| file.exists()) {
        // It could have a `Match exec`, which only one way runs.
        use std::io::Write as _;
        std::io::stderr()
            .write_all(b"SKIPPED the usual files of ssh: this account has an ssh_config\n")
            .unwrap();
        return;
    }
    let environment = Environment {
        user_config,
        system_config: Some(PathBuf::from("/etc/ssh/ssh_config")),
        ..basis
    };
    let read = resolve(&query("gpu1.invalid"), &environment).await;
    let environment = Environment {
        ssh_program: Some(program),
        ..environment
    };
    assert_eq!(system::stand_in(&environment), Ok(None));
    assert_eq!(resolve(&query("gpu1.invalid"), &environment).await, read);
    assert!(read.is_ok(), "{read:?}");
}

#[tokio::test]
async fn home_is_the_users_and_not_the_accounts() {
    let Some(program) = program() else { return };
    let house = House::new();
    house.write("home/.ssh/more", "IdentityFile ~/.ssh/id_mine\n");
    let text = "Include more\nUserKnownHostsFile ~/mine\n";
    house.write("home/.ssh/config", text);
    for settings in [house.ask(&program, "gpu1").await, house.read("gpu1").await] {
        let settings = settings.unwrap();
        assert_eq!(
            settings.identity_files,
            Some(vec![house.home(".ssh/id_mine")])
        );
        assert_eq!(settings.known_hosts.user, Some(vec![house.home("mine")]));
    }
    // Nothing is configured where nothing is written.
    house.write("home/.ssh/config", "Port 23\n");
    let settings = house.ask(&program, "gpu1").await.unwrap();
    assert_eq!(settings.known_hosts.user, None);
    assert_eq!(settings.identity_files, None);
    assert_eq!(settings.port, 23);
}

#[tokio::test]
async fn what_has_no_effect_is_told_once_and_what_distributions_write_is_not() {
    let house = House::new();
    house.write(
        "system",
        "Host *\nSendEnv LANG LC_*\nHashKnownHosts yes\nGSSAPIAuthentication yes\n",
    );
    house.write("home/.ssh/config", "");
    assert_eq!(
        house.read("gpu1").await.unwrap().warnings,
        Vec::<String>::new()
    );
    house.write(
        "home/.ssh/config",
        "SendEnv MINE\nForwardAgent yes\nLocalForward 1 a:1\nLocalForward 2 a:2\nForwardX11 no\n\
         Compression yes\nPKCS11Provider /x\nCanonicalizeHostname yes\n",
    );
    assert_eq!(
        house.read("gpu1").await.unwrap().warnings,
        [
            "ssh_config sets these for gpu1, and they have no effect here: ForwardAgent, LocalForward, \
             SendEnv.",
            "ssh_config asks for Compression for gpu1; connections are never compressed here.",
            "ssh_config sets PKCS11Provider for gpu1, which is not possible here; transport: \"system\" \
             can do it.",
            "ssh_config sets CanonicalizeHostname for gpu1, and without ssh that is not done.",
        ]
    );
}

#[tokio::test]
async fn only_ssh_runs_the_commands_of_a_match() {
    let house = House::new();
    let trace = house.folder.path().join("trace");
    let config = house.write(
        "home/.ssh/config",
        &format!("Match exec \"touch {}\"\n Port 9\n", trace.display()),
    );
    let settings = house.read("gpu1").await.unwrap();
    assert_eq!(settings.port, 22);
    assert_eq!(
        settings.warnings,
        [format!(
            "{}:1: Match exec was not run, so what follows it does not count",
            config.display()
        )]
    );
    assert!(!trace.exists());
    let Some(program) = program() else { return };
    let settings = house.ask(&program, "gpu1").await.unwrap();
    assert_eq!((settings.port, settings.warnings), (9, vec![]));
    assert!(trace.exists());
}

#[tokio::test]
async fn a_file_that_others_may_write_is_refused() {
    let house = House::new();
    let config = house.write("home/.ssh/config", "Port 23\n");
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(
        house.read("gpu1").await,
        Err(Problem::Permissions(config.clone()))
    );
    assert_eq!(
        aliases(&house.environment).await,
        Err(Problem::Permissions(config.clone()))
    );
    let Some(program) = program() else { return };
    let refusal = house.ask(&program, "gpu1").await;
    let expected = format!("Bad owner or permissions on {}", config.display());
    assert_eq!(refusal, Err(Problem::Refused(expected)));
}

#[tokio::test]
async fn a_bad_line_is_named() {
    let house = House::new();
    let config = house.write("home/.ssh/config", "Port 22\nNonsense yes\n");
    let problem = house.read("gpu1").await.unwrap_err();
    assert_eq!(
        problem.to_string(),
        format!("{}:2: bad configuration option: nonsense", config.display())
    );
    let Some(program) = program() else { return };
    let problem = house.ask(&program, "gpu1").await.unwrap_err().to_string();
    let file = config.display();
    assert_eq!(
        problem,
        format!(
            "ssh refuses the configuration: {file}: line 2: Bad configuration option: nonsense; \
             {file}: terminating, 1 bad configuration options"
        )
    );
}

#[tokio::test]
async fn nothing_becomes_an_option_of_ssh() {
    let house = House::new();
    let trace = house.folder.path().join("trace");
    let program = house.script("ssh", &format!("touch {}", trace.display()));
    for host in [
        "-oProxyCommand=x",
        "",
        "a b",
        "me@gpu1",
        "ssh://gpu1",
        "$(x)",
    ] {
        let problem = house.ask(&program, host).await;
        assert!(
            matches!(problem, Err(Problem::Query(_))),
            "{host}: {problem:?}"
        );
    }
    assert!(!trace.exists());
}

/// An `ssh` that answers the question for its defaults as it should.
const ANSWERS: &str = "case \"$*\" in *\"-F none\"*) \
                       printf 'user me\\nhostname host\\nport 22\\n'; exit 0;; esac\n";

#[tokio::test]
async fn an_ssh_that_does_not_work_is_done_without() {
    let house = House::new();
    house.write("home/.ssh/config", "Host gpu1\nPort 2222\n");
    let expected = house.read("gpu1").await.unwrap();
    for (name, script, reason) in [
        ("hangs", "sleep 60".to_owned(), "it did not end within 5s"),
        (
            "hangs-later",
            format!("{ANSWERS}sleep 60"),
            "it did not end within 5s",
        ),
        (
            "floods",
            "exec yes".to_owned(),
            "it wrote more than 1048576 bytes",
        ),
        (
            "floods-later",
            format!("{ANSWERS}exec yes >&2"),
            "it wrote more than 1048576 bytes",
        ),
        (
            "garbage",
            "head -c 5000 /dev/urandom".to_owned(),
            "its output is not that of ssh -G",
        ),
        ("silent", String::new(), "its output is not that of ssh -G"),
        (
            "dies",
            format!("{ANSWERS}kill -9 $$"),
            "it ended with a signal",
        ),
        (
            "old",
            "echo 'usage: ssh [-1246]' >&2; exit 255".to_owned(),
            "it ended with status 255",
        ),
        ("missing", String::new(), "it cannot be started"),
    ] {
        let program = match name {
            "missing" => house.folder.path().join("nothing"),
            _ => house.script(name, &script),
        };
        let begun = Instant::now();
        let mut settings = house.ask(&program, "gpu1").await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(30), "{name}");
        let warning = settings.warnings.pop().unwrap();
        assert!(warning.contains(reason), "{name}: {warning}");
        assert_eq!(settings, expected, "{name}");
    }
}

#[tokio::test]
async fn an_ssh_that_does_not_work_is_left_alone_for_a_while() {
    let house = House::new();
    let runs = house.folder.path().join("runs");
    let count = || std::fs::read_to_string(&runs).unwrap().lines().count();
    let note = format!("echo run >> {}\n", runs.display());

    let dead = house.script("dead", &format!("{note}exit 1"));
    let first = house.ask(&dead, "gpu1").await.unwrap();
    assert_eq!(first.warnings.len(), 1);
    assert_eq!(house.ask(&dead, "gpu1").await.unwrap(), first);
    // Without any file it fails for every host.
    house.ask(&dead, "gpu2").await.unwrap();
    assert_eq!(count(), 1);

    // Only what it says about this host is missing.
    let half = house.script("half", &format!("{note}{ANSWERS}exit 1"));
    let first = house.ask(&half, "gpu1").await.unwrap();
    assert_eq!(first.warnings.len(), 1);
    assert_eq!(house.ask(&half, "gpu1").await.unwrap(), first);
    assert_eq!(count(), 3);
    house.ask(&half, "gpu2").await.unwrap();
    assert_eq!(count(), 4);
}

#[tokio::test]
async fn what_an_ssh_says_as_it_refuses_is_passed_on_in_safe_form() {
    let house = House::new();
    let script = format!("{ANSWERS}printf 'line 1\\033[31m\\r\\nline 2\\n' >&2; exit 255");
    let problem = house.ask(&house.script("ssh", &script), "gpu1").await;
    let expected = "line 1\\u{1b}[31m; line 2".to_owned();
    assert_eq!(problem, Err(Problem::Refused(expected)));
}

#[tokio::test]
async fn a_grandchild_that_keeps_the_pipe_does_not_hold_us_up() {
    let house = House::new();
    let program = house.script(
        "ssh",
        &format!("{ANSWERS}sleep 60 &\nprintf 'user me\\nhostname far\\nport 7\\n'"),
    );
    let begun = Instant::now();
    let settings = house.ask(&program, "gpu1").await.unwrap();
    assert_eq!((settings.host_name.as_str(), settings.port), ("far", 7));
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn aliases_are_the_names_that_one_can_type() {
    let house = House::new();
    house.write("home/.ssh/more", "Host inner gpu1\nHost in*\n");
    house.write("system", "Host sys\n");
    house.write(
        "home/.ssh/config",
        "Host gpu1 gpu2 *.lab !x\nInclude more\nHost \"a b\" gpu2 gpu3\nMatch host y\nNonsense\n\
         host=gpu4\nInclude config\n",
    );
    assert_eq!(
        aliases(&house.environment).await.unwrap(),
        ["gpu1", "gpu2", "inner", "gpu3", "gpu4", "sys"]
    );
}

#[test]
fn a_pasted_block_is_read_without_any_file() {
    let house = House::new();
    house.write("home/.ssh/more", "Port 9\n");
    house.write("home/.ssh/config", "Port 9\n");
    let text = "Host *\r\n  User everyone\r\nInclude more\r\nMatch exec \"exit 0\"\r\n  Port 8\r\n\
                Host gpu1 gpu2\r\n  HostName 10.0.0.7\r\n  Port 2222\r\n  IdentityFile ~/k\r\n  \
                ProxyJump a@gw\r\n  StrictHostKeyChecking no\r\n";
    let block = parse_block(text, &house.environment).unwrap();
    assert_eq!(block.alias, "gpu1");
    let settings = block.settings;
    assert_eq!(settings.host_name, "10.0.0.7");
    assert_eq!(
        (settings.port, settings.user.as_deref()),
        (2222, Some("everyone"))
    );
    assert_eq!(settings.identity_files, Some(vec![house.home("k")]));
    assert_eq!(settings.proxy_jump.len(), 1);
    assert_eq!(
        settings.strict_host_key_checking,
        Some(StrictHostKeyChecking::No)
    );
    assert_eq!(settings.warnings.len(), 1);
    let no_host = parse_block("Host *\nPort 1\n", &house.environment);
    assert_eq!(no_host, Err(Problem::NoHost));
    let bad = parse_block("Host a\nPort x\n", &house.environment).unwrap_err();
    assert_eq!(bad.to_string(), "text:2: Port cannot be \"x\"");
}
