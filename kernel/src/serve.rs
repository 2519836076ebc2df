//! `serve`: a program that answers HTTP requests.

use crate::executor::Cpu;
use crate::world::World;
use crate::{executor, heap, say, stdio};
use agave_host::{Program, Service};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::future::poll_fn;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use core::task::Poll;
use wasi_clocks::Duration;
use wasi_http::http1::{Http1Server, Stop};
use wasi_io::WakerSet;
use wasi_sockets::{ErrorCode, IpAddressFamily, Network, TcpListener};

/// How long an instance may take for a request, unless the command line says, in nanoseconds.
pub(crate) const TIMEOUT: Duration = 60_000_000_000;

/// Connections that nobody accepted yet.
const BACKLOG: u32 = 64;

/// Connections at a time: the others are for the guests, of 256 sockets that there are at most,
/// and of the memory that there is for their buffers.
const CONNECTIONS_MAX: usize = 64;
const HEAP_EACH: usize = 1 << 20;

/// The part of the heap that an instance at work is reckoned with, in bytes: its memory, its
/// stacks and its buffers. More requests than there is room for wait for their turn.
const HEAP_INSTANCE: usize = 6 << 20;

/// How many requests there are from one line about the heap to the next.
const STATS: u64 = 1000;

/// Serves `program`, of the path `path`, at `address`, until somebody types control-D.
///
/// # Errors
/// The address can't be listened on.
pub(crate) fn serve(
    world: World,
    program: Program,
    path: String,
    address: SocketAddr,
    stats: bool,
) -> Result<(), ServeError> {
    let world = Arc::new(world);
    let instances = world.clone();
    let ctx = move |_| instances.ctx(&path, &[]).build();
    let service = Service::new(program, ctx, Arc::new(Cpu))?
        .report(|number, error| say!("request {number}: {error}"));
    let places = Arc::new(Places {
        free: AtomicUsize::new((heap::usage().total / HEAP_INSTANCE).max(1)),
        freed: WakerSet::new(),
    });
    let served = Arc::new(AtomicU64::new(0));
    let handler = move |request| {
        let (service, served) = (service.clone(), served.clone());
        let place = Places::take(places.clone());
        async move {
            let place = place.await;
            let answered = service.handle_holding(request, place).await;
            let served = served.fetch_add(1, Ordering::Relaxed) + 1;
            if stats && served.is_multiple_of(STATS) {
                heap::tell();
            }
            answered.unwrap_or_else(|error| error.response())
        }
    };
    let network = world.net.network.clone();
    let connections = (heap::usage().total / HEAP_EACH).clamp(4, CONNECTIONS_MAX);
    let server = Http1Server::new(world.clocks.clone()).max_connections(connections);
    world.run(async move {
        let listening = listen(&network, address).await;
        let (listener, local) = listening.map_err(|code| ServeError::Listen(address, code))?;
        say!("listening on {local}");
        let stop = Stop::new();
        let stopped = stop.clone();
        executor::spawn(Box::pin(async move {
            poll_fn(stdio::poll_end).await;
            stopped.stop();
        }));
        let spawn = Arc::new(executor::spawn);
        server.run(listener, spawn, Arc::new(handler), stop).await;
        Ok(())
    })
}

/// Why a program can't be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error("{0}")]
    Load(#[from] agave_host::LoadError),
    #[error("can't listen on {0}: {1:?}")]
    Listen(SocketAddr, ErrorCode),
}

async fn listen(
    network: &impl Network,
    address: SocketAddr,
) -> Result<(Arc<dyn TcpListener>, SocketAddr), ErrorCode> {
    let family = match address {
        SocketAddr::V4(_) => IpAddressFamily::Ipv4,
        SocketAddr::V6(_) => IpAddressFamily::Ipv6,
    };
    let mut socket = network.tcp_socket(family)?;
    poll_fn(|cx| socket.poll_bind(cx, address)).await?;
    let listener = poll_fn(|cx| socket.poll_listen(cx, BACKLOG)).await?;
    let local = listener.local_address()?;
    Ok((listener, local))
}

/// The requests that may be at work.
struct Places {
    free: AtomicUsize,
    freed: WakerSet,
}

/// One of them.
struct Place(Arc<Places>);

impl Places {
    /// Waits for one.
    async fn take(self: Arc<Self>) -> Place {
        poll_fn(|cx| {
            // Before the look, so that none that is freed is missed.
            self.freed.register(cx.waker());
            let (set, load) = (Ordering::AcqRel, Ordering::Acquire);
            match self
                .free
                .fetch_update(set, load, |free| free.checked_sub(1))
            {
                Ok(_) => Poll::Ready(()),
                Err(_) => Poll::Pending,
            }
        })
        .await;
        Place(self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.free.fetch_add(1, Ordering::AcqRel);
        self.0.freed.wake_all();
    }
}
