//! Files and functions that may be longer than the rule says, each with the reason. Keep it short: the next
//! reader pays for every line here. An entry that is not needed any more breaks the rules as well.

use super::{File, sizes};

/// Files over the soft limit. None may pass the hard one.
pub(super) const FILES: &[(&str, &str)] = &[];

/// Functions over the limit, as `path` and name: only what is one closed list or table.
pub(super) const FUNCTIONS: &[(&str, &str, &str)] = &[];

/// Entries that nothing needs.
pub(super) fn stale(files: &[File]) -> Vec<String> {
    let find = |path: &str| files.iter().find(|file| file.path == path);
    let idle_file = |path: &str| find(path).is_none_or(|file| sizes::lines(file) <= sizes::FILE_SOFT);
    let idle_function = |path: &str, name: &str| {
        find(path).is_none_or(|file| !sizes::long_functions(file).iter().any(|long| long.name == name))
    };
    let files = FILES.iter().filter(|(path, _)| idle_file(path)).map(|(path, _)| (*path).to_owned());
    let functions = FUNCTIONS
        .iter()
        .filter(|(path, name, _)| idle_function(path, name))
        .map(|(path, name, _)| format!("{path}, fn {name}"));
    files.chain(functions).map(|what| format!("{what}: the exception is not needed any more")).collect()
}
