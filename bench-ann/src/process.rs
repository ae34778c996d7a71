//! The parent's end of a worker process: start it, ask it, notice when it dies, hangs or the user interrupts.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::protocol::{Reply, Request};

/// Set by Ctrl-C: every wait for a worker ends with [`WorkerError::Interrupted`].
pub static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// How often a wait looks at [`INTERRUPTED`].
const POLL: Duration = Duration::from_millis(100);
/// How much of a dead worker's log goes into the message.
const LOG_TAIL_LINES: usize = 6;

/// A running worker. Dropping it ends the process.
pub struct Worker {
    child: Child,
    requests: ChildStdin,
    replies: Receiver<String>,
    log: PathBuf,
    patience: Duration,
}

/// A worker that did not do as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The process could not be started.
    #[error("cannot start {program}: {source}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// It refused, and still lives.
    #[error("{0}")]
    Failed(String),
    /// It ended.
    #[error("the worker ended ({status}){log}")]
    Died {
        /// Exit status or signal.
        status: String,
        /// The end of what it wrote to stderr.
        log: String,
    },
    /// It did not answer in time and was ended.
    #[error("no answer within {} s", .0.as_secs())]
    Slow(Duration),
    /// It said something else than was asked.
    #[error("the worker broke the protocol: {0}")]
    Protocol(String),
    /// The user pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl Worker {
    /// Starts `command`; its stderr goes to the file `log`. Each request may take `patience`.
    pub fn start(mut command: Command, log: &Path, patience: Duration) -> Result<Worker, WorkerError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let start = |source| WorkerError::Start { program: program.clone(), source };
        let stderr = File::create(log).map_err(start)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().map_err(start)?;
        let (requests, stdout) = (child.stdin.take(), child.stdout.take());
        let (requests, stdout) = (requests.expect("stdin is piped"), stdout.expect("stdout is piped"));
        let (sender, replies) = mpsc::channel();
        // Ends with the pipe, or when nobody listens any more.
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Worker { child, requests, replies, log: log.to_owned(), patience })
    }

    /// Sends a request and waits for its reply; a [`Reply::Failed`] is an error.
    pub fn ask(&mut self, request: &Request) -> Result<Reply, WorkerError> {
        let line = serde_json::to_string(request).expect("a request is plain data") + "\n";
        if self.requests.write_all(line.as_bytes()).is_err() {
            return Err(self.death());
        }
        let deadline = Instant::now() + self.patience;
        let line = loop {
            if INTERRUPTED.load(Ordering::Relaxed) {
                return Err(WorkerError::Interrupted);
            }
            match self.replies.recv_timeout(POLL) {
                Ok(line) => break line,
                Err(RecvTimeoutError::Disconnected) => return Err(self.death()),
                Err(RecvTimeoutError::Timeout) if Instant::now() > deadline => {
                    return Err(WorkerError::Slow(self.patience));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        };
        match serde_json::from_str(&line) {
            Ok(Reply::Failed { message }) => Err(WorkerError::Failed(message)),
            Ok(reply) => Ok(reply),
            Err(source) => Err(WorkerError::Protocol(format!("{source} in `{line}`"))),
        }
    }

    /// Why nothing more comes.
    fn death(&mut self) -> WorkerError {
        // Ctrl-C reaches the workers too, and may reach them first.
        thread::sleep(POLL);
        if INTERRUPTED.load(Ordering::Relaxed) {
            return WorkerError::Interrupted;
        }
        let _ = self.child.kill();
        let status = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
        let tail = lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join(" | ");
        WorkerError::Died { status, log: if tail.is_empty() { tail } else { format!(": {tail}") } }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
