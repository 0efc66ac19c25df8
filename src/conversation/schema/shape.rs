//! What a check against a schema can cost at worst, seen from the schema alone.
//!
//! A subschema is checked either where its parent is (`allOf`, `$ref`, …) or further inside of the
//! input (`properties`, `items`, …). Inputs are at most 64 levels deep, so only the first kind can
//! pile up without end.

use std::collections::HashMap;

use serde_json::Value;

/// How many subschemas may be nested at one place of the input.
const MAX_DEPTH: usize = 32;
/// How many subschemas may be checked at one place of the input.
const MAX_AT_ONCE: u64 = 1000;
/// How many references there may be in all.
const MAX_REFERENCES: usize = 1000;

/// Applied to the same value.
const HERE: [&str; 8] = [
    "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "extends",
];
/// The same, by the name of a property.
const HERE_BY_NAME: [&str; 2] = ["dependentSchemas", "dependencies"];

/// Why nothing is checked against a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::conversation) enum Unfit {
    /// A `$ref` to something that is not a JSON pointer into the schema, or is not there; or a part
    /// of the schema with an id of its own, from where pointers would lead elsewhere.
    Reference,
    /// Subschemas that lead to themselves or to very many others.
    Tangled,
}

pub(super) fn examine(schema: &Value) -> Result<(), Unfit> {
    let mut examiner = Examiner {
        root: schema,
        depths: HashMap::new(),
        at_once: HashMap::new(),
    };
    for node in examiner.walk()? {
        if examiner.at_once(node)? > MAX_AT_ONCE {
            return Err(Unfit::Tangled);
        }
    }
    Ok(())
}

/// Subschemas are told apart by where they are in memory.
struct Examiner<'a> {
    root: &'a Value,
    /// The greatest depth a subschema was met at.
    depths: HashMap<*const Value, usize>,
    at_once: HashMap<*const Value, u64>,
}

/// What a schema consists of.
#[derive(Default)]
struct Parts<'a> {
    here: Vec<&'a Value>,
    inside: Vec<&'a Value>,
}

impl<'a> Examiner<'a> {
    /// Every subschema there is. Comes to each at most once for every depth.
    fn walk(&mut self) -> Result<Vec<&'a Value>, Unfit> {
        let mut nodes = Vec::new();
        let mut references = 0;
        let mut to_do = vec![(self.root, 0)];
        while let Some((node, depth)) = to_do.pop() {
            match self.depths.get(&std::ptr::from_ref(node)).copied() {
                Some(known) if known >= depth => continue,
                Some(_) => {}
                None => {
                    nodes.push(node);
                    references += usize::from(node.get("$ref").is_some());
                    let renamed = ["$id", "id"]
                        .iter()
                        .any(|id| node.get(id).is_some_and(Value::is_string));
                    if renamed && !std::ptr::eq(node, self.root) {
                        return Err(Unfit::Reference);
                    }
                }
            }
            if depth > MAX_DEPTH || references > MAX_REFERENCES {
                return Err(Unfit::Tangled);
            }
            self.depths.insert(node, depth);
            let parts = self.parts(node)?;
            to_do.extend(parts.here.into_iter().map(|part| (part, depth + 1)));
            to_do.extend(parts.inside.into_iter().map(|part| (part, 0)));
        }
        Ok(nodes)
    }

    /// Subschemas that are checked where this one is. Finite, after the walk.
    fn at_once(&mut self, node: &'a Value) -> Result<u64, Unfit> {
        if let Some(known) = self.at_once.get(&std::ptr::from_ref(node)) {
            return Ok(*known);
        }
        let mut count = 1u64;
        for part in self.parts(node)?.here {
            count = count.saturating_add(self.at_once(part)?);
        }
        self.at_once.insert(node, count);
        Ok(count)
    }

    fn parts(&self, node: &'a Value) -> Result<Parts<'a>, Unfit> {
        let mut parts = Parts::default();
        let Value::Object(keywords) = node else {
            return Ok(parts);
        };
        for (keyword, value) in keywords {
            let into = match keyword.as_str() {
                "$dynamicRef" | "$recursiveRef" => return Err(Unfit::Reference),
                "$ref" if value.is_string() => {
                    parts.here.push(self.resolve(value)?);
                    continue;
                }
                // Data, or only there to be referred to.
                "const" | "enum" | "default" | "examples" | "$defs" | "definitions" => continue,
                here if HERE.contains(&here) => &mut parts.here,
                by_name if HERE_BY_NAME.contains(&by_name) => {
                    parts
                        .here
                        .extend(value.as_object().into_iter().flat_map(|map| map.values()));
                    continue;
                }
                _ => &mut parts.inside,
            };
            match value {
                Value::Array(several) => into.extend(several),
                Value::Object(map) if is_by_name(keyword) => into.extend(map.values()),
                one => into.push(one),
            }
        }
        Ok(parts)
    }

    fn resolve(&self, reference: &Value) -> Result<&'a Value, Unfit> {
        let reference = reference.as_str().unwrap_or_default();
        // In a URI, a pointer has its own marks encoded; nobody's tool does.
        let pointer = reference.strip_prefix('#').filter(|it| !it.contains('%'));
        pointer
            .and_then(|pointer| self.root.pointer(pointer))
            .ok_or(Unfit::Reference)
    }
}

/// Keywords with a schema for each name.
fn is_by_name(keyword: &str) -> bool {
    matches!(keyword, "properties" | "patternProperties")
}
