//! What of a service's model is built. Every operation and every top-level input member is in exactly one
//! class: built, refused, or accepted without effect.

use std::collections::BTreeSet;
use std::fmt::Write;

use state::api::Operation;
use wire::schema;

use super::{Absent, Built};

/// What of one service is built. An operation that is not listed is refused.
#[derive(Debug, Clone, Copy)]
pub struct Support {
    /// The operations that are carried out.
    pub built: &'static [Built],
    /// Values that ask for nothing.
    pub absent: &'static [Absent],
}

impl Support {
    /// Of a service whose table is this one, and which has no value that asks for nothing. Made once for each service, for
    /// as long as the program runs.
    pub fn by<H>(table: &[Operation<H>]) -> Support {
        Support::made(table.iter().map(|operation| operation.built), &[])
    }

    /// Of these operations; likewise.
    pub fn made(built: impl Iterator<Item = Built>, absent: &'static [Absent]) -> Support {
        Support { built: built.collect::<Vec<_>>().leak(), absent }
    }

    /// The entry of an operation; `None` when it is not built.
    pub fn of(&self, operation: &str) -> Option<&'static Built> {
        self.built.iter().find(|built| built.operation == operation)
    }

    /// Whether the table and the model agree: every name is in the model, and in one class only. The error
    /// says what does not.
    pub fn check(&self, schema: &schema::Service) -> Result<(), String> {
        let mut operations = BTreeSet::new();
        for built in self.built {
            let name = built.operation;
            let operation = schema.operation(name).filter(|operation| operation.typed);
            let Some(operation) = operation else { return Err(format!("no typed operation {name}")) };
            if !operations.insert(name) {
                return Err(format!("{name} is listed twice"));
            }
            let mut members = BTreeSet::new();
            for member in built.refused.iter().chain(built.no_effect.iter().map(|(member, _)| member)) {
                let inner = built.refused.contains(member) && member.contains('.');
                if inner || !has_path(operation.input_members(), member) {
                    return Err(format!("{name} has no member {member}"));
                }
                if !members.insert(member) {
                    return Err(format!("{name}: {member} is in two classes"));
                }
            }
        }
        for absent in self.absent {
            for name in absent.operations {
                let built = operations.contains(name).then(|| schema.operation(name)).flatten();
                let known = built.is_some_and(|operation| has_path(operation.input_members(), absent.member));
                if !known {
                    return Err(format!("{name} has no member {}", absent.member));
                }
            }
        }
        Ok(())
    }
}

/// Whether a path leads through the model.
fn has_path(members: &[schema::Member], path: &str) -> bool {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let Some(member) = members.iter().find(|member| member.name == name) else { return false };
    let mut shape = member.shape;
    while let schema::Kind::List { member, .. } = &shape.kind {
        shape = member.shape;
    }
    match (rest, &shape.kind) {
        (None, _) => true,
        (Some(rest), schema::Kind::Structure { members, .. }) => has_path(members, rest),
        (Some(_), _) => false,
    }
}

/// The page `docs/support.md`, made from the tables.
pub fn page(services: &[(&schema::Service, &Support)]) -> String {
    let mut out = String::from(PAGE_HEAD);
    for (schema, support) in services {
        service_section(schema, support, &mut out);
    }
    out
}

const PAGE_HEAD: &str = "# What is built

Made from the tables that the server itself works by; `UPDATE=1 cargo test -p cli support_page` writes it.

Every operation and every top-level input member is in exactly one class:

- **built**: carried out as AWS documents it;
- **refused**: an operation answers `UnknownOperationException` (query APIs: `InvalidAction`), a member
  `UnsupportedFeatureException` or the nearest error that the API has; both name it. A value that asks for
  nothing is as good as absent: `false`, an empty text, list or map, and the values listed below;
- **without effect**: taken, and changes nothing, for the reason given.

An operation that is not listed as built is refused. A member of a built operation that is in neither column
is built.
";

fn service_section(schema: &schema::Service, support: &Support, out: &mut String) {
    let total = schema.operations.len();
    let _ =
        write!(out, "\n## {} ({} of {total} operations built)\n\n", schema.service_id, support.built.len());
    out.push_str("| built operation | refused members | members without effect |\n|---|---|---|\n");
    for operation in schema.operations {
        let Some(built) = support.of(operation.name) else { continue };
        let refused: Vec<String> = built.refused.iter().map(|member| format!("`{member}`")).collect();
        let no_effect: Vec<String> =
            built.no_effect.iter().map(|(member, why)| format!("`{member}`: {why}")).collect();
        let _ = writeln!(out, "| {} | {} | {} |", operation.name, refused.join(", "), no_effect.join("; "));
    }
    let refused: Vec<&str> =
        schema.operations.iter().map(|o| o.name).filter(|name| support.of(name).is_none()).collect();
    if !refused.is_empty() {
        let _ = write!(out, "\nRefused operations: {}.\n", refused.join(", "));
    }
    if support.absent.is_empty() {
        return;
    }
    out.push_str("\nValues that ask for nothing, as absent as what is empty in a refused member.\n\n");
    out.push_str("| member | value | operations |\n|---|---|---|\n");
    for absent in support.absent {
        let value = absent.value.words();
        let _ = writeln!(out, "| `{}` | {value} | {} |", absent.member, absent.operations.join(", "));
    }
}

#[cfg(test)]
mod tests;
