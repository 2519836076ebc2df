use crate::{ErrorCode, Lookup};
use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::task::{Context, Poll};
use std::io;
use std::net::ToSocketAddrs;
use wasi_io::WakerSet;
use wasi_io::os::Runtime;
use wasi_io::sync::Mutex;

/// Threads that look up names at one time.
const WORKERS: usize = 16;
/// Names that wait for one.
const WAITING: usize = 4096;

/// The system's `getaddrinfo`, on a bounded number of threads.
#[derive(Clone)]
pub(super) struct Resolver {
    runtime: Runtime,
    queue: Arc<Mutex<Queue>>,
}

struct Queue {
    /// A lookup that was given up is gone when its turn comes.
    waiting: VecDeque<Weak<Job>>,
    workers: usize,
}

struct Job {
    name: String,
    answer: Mutex<Option<Result<Vec<IpAddr>, ErrorCode>>>,
    answered: WakerSet,
}

impl Resolver {
    pub(super) fn new(runtime: Runtime) -> Self {
        Self {
            runtime,
            queue: Arc::new(Mutex::new(Queue {
                waiting: VecDeque::new(),
                workers: 0,
            })),
        }
    }

    pub(super) fn lookup(&self, name: &str) -> Result<OsLookup, ErrorCode> {
        let job = Arc::new(Job {
            name: name.into(),
            answer: Mutex::new(None),
            answered: WakerSet::new(),
        });
        let mut queue = self.queue.lock();
        if queue.waiting.len() >= WAITING {
            queue.waiting.retain(|job| job.strong_count() > 0);
            if queue.waiting.len() >= WAITING {
                return Err(ErrorCode::TemporaryResolverFailure);
            }
        }
        queue.waiting.push_back(Arc::downgrade(&job));
        if queue.workers < WORKERS {
            queue.workers += 1;
            let queue = self.queue.clone();
            self.runtime.handle().spawn_blocking(move || work(&queue));
        }
        Ok(OsLookup(job))
    }
}

/// Looks up names until none waits.
fn work(queue: &Mutex<Queue>) {
    loop {
        let job = {
            let mut queue = queue.lock();
            match queue.waiting.pop_front() {
                Some(job) => job.upgrade(),
                None => {
                    queue.workers -= 1;
                    return;
                }
            }
        };
        if let Some(job) = job {
            let answer = resolve(&job.name);
            *job.answer.lock() = Some(answer);
            job.answered.wake_all();
        }
    }
}

fn resolve(name: &str) -> Result<Vec<IpAddr>, ErrorCode> {
    match (name, 0).to_socket_addrs() {
        Ok(addresses) => Ok(addresses.map(|address: SocketAddr| address.ip()).collect()),
        Err(error) => Err(code(&error)),
    }
}

/// std keeps of `getaddrinfo`'s EAI_* code only the text that the C library has for it.
fn code(error: &io::Error) -> ErrorCode {
    if error.raw_os_error().is_some() {
        return match ErrorCode::from(error) {
            code @ (ErrorCode::OutOfMemory | ErrorCode::AccessDenied) => code,
            _ => ErrorCode::TemporaryResolverFailure,
        };
    }
    let text = error.to_string().to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|words| text.contains(words));
    if says(&["temporary failure", "try again"]) {
        ErrorCode::TemporaryResolverFailure
    } else if says(&["non-recoverable"]) {
        ErrorCode::PermanentResolverFailure
    } else if says(&["memory"]) {
        ErrorCode::OutOfMemory
    } else {
        ErrorCode::NameUnresolvable
    }
}

pub(super) struct OsLookup(Arc<Job>);

impl Lookup for OsLookup {
    fn poll_addresses(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<IpAddr>, ErrorCode>> {
        let mut answer = self.0.answer.lock();
        match answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                // Under the lock, so that no answer comes between.
                self.0.answered.register(cx.waker());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::future::poll_fn;

    #[test]
    fn texts_of_the_c_libraries_map_to_the_codes_of_the_wit() {
        for (text, expected) in [
            ("Name or service not known", ErrorCode::NameUnresolvable),
            (
                "No address associated with hostname",
                ErrorCode::NameUnresolvable,
            ),
            ("Name does not resolve", ErrorCode::NameUnresolvable),
            (
                "Temporary failure in name resolution",
                ErrorCode::TemporaryResolverFailure,
            ),
            ("Try again", ErrorCode::TemporaryResolverFailure),
            (
                "Non-recoverable failure in name resolution",
                ErrorCode::PermanentResolverFailure,
            ),
            ("Memory allocation failure", ErrorCode::OutOfMemory),
        ] {
            let error = io::Error::other(text);
            assert_eq!(code(&error), expected, "{text}");
        }
    }

    #[test]
    fn more_lookups_than_threads_are_all_answered() {
        let resolver = Resolver::new(Runtime::current());
        let lookups: Vec<_> = (0..3 * WORKERS)
            .map(|_| resolver.lookup("localhost").unwrap())
            .collect();
        assert!(resolver.queue.lock().workers <= WORKERS);
        for mut lookup in lookups {
            let answer = pollster::block_on(poll_fn(|cx| lookup.poll_addresses(cx)));
            assert!(answer.unwrap().iter().all(IpAddr::is_loopback));
        }
    }
}
