//! The connection: one `ssh -N` that serves a control socket, and is watched
//! until its end.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::{oneshot, watch};

use super::command::Asking;
use super::desk::{Desk, Outcome};
use super::words::{self, Step};
use super::{MULTIPLEXING, ProcessIo, askpass, command, stream};
use crate::ssh::auth::LoggedIn;
use crate::ssh::child::{Child, Lines, Logged, Pipes};
use crate::ssh::clock::{Clock, Expired};
use crate::ssh::error::{Cause, HostKeyInfo, Place};
use crate::ssh::link::Link;
use crate::ssh::observe::Stage;
use crate::ssh::prompt::Prompter;
use crate::ssh::session::Session;
use crate::ssh::stages::Stages;
use crate::ssh::target::{Destination, Environment, Target};

/// How many of its last lines are kept.
const MAX_MESSAGES: usize = 16;

/// Ends `ssh` when we end, also when we are killed and can end nothing any more: the
/// shell waits at a pipe that nobody else holds, and `ssh -N` itself would read none.
/// `$0` is the directory of the socket.
const ENDS_WITH_US: &str = "\"$@\" </dev/null & exec >/dev/null 2>&1; read -r _; kill $!; wait $!; rm -f \"$0/q\"; rmdir \"$0\"";

/// What makes streams: the running master, or the way to sign in for each of them.
#[derive(Debug)]
pub(in crate::ssh) struct Master {
    program: PathBuf,
    way: Way,
    /// The master's last word about a stream that was not opened.
    refusals: watch::Receiver<Option<String>>,
}

#[derive(Debug)]
enum Way {
    /// Through this socket.
    Socket(PathBuf),
    /// Each on its own.
    Alone(Box<Target>, Arc<Environment>),
}

/// What the master said about its sign-in.
struct SignedIn {
    method: String,
    host_key: Option<HostKeyInfo>,
}

impl Master {
    /// Starts `ssh` and waits until it is signed in. It ends with `link`, and `link` with it.
    pub(in crate::ssh) async fn connect(
        target: &Target,
        environment: &Arc<Environment>,
        prompter: &Arc<dyn Prompter>,
        stages: &Arc<Stages>,
        link: &Arc<Link>,
    ) -> Result<(Self, LoggedIn), Cause> {
        stages.skip(Stage::Resolve, "left to the system's ssh");
        let Some(program) = environment.ssh_program.clone() else {
            stages.begin(Stage::Tcp);
            return Err(Cause::NoSystemSsh);
        };
        let (refused, refusals) = watch::channel(None);
        if !MULTIPLEXING {
            tokio::spawn(end_when_asked(link.clone()));
            let way = Way::Alone(Box::new(target.clone()), environment.clone());
            let login = LoggedIn {
                method: "by the system's ssh, for each stream".to_owned(),
                silent: true,
                notes: Vec::new(),
            };
            let master = Self {
                program,
                way,
                refusals,
            };
            return Ok((master, login));
        }
        let not_started = |source| Cause::SystemNotStarted {
            source: Arc::new(source),
        };
        let directory = tempfile::Builder::new()
            .prefix("puffin-")
            .tempdir_in(&environment.temporary)
            .map_err(not_started)?;
        let socket = directory.path().join("s");
        let clock = Clock::start(connect_timeout(target));
        let outcome = Arc::new(Outcome::default());
        let mut ssh = Command::new("/bin/sh");
        ssh.arg("-c").arg(ENDS_WITH_US).arg(directory.path());
        ssh.arg(&program);
        let desk = (prompter.can_answer() && environment.own_program.is_some()).then(|| Desk {
            place: Place::clone(&link.place),
            link: link.clone(),
            hops: target.hops.clone(),
            environment: environment.clone(),
            prompter: prompter.clone(),
            clock: clock.clone(),
            outcome: outcome.clone(),
        });
        let asking = if desk.is_some() {
            Asking::APerson
        } else {
            Asking::Nobody
        };
        let attended = desk
            .map(|desk| askpass::attend(&mut ssh, directory.path(), desk))
            .transpose()
            .map_err(not_started)?;
        ssh.args(command::master(target, environment, &socket, asking));
        let mut child = Child::start(ssh, true).map_err(not_started)?;
        let pipes = child.pipes().map_err(not_started)?;
        stages.begin(Stage::Tcp);
        let (ready, signed_in) = oneshot::channel();
        let watch = Watch {
            link: link.clone(),
            stages: stages.clone(),
            messages: VecDeque::new(),
            method: None,
            host_key: None,
            ready: Some(ready),
            refused,
            logged: Logged::default(),
        };
        tokio::spawn(watch.run(child, pipes, directory));
        let signed_in = clock
            .run(clock.total(), signed_in)
            .await
            .map_err(|expired| match expired {
                Expired::Phase(after) | Expired::Total(after) => Cause::ConnectTimeout { after },
            })?
            .map_err(|_| outcome.failure().unwrap_or_else(|| link.cause()))?;
        drop(attended);
        if let Some(key) = signed_in.host_key {
            let _ = link.host_key.set(key);
        }
        let master = Self {
            program,
            way: Way::Socket(socket),
            refusals,
        };
        let login = LoggedIn {
            method: signed_in.method,
            silent: !outcome.was_asked(),
            notes: Vec::new(),
        };
        Ok((master, login))
    }

    /// Opens a stream, however long that takes. Not to a Unix socket: an `ssh` that does
    /// not know such a `-W` (before OpenSSH 9.4) would start the account's shell instead.
    pub(in crate::ssh) async fn open(
        &self,
        to: &Destination,
        session: Session,
    ) -> Result<ProcessIo, Cause> {
        if let Destination::Unix { .. } = to {
            return Err(Cause::SystemUnixSocket {
                destination: to.clone(),
            });
        }
        let (stream, check) = match &self.way {
            Way::Socket(socket) => (
                command::stream(socket, to),
                Some(self.ssh(command::check(socket))),
            ),
            Way::Alone(target, environment) => {
                (command::lone_stream(target, environment, to), None)
            }
        };
        let refusals = self.refusals.clone();
        stream::open(self.ssh(stream), check, to, refusals, session).await
    }

    fn ssh(&self, arguments: Vec<String>) -> Command {
        let mut ssh = Command::new(&self.program);
        ssh.args(arguments);
        ssh
    }
}

fn connect_timeout(target: &Target) -> Duration {
    let last = target.hops.last();
    last.map_or(Duration::ZERO, |hop| hop.connect_timeout)
}

/// Listens to the master, and tells the connection of its end.
struct Watch {
    link: Arc<Link>,
    stages: Arc<Stages>,
    messages: VecDeque<String>,
    method: Option<String>,
    host_key: Option<HostKeyInfo>,
    ready: Option<oneshot::Sender<SignedIn>>,
    refused: watch::Sender<Option<String>>,
    logged: Logged,
}

impl Watch {
    async fn run(mut self, mut child: Child, pipes: Pipes, directory: TempDir) {
        let link = self.link.clone();
        let _dead = link.dead.clone().drop_guard();
        let _over = link.over.clone().drop_guard();
        let cause = tokio::select! {
            biased;
            () = link.closing.cancelled() => Cause::Closed,
            () = link.cut.cancelled() => Cause::Closed,
            cause = self.listen(&mut child, pipes) => cause,
        };
        link.end(cause);
        // Hung up, it says goodbye to the server.
        drop(child);
        // Before anybody hears of the end: the process may end right after.
        drop(directory);
    }

    async fn listen(&mut self, child: &mut Child, pipes: Pipes) -> Cause {
        let (mut said, mut answered) = (Lines::new(pipes.complaints), Lines::new(pipes.output));
        let mut answers = true;
        loop {
            tokio::select! {
                biased;
                line = said.next() => match line {
                    Some(line) => self.hear(line),
                    None => break,
                },
                line = answered.next(), if answers => match line.as_deref() {
                    Some(command::CONNECTED) => self.connected(),
                    Some(_) => {}
                    None => answers = false,
                },
            }
        }
        // The shell that started it waits for our end, or for this.
        drop(pipes.input);
        // Its end is what counts; the status is always 255.
        let _ = child.wait().await;
        let messages: Vec<_> = std::mem::take(&mut self.messages).into();
        if messages.is_empty() && self.ready.is_none() {
            return Cause::Disconnected { message: None };
        }
        words::failure(&messages)
    }

    fn hear(&mut self, line: String) {
        match words::step(&line) {
            Some(Step::Reached) => {
                self.stages.pass("by the system's ssh");
                self.stages.begin(Stage::SshHandshake);
            }
            Some(Step::HostKey {
                key_type,
                fingerprint,
            }) => {
                self.stages.pass("keys exchanged");
                self.stages.begin(Stage::HostKey);
                self.host_key = Some(HostKeyInfo {
                    key_type,
                    fingerprint,
                    bits: 0,
                });
            }
            Some(Step::Trusted) => {
                // Said again at every rekey.
                if self.ready.is_some()
                    && let Some(key) = &self.host_key
                {
                    self.stages.pass(&format!(
                        "{} {} (known to the system's ssh)",
                        key.key_type, key.fingerprint
                    ));
                    self.stages.begin(Stage::Auth);
                }
            }
            Some(Step::SignedIn(method)) => self.method = Some(method),
            Some(Step::Opened) | None => {}
        }
        // Before the sign-in it is the way there that was refused, by a jump host.
        if self.ready.is_none() && words::is_refusal(&line) {
            let line = self.link.confided.clean(&line);
            self.refused.send_replace(Some(line));
        } else if words::is_message(&line) {
            let line = self.link.confided.clean(&line);
            self.logged.log(&self.link.place.host, "ssh", &line);
            if self.messages.len() == MAX_MESSAGES {
                self.messages.pop_front();
            }
            self.messages.push_back(line);
        }
    }

    fn connected(&mut self) {
        let method = self.method.take().map_or_else(
            || "system".to_owned(),
            |method| format!("{method}, by the system's ssh"),
        );
        self.stages.pass(&method);
        // What it warned of until now did not matter.
        self.messages.clear();
        if let Some(ready) = self.ready.take() {
            let host_key = self.host_key.take();
            // Nobody waits any more: the link's end is coming.
            let _ = ready.send(SignedIn { method, host_key });
        }
    }
}

/// Where there is no master, only we end the connection.
async fn end_when_asked(link: Arc<Link>) {
    let _over = link.over.clone().drop_guard();
    tokio::select! {
        () = link.closing.cancelled() => {}
        () = link.cut.cancelled() => {}
    }
    link.end(Cause::Closed);
    link.dead.cancel();
}
