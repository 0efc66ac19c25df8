//! What a schema says of an array's items.

use serde_json::Value;

use super::super::{
    place::Place,
    seen::Seen,
    value::{self, Keywords},
};
use super::{Check, Told};

impl<'s> Check<'s> {
    pub(super) fn array<'v>(
        &mut self,
        keywords: &'s Keywords,
        value: &'v Value,
        told: Told<'_>,
        seen: &mut Seen<'v>,
    ) -> bool {
        let Value::Array(items) = value else {
            return true;
        };
        let of = |keyword: &str| keywords.get(keyword);
        // Before 2020-12, `items` could be the tuple, and `additionalItems` the rest.
        let (first, rest) = match of("items") {
            Some(Value::Array(tuple)) => (Some(tuple), of("additionalItems")),
            rest => (of("prefixItems").and_then(Value::as_array), rest),
        };
        let first = first.map_or(&[][..], Vec::as_slice);
        let mut good = true;
        for (index, item) in items.iter().enumerate() {
            if let Some(schema) = first.get(index).or(rest) {
                let place = told.map(|place| Place::Index(place, index));
                good &= self.fits(schema, item, place.as_ref(), &mut Seen::new(seen.is_on()));
                seen.item(index);
            }
        }
        good &= self.contains(keywords, items, told, seen);
        if of("uniqueItems") == Some(&Value::Bool(true)) {
            for (index, item) in items.iter().enumerate() {
                let before = &items[..index];
                if self.step(index) && before.iter().any(|other| value::equal(other, item)) {
                    good = self.fail(told, || "value has the same item twice".to_owned());
                    break;
                }
            }
        }
        if let Some(schema) = of("unevaluatedItems") {
            for (index, item) in items.iter().enumerate() {
                if !seen.has_item(index) {
                    let place = told.map(|place| Place::Index(place, index));
                    good &= self.fits(schema, item, place.as_ref(), &mut Seen::new(true));
                    seen.item(index);
                }
            }
        }
        good
    }

    fn contains<'v>(
        &mut self,
        keywords: &'s Keywords,
        items: &'v [Value],
        told: Told<'_>,
        seen: &mut Seen<'v>,
    ) -> bool {
        let Some(schema) = keywords.get("contains") else {
            return true;
        };
        let mut found = 0;
        for (index, item) in items.iter().enumerate() {
            if self.quietly(schema, item, &mut Seen::new(seen.is_on())) {
                found += 1;
                seen.item(index);
            }
        }
        let bound = |keyword: &str| keywords.get(keyword).and_then(value::count);
        let least = bound("minContains").unwrap_or(1);
        let most = bound("maxContains").unwrap_or(u64::MAX);
        (least..=most).contains(&found)
            || self.fail(told, || {
                format!("value has {found} of the items it must contain")
            })
    }
}
