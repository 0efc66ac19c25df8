//! Connections through proxy commands.

use super::server::{Script, Server};
use super::*;

impl Fixture {
    /// Through `command`, with `@` for the server's port.
    fn proxied(&self, server: &Server, command: &str) -> Target {
        self.trust(server);
        let mut target = self.target(server);
        let port = server.address.port().to_string();
        target.hops[0].proxy_command = Some(command.replace('@', &port));
        target
    }
}

/// Bash alone can be a TCP client.
const RELAY: &str = "bash -c 'exec 3<>/dev/tcp/127.0.0.1/@; echo \"relaying, pid $$\" >&2; \
                     cat <&3 & cat >&3'";

#[tokio::test]
async fn a_connection_through_a_proxy_command_works_and_its_end_ends_the_command() {
    let server = Server::start(Script::default()).await;
    let fixture = Fixture::new();
    let pid_file = fixture.directory.path().join("pid");
    let command = format!("bash -c 'echo $$ >{}; {}", pid_file.display(), &RELAY[9..]);
    let target = fixture.proxied(&server, &command);
    let recording = Arc::new(Recording::default());
    let environment = fixture.environment.clone();
    let session = soon(connect(
        &target,
        environment,
        Arc::new(NoPrompter),
        recording.clone(),
    ))
    .await
    .unwrap();
    assert_eq!(
        recording.told()[..3],
        ["0 Resolve skipped", "0 Tcp started", "0 Tcp passed"]
    );
    let stream = soon(session.open(somewhere())).await.unwrap();
    drop(stream);

    let pid = std::fs::read_to_string(pid_file).unwrap();
    let process = PathBuf::from(format!("/proc/{}", pid.trim()));
    assert!(process.exists());
    soon(session.close()).await;
    soon(async {
        while process.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_proxy_command_that_fails_is_reported_with_what_it_said() {
    let server = Server::start(Script::default()).await;
    let fixture = Fixture::new();
    let target = fixture.proxied(
        &server,
        "sh -c 'echo first >&2; echo \"no route\" >&2; exit 7'",
    );
    let error = soon(fixture.connect(&target)).await.unwrap_err();
    let Cause::ProxyCommandEnded { status, said } = &error.cause else {
        panic!("{error:?}");
    };
    assert_eq!(status.as_deref(), Some("exit status: 7"));
    assert_eq!(said.as_deref(), Some("no route"));
    assert!(error.is_transient());

    let target = fixture.proxied(&server, "/no/such/program");
    let error = soon(fixture.connect(&target)).await.unwrap_err();
    let Cause::ProxyCommandEnded { status, .. } = &error.cause else {
        panic!("{error:?}");
    };
    assert_eq!(status.as_deref(), Some("exit status: 127"));
}

#[tokio::test]
async fn a_proxy_command_that_leads_elsewhere_is_not_blamed() {
    let server = Server::start(Script::default()).await;
    let fixture = Fixture::new();
    let target = fixture.proxied(&server, "sh -c 'echo hello; exec sleep 60'");
    let error = soon(fixture.connect(&target)).await.unwrap_err();
    let Cause::ThroughProxyCommand { cause } = &error.cause else {
        panic!("{error:?}");
    };
    assert!(matches!(**cause, Cause::NotSsh { .. }), "{error:?}");
}

#[tokio::test]
async fn a_shell_that_is_not_there_is_an_error_of_its_own() {
    let server = Server::start(Script::default()).await;
    let mut fixture = Fixture::new();
    fixture.environment = Arc::new(Environment {
        shell: Some("/no/such/shell".into()),
        ..(*fixture.environment).clone()
    });
    let target = fixture.proxied(&server, RELAY);
    let error = soon(fixture.connect(&target)).await.unwrap_err();
    assert!(
        matches!(error.cause, Cause::ProxyCommandNotStarted { .. }),
        "{error:?}"
    );
}
