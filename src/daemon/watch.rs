//! Changes of profiles that somebody else made: another window, an editor, a checkout.

use std::{sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval};

use crate::config::Changed;
use crate::protocol::ConfigChange;

use super::{handler::config::announce, workspace::Workspace};

/// Between two looks at the files. They are looked at, not waited for: folders come and go, and
/// network file systems tell nobody.
const BETWEEN_LOOKS: Duration = Duration::from_millis(700);

/// Tells the host of every change from now on, as long as there is a workspace.
pub(super) async fn watch(workspace: &Arc<Workspace>) {
    // What there is already is no news.
    workspace.store.changes().await;
    let workspace = Arc::downgrade(workspace);
    tokio::spawn(async move {
        let mut ticks = interval(BETWEEN_LOOKS);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Some(workspace) = workspace.upgrade() else {
                return;
            };
            for (config_id, change) in workspace.store.changes().await {
                workspace.links.renew(&config_id);
                let change = match change {
                    Changed::Saved => ConfigChange::Saved,
                    Changed::Deleted => ConfigChange::Deleted,
                };
                announce(&workspace, &config_id, change).await;
            }
        }
    });
}
