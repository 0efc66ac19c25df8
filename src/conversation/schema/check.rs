//! One check of an input against a schema.

mod array;
mod object;

use serde_json::Value;

use super::super::text::one_line;
use super::{
    Schema,
    place::Place,
    seen::Seen,
    value::{self, Keywords},
};

/// How many steps a check may take: some 50 ms. The largest input, 1 MiB, has 500,000 parts.
const MAX_STEPS: u32 = 2_000_000;
/// How many problems of an input are told.
const PROBLEMS: usize = 3;
/// The most that is told of one problem, in characters.
const PROBLEM_CHARS: usize = 160;

pub(super) struct Check<'s> {
    schema: &'s Schema,
    steps: u32,
    problems: Vec<String>,
}

/// Where problems are told of; `None` where a failure may be none, as in `anyOf`.
type Told<'a> = Option<&'a Place<'a>>;

impl<'s> Check<'s> {
    pub(super) fn new(schema: &'s Schema) -> Self {
        Self {
            schema,
            steps: 0,
            problems: Vec::new(),
        }
    }

    pub(super) fn run(mut self, input: &Value) -> Result<(), String> {
        let mut seen = Seen::new(self.schema.tracks);
        let fits = self.fits(&self.schema.root, input, Some(&Place::Root), &mut seen);
        if self.is_over() {
            return Err("they are too complicated to be checked against its schema".to_owned());
        }
        match fits {
            true => Ok(()),
            false => Err(self.problems.join("; ")),
        }
    }

    fn is_over(&self) -> bool {
        self.steps >= MAX_STEPS
    }

    fn step(&mut self, by: usize) -> bool {
        let by = u32::try_from(by).unwrap_or(u32::MAX);
        self.steps = self.steps.saturating_add(by);
        !self.is_over()
    }

    /// Always false: what is told is wrong.
    fn fail(&mut self, told: Told<'_>, problem: impl FnOnce() -> String) -> bool {
        if let Some(place) = told
            && self.problems.len() < PROBLEMS
        {
            let at = place.to_string();
            let separator = if at.is_empty() { "" } else { ": " };
            let text = format!("{at}{separator}{}", problem());
            self.problems.push(one_line(&text, PROBLEM_CHARS));
        }
        false
    }

    /// Whether a value fits a subschema. What was looked at is noted if it does.
    fn fits<'v>(
        &mut self,
        schema: &'s Value,
        value: &'v Value,
        told: Told<'_>,
        outer: &mut Seen<'v>,
    ) -> bool {
        if !self.step(1) {
            return false;
        }
        let keywords = match schema {
            Value::Bool(false) => return self.fail(told, || "nothing may be here".to_owned()),
            Value::Object(keywords) => keywords,
            _ => return true,
        };
        let mut seen = Seen::new(outer.is_on());
        if self.schema.reference_is_alone && keywords.contains_key("$ref") {
            return self.reference(keywords, value, told, outer);
        }
        let mut good = self.itself(keywords, value, told);
        // The last two want to know what the others looked at.
        for part in [
            Self::reference,
            Self::combinations,
            Self::condition,
            Self::object,
            Self::array,
        ] {
            // Where nothing is told, the first problem is enough.
            if !good && told.is_none() {
                return false;
            }
            good &= part(self, keywords, value, told, &mut seen);
        }
        if good {
            outer.extend(seen);
        }
        good
    }

    fn quietly<'v>(&mut self, schema: &'s Value, value: &'v Value, seen: &mut Seen<'v>) -> bool {
        self.fits(schema, value, None, seen)
    }

    fn itself(&mut self, keywords: &Keywords, value: &Value, told: Told<'_>) -> bool {
        let mut good = true;
        for problem in value::problems(keywords, value, &self.schema.patterns) {
            good = self.fail(told, || problem);
        }
        if let Some(Value::Array(allowed)) = keywords.get("enum")
            && self.step(allowed.len())
            && !allowed.iter().any(|one| value::equal(one, value))
        {
            let listed = || value::listed(allowed, " or ");
            good = self.fail(told, || format!("value is not one of {}", listed()));
        }
        if let Some(only) = keywords.get("const")
            && !value::equal(only, value)
        {
            good = self.fail(told, || format!("value is not {only}"));
        }
        good
    }

    fn reference<'v>(
        &mut self,
        keywords: &'s Keywords,
        value: &'v Value,
        told: Told<'_>,
        seen: &mut Seen<'v>,
    ) -> bool {
        let reference = keywords.get("$ref").and_then(Value::as_str);
        // All references were followed once, by `shape`.
        let pointer = reference.and_then(|reference| reference.strip_prefix('#'));
        match pointer.and_then(|pointer| self.schema.root.pointer(pointer)) {
            Some(schema) => self.fits(schema, value, told, seen),
            None => true,
        }
    }

    fn combinations<'v>(
        &mut self,
        keywords: &'s Keywords,
        value: &'v Value,
        told: Told<'_>,
        seen: &mut Seen<'v>,
    ) -> bool {
        let of = |keyword: &str| keywords.get(keyword).and_then(Value::as_array);
        let mut good = true;
        for schema in of("allOf").into_iter().flatten() {
            good &= self.fits(schema, value, told, seen);
        }
        if let Some(schemas) = of("anyOf") {
            let mut any = false;
            for schema in schemas {
                any |= self.quietly(schema, value, seen);
                if any && !seen.is_on() {
                    break;
                }
            }
            good &= any
                || self.fail(told, || {
                    "value fits none of its alternatives (anyOf)".to_owned()
                });
        }
        if let Some(schemas) = of("oneOf") {
            let fitting = schemas
                .iter()
                .filter(|it| self.quietly(it, value, seen))
                .count();
            good &= fitting == 1
                || self.fail(told, || {
                    let which = if fitting == 0 {
                        "none"
                    } else {
                        "more than one"
                    };
                    format!("value fits {which} of its alternatives (oneOf)")
                });
        }
        if let Some(schema) = keywords.get("not")
            && self.quietly(schema, value, &mut Seen::new(seen.is_on()))
        {
            good = self.fail(told, || "value is what it may not be (not)".to_owned());
        }
        good
    }

    fn condition<'v>(
        &mut self,
        keywords: &'s Keywords,
        value: &'v Value,
        told: Told<'_>,
        seen: &mut Seen<'v>,
    ) -> bool {
        let Some(condition) = keywords.get("if") else {
            return true;
        };
        let branch = match self.quietly(condition, value, seen) {
            true => "then",
            false => "else",
        };
        let schema = keywords.get(branch);
        schema.is_none_or(|schema| self.fits(schema, value, told, seen))
    }
}
