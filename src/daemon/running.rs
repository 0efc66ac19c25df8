//! The prompts that are running, by the host's own names for them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

/// Every running prompt and how to cancel it.
#[derive(Debug, Default)]
pub(super) struct Running {
    prompts: Mutex<HashMap<String, Prompt>>,
}

#[derive(Debug)]
struct Prompt {
    token: CancellationToken,
    conversation_id: String,
}

/// Why a prompt can't run now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Another prompt has this name.
    RequestId,
    /// Another prompt adds to this conversation; their messages would mix.
    Conversation,
}

impl Running {
    /// Enters a prompt until the ticket is dropped.
    pub(super) fn enter(
        self: &Arc<Self>,
        request_id: &str,
        conversation_id: &str,
        token: CancellationToken,
    ) -> Result<Ticket, Taken> {
        let mut prompts = self.lock();
        if prompts.contains_key(request_id) {
            return Err(Taken::RequestId);
        }
        if prompts
            .values()
            .any(|prompt| prompt.conversation_id == conversation_id)
        {
            return Err(Taken::Conversation);
        }
        let prompt = Prompt {
            token,
            conversation_id: conversation_id.to_owned(),
        };
        prompts.insert(request_id.to_owned(), prompt);
        Ok(Ticket {
            running: Arc::clone(self),
            request_id: request_id.to_owned(),
        })
    }

    /// Cancels one prompt; `false` when there is none of that name.
    pub(super) fn cancel(&self, request_id: &str) -> bool {
        self.lock()
            .get(request_id)
            .inspect(|prompt| prompt.token.cancel())
            .is_some()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Prompt>> {
        self.prompts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A prompt's place among the running ones.
#[derive(Debug)]
pub(super) struct Ticket {
    running: Arc<Running>,
    request_id: String,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.running.lock().remove(&self.request_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_free_again_when_its_prompt_has_ended() {
        let running = Arc::new(Running::default());
        let enter = |name, conversation| {
            let token = CancellationToken::new();
            running
                .enter(name, conversation, token.clone())
                .map(|ticket| (ticket, token))
        };
        let (ticket, token) = enter("a", "x").unwrap();
        assert_eq!(enter("a", "y").unwrap_err(), Taken::RequestId);
        assert_eq!(enter("b", "x").unwrap_err(), Taken::Conversation);
        assert!(running.cancel("a") && token.is_cancelled());
        drop(ticket);
        assert!(!running.cancel("a"));
        assert!(enter("a", "x").is_ok());
    }
}
