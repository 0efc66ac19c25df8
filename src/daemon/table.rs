//! Which handler serves which method.

use std::{future::Future, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    protocol::{self, ErrorObject, Request},
    rpc::{Call, ErrorReply, Router},
};

use super::{
    failure,
    handler::{config, connection, history, lifecycle, model, prompt, test},
    state::Daemon,
};

/// Every method of the protocol, with its handler or with the answer that it is not built yet.
pub(super) fn router(daemon: &Arc<Daemon>) -> Router<Daemon> {
    let mut router = Router::from_arc(Arc::clone(daemon))
        .guard(|daemon, method| daemon.admit(method).map_err(reply));
    let table = &mut router;

    on::<protocol::Initialize, _, _>(table, lifecycle::initialize);
    on::<protocol::Shutdown, _, _>(table, lifecycle::shutdown);
    on::<protocol::Cancel, _, _>(table, lifecycle::cancel);

    on::<protocol::Configure, _, _>(table, config::configure);
    on::<protocol::GetConfig, _, _>(table, config::get);
    on::<protocol::ListConfigs, _, _>(table, config::list);
    on::<protocol::DeleteConfig, _, _>(table, config::delete);

    on::<protocol::TestConnection, _, _>(table, test::test_connection);
    on::<protocol::Connect, _, _>(table, connection::connect);
    on::<protocol::Disconnect, _, _>(table, connection::disconnect);
    on::<protocol::Status, _, _>(table, connection::status);

    on::<protocol::ListModels, _, _>(table, model::list);
    on::<protocol::SelectModel, _, _>(table, model::select);

    on::<protocol::SubmitPrompt, _, _>(table, prompt::submit);
    on::<protocol::StreamPrompt, _, _>(table, prompt::stream);
    on::<protocol::ListConversations, _, _>(table, history::list);
    on::<protocol::GetConversation, _, _>(table, history::get);
    on::<protocol::DeleteConversation, _, _>(table, history::delete);

    not_built::<protocol::TrustConfig>(table);
    not_built::<protocol::ListPresets>(table);
    not_built::<protocol::ListSshHosts>(table);
    not_built::<protocol::ParseTarget>(table);
    not_built::<protocol::ExecuteCommand>(table);
    not_built::<protocol::VaultStatus>(table);
    not_built::<protocol::VaultUnlock>(table);
    not_built::<protocol::VaultRotate>(table);
    not_built::<protocol::VaultReset>(table);
    router
}

/// The methods that [`router`] really serves, for `initialize`.
pub(super) const BUILT: &[&str] = &[
    protocol::Initialize::METHOD,
    protocol::Shutdown::METHOD,
    protocol::Cancel::METHOD,
    protocol::Configure::METHOD,
    protocol::GetConfig::METHOD,
    protocol::ListConfigs::METHOD,
    protocol::DeleteConfig::METHOD,
    protocol::TestConnection::METHOD,
    protocol::Connect::METHOD,
    protocol::Disconnect::METHOD,
    protocol::Status::METHOD,
    protocol::ListModels::METHOD,
    protocol::SelectModel::METHOD,
    protocol::SubmitPrompt::METHOD,
    protocol::StreamPrompt::METHOD,
    protocol::ListConversations::METHOD,
    protocol::GetConversation::METHOD,
    protocol::DeleteConversation::METHOD,
];

fn on<R, F, Fut>(router: &mut Router<Daemon>, handler: F)
where
    R: Request,
    R::Params: DeserializeOwned + Send + 'static,
    R::Result: Serialize + Send + Sync + 'static,
    F: Fn(Arc<Daemon>, R::Params, Call) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R::Result, ErrorObject>> + Send + 'static,
{
    router.on(R::METHOD, move |daemon, params, call| {
        let answer = handler(daemon, params, call);
        async move { answer.await.map_err(reply) }
    });
}

fn not_built<R: Request>(router: &mut Router<Daemon>) {
    router.on(R::METHOD, |_, _: serde::de::IgnoredAny, call| async move {
        Err::<(), _>(reply(failure::not_built(call.method)))
    });
}

fn reply(error: ErrorObject) -> ErrorReply {
    ErrorReply {
        code: error.code,
        message: error.message,
        // Plain data without maps keyed by anything but strings always serialises.
        data: serde_json::to_value(error.data).ok(),
    }
}
