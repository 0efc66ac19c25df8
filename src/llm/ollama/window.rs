//! The context that a prompt will have, and what becomes of it there.

use super::{Facts, Loaded};
use crate::llm::{
    context::{Count, Excess, Window, is_news},
    dialect::Dialect,
    message::ChatRequest,
};

/// The smallest context that any version loads a model with by itself: nothing that is smaller
/// needs a look.
pub(in crate::llm) const SMALLEST: u64 = 2048;

/// What is assumed of a server that does not say. Newer ones choose it by their memory: 4096,
/// 32768 or more.
const ASSUMED: u64 = 4096;

/// What an answer needs at least, for a piece of advice.
const ANSWER: u64 = 1024;

/// What is known before a request is sent.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::llm) struct Situation {
    /// Tokens that the profile asks for.
    pub(in crate::llm) configured: Option<u64>,
    /// Tokens that the prompt has, as far as can be told.
    pub(in crate::llm) prompt: u64,
    /// Tokens that the answer may have.
    pub(in crate::llm) answer: Option<u64>,
    pub(in crate::llm) loaded: Loaded,
    pub(in crate::llm) facts: Facts,
}

impl Situation {
    /// The `num_ctx` to send. Any other than the loaded one loads the model again, for everybody
    /// who uses it: so the loaded one if it is large enough, else what the profile asks for.
    pub(in crate::llm) fn num_ctx(&self) -> Option<u64> {
        let needed = self.prompt.saturating_add(self.answer.unwrap_or(0));
        let wanted = self.configured.unwrap_or(needed);
        let loaded = self.loaded.context().filter(|loaded| *loaded >= wanted);
        loaded.or(self.configured)
    }

    /// What the prompt has to fit in, if this `num_ctx` is sent with it.
    pub(in crate::llm) fn window(&self, num_ctx: Option<u64>) -> Window {
        let window = |source| move |tokens| Window { tokens, source };
        let mut found = num_ctx
            .map(window("num_ctx"))
            .or(self.loaded.context().map(window("as it is loaded")))
            .or(self.facts.num_ctx.map(window("as its Modelfile says")))
            .unwrap_or(Window {
                tokens: ASSUMED,
                source: "unless the server was started with more",
            });
        if let Some(maximum) = self.facts.maximum
            && maximum < found.tokens
        {
            found = Window {
                tokens: maximum,
                source: "all that it was made for",
            };
        }
        found
    }

    /// What to tell if the prompt is going to be cut.
    pub(in crate::llm) fn warning(
        &self,
        request: &ChatRequest,
        window: Window,
        dialect: Dialect,
    ) -> Option<String> {
        if self.prompt <= window.tokens || !is_news(request, window.tokens) {
            return None;
        }
        let excess = Excess {
            count: Count::About(self.prompt),
            model: &request.model,
            window,
        };
        let room = self.prompt.saturating_add(self.answer.unwrap_or(ANSWER));
        let room = room.checked_next_power_of_two().unwrap_or(room);
        let remedy = match (self.facts.maximum, dialect) {
            (Some(maximum), _) if self.prompt > maximum => {
                format!("The model takes {maximum} at most: shorten the conversation.")
            }
            (maximum, dialect) => {
                let room = maximum.map_or(room, |maximum| maximum.min(room));
                let api = match dialect {
                    Dialect::Ollama => "",
                    Dialect::OpenAi => " and llm.apiType to ollama",
                };
                format!(
                    "Set llm.ollama.numCtx to {room}{api}, or start Ollama with \
                     OLLAMA_CONTEXT_LENGTH={room}."
                )
            }
        };
        Some(format!(
            "{excess}: Ollama will leave out the oldest messages without saying so. {remedy}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::{
        context::estimate,
        message::{Block, Message, Role},
    };

    #[test]
    fn the_loaded_context_is_asked_for_when_it_is_large_enough() {
        use Loaded::{No, Unknown, Yes};
        for (configured, prompt, answer, loaded, num_ctx) in [
            // Nothing is configured.
            (None, 100, None, Unknown, None),
            (None, 100, None, No, None),
            (None, 100, None, Yes(None), None),
            (None, 100, None, Yes(Some(4096)), Some(4096)),
            (None, 4096, None, Yes(Some(4096)), Some(4096)),
            (None, 4097, None, Yes(Some(4096)), None),
            (None, 4000, Some(1000), Yes(Some(4096)), None),
            // What is configured holds, unless more is there already.
            (Some(8192), 100, None, Unknown, Some(8192)),
            (Some(8192), 100, None, No, Some(8192)),
            (Some(8192), 100, None, Yes(None), Some(8192)),
            (Some(8192), 100, None, Yes(Some(4096)), Some(8192)),
            (Some(8192), 100, None, Yes(Some(8192)), Some(8192)),
            (Some(8192), 100, None, Yes(Some(32768)), Some(32768)),
            (Some(8192), 20_000, None, Yes(Some(32768)), Some(32768)),
            (Some(8192), 20_000, None, No, Some(8192)),
        ] {
            let situation = Situation {
                configured,
                prompt,
                answer,
                loaded,
                ..Situation::default()
            };
            assert_eq!(situation.num_ctx(), num_ctx, "{situation:?}");
        }
    }

    #[test]
    fn the_window_is_the_nearest_that_is_known() {
        let facts = Facts {
            num_ctx: Some(6000),
            ..Facts::default()
        };
        let tokens = |num_ctx, loaded, facts| {
            let situation = Situation {
                loaded,
                facts,
                ..Situation::default()
            };
            situation.window(num_ctx).tokens
        };
        assert_eq!(tokens(None, Loaded::No, Facts::default()), 4096);
        assert_eq!(tokens(None, Loaded::No, facts), 6000);
        assert_eq!(tokens(None, Loaded::Yes(Some(8192)), facts), 8192);
        assert_eq!(tokens(Some(9000), Loaded::Yes(Some(8192)), facts), 9000);
        let small = Facts {
            maximum: Some(2048),
            ..facts
        };
        assert_eq!(tokens(Some(9000), Loaded::No, small), 2048);
    }

    fn message(role: Role, block: Block) -> Message {
        Message {
            role,
            content: vec![block],
        }
    }

    fn said(bytes: usize) -> Block {
        Block::Text {
            text: "x".repeat(bytes),
        }
    }

    fn warning(request: &ChatRequest, facts: Facts, dialect: Dialect) -> Option<String> {
        let situation = Situation {
            prompt: estimate::tokens(request),
            facts,
            ..Situation::default()
        };
        situation.warning(request, situation.window(None), dialect)
    }

    #[test]
    fn a_warning_names_the_numbers_and_the_remedy() {
        let mut request = ChatRequest {
            model: "smol".into(),
            messages: vec![message(Role::User, said(14_000))],
            ..ChatRequest::default()
        };
        assert_eq!(warning(&request, Facts::default(), Dialect::OpenAi), None);
        request.messages.push(message(Role::User, said(7_000)));
        expect_test::expect![[r#"The prompt has about 6016 tokens, but smol has a context of 4096 (unless the server was started with more): Ollama will leave out the oldest messages without saying so. Set llm.ollama.numCtx to 8192 and llm.apiType to ollama, or start Ollama with OLLAMA_CONTEXT_LENGTH=8192."#]]
            .assert_eq(&warning(&request, Facts::default(), Dialect::OpenAi).unwrap());
        let facts = Facts {
            maximum: Some(5000),
            ..Facts::default()
        };
        expect_test::expect![[r#"The prompt has about 6016 tokens, but smol has a context of 4096 (unless the server was started with more): Ollama will leave out the oldest messages without saying so. The model takes 5000 at most: shorten the conversation."#]]
            .assert_eq(&warning(&request, facts, Dialect::Ollama).unwrap());
    }

    #[test]
    fn a_prompt_is_warned_of_once_and_when_a_result_outgrows_the_window() {
        let call = Block::ToolUse {
            id: "a".into(),
            name: "f".into(),
            input: serde_json::json!({}),
        };
        let result = |bytes| Block::ToolResult {
            tool_use_id: "a".into(),
            content: vec![said(bytes)],
            is_error: false,
        };
        let conversation = |question: usize, answer: usize| ChatRequest {
            messages: vec![
                message(Role::User, said(question)),
                message(Role::Assistant, call.clone()),
                message(Role::User, result(answer)),
            ],
            ..ChatRequest::default()
        };
        let warns = |request| warning(&request, Facts::default(), Dialect::Ollama).is_some();
        assert!(!warns(conversation(1_000, 1_000)));
        assert!(warns(conversation(1_000, 50_000)));
        assert!(!warns(conversation(50_000, 1_000)));
    }
}
