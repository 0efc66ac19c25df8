//! Whole prompts against a scripted model, scripted tools and a recording sink, in paused time.

mod answers;
mod bounds;
mod cancel;
mod continued;
mod fuzz;
mod input;
mod order;
mod tools;
mod validity;
