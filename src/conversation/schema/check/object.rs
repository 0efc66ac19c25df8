//! What a schema says of an object's members.

use serde_json::{Map, Value};

use super::super::{place::Place, seen::Seen, value::Keywords};
use super::{Check, Told};

impl<'s> Check<'s> {
    pub(super) fn object<'v>(
        &mut self,
        keywords: &'s Keywords,
        value: &'v Value,
        told: Told<'_>,
        seen: &mut Seen<'v>,
    ) -> bool {
        let Value::Object(map) = value else {
            return true;
        };
        let mut good = self.members(keywords, map, told, seen);
        let names = keywords.get("required").and_then(Value::as_array);
        good &= self.required(names, map, told);
        if let Some(schema) = keywords.get("propertyNames") {
            for name in map.keys() {
                let name_value = Value::String(name.clone());
                if !self.quietly(schema, &name_value, &mut Seen::new(false)) {
                    good = self.fail(told, || format!("'{name}' is no name for a property here"));
                }
            }
        }
        for keyword in ["dependentRequired", "dependentSchemas", "dependencies"] {
            let by_name = keywords.get(keyword).and_then(Value::as_object);
            for (name, needed) in by_name.into_iter().flatten() {
                if map.contains_key(name) {
                    good &= match needed {
                        Value::Array(names) => self.required(Some(names), map, told),
                        schema => self.fits(schema, value, told, seen),
                    };
                }
            }
        }
        if let Some(schema) = keywords.get("unevaluatedProperties") {
            let left = map.iter().filter(|(name, _)| !seen.has_name(name));
            let left: Vec<_> = left.collect();
            good &= self.rest(schema, left, told, seen);
        }
        good
    }

    /// `properties`, `patternProperties` and what is left for `additionalProperties`.
    fn members<'v>(
        &mut self,
        keywords: &'s Keywords,
        map: &'v Map<String, Value>,
        told: Told<'_>,
        seen: &mut Seen<'v>,
    ) -> bool {
        let of = |keyword: &str| keywords.get(keyword).and_then(Value::as_object);
        let (named, patterned) = (of("properties"), of("patternProperties"));
        let mut good = true;
        let mut left = Vec::new();
        for (name, value) in map {
            if !self.step(patterned.map_or(0, Map::len)) {
                return false;
            }
            let mut known = false;
            let place = told.map(|place| Place::Name(place, name));
            let patterned = patterned.into_iter().flatten().filter(|(pattern, _)| {
                let pattern = self.schema.patterns.get(*pattern);
                pattern.is_some_and(|pattern| pattern.is_match(name))
            });
            let patterned: Vec<&'s Value> = patterned.map(|(_, schema)| schema).collect();
            let named = named.and_then(|named| named.get(name));
            for schema in named.into_iter().chain(patterned) {
                known = true;
                good &= self.fits(schema, value, place.as_ref(), &mut Seen::new(seen.is_on()));
            }
            match known {
                true => seen.name(name),
                false => left.push((name, value)),
            }
        }
        match keywords.get("additionalProperties") {
            Some(schema) => self.rest(schema, left, told, seen) && good,
            None => good,
        }
    }

    /// Members that only a schema for all others is about.
    fn rest<'v>(
        &mut self,
        schema: &'s Value,
        members: Vec<(&'v String, &'v Value)>,
        told: Told<'_>,
        seen: &mut Seen<'v>,
    ) -> bool {
        if *schema == Value::Bool(false) && !members.is_empty() {
            let names: Vec<_> = members
                .iter()
                .map(|(name, _)| format!("'{name}'"))
                .collect();
            let verb = if names.len() == 1 { "was" } else { "were" };
            return self.fail(told, || {
                let names = names.join(", ");
                format!("Additional properties are not allowed ({names} {verb} unexpected)")
            });
        }
        let mut good = true;
        for (name, value) in members {
            let place = told.map(|place| Place::Name(place, name));
            good &= self.fits(schema, value, place.as_ref(), &mut Seen::new(seen.is_on()));
            seen.name(name);
        }
        good
    }

    fn required(
        &mut self,
        names: Option<&Vec<Value>>,
        map: &Map<String, Value>,
        told: Told<'_>,
    ) -> bool {
        let mut good = true;
        let names = names.into_iter().flatten().filter_map(Value::as_str);
        for name in names.filter(|name| !map.contains_key(*name)) {
            good = self.fail(told, || format!("{name:?} is a required property"));
        }
        good
    }
}
