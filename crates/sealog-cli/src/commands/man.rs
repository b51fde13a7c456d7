//! `sealog man`

use std::path::PathBuf;

use clap::{Args, CommandFactory as _};

use crate::cli::Cli;
use crate::failure::Failure;
use crate::output;

/// Print the manual page
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog man | man -l -
  sealog man --dir ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// Write a page for each command into this folder instead
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let Some(dir) = self.dir else {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            return output::write(&String::from_utf8_lossy(&page));
        };
        std::fs::create_dir_all(&dir).map_err(|error| Failure::file("make", &dir, &error))?;
        clap_mangen::generate_to(Cli::command(), &dir).map_err(|error| Failure::file("write to", &dir, &error))
    }
}
