//! The model as a turn sees it: one request out, a stream of events back.
//!
//! The seam that lets tests script a server event by event.

use std::future::Future;
use std::time::Duration;

use crate::llm::{Carrier, ChatEvent, ChatRequest, ChatStream, Error, Server, Usage};

/// Something that answers chat requests.
pub(super) trait Model: Sync {
    type Carrier: Carrier;
    type Answer: Answer<Carrier = Self::Carrier>;

    /// Asks. Dropping the future takes the request back.
    fn chat(
        &self,
        request: ChatRequest,
    ) -> impl Future<Output = Result<Self::Answer, Error<Self::Carrier>>> + Send;
}

/// An answer on its way. Dropping it cancels at once.
pub(super) trait Answer: Send {
    type Carrier: Carrier;

    /// The next event; `None` after the last one.
    fn next(
        &mut self,
    ) -> impl Future<Output = Option<Result<ChatEvent, Error<Self::Carrier>>>> + Send;

    /// How long it took to reach the server; `None` if a connection was there already.
    fn connect_time(&self) -> Option<Duration>;

    /// What the server has counted so far; some count as they go.
    fn usage(&self) -> Option<Usage>;
}

impl<E: Carrier> Model for Server<E> {
    type Carrier = E;
    type Answer = ChatStream<E>;

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream<E>, Error<E>> {
        Self::chat(self, request).await
    }
}

impl<E: Carrier> Answer for ChatStream<E> {
    type Carrier = E;

    async fn next(&mut self) -> Option<Result<ChatEvent, Error<E>>> {
        Self::next(self).await
    }

    fn connect_time(&self) -> Option<Duration> {
        Some(self.timing().connect).filter(|time| !time.is_zero())
    }

    fn usage(&self) -> Option<Usage> {
        Self::usage(self)
    }
}
