//! What people paste.

use tokio::runtime;

use super::is_clean;
use crate::ssh::{Draft, Environment, parse_draft};

/// The input is the pasted text; there is no ssh_config and no `ssh` to ask.
pub fn target(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    let Ok(runtime) = runtime::Builder::new_current_thread().enable_time().build() else {
        return;
    };
    match runtime.block_on(parse_draft(text, &Environment::default())) {
        Ok(draft) => check(&draft),
        Err(problem) => assert!(is_clean(&problem.to_string()), "{problem:?}"),
    }
}

fn check(draft: &Draft) {
    assert!(!draft.stops.is_empty() || draft.endpoint.is_some());
    for stop in &draft.stops {
        // It would be an option of `ssh`.
        assert!(
            !stop.host.is_empty() && !stop.host.starts_with('-'),
            "{stop:?}"
        );
        assert!(!stop.host.contains(char::is_control), "{stop:?}");
        let user = stop.username.as_deref();
        assert!(user.is_none_or(|user| !user.starts_with('-')), "{stop:?}");
        assert!(stop.port != Some(0), "{stop:?}");
        assert!(stop.password.is_none() && stop.passphrase.is_none());
    }
    if let Some(endpoint) = &draft.endpoint {
        let scheme = ["http://", "https://", "unix:/"]
            .iter()
            .any(|scheme| endpoint.starts_with(scheme));
        assert!(scheme && is_clean(endpoint), "{endpoint:?}");
        // A socket's path may hold anything.
        let authority = endpoint
            .split_once("://")
            .filter(|(scheme, _)| *scheme != "unix")
            .and_then(|(_, rest)| rest.split('/').next());
        let has_user = authority.is_some_and(|authority| authority.contains('@'));
        assert!(!has_user, "a password may be in {endpoint:?}");
    }
    assert!(
        draft.warnings.iter().all(|warning| is_clean(warning)),
        "{draft:?}"
    );
}
