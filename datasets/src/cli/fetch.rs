//! `datasets fetch`: getting public sets.

use super::progress::Bar;

/// Get public data sets, from the first source that answers
///
/// An interrupted download goes on where it stopped. Checksums are verified, exact neighbours are found where the source has none,
/// and the folder appears under its name when it is whole. Prints the folders.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Names, as `datasets list` shows them
    #[arg(required = true)]
    names: Vec<String>,
}

impl Args {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        for name in &self.names {
            let bar = Bar::new();
            let folder = vicino_datasets::fetch(name, &|event| bar.event(event))?;
            drop(bar);
            super::print(&format!("{}\n", folder.display()))?;
        }
        Ok(())
    }
}
