//! A connection's state in the wire's words.

use std::time::SystemTime;

use tokio::time::Instant;

use crate::{
    protocol::{ConnectionState, ConnectionStatus, ErrorObject},
    ssh,
};

use super::failure;

/// For a connection of which nothing more is known than this.
pub(super) fn plain(config_id: &str, state: ConnectionState) -> ConnectionStatus {
    ConnectionStatus {
        config_id: config_id.to_owned(),
        state,
        step: None,
        latency_ms: None,
        attempt: None,
        retry_in_ms: None,
        error: None,
        since: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
    }
}

/// What the owner of the connection says.
pub(super) fn of(config_id: &str, state: &ssh::State) -> ConnectionStatus {
    let plain = |state| plain(config_id, state);
    match state {
        ssh::State::Off => plain(ConnectionState::Off),
        ssh::State::Connecting { step } => ConnectionStatus {
            step: step.as_ref().map(doing),
            ..plain(ConnectionState::Connecting)
        },
        ssh::State::Ready { latency } => ConnectionStatus {
            latency_ms: latency.map(|latency| latency.as_secs_f64() * 1e3),
            ..plain(ConnectionState::Ready)
        },
        ssh::State::Reconnecting {
            attempt,
            next,
            step,
            error,
        } => ConnectionStatus {
            step: step.as_ref().map(doing),
            attempt: Some(*attempt),
            retry_in_ms: next.map(|next| {
                let wait = next.saturating_duration_since(Instant::now());
                u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
            }),
            error: Some(failure::ssh(error)),
            ..plain(ConnectionState::Reconnecting)
        },
        ssh::State::NeedsUser { error } => ConnectionStatus {
            error: Some(needs_user(error)),
            ..plain(ConnectionState::NeedsUser)
        },
        ssh::State::Failed { error } => ConnectionStatus {
            error: Some(failure::ssh(error)),
            ..plain(ConnectionState::Failed)
        },
    }
}

/// A connection that was lost is no fault to be mended; it only can't be had again unattended.
fn needs_user(error: &ssh::Error) -> ErrorObject {
    let mut told = failure::ssh(error);
    if error.is_transient() {
        told.data.hint = Some(format!(
            "Signing in to {} takes an answer from you. Connect again to be asked.",
            error.place.host
        ));
    }
    told
}

/// Whether a change from one to the other is worth a notification. That time passes is not.
pub(super) fn is_news(known: &ConnectionStatus, new: &ConnectionStatus) -> bool {
    let message = |status: &ConnectionStatus| {
        let error = status.error.as_ref();
        error.map(|error| error.message.clone())
    };
    known.state != new.state
        || known.step != new.step
        || known.latency_ms != new.latency_ms
        || known.attempt != new.attempt
        || known.retry_in_ms.is_some() != new.retry_in_ms.is_some()
        || message(known) != message(new)
}

fn doing(step: &ssh::Step) -> String {
    let doing = match step.stage {
        ssh::Stage::Resolve => "looking up",
        ssh::Stage::Tcp => "reaching",
        ssh::Stage::SshHandshake => "greeting",
        ssh::Stage::HostKey => "checking the key of",
        ssh::Stage::Auth => "signing in to",
    };
    format!("{doing} {}", step.host)
}
