//! Profiles: from the wire's params, to the wire's views, and to what the SSH and LLM rooms need.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;

use super::{ollama, source};

mod models;

use crate::{
    config::{self, Change, LlmProfile, Profile, SecretField, SshProfile},
    llm,
    protocol::{self, LlmParams, LlmView, Secret, SshParams, SshView},
    ssh,
};

/// The header that routers keep caches warm by, unless the profile names another one or `""`.
const AFFINITY_HEADER: &str = "X-Session-Id";

/// The secrets that params give, each with what is to be done about it.
pub(in crate::daemon) type Changes = Vec<(SecretField, Change<SecretString>)>;

/// Which secret a person's answer is, for a stop of the plan; the last stop is the profile's
/// machine, the others are its jump hosts.
pub(in crate::daemon) fn prompt_field(
    kind: protocol::PromptKind,
    stop: usize,
    stops: usize,
) -> SecretField {
    let last = stop + 1 == stops;
    match kind {
        protocol::PromptKind::Passphrase if last => SecretField::Passphrase,
        protocol::PromptKind::Passphrase => SecretField::HopPassphrase(stop),
        _ if last => SecretField::Password,
        _ => SecretField::HopPassword(stop),
    }
}

// === params → profile ===

/// How to reach a machine. `known` is what was saved before: fields of other versions stay.
pub(in crate::daemon) fn ssh_profile(params: &SshParams, known: Option<&SshProfile>) -> SshProfile {
    SshProfile {
        host: params.host.clone(),
        port: params.port,
        username: params.username.clone(),
        auth_method: match params.auth_method {
            protocol::AuthMethod::Auto => config::AuthMethod::Auto,
            protocol::AuthMethod::Password => config::AuthMethod::Password,
            protocol::AuthMethod::PrivateKey => config::AuthMethod::PrivateKey,
            protocol::AuthMethod::Agent => config::AuthMethod::Agent,
            protocol::AuthMethod::KeyboardInteractive => config::AuthMethod::KeyboardInteractive,
            protocol::AuthMethod::None => config::AuthMethod::None,
        },
        private_key_path: params.private_key_path.clone(),
        certificate_path: params.certificate_path.clone(),
        identity_agent: params.identity_agent.clone(),
        identities_only: params.identities_only,
        password_source: source::of_params(&params.password_source),
        passphrase_source: source::of_params(&params.passphrase_source),
        jump_hosts: params
            .jump_hosts
            .iter()
            .enumerate()
            .map(|(hop, params)| {
                ssh_profile(params, known.and_then(|known| known.jump_hosts.get(hop)))
            })
            .collect(),
        proxy_command: params.proxy_command.clone(),
        use_ssh_config: params.use_ssh_config,
        host_key_policy: params.host_key_policy.map(|policy| match policy {
            protocol::HostKeyPolicy::Ask => config::HostKeyPolicy::Ask,
            protocol::HostKeyPolicy::AcceptNew => config::HostKeyPolicy::AcceptNew,
            protocol::HostKeyPolicy::Strict => config::HostKeyPolicy::Strict,
        }),
        transport: match params.transport {
            protocol::Transport::Auto => config::Transport::Auto,
            protocol::Transport::System => config::Transport::System,
        },
        connect_timeout_ms: params.connect_timeout,
        keepalive_interval_ms: params.keepalive_interval,
        keepalive_count_max: params.keepalive_count_max,
        max_connections: params.max_connections,
        idle_timeout_ms: params.idle_timeout,
        unknown: known.map(|known| known.unknown.clone()).unwrap_or_default(),
    }
}

/// The LLM server. `known` as in [`ssh_profile`].
pub(in crate::daemon) fn llm_profile(params: &LlmParams, known: Option<&LlmProfile>) -> LlmProfile {
    LlmProfile {
        api_endpoint: params.api_endpoint.clone(),
        api_type: match params.api_type {
            protocol::ApiType::Auto => config::ApiType::Auto,
            protocol::ApiType::OpenaiCompatible => config::ApiType::OpenaiCompatible,
            protocol::ApiType::Ollama => config::ApiType::Ollama,
        },
        headers: params.headers.clone(),
        host_header: params.host_header.clone(),
        affinity_header: params.affinity_header.clone(),
        default_model: params.default_model.clone(),
        model_aliases: params.model_aliases.clone(),
        models: params
            .models
            .iter()
            .map(|model| models::profile(model, known))
            .collect(),
        timeouts: config::Timeouts {
            connect_ms: params.timeouts.connect_ms,
            first_token_ms: params.timeouts.first_token_ms,
            idle_ms: params.timeouts.idle_ms,
            total_ms: params.timeouts.total_ms,
            discovery_ms: params.timeouts.discovery_ms,
            unknown: known
                .map(|known| known.timeouts.unknown.clone())
                .unwrap_or_default(),
        },
        request_timeout_ms: params.request_timeout,
        max_retries: params.max_retries,
        retry_ambiguous: params.retry_ambiguous,
        tls: params.tls.as_ref().map(|tls| config::Tls {
            ca_path: tls.ca_path.clone(),
            server_name: tls.server_name.clone(),
            unknown: known
                .and_then(|known| known.tls.as_ref())
                .map(|tls| tls.unknown.clone())
                .unwrap_or_default(),
        }),
        ollama: ollama::profile(params.ollama.as_ref(), known.map(|known| &known.ollama)),
        unknown: known.map(|known| known.unknown.clone()).unwrap_or_default(),
    }
}

/// What params say about secrets.
pub(in crate::daemon) fn changes(ssh: Option<&SshParams>, llm: Option<&LlmParams>) -> Changes {
    let mut changes = Changes::new();
    let mut add = |field, secret: &Secret| changes.push((field, change(secret)));
    if let Some(ssh) = ssh {
        add(SecretField::Password, &ssh.password);
        add(SecretField::Passphrase, &ssh.passphrase);
        for (hop, params) in ssh.jump_hosts.iter().enumerate() {
            add(SecretField::HopPassword(hop), &params.password);
            add(SecretField::HopPassphrase(hop), &params.passphrase);
        }
    }
    if let Some(llm) = llm {
        add(SecretField::ApiKey, &llm.api_key);
        for (name, value) in &llm.secret_headers {
            add(SecretField::Header(name.to_ascii_lowercase()), value);
        }
    }
    changes
}

fn change(secret: &Secret) -> Change<SecretString> {
    match secret {
        Secret::Keep => Change::Keep,
        Secret::Clear => Change::Clear,
        Secret::Set(secret) => Change::Set(secret.clone()),
    }
}

// === profile → view ===

/// How to reach a machine, without secrets; `fields` are the secrets that are kept.
pub(in crate::daemon) fn ssh_view(profile: &SshProfile, fields: &[SecretField]) -> SshView {
    SshView {
        settings: ssh_settings(profile),
        has_password: fields.contains(&SecretField::Password),
        has_passphrase: fields.contains(&SecretField::Passphrase),
        jump_hosts: profile
            .jump_hosts
            .iter()
            .enumerate()
            .map(|(hop, profile)| SshView {
                settings: ssh_settings(profile),
                has_password: fields.contains(&SecretField::HopPassword(hop)),
                has_passphrase: fields.contains(&SecretField::HopPassphrase(hop)),
                jump_hosts: Vec::new(),
            })
            .collect(),
    }
}

fn ssh_settings(profile: &SshProfile) -> SshParams {
    SshParams {
        host: profile.host.clone(),
        port: profile.port,
        username: profile.username.clone(),
        auth_method: match profile.auth_method {
            config::AuthMethod::Auto => protocol::AuthMethod::Auto,
            config::AuthMethod::Password => protocol::AuthMethod::Password,
            config::AuthMethod::PrivateKey => protocol::AuthMethod::PrivateKey,
            config::AuthMethod::Agent => protocol::AuthMethod::Agent,
            config::AuthMethod::KeyboardInteractive => protocol::AuthMethod::KeyboardInteractive,
            config::AuthMethod::None => protocol::AuthMethod::None,
        },
        private_key_path: profile.private_key_path.clone(),
        certificate_path: profile.certificate_path.clone(),
        identity_agent: profile.identity_agent.clone(),
        identities_only: profile.identities_only,
        password_source: source::view(&profile.password_source),
        passphrase_source: source::view(&profile.passphrase_source),
        proxy_command: profile.proxy_command.clone(),
        use_ssh_config: profile.use_ssh_config,
        host_key_policy: profile.host_key_policy.map(|policy| match policy {
            config::HostKeyPolicy::Ask => protocol::HostKeyPolicy::Ask,
            config::HostKeyPolicy::AcceptNew => protocol::HostKeyPolicy::AcceptNew,
            config::HostKeyPolicy::Strict => protocol::HostKeyPolicy::Strict,
        }),
        transport: match profile.transport {
            config::Transport::Auto => protocol::Transport::Auto,
            config::Transport::System => protocol::Transport::System,
        },
        connect_timeout: profile.connect_timeout_ms,
        keepalive_interval: profile.keepalive_interval_ms,
        keepalive_count_max: profile.keepalive_count_max,
        max_connections: profile.max_connections,
        idle_timeout: profile.idle_timeout_ms,
        password: Secret::Keep,
        passphrase: Secret::Keep,
        jump_hosts: Vec::new(),
    }
}

/// The LLM server, without secrets; `fields` are the secrets that are kept.
pub(in crate::daemon) fn llm_view(profile: &LlmProfile, fields: &[SecretField]) -> LlmView {
    LlmView {
        settings: LlmParams {
            api_endpoint: profile.api_endpoint.clone(),
            api_type: match profile.api_type {
                config::ApiType::Auto => protocol::ApiType::Auto,
                config::ApiType::OpenaiCompatible => protocol::ApiType::OpenaiCompatible,
                config::ApiType::Ollama => protocol::ApiType::Ollama,
            },
            headers: profile.headers.clone(),
            host_header: profile.host_header.clone(),
            affinity_header: profile.affinity_header.clone(),
            default_model: profile.default_model.clone(),
            model_aliases: profile.model_aliases.clone(),
            models: profile.models.iter().map(models::settings).collect(),
            timeouts: protocol::Timeouts {
                connect_ms: profile.timeouts.connect_ms,
                first_token_ms: profile.timeouts.first_token_ms,
                idle_ms: profile.timeouts.idle_ms,
                total_ms: profile.timeouts.total_ms,
                discovery_ms: profile.timeouts.discovery_ms,
            },
            request_timeout: profile.request_timeout_ms,
            max_retries: profile.max_retries,
            retry_ambiguous: profile.retry_ambiguous,
            tls: profile.tls.as_ref().map(|tls| protocol::TlsSettings {
                ca_path: tls.ca_path.clone(),
                server_name: tls.server_name.clone(),
            }),
            ollama: ollama::view(&profile.ollama),
            api_key: Secret::Keep,
            secret_headers: std::collections::BTreeMap::new(),
        },
        has_api_key: fields.contains(&SecretField::ApiKey),
        secret_header_names: fields
            .iter()
            .filter_map(|field| match field {
                SecretField::Header(name) => Some(name.clone()),
                _ => None,
            })
            .collect(),
    }
}

// === profile → the rooms ===

/// A profile's secrets, wherever they come from.
pub(in crate::daemon) trait Lookup {
    /// One of them.
    fn secret(&self, field: &SecretField) -> Result<Option<SecretString>, config::Error>;
}

impl<F> Lookup for F
where
    F: Fn(&SecretField) -> Result<Option<SecretString>, config::Error>,
{
    fn secret(&self, field: &SecretField) -> Result<Option<SecretString>, config::Error> {
        self(field)
    }
}

/// The way to a profile's machine, as the profile says it.
pub(in crate::daemon) fn plan(
    profile: &Profile,
    secrets: &impl Lookup,
) -> Result<ssh::Plan, config::Error> {
    let saved = |source: &config::SecretSource, field| match source {
        config::SecretSource::Saved => secrets.secret(&field),
        config::SecretSource::Ask | config::SecretSource::Command(_) => Ok(None),
    };
    let mut stops = Vec::with_capacity(profile.ssh.jump_hosts.len() + 1);
    for (index, jump) in profile.ssh.jump_hosts.iter().enumerate() {
        stops.push(ssh::Stop {
            password: saved(&jump.password_source, SecretField::HopPassword(index))?,
            passphrase: saved(&jump.passphrase_source, SecretField::HopPassphrase(index))?,
            ..stop(jump)
        });
    }
    stops.push(ssh::Stop {
        password: saved(&profile.ssh.password_source, SecretField::Password)?,
        passphrase: saved(&profile.ssh.passphrase_source, SecretField::Passphrase)?,
        ..stop(&profile.ssh)
    });
    Ok(ssh::Plan {
        stops,
        transport: match profile.ssh.transport {
            config::Transport::Auto => ssh::Transport::Library,
            config::Transport::System => ssh::Transport::System,
        },
        max_connections: profile
            .ssh
            .max_connections
            .and_then(|most| usize::try_from(most).ok())
            .unwrap_or(1),
        idle: idle(profile.ssh.idle_timeout_ms),
    })
}

/// After how long an unused connection is closed; `None`: never.
fn idle(configured_ms: Option<u64>) -> Option<Duration> {
    match configured_ms {
        None => Some(ssh::IDLE),
        Some(0) => None,
        Some(ms) => Some(Duration::from_millis(ms)),
    }
}

fn stop(profile: &SshProfile) -> ssh::Stop {
    ssh::Stop {
        port: profile.port,
        username: profile.username.clone(),
        auth: match profile.auth_method {
            config::AuthMethod::Auto => ssh::AuthMethod::Auto,
            config::AuthMethod::Password => ssh::AuthMethod::Password,
            config::AuthMethod::PrivateKey => ssh::AuthMethod::PrivateKey,
            config::AuthMethod::Agent => ssh::AuthMethod::Agent,
            config::AuthMethod::KeyboardInteractive => ssh::AuthMethod::KeyboardInteractive,
            config::AuthMethod::None => ssh::AuthMethod::None,
        },
        private_key_path: profile.private_key_path.as_ref().map(Into::into),
        certificate_path: profile.certificate_path.as_ref().map(Into::into),
        identity_agent: profile.identity_agent.as_ref().map(Into::into),
        identities_only: profile.identities_only,
        password_source: source::of_stop(&profile.password_source),
        passphrase_source: source::of_stop(&profile.passphrase_source),
        host_key_policy: profile.host_key_policy.map(|policy| match policy {
            config::HostKeyPolicy::Ask => ssh::HostKeyPolicy::Ask,
            config::HostKeyPolicy::AcceptNew => ssh::HostKeyPolicy::AcceptNew,
            config::HostKeyPolicy::Strict => ssh::HostKeyPolicy::Strict,
        }),
        proxy_command: profile.proxy_command.clone(),
        use_ssh_config: profile.use_ssh_config,
        connect_timeout: profile.connect_timeout_ms.map(Duration::from_millis),
        keepalive_interval: profile.keepalive_interval_ms.map(Duration::from_millis),
        keepalive_count_max: profile.keepalive_count_max,
        ..ssh::Stop::new(&profile.host)
    }
}

// === draft → params ===

/// What was pasted, as a form would send it.
pub(in crate::daemon) fn draft(stops: &[ssh::Stop]) -> Option<protocol::SshDraft> {
    let (machine, jumps) = stops.split_last()?;
    Some(protocol::SshDraft {
        settings: ssh_params(machine),
        jump_hosts: jumps.iter().map(ssh_params).collect(),
    })
}

fn ssh_params(stop: &ssh::Stop) -> SshParams {
    let path = |path: &Option<PathBuf>| Some(path.as_ref()?.display().to_string());
    let milliseconds = |duration: &Option<Duration>| {
        Some(u64::try_from(duration.as_ref()?.as_millis()).unwrap_or(u64::MAX))
    };
    SshParams {
        host: stop.host.clone(),
        port: stop.port,
        username: stop.username.clone(),
        auth_method: protocol::AuthMethod::Auto,
        private_key_path: path(&stop.private_key_path),
        certificate_path: path(&stop.certificate_path),
        identity_agent: path(&stop.identity_agent),
        identities_only: stop.identities_only,
        password_source: protocol::SecretSource::Saved,
        passphrase_source: protocol::SecretSource::Saved,
        proxy_command: stop.proxy_command.clone(),
        use_ssh_config: stop.use_ssh_config,
        host_key_policy: stop.host_key_policy.map(|policy| match policy {
            ssh::HostKeyPolicy::Ask => protocol::HostKeyPolicy::Ask,
            ssh::HostKeyPolicy::AcceptNew => protocol::HostKeyPolicy::AcceptNew,
            ssh::HostKeyPolicy::Strict => protocol::HostKeyPolicy::Strict,
        }),
        transport: protocol::Transport::Auto,
        connect_timeout: milliseconds(&stop.connect_timeout),
        keepalive_interval: milliseconds(&stop.keepalive_interval),
        keepalive_count_max: stop.keepalive_count_max,
        max_connections: None,
        idle_timeout: None,
        password: Secret::Keep,
        passphrase: Secret::Keep,
        jump_hosts: Vec::new(),
    }
}

/// A host of ssh_config, with what it stands for.
pub(in crate::daemon) fn ssh_host(alias: String, resolved: ssh::Resolved) -> protocol::SshHost {
    let ssh::Resolved { target, warnings } = resolved;
    let name = |hop: &ssh::Hop| hop.alias.clone().unwrap_or_else(|| hop.host.clone());
    let (machine, jumps) = match target.hops.split_last() {
        Some((machine, jumps)) => (Some(machine), jumps),
        None => (None, &[][..]),
    };
    protocol::SshHost {
        alias,
        ssh: machine.map(|hop| {
            ssh_params(&ssh::Stop {
                port: Some(hop.port),
                username: Some(hop.username.clone()),
                private_key_path: hop.identity_files.iter().flatten().next().cloned(),
                proxy_command: target
                    .hops
                    .first()
                    .and_then(|hop| hop.proxy_command.clone()),
                ..ssh::Stop::new(&hop.host)
            })
        }),
        hops: jumps.iter().map(name).collect(),
        problem: None,
        warnings,
    }
}

/// How to talk to a profile's LLM server.
pub(in crate::daemon) fn options(
    profile: &LlmProfile,
    secret_header_names: impl IntoIterator<Item = String>,
    secrets: &impl Lookup,
) -> Result<llm::Options, config::Error> {
    let mut secret_headers = Vec::new();
    for name in secret_header_names {
        if let Some(value) = secrets.secret(&SecretField::Header(name.clone()))? {
            secret_headers.push((name, value));
        }
    }
    let affinity_header = profile
        .affinity_header
        .as_deref()
        .unwrap_or(AFFINITY_HEADER);
    let tls = profile.tls.as_ref();
    Ok(llm::Options {
        api_key: secrets.secret(&SecretField::ApiKey)?,
        headers: profile.headers.clone().into_iter().collect(),
        secret_headers,
        host_header: profile.host_header.clone(),
        affinity_header: Some(affinity_header.to_owned()).filter(|name| !name.is_empty()),
        tls: llm::TlsOptions {
            ca_path: tls.and_then(|tls| tls.ca_path.as_ref()).map(Into::into),
            server_name: tls.and_then(|tls| tls.server_name.clone()),
        },
        clocks: clocks(profile),
        retries: retries(profile),
        api_type: match profile.api_type {
            config::ApiType::Auto => llm::ApiType::Auto,
            config::ApiType::OpenaiCompatible => llm::ApiType::OpenAiCompatible,
            config::ApiType::Ollama => llm::ApiType::Ollama,
        },
        ollama: ollama::settings(&profile.ollama),
        models: profile.models.iter().map(models::typed).collect(),
    })
}

fn retries(profile: &LlmProfile) -> llm::Retries {
    let defaults = llm::Retries::default();
    llm::Retries {
        max: profile.max_retries.unwrap_or(defaults.max),
        ambiguous: profile.retry_ambiguous.unwrap_or(defaults.ambiguous),
    }
}

/// How long to wait for what.
pub(in crate::daemon) fn clocks(profile: &LlmProfile) -> llm::Clocks {
    let defaults = llm::Clocks::default();
    let or = |given: Option<u64>, default| given.map_or(default, Duration::from_millis);
    let timeouts = &profile.timeouts;
    // What older configurations call the request's timeout was never meant for answers that
    // take minutes.
    let legacy = profile.request_timeout_ms;
    llm::Clocks {
        connect: or(timeouts.connect_ms.or(legacy), defaults.connect),
        first_token: or(timeouts.first_token_ms, defaults.first_token),
        idle: timeouts.idle_ms.map(Duration::from_millis),
        total: timeouts
            .total_ms
            .map(Duration::from_millis)
            .or(defaults.total),
        discovery: or(timeouts.discovery_ms.or(legacy), defaults.discovery),
    }
}

/// The model for a prompt: the one it asks for, else the selected, else the default one.
/// Aliases stand for the server's ids.
pub(in crate::daemon) fn model(profile: &Profile, asked: Option<&str>) -> Option<String> {
    let name = asked
        .or(profile.selected_model.as_deref())
        .or(profile.llm.default_model.as_deref())
        .filter(|name| !name.is_empty())?;
    Some(
        profile
            .llm
            .model_aliases
            .get(name)
            .map_or(name, String::as_str)
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        let mut profile = Profile::default();
        profile.ssh.host = "gpu1".to_owned();
        profile.llm.api_endpoint = "http://localhost:11434".to_owned();
        profile
    }

    #[test]
    fn each_stop_has_its_own_secrets_and_what_a_profile_leaves_open_stays_open() {
        let mut profile = profile();
        profile.ssh.keepalive_interval_ms = Some(0);
        profile.ssh.jump_hosts.push(SshProfile {
            host: "bastion".to_owned(),
            port: Some(2222),
            ..SshProfile::default()
        });
        let secrets = |field: &SecretField| Ok(Some(format!("{field:?}").into()));
        let plan = plan(&profile, &secrets).unwrap();
        let [bastion, machine] = &plan.stops[..] else {
            panic!("{plan:?}");
        };
        let told = |stop: &ssh::Stop| {
            use secrecy::ExposeSecret as _;
            let secret = stop.password.as_ref().unwrap().expose_secret().to_owned();
            (stop.host.clone(), stop.port, stop.username.clone(), secret)
        };
        assert_eq!(
            told(bastion),
            ("bastion".into(), Some(2222), None, "HopPassword(0)".into())
        );
        assert_eq!(
            told(machine),
            ("gpu1".into(), None, None, "Password".into())
        );
        assert_eq!(machine.keepalive_interval, Some(Duration::ZERO));
        assert_eq!(bastion.keepalive_interval, None);
        assert_eq!(plan.host(), "gpu1");
    }

    #[test]
    fn the_old_request_timeout_bounds_connect_and_discovery_only() {
        let mut profile = profile().llm;
        profile.request_timeout_ms = Some(30_000);
        let clocks = clocks(&profile);
        assert_eq!(clocks.connect, Duration::from_secs(30));
        assert_eq!(clocks.discovery, Duration::from_secs(30));
        assert_eq!(clocks.first_token, llm::Clocks::default().first_token);
        assert_eq!((clocks.idle, clocks.total), (None, None));

        profile.timeouts.connect_ms = Some(1000);
        profile.timeouts.discovery_ms = Some(2000);
        let clocks = super::clocks(&profile);
        assert_eq!(clocks.connect, Duration::from_secs(1));
        assert_eq!(clocks.discovery, Duration::from_secs(2));
    }

    #[test]
    fn a_prompt_s_model_comes_before_the_selected_and_the_default_one() {
        let mut profile = profile();
        assert_eq!(model(&profile, None), None);
        profile.llm.default_model = Some("small".to_owned());
        assert_eq!(model(&profile, None).as_deref(), Some("small"));
        profile.selected_model = Some("big".to_owned());
        profile
            .llm
            .model_aliases
            .insert("big".to_owned(), "qwen3:30b".to_owned());
        assert_eq!(model(&profile, None).as_deref(), Some("qwen3:30b"));
        assert_eq!(model(&profile, Some("other")).as_deref(), Some("other"));
    }
}
