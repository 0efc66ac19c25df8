//! `test-connection`: the whole way, stage by stage, on a connection of its own.

mod progress;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    config::{self, LlmProfile, Profile},
    llm,
    protocol::{
        ApiType, ErrorObject, HostKey, Stage, StageName, StageState, StageStatus,
        TestConnectionParams, TestConnectionResult,
    },
    rpc::{Call, Outbound},
    ssh::{self, Observer, StageOutcome},
};

use self::progress::{Progress, Seen, stage_name};

use super::{
    super::{
        failure,
        host::HostPrompter,
        route::{Api, OneSession, destination, scene},
        state::Daemon,
        wire,
        workspace::Workspace,
    },
    cancellable,
};

/// What every hop goes through.
const SSH_STAGES: [StageName; 5] = [
    StageName::Resolve,
    StageName::Tcp,
    StageName::SshHandshake,
    StageName::HostKey,
    StageName::Auth,
];

/// What follows behind the last hop.
const API_STAGES: [StageName; 5] = [
    StageName::Forward,
    StageName::Tls,
    StageName::Http,
    StageName::Server,
    StageName::Models,
];

const AFTER_A_FAILURE: &str = "Not tried, because an earlier stage failed.";

pub(in crate::daemon) async fn test_connection(
    daemon: Arc<Daemon>,
    params: TestConnectionParams,
    call: Call,
) -> Result<TestConnectionResult, ErrorObject> {
    let workspace = daemon.workspace()?;
    let subject = subject(workspace, &params).await?;
    let told = params
        .request_id
        .map(|request_id| (daemon.outbound.clone(), request_id));
    cancellable(&call.token, async {
        Ok(run(workspace, subject, told).await.finish())
    })
    .await
}

/// Nobody knows what is in a vault that can't be read: what goes without it may be refused for that.
fn unreadable_vault(workspace: &Workspace) -> Option<String> {
    let status = workspace.store.secrets().vault()?.status();
    let problem = status.problem.filter(|_| status.vault_id.is_none())?;
    let told = failure::config(&config::Error::Vault(problem));
    Some(format!(
        "A password or key that may be in the vault was not used. {}",
        told.message
    ))
}

/// What is tested.
struct Subject {
    config_id: Option<String>,
    /// It is the saved profile as it stands, so what is found holds for it.
    saved: bool,
    plan: ssh::Plan,
    /// `None`: the SSH stages only.
    api: Option<Api>,
}

/// A saved profile, or the form's values over it: an absent secret is the saved one.
async fn subject(
    workspace: &Workspace,
    params: &TestConnectionParams,
) -> Result<Subject, ErrorObject> {
    let known = match &params.config_id {
        // Whatever the form says over it: a saved secret could go along.
        Some(config_id) => Some(workspace.trusted(config_id).await?),
        None => None,
    };
    let ssh = match (&params.ssh, &known) {
        (Some(ssh), known) => {
            wire::config::ssh_profile(ssh, known.as_ref().map(|known| &known.ssh))
        }
        (None, Some(known)) => known.ssh.clone(),
        (None, None) => {
            return Err(failure::invalid_params(
                "ssh",
                "Name a saved server in `configId`, or describe one in `ssh`.",
            ));
        }
    };
    let llm = match (&params.llm, &known) {
        (Some(llm), _) => Some(wire::config::llm_profile(llm, None)),
        (None, Some(known)) => Some(known.llm.clone()),
        (None, None) => None,
    };
    let has_api = llm.is_some();
    let profile = Profile {
        // Secrets of nobody are found under this name: it is no valid id.
        id: params.config_id.clone().unwrap_or_default(),
        name: "test".to_owned(),
        ssh,
        llm: llm.unwrap_or_else(|| LlmProfile {
            api_endpoint: "http://localhost".to_owned(),
            ..LlmProfile::default()
        }),
        ..Profile::default()
    };
    let checked = Profile {
        id: "test".to_owned(),
        ..profile.clone()
    };
    config::validate(&checked).map_err(|error| failure::config(&error))?;
    let changes = wire::config::changes(params.ssh.as_ref(), params.llm.as_ref());
    wire::source::check(&changes).map_err(|error| failure::config(&error))?;
    Ok(Subject {
        config_id: params.config_id.clone(),
        saved: params.ssh.is_none() && params.llm.is_none(),
        plan: workspace.plan(&profile, &changes)?,
        api: if has_api {
            Some(workspace.api(&profile, &changes)?)
        } else {
            None
        },
    })
}

impl Subject {
    /// Those that its endpoint has.
    fn api_stages(&self) -> Vec<StageName> {
        let is_tls = self.api.as_ref().is_some_and(|api| api.endpoint.is_tls());
        let mut stages = API_STAGES.to_vec();
        stages.retain(|&name| is_tls || name != StageName::Tls);
        stages
    }
}

/// `told`: the host, and its name for this test, if it wants to hear how far it is.
async fn run(
    workspace: &Arc<Workspace>,
    subject: Subject,
    told: Option<(Outbound, String)>,
) -> Report {
    let environment = Arc::clone(&workspace.ssh_environment);
    let mut report = Report::default();
    let begun = Instant::now();
    let ssh::Resolved { target, warnings } = match subject.plan.resolve(&environment).await {
        Ok(resolved) => resolved,
        Err(error) => {
            report.unresolved(begun.elapsed(), failure::ssh(&error), &subject.api_stages());
            return report;
        }
    };
    report.warnings = warnings;
    if subject.config_id.is_some() {
        report.warnings.extend(unreadable_vault(workspace));
    }
    let prompter = Arc::new(HostPrompter::new(
        Arc::clone(workspace),
        subject.config_id.clone(),
        &target,
    ));
    report.progress =
        told.map(|(outbound, request_id)| Progress::new(outbound, request_id, target.hops.len()));
    let seen = Arc::new(Seen::new(report.progress.clone()));
    let connected = ssh::connect(
        &target,
        environment,
        prompter,
        Arc::clone(&seen) as Arc<dyn Observer>,
    )
    .await;
    report.add_ssh(&target, &seen, connected.as_ref().err());
    let (Ok(session), Some(api)) = (&connected, &subject.api) else {
        let why = if connected.is_ok() {
            "Not tried, because no LLM server was given."
        } else {
            AFTER_A_FAILURE
        };
        for name in subject.api_stages() {
            report.skip(name, None, why);
        }
        return report;
    };
    report.auth_method = Some(session.auth_method().to_owned());
    report.warnings.extend_from_slice(session.notes());
    let key = session.host_key();
    report.host_key = Some(HostKey {
        key_type: key.key_type.clone(),
        fingerprint: key.fingerprint.clone(),
    });
    test_api(&mut report, session, &subject, api).await;
    session.close().await;
    if let (Some(config_id), Some(found)) = (&subject.config_id, &report.found)
        && subject.saved
    {
        let links = &workspace.links;
        links.discovered(config_id, found.clone(), session.lifetime());
    }
    report
}

async fn test_api(report: &mut Report, session: &ssh::Session, subject: &Subject, api: &Api) {
    let scene = scene(&subject.plan, api, None);
    let stages = subject.api_stages();
    let begun = Instant::now();
    match session.open(destination(api.endpoint.dial())).await {
        Ok(stream) => {
            drop(stream);
            let detail = format!("{scene} accepts connections; no local port was opened.");
            report.pass(StageName::Forward, None, begun.elapsed(), detail);
        }
        Err(error) => {
            report.fail(
                StageName::Forward,
                None,
                begun.elapsed(),
                failure::ssh(&error),
            );
            report.skip_after(StageName::Forward, &stages);
            return;
        }
    }
    let server = llm::Server::new(
        api.endpoint.clone(),
        Arc::new(OneSession(session.clone())),
        api.options.clone(),
    );
    let begun = Instant::now();
    match server.handshake().await {
        Ok(None) => {}
        Ok(Some(handshake)) => {
            let detail = handshake_detail(&handshake);
            report.pass(StageName::Tls, None, begun.elapsed(), detail);
        }
        Err(error) => {
            let error = failure::llm(&error, &scene);
            let at = match error.data.stage {
                Some(StageName::Tls) => StageName::Tls,
                _ => StageName::Http,
            };
            if api.endpoint.is_tls() && at > StageName::Tls {
                report.skip(StageName::Tls, None, AFTER_A_FAILURE);
            }
            report.fail(at, None, begun.elapsed(), error);
            report.skip_after(at, &stages);
            return;
        }
    }
    let begun = Instant::now();
    let found = server.discover().await;
    let took = begun.elapsed();
    match found {
        Ok(found) => {
            // One exchange answers all three, so the time is told once.
            report.pass(StageName::Http, None, took, format!("{scene} speaks HTTP."));
            let server = wire::model::server(&found);
            let program = match (found.server.kind, &server.version) {
                (llm::ServerKind::Generic, _) => "It does not say which program it is".to_owned(),
                (_, Some(version)) => format!("It is {} {version}", server.kind),
                (_, None) => format!("It is {}", server.kind),
            };
            let api = match server.api_type {
                ApiType::Ollama => "Ollama's own API",
                ApiType::OpenaiCompatible | ApiType::Auto => "the OpenAI-compatible API",
            };
            let detail = format!(
                "{program}. Prompts go by {api}, because {}.",
                server.api_type_reason
            );
            report.pass(StageName::Server, None, Duration::ZERO, detail);
            report.pass(
                StageName::Models,
                None,
                Duration::ZERO,
                models_detail(&found.models),
            );
            report.warnings.extend_from_slice(&found.warnings);
            report.found = Some(found);
        }
        Err(error) => {
            let error = failure::discovery(&error, &scene);
            let at = match error.data.stage {
                Some(stage @ (StageName::Server | StageName::Models)) => stage,
                // Whatever the server said, it said it in HTTP.
                _ if error.data.http_status.is_some() => StageName::Server,
                _ => StageName::Http,
            };
            if at > StageName::Http {
                report.pass(StageName::Http, None, took, format!("{scene} speaks HTTP."));
            }
            report.fail(at, None, took, error);
            report.skip_after(at, &stages);
        }
    }
}

fn handshake_detail(handshake: &llm::Handshake) -> String {
    let llm::Handshake {
        version,
        server_name,
        ca_path,
    } = handshake;
    let trusted = match ca_path {
        Some(path) => format!("by what {} has", path.display()),
        None => "by this computer's authorities".to_owned(),
    };
    format!("{version}; its certificate is for {server_name}, and good {trusted}.")
}

fn models_detail(models: &[llm::Model]) -> String {
    match models {
        [] => "It answers, but has no model loaded.".to_owned(),
        [only] => format!("1 model: {}.", only.id),
        several => {
            let names: Vec<_> = several
                .iter()
                .take(5)
                .map(|model| model.id.as_str())
                .collect();
            let more = if several.len() > names.len() {
                ", …"
            } else {
                ""
            };
            format!("{} models: {}{more}", several.len(), names.join(", "))
        }
    }
}

#[derive(Debug, Default)]
struct Report {
    progress: Option<Progress>,
    stages: Vec<Stage>,
    error: Option<ErrorObject>,
    auth_method: Option<String>,
    host_key: Option<HostKey>,
    found: Option<llm::Discovery>,
    warnings: Vec<String>,
}

impl Report {
    /// ssh_config does not say how to get there.
    fn unresolved(&mut self, took: Duration, error: ErrorObject, api_stages: &[StageName]) {
        self.fail(StageName::Resolve, Some(0), took, error);
        for name in SSH_STAGES.into_iter().skip(1) {
            self.skip(name, Some(0), AFTER_A_FAILURE);
        }
        for &name in api_stages {
            self.skip(name, None, AFTER_A_FAILURE);
        }
    }

    fn add_ssh(&mut self, target: &ssh::Target, seen: &Seen, error: Option<&ssh::Error>) {
        let seen = seen.ended();
        let mut failed = false;
        for hop in 0..target.hops.len() {
            for name in SSH_STAGES {
                let report = seen
                    .iter()
                    .rev()
                    .find(|report| report.hop == hop && stage_name(report.stage) == name);
                match report.map(|report| (&report.outcome, report.elapsed)) {
                    Some((StageOutcome::Passed { detail }, elapsed)) => {
                        self.pass(name, Some(hop), elapsed, detail.clone());
                    }
                    Some((StageOutcome::Skipped { reason }, _)) => {
                        self.skip(name, Some(hop), reason);
                    }
                    Some((StageOutcome::Failed, elapsed)) => {
                        failed = true;
                        if let Some(error) = error {
                            self.fail(name, Some(hop), elapsed, failure::ssh(error));
                        }
                    }
                    Some((StageOutcome::Started, _)) | None => {
                        self.skip(name, Some(hop), AFTER_A_FAILURE);
                    }
                }
            }
        }
        // A failure between two stages is nobody's stage, and a failure all the same.
        if let (false, Some(error)) = (failed, error) {
            self.error = Some(failure::ssh(error));
        }
    }

    fn pass(&mut self, name: StageName, hop: Option<usize>, took: Duration, detail: String) {
        self.add(name, hop, StageStatus::Passed, Some(took), detail, None);
    }

    fn skip(&mut self, name: StageName, hop: Option<usize>, why: &str) {
        self.add(name, hop, StageStatus::Skipped, None, why.to_owned(), None);
    }

    /// All stages behind the one that failed.
    fn skip_after(&mut self, failed: StageName, stages: &[StageName]) {
        for &name in stages.iter().filter(|&&name| name > failed) {
            self.skip(name, None, AFTER_A_FAILURE);
        }
    }

    fn fail(&mut self, name: StageName, hop: Option<usize>, took: Duration, error: ErrorObject) {
        self.error.get_or_insert_with(|| error.clone());
        self.add(
            name,
            hop,
            StageStatus::Failed,
            Some(took),
            error.message.clone(),
            Some(error),
        );
    }

    fn add(
        &mut self,
        name: StageName,
        hop: Option<usize>,
        status: StageStatus,
        took: Option<Duration>,
        detail: String,
        error: Option<ErrorObject>,
    ) {
        // The SSH stages were told when they ended, and what was not tried is in the result.
        if let (Some(progress), None) = (&self.progress, hop) {
            match status {
                StageStatus::Passed => {
                    progress.tell(name, None, StageState::Passed, took, &detail);
                }
                StageStatus::Failed => progress.tell(name, None, StageState::Failed, took, ""),
                StageStatus::Skipped => {}
            }
        }
        self.stages.push(Stage {
            name,
            hop: hop.map(|hop| hop + 1),
            status,
            duration_ms: took.map(milliseconds),
            detail,
            error,
        });
    }

    fn finish(self) -> TestConnectionResult {
        let found = self.found.as_ref().map(wire::model::discovery);
        let (server, models) = found.map(|found| (found.server, found.models)).unzip();
        TestConnectionResult {
            success: self.error.is_none(),
            error: self.error,
            stages: self.stages,
            auth_method: self.auth_method,
            host_key: self.host_key,
            server,
            models,
            warnings: self.warnings,
        }
    }
}

fn milliseconds(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
