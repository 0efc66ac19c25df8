//! Who may talk to the models now: so many prompts at once, and beyond that one after the other,
//! fairly between profiles.
//!
//! A profile that is given a thousand prompts must not make the others wait until they are done:
//! some places are kept for them, and where prompts wait the profiles take turns.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// How many prompts run at once. Each holds a channel at the SSH server, a connection at the LLM
/// server and some 40 KiB here.
const RUNNING: usize = 1024;

/// How many of them may be one profile's: the others always have some places.
const PER_PROFILE: usize = 1000;

/// How many may wait: more than that is a host out of control, not a user.
const WAITING: usize = 1024;

/// How many prompts there can be at a time; one more is refused.
pub(super) const MAX_PROMPTS: usize = RUNNING + WAITING;

/// Everybody who runs or waits. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Admission(Arc<Mutex<Turns>>);

#[derive(Debug, Default)]
struct Turns {
    running: usize,
    waiting: usize,
    profiles: HashMap<String, Profile>,
    /// The profiles with somebody waiting, the next one first.
    order: VecDeque<String>,
}

#[derive(Debug, Default)]
struct Profile {
    running: usize,
    waiting: VecDeque<oneshot::Sender<Place>>,
}

/// A prompt's place among those that run. Dropping it lets the next one in.
#[derive(Debug)]
pub(super) struct Place {
    admission: Admission,
    profile: String,
}

/// A place in the queue. Dropping it gives it up.
#[derive(Debug)]
pub(super) struct Turn(oneshot::Receiver<Place>);

/// What a prompt gets at first.
#[derive(Debug)]
pub(super) enum Admitted {
    Now(Place),
    Later(Turn),
}

/// Everything is taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Admission {
    /// Lets a profile's prompt in, or makes it wait for its turn.
    pub(super) fn enter(&self, profile: &str) -> Result<Admitted, Full> {
        let mut turns = self.lock();
        let waits = turns
            .profiles
            .get(profile)
            .is_some_and(Profile::has_waiting);
        if !waits && turns.has_room_for(profile) {
            turns.begin(profile);
            return Ok(Admitted::Now(self.place(profile)));
        }
        if turns.waiting >= WAITING {
            return Err(Full);
        }
        let (turn, waiting) = oneshot::channel();
        turns.waiting += 1;
        let entry = turns.profiles.entry(profile.to_owned()).or_default();
        entry.waiting.push_back(turn);
        if entry.waiting.len() == 1 {
            turns.order.push_back(profile.to_owned());
        }
        Ok(Admitted::Later(Turn(waiting)))
    }

    fn place(&self, profile: &str) -> Place {
        Place {
            admission: self.clone(),
            profile: profile.to_owned(),
        }
    }

    /// A prompt has ended: whoever can run now, does.
    fn leave(&self, profile: &str) {
        self.lock().end(profile);
        loop {
            let next = self.lock().next();
            let Some((profile, turn)) = next else { return };
            // Who has given up in this moment leaves by itself, when the place is dropped.
            let _ = turn.send(self.place(&profile));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Turns> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turns {
    fn has_room_for(&self, profile: &str) -> bool {
        let running = self
            .profiles
            .get(profile)
            .map_or(0, |profile| profile.running);
        self.running < RUNNING && running < PER_PROFILE
    }

    fn begin(&mut self, profile: &str) {
        self.running += 1;
        self.profiles.entry(profile.to_owned()).or_default().running += 1;
    }

    fn end(&mut self, profile: &str) {
        self.running = self.running.saturating_sub(1);
        if let Some(entry) = self.profiles.get_mut(profile) {
            entry.running = entry.running.saturating_sub(1);
            if entry.running == 0 && !entry.has_waiting() {
                self.profiles.remove(profile);
            }
        }
    }

    /// Takes the next one out of the queue who still waits and has room.
    fn next(&mut self) -> Option<(String, oneshot::Sender<Place>)> {
        for _ in 0..self.order.len() {
            let profile = self.order.pop_front()?;
            let entry = self.profiles.get_mut(&profile)?;
            let before = entry.waiting.len();
            entry.waiting.retain(|turn| !turn.is_closed());
            self.waiting -= before - entry.waiting.len();
            if !entry.has_waiting() {
                continue;
            }
            if !self.has_room_for(&profile) {
                self.order.push_back(profile);
                continue;
            }
            let entry = self.profiles.get_mut(&profile)?;
            let turn = entry.waiting.pop_front()?;
            self.waiting -= 1;
            if entry.has_waiting() {
                self.order.push_back(profile.clone());
            }
            self.begin(&profile);
            return Some((profile, turn));
        }
        None
    }
}

impl Profile {
    fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

impl Turn {
    /// Waits for the turn.
    pub(super) async fn come(self) -> Option<Place> {
        // Nobody drops a turn but who hands out the place; the daemon is ending if it was dropped.
        self.0.await.ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let profile = mem::take(&mut self.profile);
        self.admission.leave(&profile);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    fn now(admission: &Admission, profile: &str) -> Place {
        match admission.enter(profile) {
            Ok(Admitted::Now(place)) => place,
            other => panic!("{other:?}"),
        }
    }

    fn later(admission: &Admission, profile: &str) -> Turn {
        match admission.enter(profile) {
            Ok(Admitted::Later(turn)) => turn,
            other => panic!("{other:?}"),
        }
    }

    /// Fills every place: one profile has all it can have, another one the rest.
    fn full() -> (Admission, Vec<Place>, Vec<Place>) {
        let admission = Admission::default();
        let many = (0..PER_PROFILE).map(|_| now(&admission, "many")).collect();
        let rest = (PER_PROFILE..RUNNING)
            .map(|_| now(&admission, "rest"))
            .collect();
        (admission, many, rest)
    }

    #[test]
    fn profiles_take_turns_however_many_prompts_each_has() {
        let (admission, mut many, _rest) = full();
        let mut turns: Vec<_> = (0..3)
            .map(|_| ("many", later(&admission, "many")))
            .collect();
        turns.push(("late", later(&admission, "late")));
        turns.push(("late", later(&admission, "late")));
        let mut came = Vec::new();
        let mut places = Vec::new();
        for _ in 0..5 {
            drop(many.pop());
            turns.retain_mut(|(name, turn)| match (&mut turn.0).now_or_never() {
                Some(place) => {
                    came.push(*name);
                    places.push(place);
                    false
                }
                None => true,
            });
        }
        assert_eq!(came, ["many", "late", "many", "late", "many"]);
    }

    #[test]
    fn others_have_places_of_their_own() {
        let admission = Admission::default();
        let _many: Vec<_> = (0..PER_PROFILE).map(|_| now(&admission, "many")).collect();
        let _waits = later(&admission, "many");
        let _other = now(&admission, "other");
    }

    #[test]
    fn those_who_give_up_are_passed_over_and_leave_nothing_behind() {
        let (admission, mut many, rest) = full();
        let gone = later(&admission, "late");
        let waits = later(&admission, "late");
        drop(gone);
        drop(many.pop());
        let place = waits.come().now_or_never().flatten().unwrap();
        drop((place, many, rest));
        let turns = admission.lock();
        assert_eq!((turns.running, turns.waiting), (0, 0));
        assert!(turns.profiles.is_empty() && turns.order.is_empty());
    }

    #[test]
    fn the_queue_has_an_end() {
        let (admission, many, _rest) = full();
        let waiting: Vec<_> = (0..WAITING).map(|_| later(&admission, "many")).collect();
        assert_eq!(admission.enter("other").unwrap_err(), Full);
        // All at once: each place goes to one of those who wait.
        drop(many);
        let came: Vec<_> = waiting
            .into_iter()
            .filter_map(|turn| turn.come().now_or_never().flatten())
            .collect();
        assert_eq!(came.len(), PER_PROFILE);
    }
}
