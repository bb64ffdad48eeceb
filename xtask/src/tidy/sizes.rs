//! Sizes of files and functions. A function is found by its indentation, which rustfmt guarantees: from the
//! line with `fn` to the closing brace in the same column.

use super::{File, exceptions};

/// Lines of a file above which it needs a reason, and above which there is none.
pub(super) const FILE_SOFT: usize = 500;
const FILE_HARD: usize = 800;
/// Lines of a function, its signature included; and of one in a test, which may be a table.
const FUNCTION: usize = 70;
const TEST_FUNCTION: usize = 120;

/// A function over the limit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Long {
    pub(super) name: String,
    /// The first is 1.
    pub(super) line: usize,
    pub(super) lines: usize,
}

pub(super) fn check(file: &File) -> Vec<String> {
    let mut broken = Vec::new();
    let lines = lines(file);
    let excepted = exceptions::FILES.iter().any(|(path, _)| *path == file.path);
    if !file.is_test() && lines > FILE_HARD {
        broken.push(format!("{}: {lines} lines, at most {FILE_HARD}", file.path));
    } else if !file.is_test() && lines > FILE_SOFT && !excepted {
        broken.push(format!("{}: {lines} lines, more than {FILE_SOFT} need a reason", file.path));
    }
    for long in long_functions(file) {
        if !exceptions::FUNCTIONS.iter().any(|(path, name, _)| *path == file.path && *name == long.name) {
            let Long { name, line, lines } = long;
            let most = most(file);
            broken.push(format!("{}:{line}: fn {name} has {lines} lines, at most {most}", file.path));
        }
    }
    broken
}

pub(super) fn lines(file: &File) -> usize {
    file.text.lines().count()
}

fn most(file: &File) -> usize {
    if file.is_test() { TEST_FUNCTION } else { FUNCTION }
}

/// The functions over the limit.
pub(super) fn long_functions(file: &File) -> Vec<Long> {
    let lines: Vec<&str> = file.text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = lines[at..].iter().position(|line| is_end(line, indent));
        let length = end.map_or(1, |end| end + 1);
        if length > most(file) {
            found.push(Long { name: name.to_owned(), line: at + 1, lines: length });
        }
    }
    found
}

/// True for the line that ends what began at `indent`: the brace, or the semicolon of a mere declaration.
fn is_end(line: &str, indent: &str) -> bool {
    let Some(rest) = line.strip_prefix(indent) else { return false };
    rest.starts_with('}')
        || (!rest.starts_with(' ') && (rest.ends_with(';') || rest.ends_with("{}") || rest.ends_with(" }")))
}

/// The name of the function that the line begins, if it does.
fn function_name(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    if let Some(public) = rest.strip_prefix("pub") {
        rest = match public.strip_prefix('(') {
            Some(scope) => scope.split_once(')')?.1.trim_start(),
            None => public.strip_prefix(' ')?,
        };
    }
    loop {
        let (word, after) = rest.split_once(' ')?;
        match word {
            "fn" => {
                let end = after.find(|c: char| !c.is_alphanumeric() && c != '_')?;
                return Some(&after[..end]);
            }
            "const" | "async" | "unsafe" | "extern" | "\"C\"" => rest = after,
            _ => return None,
        }
    }
}
