//! A daemon whose host can be killed: the host is a process of its own, which only holds the
//! other ends of the daemon's pipes, while the test speaks through them.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio::process::Command;

use super::{Daemon, Input, Launch, PATIENCE, binary};
use crate::support::processes::{kill, wait_gone};

/// `sleep` is what is left of the host: with both pipes, and as the daemon's parent.
const HOST: &str = r#"mkfifo in out && exec 3<>in 4<>out && { "$@" <in >out 3>&- 4>&- & } &&
                      echo $! && exec sleep 600"#;

impl Daemon {
    /// Spawns a daemon with such a host and says nothing to it.
    pub(crate) async fn with_mortal_host(launch: &Launch) -> Self {
        let folder = tempfile::TempDir::with_prefix_in("host-", &launch.home).expect("a folder");
        // The daemon may open its pipes after this has returned; the home is deleted anyway.
        let folder = folder.keep();
        let mut host = launch.command_of(Path::new("sh"));
        host.args(["-c", HOST, "sh"])
            .arg(binary())
            .args(&launch.arguments)
            .current_dir(&folder)
            .stdin(Stdio::null());
        let mut host = Command::from(host)
            .kill_on_drop(true)
            .spawn()
            .expect("sh starts");
        let mut line = String::new();
        let mut said = BufReader::new(host.stdout.take().expect("piped"));
        tokio::time::timeout(PATIENCE, said.read_line(&mut line))
            .await
            .expect("sh is quick")
            .expect("a line");
        let pid = line.trim().parse().expect("the daemon's pid");
        let pipes = pipe::OpenOptions::new();
        let stdin = pipes.open_sender(folder.join("in"));
        let stdout = pipes.open_receiver(folder.join("out"));
        Self::over(host, pid, stdin.expect("a pipe"), stdout.expect("a pipe"))
    }

    /// Kills the host, which was the only one to hold the pipes; returns how long the daemon and
    /// its children were still there after that.
    pub(crate) async fn outlives_its_host(mut self, limit: Duration) -> Duration {
        self.leave_stdin().await;
        self.leave_stdout().await;
        self.kill_host_and_wait(limit).await
    }

    /// The same where somebody else still holds the pipes: the test does.
    pub(crate) async fn outlives_its_host_on_held_pipes(mut self, limit: Duration) -> Duration {
        self.kill_host_and_wait(limit).await
    }

    /// The same where somebody else still holds the daemon's standard input.
    pub(crate) async fn outlives_its_host_on_held_stdin(mut self, limit: Duration) -> Duration {
        self.leave_stdout().await;
        self.kill_host_and_wait(limit).await
    }

    async fn leave_stdin(&self) {
        let _sent = self.input.send(Input::Close).await;
        self.input.closed().await;
    }

    async fn leave_stdout(&mut self) {
        self.ears.abort();
        // Ends in an error, as asked.
        let _aborted = (&mut self.ears).await;
    }

    async fn kill_host_and_wait(&mut self, limit: Duration) -> Duration {
        let mut family = self.children();
        family.push(self.pid);
        let host = self.child.id().expect("the host lives");
        let begun = Instant::now();
        kill(&[host]);
        wait_gone(&family, limit).await;
        begun.elapsed()
    }
}
