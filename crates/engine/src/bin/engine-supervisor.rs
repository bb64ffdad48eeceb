//! The supervisor by itself, for tests of the native engine.

fn main() -> std::process::ExitCode {
    engine::native::supervisor::main(std::env::args_os().skip(1))
}
