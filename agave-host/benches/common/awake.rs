use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// Keeps every core awake, by threads that any other takes precedence over. A core that sleeps
/// takes longer to wake than most calls take: whoever hands work to another thread would be
/// measured by how idle the machine is.
pub(crate) struct Awake {
    done: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Awake {
    pub(crate) fn new() -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
        let keep_awake = || {
            let done = done.clone();
            thread::spawn(move || {
                // On Linux the priority of this thread alone. Where it can't be lowered, it is
                // better to be asleep than in the way.
                if rustix::process::nice(19).is_ok() {
                    while !done.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                }
            })
        };
        let threads = std::iter::repeat_with(keep_awake).take(cores).collect();
        Self { done, threads }
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It can't have panicked.
            let _ = thread.join();
        }
    }
}
