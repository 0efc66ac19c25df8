//! Many prompts at a time, each judged when it has ended.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout_at};

use super::judge::{Case, judge};
use super::model::TOOL;
use super::plan::{Cancel, Plan};
use super::tally::Wrong;
use super::world::{PROFILES, World};
use crate::support::daemon::{Reply, Ticket};
use crate::support::random::Random;

/// A cancelled prompt is answered within this, even while the host does not listen for a moment.
const CANCELLED: Duration = Duration::from_secs(8);

/// Keeps `prompts` in flight until then; returns when all have ended.
pub(super) async fn work(world: &World, prompts: usize, until: Instant, random: &mut Random) {
    let workers = (0..prompts).map(|_| {
        let mut random = Random::new(random.next());
        async move {
            while Instant::now() < until {
                let profile = random.pick(&PROFILES);
                ask(world, profile, |id| Plan::any(id, &mut random)).await;
                // As somebody who reads the answer; also keeps failures from being a flood.
                sleep(Duration::from_millis(random.within(0..100))).await;
            }
        }
    });
    join_all(workers).await;
}

/// Asks one prompt and judges its end, of which the name is returned.
pub(super) async fn ask(world: &World, profile: &str, plan: impl FnOnce(u64) -> Plan) -> String {
    let plan = world.ledger.enter(plan);
    let name = plan.name();
    let method = match plan.streamed {
        true => "remote-llm/stream-prompt",
        false => "remote-llm/submit-prompt",
    };
    let params = json!({
        "configId": profile, "requestId": name, "model": "smol",
        "messages": [{"role": "user", "content": plan.question()}],
        "tools": [{"name": TOOL, "description": "Works.", "inputSchema": {"type": "object"}}],
    });
    let ticket = world.daemon.send(method, params).await;
    let cancelled = match plan.cancel {
        Some(cancel) => cancel_unless_over(world, &ticket, &name, cancel).await,
        None => None,
    };
    let reply = world.daemon.timed_reply(&ticket).await;
    if let Some(cancelled) = cancelled {
        cancelled_in_time(world, &reply, cancelled, &plan);
    }
    let deeds = world.ledger.over(plan.id);
    let (chunks, _) = world.daemon.take(&ticket, &name);
    let (end, wrongs) = judge(&Case {
        plan: &plan,
        chunks: &chunks,
        outcome: &reply.outcome,
        deeds,
        was_cancelled: cancelled.is_some(),
    });
    for (wrong, finding) in wrongs {
        world.tally.wrong(wrong, format!("{profile}: {finding}"));
    }
    world.tally.ended(&end);
    world.daemon.forget();
    end
}

/// Cancels a prompt if it still runs then; returns when.
async fn cancel_unless_over(
    world: &World,
    ticket: &Ticket,
    name: &str,
    cancel: Cancel,
) -> Option<std::time::Instant> {
    let reply = world.daemon.timed_reply(ticket);
    if timeout_at(Instant::now() + cancel.after, reply)
        .await
        .is_ok()
    {
        return None;
    }
    let when = std::time::Instant::now();
    if cancel.by_name {
        let params = json!({"requestId": name});
        let cancelled: Value = world.daemon.ok("remote-llm/cancel", params).await;
        // It may have ended in this moment.
        return (cancelled["cancelled"] == true).then_some(when);
    }
    world.daemon.cancel(ticket).await;
    Some(when)
}

fn cancelled_in_time(world: &World, reply: &Reply, cancelled: std::time::Instant, plan: &Plan) {
    let took = reply.at.saturating_duration_since(cancelled);
    world.tally.lock().cancels.push(took);
    if took > CANCELLED {
        let finding = format!("answered {took:?} after its cancel: {plan:?}");
        world.tally.wrong(Wrong::Late, finding);
    }
}
