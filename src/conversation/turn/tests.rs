//! Whole prompts against a scripted model, scripted tools and a recording sink, in paused time.

mod answers;
mod bounds;
mod cancel;
mod tools;
mod validity;
