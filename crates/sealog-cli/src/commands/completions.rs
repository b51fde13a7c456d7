//! `sealog completions`

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::failure::Failure;
use crate::output;

/// Print the completions of a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog completions bash > ~/.local/share/bash-completion/completions/sealog
  sealog completions zsh > \"${fpath[1]}/_sealog\"
  sealog completions fish > ~/.config/fish/completions/sealog.fish")]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "sealog", &mut script);
        output::write(&String::from_utf8_lossy(&script))
    }
}
