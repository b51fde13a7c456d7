//! The program `sealog`.

fn main() -> std::process::ExitCode {
    sealog_cli::run()
}
