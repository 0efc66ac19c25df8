//! Log lines for hosts that ask for them (`remote-llm/log`).

use std::{
    fmt::{self, Write as _},
    sync::{Arc, OnceLock},
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

use crate::{
    protocol::{Log, LogLevel, LogParams, Notification},
    rpc::Outbound,
};

/// A layer of the log that stays silent until a host asks for its lines.
///
/// Lines are news, not data: one that finds the outbound queue full is dropped.
#[derive(Clone, Debug, Default)]
pub struct LogTap {
    host: Arc<OnceLock<(Level, Outbound)>>,
}

impl LogTap {
    /// Sends lines of `level` and more important ones from now on.
    pub(super) fn open(&self, level: LogLevel, outbound: Outbound) {
        let level = match level {
            LogLevel::Error => Level::ERROR,
            LogLevel::Warn => Level::WARN,
            LogLevel::Info => Level::INFO,
            LogLevel::Debug => Level::DEBUG,
            LogLevel::Trace => Level::TRACE,
        };
        // `initialize` comes once, so a second level cannot be asked for.
        let _ = self.host.set((level, outbound));
    }
}

impl<S: Subscriber> Layer<S> for LogTap {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some((level, outbound)) = self.host.get() else {
            return;
        };
        let metadata = event.metadata();
        // Lines about the queue itself would feed it.
        if metadata.level() > level || metadata.target().starts_with("puffin_remote_llm::rpc") {
            return;
        }
        let mut line = Line::default();
        event.record(&mut line);
        let params = LogParams {
            level: match *metadata.level() {
                Level::ERROR => LogLevel::Error,
                Level::WARN => LogLevel::Warn,
                Level::INFO => LogLevel::Info,
                Level::DEBUG => LogLevel::Debug,
                Level::TRACE => LogLevel::Trace,
            },
            target: metadata.target().to_owned(),
            message: line.0,
        };
        outbound.try_notify(Log::METHOD, &params);
    }
}

/// The message, then `field=value`s.
#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = if field.name() == "message" {
            write!(self.0, "{value:?}")
        } else {
            write!(self.0, " {}={value:?}", field.name())
        };
        // Writing to a string fails only when a Debug impl does; then the line is shorter.
        let _ = written;
    }
}
