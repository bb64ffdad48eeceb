//! The repository's own rules, checked: which crate may depend on which, how every file begins, sizes of
//! files and functions, what rows are made of, words that have no place here. Reads files, and asks git and cargo; changes nothing.
//! The rules are pure functions of a file's text; this file walks the tree and tells all that it found.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

mod edges;
mod exceptions;
mod rows;
mod sizes;
mod text;

/// A file of the tree, as the rules see it.
pub(crate) struct File {
    /// Relative to the root, with `/`.
    path: String,
    text: String,
}

impl File {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn is_generated(&self) -> bool {
        ["crates/models/", "crates/wire/tests/generated/"].iter().any(|folder| self.path.starts_with(folder))
    }

    /// Tests may be longer: a table is read by rows.
    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.split('/').any(|part| part == "tests" || part == "e2e")
    }
}

/// Checks every rule below `root`; the error tells all that breaks one.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let files = files(root)?;
    let mut broken = edges::check(&metadata(root)?)?;
    for file in &files {
        broken.extend(text::check(file));
        if file.is_rust() && !file.is_generated() {
            broken.extend(sizes::check(file));
        }
    }
    broken.extend(rows::check(&files));
    broken.extend(exceptions::stale(&files));
    if broken.is_empty() {
        println!("tidy: {} files in order", files.len());
        return Ok(());
    }
    bail!("tidy: {} found\n{}", broken.len(), broken.join("\n"))
}

/// The tree's text files, those not yet added included and those ignored left out.
fn files(root: &Path) -> anyhow::Result<Vec<File>> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"])
        .current_dir(root)
        .output()
        .context("git cannot be run")?;
    if !listed.status.success() {
        bail!("git ls-files: {}", String::from_utf8_lossy(&listed.stderr).trim());
    }
    let paths = String::from_utf8(listed.stdout).context("a file's name is not UTF-8")?;
    let read = |path: &str| {
        // Binary files have no text to check; a deleted file may still be listed.
        let text = String::from_utf8(fs::read(root.join(path)).ok()?).ok()?;
        Some(File { path: path.to_owned(), text })
    };
    Ok(paths.split_terminator('\0').filter_map(read).collect())
}

/// What cargo says of the workspace.
fn metadata(root: &Path) -> anyhow::Result<serde_json::Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root)
        .output()
        .context("cargo cannot be run")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).context("cargo metadata is no JSON")
}

#[cfg(test)]
mod tests;
