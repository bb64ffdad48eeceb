//! What a service stores is its own: its row types are declared in its room `rows`, and no file of that room
//! names a type of a model, or anything of the service beside the room. A new model then changes no row.

use super::File;

/// Rows by which two services meet: any may have them.
const CONTRACTS: &str = "crates/state/src/contract";

pub(super) fn check(files: &[File]) -> Vec<String> {
    let ours = files.iter().filter(|file| file.is_rust() && !file.is_test());
    let mut broken = Vec::new();
    for file in ours {
        let Some(service) = service(file) else { continue };
        if is_room(file) {
            broken.extend(strangers(file));
        }
        for (line, row) in table(file) {
            let declared = format!("pub struct {row} ");
            let here = |file: &&File| {
                self::service(file) == Some(service) && is_room(file) || file.path.starts_with(CONTRACTS)
            };
            if !files.iter().filter(here).any(|file| file.text.contains(&declared)) {
                broken.push(format!("{}:{line}: {row} is a row, and belongs into a file of rows", file.path));
            }
        }
    }
    broken
}

/// The service that a file is of.
fn service(file: &File) -> Option<&str> {
    let (service, inner) = file.path.strip_prefix("crates/services/")?.split_once('/')?;
    inner.starts_with("src/").then_some(service)
}

fn is_room(file: &File) -> bool {
    file.path.ends_with("/rows.rs") || file.path.contains("/rows/")
}

/// Lines of code that name a model, or something of the service that is no row.
fn strangers(file: &File) -> Vec<String> {
    let code = file.text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    let mut broken = Vec::new();
    for (at, line) in code {
        let mut words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        if let Some(model) = words.find(|word| word.ends_with("_model")) {
            broken.push(format!("{}:{}: rows are made of no type of {model}", file.path, at + 1));
        }
        if line.split("crate::").skip(1).any(|rest| !rest.starts_with("rows")) {
            broken.push(format!("{}:{}: rows are made of nothing but rows", file.path, at + 1));
        }
    }
    broken
}

/// The types in a table of rows, with the numbers of their lines: `"kind" Variant(Type, Id): …`.
fn table(file: &File) -> Vec<(usize, &str)> {
    let within = file.text.lines().enumerate().skip_while(|(_, line)| !line.starts_with("state::rows! {"));
    let rows = within.take_while(|(_, line)| *line != "}").filter_map(|(at, line)| {
        let line = line.trim_start().strip_prefix('"')?;
        let (row, _) = line.split_once('(')?.1.split_once(',')?;
        Some((at + 1, row))
    });
    rows.collect()
}
