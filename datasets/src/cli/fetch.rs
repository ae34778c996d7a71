//! `datasets fetch`: getting public sets, and models of the Hugging Face hub.

use std::path::PathBuf;

use anyhow::ensure;
use vicino_datasets::fetch::hub::{self, Hub, Model};

use super::progress::Bar;

const EXAMPLES: &str = "\
Examples:
  datasets fetch fashion-mnist-784-euclidean
  datasets fetch hf:sentence-transformers/all-MiniLM-L6-v2
  datasets fetch hf:cross-encoder/ms-marco-MiniLM-L6-v2@main --update

Models go to the cache of Python's tools ($HF_HUB_CACHE, else $HF_HOME/hub, else ~/.cache/huggingface/hub), where `vicino embed` finds them as OWNER/NAME.
$HF_TOKEN opens gated ones, $HF_ENDPOINT names another hub, HF_HUB_OFFLINE=1 opens no connection: what the cache has is used.";

/// Get public data sets, from the first source that answers, and models
///
/// An interrupted download goes on where it stopped. Checksums are verified, exact neighbours are found where the source has none,
/// and the folder appears under its name when it is whole. Prints the folders.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Names, as `datasets list` shows them; models of the Hugging Face hub are hf:OWNER/NAME or hf:OWNER/NAME@REVISION
    #[arg(required = true)]
    names: Vec<String>,
    /// Ask the hub where a model's branch is now, though the cache has the model
    #[arg(long)]
    update: bool,
}

/// What a name stands for.
enum Wanted<'a> {
    Set(&'a str),
    Model(Model),
}

impl Args {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        // All names are looked at before anything is opened.
        let wanted = self.names.iter().map(|name| Wanted::parse(name)).collect::<anyhow::Result<Vec<_>>>()?;
        let updates = wanted.iter().any(|wanted| matches!(wanted, Wanted::Model(_)));
        ensure!(
            updates || !self.update,
            "--update: expected a model ({}OWNER/NAME), found data sets alone",
            hub::PREFIX
        );
        for wanted in wanted {
            super::print(&format!("{}\n", self.get(&wanted)?.display()))?;
        }
        Ok(())
    }

    fn get(&self, wanted: &Wanted<'_>) -> anyhow::Result<PathBuf> {
        let bar = Bar::new();
        Ok(match wanted {
            Wanted::Set(name) => vicino_datasets::fetch(name, &|event| bar.event(event))?,
            Wanted::Model(model) if self.update => Hub::from_environment()?.update(model, &|event| bar.event(event))?,
            Wanted::Model(model) => Hub::from_environment()?.fetch(model, &|event| bar.event(event))?,
        })
    }
}

impl<'a> Wanted<'a> {
    fn parse(name: &'a str) -> anyhow::Result<Self> {
        if name.starts_with(hub::PREFIX) { Ok(Wanted::Model(name.parse()?)) } else { Ok(Wanted::Set(name)) }
    }
}
