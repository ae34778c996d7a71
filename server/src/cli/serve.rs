//! `vicino serve`.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tokio::net::TcpListener;

use crate::store::Store;
use crate::{api, net};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vicino serve                                 on 127.0.0.1:6333, in memory
  vicino serve --data ./data --port 7000       load ./data at start, save it when stopped (Ctrl-C or SIGTERM)
  curl http://127.0.0.1:6333/collections

Once it takes requests, `listening on http://ADDRESS` is printed on stdout. Changes are written when the
server is stopped; a crash loses what came after the start.")]
pub(super) struct Serve {
    #[command(flatten)]
    address: Address,
    /// Folder that keeps the collections; without it they end with the server
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let store = match &self.data {
            Some(dir) => Store::open(dir)?,
            None => {
                tracing::warn!("collections are kept in memory only: --data DIR saves them when the server is stopped");
                Store::in_memory()
            }
        };
        tracing::info!("{} collections", store.names().len());
        self.address.serve(store, |_| ())
    }
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
    /// Serves `store` until the process is asked to stop, then saves it. Once calls are taken, says so and calls `listening`.
    pub(super) fn serve(&self, store: Store, listening: impl FnOnce(SocketAddr)) -> anyhow::Result<()> {
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
            let router = api::router(Arc::clone(&store), Duration::from_secs(self.timeout));
            net::serve(listener, router, stop).await;
            anyhow::Ok(())
        })?;
        store.save()?;
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
