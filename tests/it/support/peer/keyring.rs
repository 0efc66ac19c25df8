//! GNOME's keyring, as the Secret Service of a session of its own: a message bus, and nobody there
//! who could be asked for a password.

use std::{env, fs, os::unix::fs::PermissionsExt as _, process::Command};

use tempfile::TempDir;

use super::{find, installed, process::Process, run};
use crate::support::daemon::Launch;

/// Ok if a keyring can be started here.
pub(crate) fn available() -> Result<(), String> {
    installed(&[
        "gnome-keyring-daemon",
        "dbus-daemon",
        "dbus-send",
        "secret-tool",
        "setpriv",
    ])
}

const PASSWORD: &str = "auks sit on rocks";

/// A session with a keyring that is unlocked.
pub(crate) struct Keyring {
    daemon: Option<Process>,
    _bus: Process,
    folder: TempDir,
}

impl Keyring {
    pub(crate) fn start() -> Self {
        let folder = TempDir::with_prefix("puffin-keyring-").expect("a folder");
        let path = folder.path();
        for part in ["home", "run"] {
            let part = path.join(part);
            fs::create_dir(&part).expect("a folder");
            fs::set_permissions(&part, fs::Permissions::from_mode(0o700)).expect("permissions");
        }
        // Without the machine's services: none is started that a test does not start.
        let config = path.join("bus.conf");
        fs::write(
            &config,
            format!(
                "<busconfig><type>session</type><listen>{}</listen><auth>EXTERNAL</auth>\
                 <policy context=\"default\"><allow send_destination=\"*\"/><allow eavesdrop=\"true\"/>\
                 <allow own=\"*\"/></policy></busconfig>",
                address(&folder)
            ),
        )
        .expect("a configuration");
        let mut bus = Command::new(find("dbus-daemon").expect("dbus-daemon"));
        bus.args(["--nofork", "--nopidfile", "--config-file"]);
        bus.arg(&config);
        let socket = path.join("run/bus");
        let answers = || std::os::unix::net::UnixStream::connect(&socket).is_ok();
        let mut keyring = Self {
            _bus: Process::start(&path.join("bus.log"), bus, answers),
            daemon: None,
            folder,
        };
        keyring.begin();
        keyring
    }

    /// Starts the daemon, with the keyring unlocked as by a login.
    pub(crate) fn begin(&mut self) {
        let mut command = self.in_session("sh");
        let script = r#"printf %s "$1" | exec "$2" --foreground --unlock --components=secrets \
            --control-directory="$3""#;
        command.args(["-c", script, "sh", PASSWORD]);
        command.arg(find("gnome-keyring-daemon").expect("gnome-keyring-daemon"));
        command.arg(self.folder.path().join("run/keyring"));
        let log = self.folder.path().join("keyring.log");
        let is_open = || {
            let ask = ["ReadAlias", "string:default"];
            let told = self.service(&ask).output().expect("dbus-send starts");
            String::from_utf8_lossy(&told.stdout).contains("/collection/")
        };
        self.daemon = Some(Process::start(&log, command, is_open));
    }

    /// Kills the daemon; the bus stays.
    pub(crate) fn kill(&mut self) {
        self.daemon = None;
    }

    /// Locks what is in it. There is nobody who could unlock it.
    pub(crate) fn lock(&self) {
        let login = "array:objpath:/org/freedesktop/secrets/collection/login";
        run(&mut self.service(&["Lock", login]));
    }

    /// The names of our entries, as another program sees them.
    pub(crate) fn entries(&self) -> Vec<String> {
        let mut found = self.secret_tool(&["search", "--all", "service", "puffin-remote-llm"]);
        // It writes attributes to stderr, or to stdout; and fails where there are none.
        let found = found.output().expect("secret-tool starts");
        let text = [found.stdout, found.stderr].concat();
        let text = String::from_utf8(text).expect("UTF-8");
        let names = text.lines().filter_map(|line| {
            let name = line.strip_prefix("attribute.username = ")?;
            Some(name.to_owned())
        });
        names.collect()
    }

    /// What is in an entry.
    pub(crate) fn secret(&self, entry: &str) -> String {
        run(&mut self.secret_tool(&["lookup", "username", entry]))
    }

    /// Puts something else into an entry.
    pub(crate) fn overwrite(&self, entry: &str, secret: &str) {
        let mut command = self.in_session("sh");
        let script = r#"printf %s "$1" | exec secret-tool store --label=other \
            service puffin-remote-llm username "$2""#;
        run(command.args(["-c", script, "sh", secret, entry]));
    }

    /// Removes an entry.
    pub(crate) fn remove(&self, entry: &str) {
        run(&mut self.secret_tool(&["clear", "username", entry]));
    }

    /// A daemon of this session.
    pub(crate) fn around(&self, launch: Launch) -> Launch {
        launch.environment("DBUS_SESSION_BUS_ADDRESS", &address(&self.folder))
    }

    fn secret_tool(&self, arguments: &[&str]) -> Command {
        let mut command = self.in_session("secret-tool");
        command.args(arguments);
        command
    }

    fn service(&self, call: &[&str]) -> Command {
        let (method, arguments) = call.split_first().expect("a method");
        let mut command = self.in_session("dbus-send");
        command.args([
            "--session",
            "--print-reply",
            "--dest=org.freedesktop.secrets",
        ]);
        command.arg("/org/freedesktop/secrets");
        command.arg(format!("org.freedesktop.Secret.Service.{method}"));
        command.args(arguments);
        command
    }

    /// A program with nothing of this machine's user around it.
    fn in_session(&self, program: &str) -> Command {
        let path = self.folder.path();
        let mut command = Command::new("env");
        command
            .arg("-i")
            .arg(format!("PATH={}", env::var("PATH").unwrap_or_default()));
        command.arg(format!("HOME={}", path.join("home").display()));
        command.arg(format!("XDG_RUNTIME_DIR={}", path.join("run").display()));
        command.arg(format!(
            "DBUS_SESSION_BUS_ADDRESS={}",
            address(&self.folder)
        ));
        command.arg(program);
        command
    }
}

fn address(folder: &TempDir) -> String {
    format!("unix:path={}", folder.path().join("run/bus").display())
}
