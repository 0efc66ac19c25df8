//! The program: what the daemon needs from its surroundings is read here, and nowhere else.

mod cli;
mod terminal;

#[cfg(unix)]
use std::os::fd::AsFd as _;
#[cfg(windows)]
use std::os::windows::io::AsHandle as _;
use std::{
    fs::File,
    io::{self, Write as _},
    panic::PanicHookInfo,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Parser as _;
use cli::{AuditCommand, Cli, Command, Doctor, Serve};
use puffin_remote_llm::daemon::{
    self, Ending, Environment, LocalUser, LogTap,
    doctor::{self, Examination},
};
use terminal::Terminal;
use tokio_util::sync::CancellationToken;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt as _, prelude::*};

/// Threads that read and write files and look names up. Not tokio's 512: a thousand prompts at
/// once, each of which reads its profile, would have them all.
const FILE_THREADS: usize = 32;

/// One worker does all that never waits. A token wakes a chain of tasks, and to hand each of them to
/// another thread costs several times what they do; what takes long is done aside.
const WORKERS: usize = 1;

/// Lets debuggers, and tests that count descriptors, look into the daemon.
#[cfg(target_os = "linux")]
const DEBUGGABLE: &str = "PUFFIN_REMOTE_LLM_DEBUGGABLE";

fn main() -> ExitCode {
    #[cfg(unix)]
    if let Some(socket) = std::env::var_os(daemon::ASKPASS) {
        return pass_on(Path::new(&socket));
    }
    let cli = Cli::parse();
    match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(options) => serve(&options),
        Command::Schema => print_schema(),
        Command::Doctor(options) => examine(options),
        Command::Audit(AuditCommand::Verify { file }) => verify(&file),
    }
}

#[expect(clippy::print_stderr, reason = "for people; it never serves")]
fn examine(options: Doctor) -> ExitCode {
    let tap = LogTap::default();
    install_logging(None, &tap);
    keep_memory_private();
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let environment = environment();
    let wanted = Examination {
        target: options.target,
        endpoint: options.endpoint,
        project: std::path::absolute(options.project.unwrap_or_else(|| ".".into())).ok(),
        data_dir: options
            .data_dir
            .and_then(|data_dir| std::path::absolute(data_dir).ok()),
    };
    let work = doctor::examine(wanted, environment.clone(), tap, Terminal::open());
    let findings = match runtime.block_on(work) {
        Ok(findings) => findings,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let told = match options.json {
        true => say(format_args!("{:#}", findings.json())),
        false => say(findings.table().trim_end()),
    };
    if let Some(path) = options.bundle {
        let bundle = format!("{:#}\n", findings.bundle(&environment));
        if let Err(error) = write_new(&path, &bundle) {
            eprintln!("{} was not written: {error}", path.display());
            return ExitCode::FAILURE;
        }
        eprintln!(
            "{} is written. Read it before you send it to anybody.",
            path.display()
        );
    }
    ExitCode::from(u8::from(!(told && findings.success())))
}

/// Standard output as the host gave it, without the buffer of std's.
fn output() -> io::Result<File> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that hands stdout over"
    )]
    let output = io::stdout();
    #[cfg(unix)]
    let owned = output.as_fd().try_clone_to_owned()?;
    #[cfg(windows)]
    let owned = output.as_handle().try_clone_to_owned()?;
    Ok(owned.into())
}

/// Writes a file for its owner only; one that is there stays as it is.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .max_blocking_threads(FILE_THREADS)
        .build()
}

#[expect(clippy::print_stderr, reason = "for people; it never serves")]
fn verify(file: &Path) -> ExitCode {
    let verified = std::fs::File::open(file)
        .map_err(Into::into)
        .and_then(|file| daemon::verify_audit(std::io::BufReader::new(file)));
    match verified {
        Ok(verified) => {
            let mut text = format!("{}: {} records, unbroken", file.display(), verified.records);
            if verified.dropped > 0 {
                text.push_str(&format!("\n{} more could not be written", verified.dropped));
            }
            ExitCode::from(u8::from(!say(text)))
        }
        Err(broken) => {
            eprintln!("{}: {broken}", file.display());
            ExitCode::FAILURE
        }
    }
}

fn print_schema() -> ExitCode {
    let schema = puffin_remote_llm::protocol::schema::document();
    ExitCode::from(u8::from(!say(format_args!("{schema:#}"))))
}

/// Prints a text; whether that worked. A reader that has had enough, as `head` has, is no failure.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "for commands for people, which never serve"
)]
fn say(text: impl std::fmt::Display) -> bool {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("cannot print: {error}");
            false
        }
        _ => true,
    }
}

/// `ssh` has started this program to ask something (SSH_ASKPASS): its only argument is the
/// question, and what is printed is the answer.
#[cfg(unix)]
#[expect(clippy::print_stdout, reason = "it is what ssh reads")]
fn pass_on(socket: &Path) -> ExitCode {
    // Set where ssh only shows something, or wants a yes that nobody gives for others.
    if std::env::var_os("SSH_ASKPASS_PROMPT").is_some() {
        return ExitCode::FAILURE;
    }
    let question = std::env::args().nth(1).unwrap_or_default();
    match daemon::ask_through(socket, &question) {
        Ok(Some(answer)) => {
            use secrecy::ExposeSecret as _;
            println!("{}", answer.expose_secret());
            ExitCode::SUCCESS
        }
        Ok(None) | Err(_) => ExitCode::FAILURE,
    }
}

fn serve(options: &Serve) -> ExitCode {
    let tap = LogTap::default();
    install_logging(options.log, &tap);
    std::panic::set_hook(Box::new(log_panic));
    keep_memory_private();
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let output = match output() {
        Ok(output) => output,
        Err(error) => {
            tracing::error!("cannot write to the host: {error}");
            return ExitCode::FAILURE;
        }
    };
    let end = runtime.block_on(async {
        let ending = Ending::default();
        tokio::spawn(stop_on_signal(ending.stop.clone()));
        tokio::spawn(notice_parent_s_end(ending.orphaned.clone()));
        notice_reader_s_end(ending.orphaned.clone());
        daemon::serve(io::stdin(), output, environment(), tap, ending).await
    });
    tracing::info!(?end, "ended");
    // What still runs has had its time. The stdin thread cannot be joined: its read may
    // never return.
    runtime.shutdown_timeout(Duration::from_millis(100));
    ExitCode::SUCCESS
}

fn environment() -> Environment {
    let directories = directories::BaseDirs::new();
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let mut local_user = account();
    if local_user.name.is_none() {
        local_user.name = ["USER", "LOGNAME", "USERNAME"]
            .into_iter()
            .find_map(variable)
            .and_then(|name| name.into_string().ok());
    }
    Environment {
        home: directories.as_ref().map(|base| base.home_dir().to_owned()),
        data_dir: directories.map(|base| base.data_dir().join("puffin")),
        local_user,
        host_name: host_name(),
        shell: variable("SHELL").map(PathBuf::from),
        ssh_program: find_program(if cfg!(windows) { "ssh.exe" } else { "ssh" }),
        own_program: std::env::current_exe().ok(),
        ssh_auth_sock: variable("SSH_AUTH_SOCK").map(PathBuf::from),
        temporary: std::env::temp_dir(),
        variables: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
    }
}

/// The account of this process, which is what OpenSSH goes by.
#[cfg(unix)]
fn account() -> LocalUser {
    let id = nix::unistd::getuid();
    let user = nix::unistd::User::from_uid(id).ok().flatten();
    LocalUser {
        id: Some(id.to_string()),
        name: user.as_ref().map(|user| user.name.clone()),
        home: user.map(|user| user.dir),
    }
}

#[cfg(not(unix))]
fn account() -> LocalUser {
    LocalUser::default()
}

#[cfg(unix)]
fn host_name() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_default()
}

#[cfg(not(unix))]
fn host_name() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_default()
}

/// The first program of this name on the search path.
fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|program| is_executable(program))
}

#[cfg(unix)]
fn is_executable(program: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(program)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(program: &Path) -> bool {
    program.is_file()
}

/// Our own lines only: what other crates log may hold payloads.
fn install_logging(level: Option<LevelFilter>, tap: &LogTap) {
    let level = level
        .or_else(|| std::env::var("PUFFIN_REMOTE_LLM_LOG").ok()?.parse().ok())
        .unwrap_or(LevelFilter::WARN);
    let ours = |level| Targets::new().with_target("puffin_remote_llm", level);
    let stderr = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_filter(ours(level));
    let tap = tap.clone().with_filter(ours(LevelFilter::TRACE));
    // A second subscriber cannot be there: this is the only call.
    let _ = tracing::subscriber::set_global_default(
        tracing_subscriber::registry().with(stderr).with(tap),
    );
}

/// Where, never what: a panic's text may quote data.
fn log_panic(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(%place, "internal error");
}

/// Secrets are in memory while they are used: no crash writes it down, here or in what is started
/// from here, and no other program of the user looks into it.
#[cfg(unix)]
fn keep_memory_private() {
    use nix::sys::resource::{Resource, setrlimit};
    if let Err(error) = setrlimit(Resource::RLIMIT_CORE, 0, 0) {
        tracing::warn!(%error, "a crash may write this program's memory into a file");
    }
    // Where the system pipes cores to a program, it does not ask for the limit.
    #[cfg(target_os = "linux")]
    if std::env::var_os(DEBUGGABLE).is_none()
        && let Err(error) = nix::sys::prctl::set_dumpable(false)
    {
        tracing::warn!(%error, "other programs of this user can look into this one's memory");
    }
}

#[cfg(not(unix))]
fn keep_memory_private() {}

#[cfg(unix)]
async fn stop_on_signal(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
        signal(SignalKind::hangup()),
    ) else {
        tracing::warn!(
            "cannot listen for signals; only the end of standard input stops the daemon"
        );
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hangup.recv() => {}
    }
    stop.cancel();
}

#[cfg(not(unix))]
async fn stop_on_signal(stop: CancellationToken) {
    if tokio::signal::ctrl_c().await.is_ok() {
        stop.cancel();
    }
}

/// A host that dies closes the other end of our standard output. That shows before anything is
/// written, and where another process has inherited our standard input's other end.
#[cfg(unix)]
fn notice_reader_s_end(orphaned: CancellationToken) {
    use std::os::fd::AsFd as _;

    use nix::{
        errno::Errno,
        poll::{PollFd, PollFlags, PollTimeout, poll},
    };

    let watch = move || {
        #[expect(
            clippy::disallowed_methods,
            reason = "only looked at, never written to"
        )]
        let output = io::stdout();
        // Nothing is asked for: what is reported without is an error or a hang-up.
        let mut watched = [PollFd::new(output.as_fd(), PollFlags::empty())];
        while poll(&mut watched, PollTimeout::NONE) == Err(Errno::EINTR) {}
        orphaned.cancel();
    };
    // Never joined. Without it the next write tells.
    if let Err(error) = std::thread::Builder::new()
        .name("stdout-end".into())
        .spawn(watch)
    {
        tracing::warn!("cannot watch for the host's end: {error}");
    }
}

#[cfg(not(unix))]
fn notice_reader_s_end(_: CancellationToken) {}

/// Both pipes may have other ends in other processes, and a host that died does not close them.
/// Then the daemon's parent changes.
#[cfg(unix)]
async fn notice_parent_s_end(orphaned: CancellationToken) {
    let parent = std::os::unix::process::parent_id();
    let mut second = tokio::time::interval(Duration::from_secs(1));
    while std::os::unix::process::parent_id() == parent {
        second.tick().await;
    }
    orphaned.cancel();
}

#[cfg(not(unix))]
async fn notice_parent_s_end(_: CancellationToken) {}
