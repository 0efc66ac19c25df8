//! What the host is told at the end.

use std::sync::Arc;

use tokio::time::timeout;

use crate::{
    conversation::{End, Outcome},
    protocol::{self, ErrorCode, ErrorObject, PromptResult},
    ssh,
};

use super::{
    super::super::{failure, wire},
    super::{cancellable, model},
    Job,
    prepare::offer,
};

impl Job {
    /// The terminal event and the reply for how the prompt ended.
    pub(super) async fn conclude(
        &self,
        mut outcome: Outcome<ssh::Error>,
    ) -> (protocol::Event, Result<Arc<PromptResult>, ErrorObject>) {
        outcome.warnings.splice(0..0, self.warnings.iter().cloned());
        let result = |stop_reason, raw_finish_reason| {
            Arc::new(wire::prompt::result(
                &outcome,
                self.request_id.clone(),
                self.conversation_id.clone(),
                &self.model,
                stop_reason,
                raw_finish_reason,
            ))
        };
        match &outcome.end {
            End::Finished {
                stop_reason,
                raw_finish_reason,
            } => {
                let result = result(
                    wire::prompt::stop_reason(*stop_reason),
                    raw_finish_reason.clone(),
                );
                (
                    protocol::Event::Finished {
                        result: Arc::clone(&result),
                    },
                    Ok(result),
                )
            }
            End::Cancelled => {
                let result = result(protocol::StopReason::Cancelled, None);
                let partial = wire::prompt::partial(outcome.text());
                let error = self.placed(failure::cancelled(partial));
                (protocol::Event::Finished { result }, Err(error))
            }
            End::Failed(error) => {
                let mut error = failure::conversation(error, &self.scene);
                // What was said or done is not undone by asking again.
                error.data.retryable &= outcome.may_retry();
                error.data.partial = wire::prompt::partial(outcome.text());
                if error.data.code == ErrorCode::ApiInvalidModel {
                    Box::pin(self.name_models(&mut error)).await;
                }
                let error = self.placed(error);
                (
                    protocol::Event::Failed {
                        error: Box::new(error.clone()),
                    },
                    Err(error),
                )
            }
        }
    }

    /// A missing model's error says which ones may have been meant, as far as that is known.
    async fn name_models(&self, error: &mut ErrorObject) {
        let look_up = async {
            let known = model::discovery(&self.workspace, &self.route.profile.id, false).await?;
            // What was there a moment ago is no longer.
            match known.models.iter().any(|model| model.id == self.model) {
                true => model::discovery(&self.workspace, &self.route.profile.id, true).await,
                false => Ok(known),
            }
        };
        let looked_up = timeout(self.look_up, cancellable(&self.token, look_up));
        if let Ok(Ok(found)) = looked_up.await
            && !found.models.is_empty()
        {
            error.data.hint = Some(match found.near(&self.model).as_slice() {
                [] => offer(&found.models),
                near => format!("Near names there: {}.", near.join(", ")),
            });
        }
    }

    pub(super) fn placed(&self, mut error: ErrorObject) -> ErrorObject {
        error.data.config_id = Some(self.route.profile.id.clone());
        error.data.request_id = Some(self.request_id.clone());
        error.data.conversation_id = Some(self.conversation_id.clone());
        error
    }
}
