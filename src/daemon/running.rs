//! The prompts that are running, by the host's own names for them.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

/// Every running prompt and how to cancel it.
#[derive(Debug, Default)]
pub(super) struct Running {
    prompts: Mutex<Prompts>,
}

#[derive(Debug, Default)]
struct Prompts {
    tokens: HashMap<String, CancellationToken>,
    conversations: HashSet<String>,
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
        if prompts.tokens.contains_key(request_id) {
            return Err(Taken::RequestId);
        }
        if prompts.conversations.contains(conversation_id) {
            return Err(Taken::Conversation);
        }
        prompts.tokens.insert(request_id.to_owned(), token);
        prompts.conversations.insert(conversation_id.to_owned());
        Ok(Ticket {
            running: Arc::clone(self),
            request_id: request_id.to_owned(),
            conversation_id: conversation_id.to_owned(),
        })
    }

    /// Cancels one prompt; `false` when there is none of that name.
    pub(super) fn cancel(&self, request_id: &str) -> bool {
        let token = self.lock().tokens.get(request_id).cloned();
        // Outside the lock: cancelling runs wakers.
        token.inspect(CancellationToken::cancel).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Prompts> {
        self.prompts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A prompt's place among the running ones.
#[derive(Debug)]
pub(super) struct Ticket {
    running: Arc<Running>,
    request_id: String,
    conversation_id: String,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut prompts = self.running.lock();
        prompts.tokens.remove(&self.request_id);
        prompts.conversations.remove(&self.conversation_id);
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
