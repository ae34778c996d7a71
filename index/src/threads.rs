//! How many threads a bulk job gets.

/// Runs `job` on a pool of `threads` threads, or on rayon's global pool for 0.
pub(crate) fn run<R: Send>(threads: usize, job: impl FnOnce() -> R + Send) -> R {
    if threads == 0 || threads == rayon::current_num_threads() {
        return job();
    }
    match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
        Ok(pool) => pool.install(job),
        // Out of threads: the job is right on any number of them.
        Err(_) => job(),
    }
}
