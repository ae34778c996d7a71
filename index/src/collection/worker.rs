//! The background threads of a collection: one seals, one puts together what is scanned as one, one builds graphs and merges; all at
//! low priority, and graphs, which take the longest, at the lowest.
//!
//! Sealing is quick and keeps the log short; to put segments together may take seconds, a merge minutes, and no seal waits for either. In
//! all of a process one collection merges at a time, on a pool of its own, and one puts segments together, so that memory and cores are
//! bounded however many collections there are.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rayon::ThreadPool;

use super::shared::Shared;
use crate::params::BuildOptions;

/// How long a thread sleeps that nobody wakes.
const NAP: Duration = Duration::from_secs(1);

/// Changes after which it is looked whether something is due.
const CHANGES: usize = 64;

/// Held by the collection that merges, and by the one that puts segments together.
static MERGING: Mutex<()> = Mutex::new(());
static JOINING: Mutex<()> = Mutex::new(());

/// Three threads, ended when this is dropped.
#[derive(Debug)]
pub(super) struct Worker {
    signal: Arc<Signal>,
    changes: AtomicUsize,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Signal {
    stop: AtomicBool,
    asleep: Mutex<()>,
    wake: Condvar,
}

/// What unwinds a build that is given up.
struct GivenUp;

impl Signal {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn sleep(&self) {
        let mut asleep = self.asleep.lock();
        if !self.stopped() {
            self.wake.wait_for(&mut asleep, NAP);
        }
    }

    /// A build under way is given up when the thread is to end: the progress it reports unwinds it.
    fn give_up_if_stopped(&self) {
        if self.stopped() {
            resume_unwind(Box::new(GivenUp));
        }
    }

    fn wake(&self) {
        let _asleep = self.asleep.lock();
        self.wake.notify_all();
    }
}

impl Worker {
    pub(super) fn start(shared: &Arc<Shared>) -> Self {
        let signal = Arc::new(Signal::default());
        let spawn = |name: &str, work: fn(&Shared, &Signal)| {
            let (shared, signal) = (Arc::clone(shared), Arc::clone(&signal));
            let run = move || {
                lower_priority(SOON);
                while !signal.stopped() {
                    work(&shared, &signal);
                    signal.sleep();
                }
            };
            std::thread::Builder::new().name(name.into()).spawn(run).expect("the system has a thread to give")
        };
        let threads = vec![spawn("vicino-seal", seal), spawn("vicino-join", join), spawn("vicino-merge", merge)];
        Worker { signal, changes: AtomicUsize::new(0), threads: Mutex::new(threads) }
    }

    /// Called after each change: wakes the threads now and then, so that a flood of changes does not wait for the end of their naps.
    pub(super) fn wake_if_due(&self) {
        if self.changes.fetch_add(1, Ordering::Relaxed) % CHANGES == CHANGES - 1 {
            self.signal.wake();
        }
    }
}

impl Worker {
    /// Ends its threads and waits for them; a merge under way is given up.
    pub(super) fn stop(&self) {
        self.signal.stop.store(true, Ordering::Relaxed);
        self.signal.wake();
        for thread in self.threads.lock().drain(..) {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop();
    }
}

fn seal(shared: &Shared, signal: &Signal) {
    while !signal.stopped() && shared.seal_due() {
        match shared.seal() {
            Ok(true) => signal.wake(),
            Ok(false) => return,
            Err(error) => return shared.tell(error),
        }
    }
}

/// Puts segments together that are to be scanned as one.
fn join(shared: &Shared, signal: &Signal) {
    let progress = |_: usize, _: usize| signal.give_up_if_stopped();
    let options = BuildOptions { threads: 1, progress: Some(&progress) };
    while !signal.stopped() {
        let Some(_turn) = JOINING.try_lock_for(NAP) else { continue };
        if unless_given_up(|| shared.join(&options)) != Some(true) {
            return;
        }
    }
}

/// Makes the sketches that are missing, and merges what is due.
fn merge(shared: &Shared, signal: &Signal) {
    let progress = |_: usize, _: usize| signal.give_up_if_stopped();
    // On threads of its own, so that no collection waits for the merge of another to have what it searches by.
    let apart = BuildOptions { threads: build_threads(), progress: Some(&progress) };
    if unless_given_up(|| shared.make_sketches(&apart)).is_none() {
        return;
    }
    let options = BuildOptions { threads: 0, progress: Some(&progress) };
    while !signal.stopped() {
        // Whoever waits for another collection's merge can still be told to end.
        let Some(_turn) = MERGING.try_lock_for(NAP) else { continue };
        let work = || match pool() {
            Some(pool) => pool.install(|| shared.rewrite(false, &options)),
            None => shared.rewrite(false, &options),
        };
        match unless_given_up(work) {
            Some(Ok(true)) => {}
            Some(Ok(false)) | None => return,
            Some(Err(error)) => return shared.tell(error),
        }
    }
}

/// What `work` gives; none if it was given up.
fn unless_given_up<T>(work: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => Some(done),
        Err(panic) if panic.is::<GivenUp>() => None,
        Err(panic) => resume_unwind(panic),
    }
}

/// Half as many as there are cores.
fn build_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

/// The threads on which graphs are built.
fn pool() -> Option<&'static ThreadPool> {
    static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();
    let make = || {
        let builder =
            rayon::ThreadPoolBuilder::new().num_threads(build_threads()).start_handler(|_| lower_priority(LATER));
        builder.thread_name(|number| format!("vicino-build-{number}")).build().ok()
    };
    POOL.get_or_init(make).as_ref()
}

/// What makes searches quicker or the log shorter within seconds, and what takes minutes: by how much it gives way to others (nice values).
const SOON: i32 = 10;
const LATER: i32 = 19;

/// Lets this thread run when others do not need the core, where the system can.
fn lower_priority(gives_way: i32) {
    // On Linux a thread has a priority of its own, and asking for a lower one is never refused.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, gives_way);
}
