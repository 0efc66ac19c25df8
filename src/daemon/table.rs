//! Which handler serves which method.

use std::{future::Future, sync::Arc};

use futures_util::TryFutureExt as _;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    protocol::{self, ErrorObject, Notification, Request},
    rpc::{Call, ErrorReply, Router},
};

use super::{
    failure,
    handler::{
        config, connection, history, lifecycle, model, preset, prompt, ssh_config, test, vault,
    },
    state::Daemon,
};

/// Every method of the protocol, with its handler or with the answer that it is not built yet.
pub(super) fn router(daemon: &Arc<Daemon>) -> Router<Daemon> {
    let mut table = Table {
        router: Router::from_arc(Arc::clone(daemon))
            .guard(|daemon, method| daemon.admit(method).map_err(reply)),
        built: Vec::new(),
    };

    table.on::<protocol::Initialize, _, _>(lifecycle::initialize);
    table.on::<protocol::Shutdown, _, _>(lifecycle::shutdown);
    table.on::<protocol::Cancel, _, _>(lifecycle::cancel);

    table.on::<protocol::Configure, _, _>(config::configure);
    table.on::<protocol::GetConfig, _, _>(config::get);
    table.on::<protocol::ListConfigs, _, _>(config::list);
    table.on::<protocol::DeleteConfig, _, _>(config::delete);
    table.on::<protocol::TrustConfig, _, _>(config::trust);
    table.on::<protocol::ListPresets, _, _>(preset::list);

    table.on::<protocol::ListSshHosts, _, _>(ssh_config::list_hosts);
    table.on::<protocol::ParseTarget, _, _>(ssh_config::parse_target);

    table.on::<protocol::TestConnection, _, _>(test::test_connection);
    table.on::<protocol::Connect, _, _>(connection::connect);
    table.on::<protocol::Disconnect, _, _>(connection::disconnect);
    table.on::<protocol::Status, _, _>(connection::status);

    table.on::<protocol::ListModels, _, _>(model::list);
    table.on::<protocol::SelectModel, _, _>(model::select);

    table.on::<protocol::SubmitPrompt, _, _>(prompt::submit);
    table.on::<protocol::StreamPrompt, _, _>(prompt::stream);
    table.on::<protocol::ListConversations, _, _>(history::list);
    table.on::<protocol::GetConversation, _, _>(history::get);
    table.on::<protocol::DeleteConversation, _, _>(history::delete);

    table.on::<protocol::VaultStatus, _, _>(vault::status);
    table.on::<protocol::VaultUnlock, _, _>(vault::unlock);
    table.on::<protocol::VaultRotate, _, _>(vault::rotate);
    table.on::<protocol::VaultReset, _, _>(vault::reset);

    table.not_built::<protocol::ExecuteCommand>();
    table.router.on_notification(
        protocol::SystemResumed::METHOD,
        |daemon, _: protocol::Empty| {
            connection::system_resumed(daemon);
        },
    );
    table
        .router
        .on_notification(protocol::ToolWaiting::METHOD, |daemon, params| {
            prompt::tool_waiting(daemon, &params);
        });
    daemon.offer(table.built);
    table.router
}

/// The table while it is being filled.
struct Table {
    router: Router<Daemon>,
    built: Vec<&'static str>,
}

impl Table {
    /// Serves a method.
    fn on<R, F, Fut>(&mut self, handler: F)
    where
        R: Request,
        R::Params: DeserializeOwned + Send + 'static,
        R::Result: Serialize + Send + Sync + 'static,
        F: Fn(Arc<Daemon>, R::Params, Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R::Result, ErrorObject>> + Send + 'static,
    {
        self.built.push(R::METHOD);
        // Not an `async` block around it: that would hold the future twice.
        self.router.on(R::METHOD, move |daemon, params, call| {
            handler(daemon, params, call).map_err(reply)
        });
    }

    /// Answers that a method is not there yet, whatever its params are.
    fn not_built<R: Request>(&mut self) {
        self.router
            .on(R::METHOD, |_, _: serde::de::IgnoredAny, call| async move {
                Err::<(), _>(reply(failure::not_built(call.method)))
            });
    }
}

fn reply(error: ErrorObject) -> ErrorReply {
    ErrorReply {
        code: error.code,
        message: error.message,
        // Plain data without maps keyed by anything but strings always serialises.
        data: serde_json::to_value(error.data).ok(),
    }
}
