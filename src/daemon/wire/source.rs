//! Where secrets come from, in the words of each room; and that none is kept where the profile has
//! it come from elsewhere.

use crate::{
    config::{self, Change, Error, Profile, SecretField, SecretSource, SshProfile},
    protocol, ssh,
};

use super::config::Changes;

pub(super) fn of_params(source: &protocol::SecretSource) -> SecretSource {
    match source {
        protocol::SecretSource::Saved => SecretSource::Saved,
        protocol::SecretSource::Ask => SecretSource::Ask,
        protocol::SecretSource::Command(words) => SecretSource::Command(words.clone()),
    }
}

pub(super) fn view(source: &SecretSource) -> protocol::SecretSource {
    match source {
        SecretSource::Saved => protocol::SecretSource::Saved,
        SecretSource::Ask => protocol::SecretSource::Ask,
        SecretSource::Command(words) => protocol::SecretSource::Command(words.clone()),
    }
}

pub(super) fn of_stop(source: &SecretSource) -> ssh::SecretSource {
    match source {
        SecretSource::Saved => ssh::SecretSource::Saved,
        SecretSource::Ask => ssh::SecretSource::Ask,
        SecretSource::Command(words) => ssh::SecretSource::Command(words.clone()),
    }
}

/// Checks the secrets that are given.
///
/// # Errors
/// [`Error::Invalid`] for one that could not be sent.
pub(in crate::daemon) fn check(changes: &Changes) -> Result<(), Error> {
    changes.iter().try_for_each(|(field, change)| match change {
        Change::Set(secret) => config::validate_secret(field, secret),
        Change::Keep | Change::Clear => Ok(()),
    })
}

/// Has the secrets cleared that the profile has come from elsewhere; `kept` are those that are there.
///
/// # Errors
/// [`Error::Invalid`] for one that is given all the same.
pub(in crate::daemon) fn clear_others(
    profile: &Profile,
    changes: &mut Changes,
    kept: &[SecretField],
) -> Result<(), Error> {
    for (field, path) in from_elsewhere(&profile.ssh) {
        changes.retain(|(changed, change)| *changed != field || matches!(change, Change::Set(_)));
        if changes.iter().any(|(changed, _)| *changed == field) {
            let problem = format!("must be absent: `{path}Source` says where it comes from");
            return Err(Error::Invalid {
                field: path,
                problem,
            });
        }
        if kept.contains(&field) {
            changes.push((field, Change::Clear));
        }
    }
    Ok(())
}

/// Has the secrets cleared of jump hosts that the profile no longer has.
pub(in crate::daemon) fn clear_removed(
    profile: &Profile,
    changes: &mut Changes,
    kept: &[SecretField],
) {
    let hops = profile.ssh.jump_hosts.len();
    let is_gone = |field: &&SecretField| match field {
        SecretField::HopPassword(hop) | SecretField::HopPassphrase(hop) => *hop >= hops,
        SecretField::Password
        | SecretField::Passphrase
        | SecretField::ApiKey
        | SecretField::Header(_) => false,
    };
    let gone = kept.iter().filter(is_gone);
    changes.extend(gone.map(|field| (field.clone(), Change::Clear)));
}

/// The secrets that are not to be kept, with their fields' paths.
fn from_elsewhere(ssh: &SshProfile) -> Vec<(SecretField, String)> {
    let machine = (
        ssh,
        "ssh".to_owned(),
        SecretField::Password,
        SecretField::Passphrase,
    );
    let hops = ssh.jump_hosts.iter().enumerate().map(|(index, hop)| {
        (
            hop,
            format!("ssh.jumpHosts[{index}]"),
            SecretField::HopPassword(index),
            SecretField::HopPassphrase(index),
        )
    });
    let all = std::iter::once(machine).chain(hops);
    all.flat_map(|(ssh, path, password, passphrase)| {
        [
            (&ssh.password_source, password, format!("{path}.password")),
            (
                &ssh.passphrase_source,
                passphrase,
                format!("{path}.passphrase"),
            ),
        ]
    })
    .filter(|(source, ..)| **source != config::SecretSource::Saved)
    .map(|(_, field, path)| (field, path))
    .collect()
}
