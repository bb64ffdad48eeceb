//! The leak checker as a program, for tests in other languages: prints what there is on this host that
//! a container engine makes, one thing a line, counted. With arguments: only what bears one of these
//! marks. Looks only.

fn main() {
    let marks: Vec<String> = std::env::args().skip(1).collect();
    let marks: Vec<&str> = marks.iter().map(String::as_str).collect();
    let snapshot =
        if marks.is_empty() { e2e::leaks::Snapshot::take() } else { e2e::leaks::Snapshot::of(&marks) };
    print!("{snapshot}");
}
