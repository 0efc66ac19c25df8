//! What is left of the prompts at a quiet moment: nothing.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::crowd::ask;
use super::plan::Plan;
use super::tally::{Sample, Wrong};
use super::world::World;
use crate::support::processes::sockets_to;
use crate::support::random::Random;

/// How soon after the last prompt nothing of it is left. HTTP connections are kept for four seconds.
const SETTLED: Duration = Duration::from_secs(15);

const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Counts what is still open while nothing runs and nothing is wrong, first with the connections
/// and then without, and looks whether every profile is of use afterwards. `descriptors` is what the
/// daemon has open when it is connected to nobody.
pub(super) async fn take(world: &World, descriptors: usize, random: &mut Random) {
    let llm_port = world.llm.port();
    leaked(world, Wrong::LeakedChannel, "channels at sshd", || {
        sockets_to(llm_port)
    })
    .await;
    leaked(
        world,
        Wrong::LeakedChannel,
        "connections at the LLM server",
        || world.llm.seen().live,
    )
    .await;

    forget_conversations(world).await;
    world.disconnect().await;
    leaked(world, Wrong::LeakedDescriptor, "descriptors", || {
        world.daemon.descriptors().saturating_sub(descriptors)
    })
    .await;
    leaked(
        world,
        Wrong::LeakedDescriptor,
        "connections to sshd",
        || {
            let ports = world.roads().map(|road| road.proxy.port());
            ports.into_iter().map(sockets_to).sum()
        },
    )
    .await;
    leaked(world, Wrong::LeakedProcess, "child processes", || {
        world.daemon.children().len()
    })
    .await;
    {
        let mut counts = world.tally.lock();
        let sample = Sample {
            prompts: counts.prompts,
            bytes: world.daemon.anonymous_memory(),
        };
        counts.memory.push(sample);
    }
    listen_to_stderr(world);
    world.ledger.forget();

    world.connect().await;
    for profile in World::profiles() {
        let end = ask(world, profile, |id| Plan::simple(id, random)).await;
        if end != "complete" {
            let finding = format!("{profile} after all trouble: {end}");
            world.tally.wrong(Wrong::NotServed, finding);
        }
    }
}

/// Waits until there is none any more; what is left then is a leak.
async fn leaked(world: &World, wrong: Wrong, what: &str, count: impl Fn() -> usize) {
    let deadline = Instant::now() + SETTLED;
    loop {
        let left = count();
        if left == 0 {
            return;
        }
        if Instant::now() > deadline {
            let finding = format!("{left} {what} after {} prompts", world.tally.lock().prompts);
            world.tally.wrongs(wrong, left as u64, finding);
            return;
        }
        // Other processes: there is nothing to wait for.
        sleep(LOOK_AGAIN).await;
    }
}

/// They are kept on purpose, up to a limit; how large they are is chance.
async fn forget_conversations(world: &World) {
    let list = world
        .daemon
        .ok("remote-llm/list-conversations", json!({}))
        .await;
    for conversation in list["conversations"].as_array().into_iter().flatten() {
        let params = json!({"conversationId": conversation["conversationId"]});
        world
            .daemon
            .ok("remote-llm/delete-conversation", params)
            .await;
    }
}

fn listen_to_stderr(world: &World) {
    let said = world.daemon.take_stderr();
    for line in said.lines() {
        if line.contains("panicked") || line.contains("internal error") {
            world.tally.wrong(Wrong::Panic, line.to_owned());
        }
    }
}
