//! Sentences about ssh_config and pasted texts.

use crate::{
    protocol::{ErrorCode, ErrorObject},
    ssh::{DraftProblem, SshConfigProblem},
};

/// Why the user's ssh_config can't be read.
pub(in crate::daemon) fn ssh_config(problem: &SshConfigProblem) -> ErrorObject {
    let mut told = super::plain(
        ErrorCode::SshConfigInvalid,
        &format!("ssh_config can't be used: {problem}."),
    );
    told.data.hint = Some("Mend the file; `ssh -G <host>` in a terminal checks it.".to_owned());
    told
}

/// Why a pasted text says nothing about a machine.
pub(in crate::daemon) fn draft(problem: &DraftProblem) -> ErrorObject {
    match problem {
        DraftProblem::Lookup(problem) => ssh_config(problem),
        DraftProblem::Empty
        | DraftProblem::TooLong
        | DraftProblem::Unreadable(_)
        | DraftProblem::NoHost
        | DraftProblem::Unknown
        | DraftProblem::Block(_) => {
            let mut told = super::invalid_params("text", &format!("The pasted text {problem}."));
            told.data.hint = Some(
                "Paste an ssh command, a host or alias, a URL, or a Host block of ssh_config."
                    .to_owned(),
            );
            told
        }
    }
}
