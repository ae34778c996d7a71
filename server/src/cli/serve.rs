//! `vicino serve`.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tokio::net::TcpListener;
use vicino_index::collection::{Options, Recovery, SyncMode};

use crate::api::Encoders;
use crate::store::Store;
use crate::{api, net};

mod encoders;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vicino serve                                 on 127.0.0.1:6333, in memory
  vicino serve --data ./data --port 7000       keep every change in ./data before it is answered
  vicino serve --encoder minilm                embed texts by MiniLM too (`datasets fetch all-minilm-l6-v2` gets it)
  vicino serve --encoder en=minilm --encoder mine=./model
  curl http://127.0.0.1:6333/collections

Once it takes requests, `listening on http://ADDRESS` is printed on stdout. With --data, whatever was
answered is on disk, whenever the process is killed or the power fails; --sync may trade that for speed.")]
pub(super) struct Serve {
    #[command(flatten)]
    address: Address,
    /// Folder that keeps the collections; without it they end with the server
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// When a change counts as stored: `always` once it is on disk; `interval:MS` at once, on disk MS milliseconds later; `os` at
    /// once, on disk when the system likes
    #[arg(long, value_name = "MODE", default_value = "always", value_parser = sync_mode)]
    sync: SyncMode,
    /// Bytes of log after which what is new is sealed into a segment and the log begins again
    #[arg(long, value_name = "BYTES", default_value_t = Options::DEFAULT_CHECKPOINT_AFTER)]
    checkpoint_after: u64,
    #[arg(long = "encoder", value_name = "NAME=MODEL", value_parser = encoders::wanted, help = encoders::HELP)]
    encoders: Vec<encoders::Wanted>,
}

fn sync_mode(text: &str) -> Result<SyncMode, String> {
    match text {
        "always" => Ok(SyncMode::Always),
        "os" => Ok(SyncMode::Os),
        _ => match text.strip_prefix("interval:").map(str::parse) {
            Some(Ok(ms @ 1..=60_000)) => Ok(SyncMode::Interval(Duration::from_millis(ms))),
            _ => Err("expected `always`, `interval:MS` with MS in 1..=60000, or `os`".into()),
        },
    }
}

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let encoders = encoders::open(&self.encoders)?;
        let store = match &self.data {
            Some(dir) => {
                let (sync, checkpoint_after) = (self.sync, self.checkpoint_after);
                let store = Store::open(dir, Options { sync, checkpoint_after, ..Options::default() })?;
                report(&store);
                store
            }
            None => {
                tracing::warn!("collections are kept in memory only: --data DIR keeps them");
                Store::in_memory()
            }
        };
        tracing::info!("{} collections", store.names().len());
        self.address.serve(store, encoders, |_| ())
    }
}

/// Says what was found in the logs.
fn report(store: &Store) {
    for (_, why) in store.damaged() {
        tracing::error!("{why}; the other collections are served, and `vicino salvage` saves what is whole");
    }
    for name in store.names() {
        let recovery = store.get(name.as_str()).and_then(|collection| collection.recovery()).unwrap_or_default();
        let Recovery { groups, changes, torn_bytes } = recovery;
        if groups > 0 {
            tracing::info!("collection `{name}`: {changes} changes read back from the log");
        }
        if torn_bytes > 0 {
            tracing::warn!(
                "collection `{name}`: the log ended in {torn_bytes} bytes of a change that was never acknowledged; cut off"
            );
        }
    }
}

/// How often collections are asked what they have to do besides changes.
const TEND: Duration = Duration::from_millis(20);

/// Does so on a thread of its own, as long as there is a store.
fn tend(store: &Arc<Store>) {
    let store = Arc::downgrade(store);
    std::thread::spawn(move || {
        while let Some(store) = store.upgrade() {
            store.tend().iter().for_each(|error| tracing::warn!("{error}"));
            drop(store);
            std::thread::sleep(TEND);
        }
    });
}

/// Where and how to serve.
#[derive(Debug, Args)]
pub(super) struct Address {
    /// Address to listen on; 0.0.0.0 lets other machines in
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 6333)]
    port: u16,
    /// Seconds after which a call is answered with an error
    #[arg(long, value_name = "SECONDS", default_value_t = api::DEFAULT_TIMEOUT.as_secs(), value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
}

impl Address {
    /// Serves `store`, and texts by `encoders`, until the process is asked to stop, then makes checkpoints. Once calls are taken, says so
    /// and calls `listening`.
    pub(super) fn serve(
        &self,
        store: Store,
        encoders: Encoders,
        listening: impl FnOnce(SocketAddr),
    ) -> anyhow::Result<()> {
        let store = Arc::new(store);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no threads to serve with")?;
        runtime.block_on(async {
            let listener = self.listen().await?;
            let address = listener.local_addr()?;
            println!("listening on http://{address}");
            listening(address);
            std::io::stdout().flush()?;
            let stop = async {
                if let Err(error) = net::stop_signal().await {
                    tracing::error!("stopping, because signals cannot be waited for: {error}");
                }
                tracing::info!("stopping");
            };
            let router = api::router(Arc::clone(&store), encoders, Duration::from_secs(self.timeout));
            tend(&store);
            net::serve(listener, router, stop).await;
            anyhow::Ok(())
        })?;
        store.checkpoint().iter().for_each(|error| tracing::warn!("{error}"));
        tracing::info!("stopped");
        Ok(())
    }

    async fn listen(&self) -> anyhow::Result<TcpListener> {
        match TcpListener::bind((self.host, self.port)).await {
            Ok(listener) => Ok(listener),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => bail!(
                "port {} on {} is taken by another program: stop it, or choose another with --port (0 takes a free one)",
                self.port,
                self.host
            ),
            Err(error) => Err(error).with_context(|| format!("cannot listen on {} port {}", self.host, self.port)),
        }
    }
}
