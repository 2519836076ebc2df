//! Whether a network keeps what [`Network`] and the traits of its sockets promise.
//!
//! ```
//! use wasi_io::testkit::AtOnce;
//! use wasi_sockets::{LoopbackNet, testkit};
//!
//! let report = testkit::run(&AtOnce, &LoopbackNet::new(), "127.0.0.1".parse().unwrap());
//! println!("{report}");
//! report.assert_ok();
//! ```

mod tcp;
mod udp;

use crate::{ErrorCode, IpAddressFamily, Network, Socket, SocketOption};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::task::{Context, Poll, Waker};
use wasi_io::testkit::{Driver, Miss, Report, both_are_woken, wait};

/// Checks the sockets of `network` in the family of `ip`, an address that they can be bound to
/// and that they can reach each other by. What the network does not have is skipped.
pub fn run(driver: &dyn Driver, network: &dyn Network, ip: IpAddr) -> Report {
    let mut report = Report::new(format!("network at {ip}"));
    let kit = Kit {
        driver,
        network,
        local: SocketAddr::new(ip, 0),
    };
    report.extend(tcp::run(&kit));
    report.extend(udp::run(&kit));
    report
}

/// Checks that `network` finds the addresses of `name`, which has at least one.
pub fn lookup(driver: &dyn Driver, network: &dyn Network, name: &str) -> Report {
    let mut report = Report::new(format!("lookup of {name}"));
    report.check("a name that has addresses gives them", || {
        let mut lookup = begin(network, name)?;
        match wait(driver, "poll_addresses", |cx| lookup.poll_addresses(cx))? {
            Ok(addresses) if !addresses.is_empty() => Ok(()),
            other => Err(Miss::from(format!("poll_addresses gave {other:?}"))),
        }
    });
    report.check("every task that waits for addresses is woken", || {
        let mut lookup = begin(network, name)?;
        let mut answer = None;
        let woken = both_are_woken(
            driver,
            // Called no more once it was ready.
            |cx| match answer {
                Some(()) => Poll::Ready(()),
                None => lookup.poll_addresses(cx).map(|_| answer = Some(())),
            },
            || Ok(()),
        );
        match answer {
            Some(()) => Err(Miss::Skipped("the answer was there before".into())),
            None => woken.map_err(Miss::from),
        }
    });
    report
}

fn begin(network: &dyn Network, name: &str) -> Result<Box<dyn crate::Lookup>, Miss> {
    network.lookup(name).map_err(|error| match error {
        ErrorCode::NotSupported => Miss::Skipped("the network has no names".into()),
        error => Miss::from(format!("lookup: {error}")),
    })
}

/// What the checks of sockets work on.
struct Kit<'a> {
    driver: &'a dyn Driver,
    network: &'a dyn Network,
    /// Where sockets are bound, at any port.
    local: SocketAddr,
}

impl Kit<'_> {
    fn family(&self) -> IpAddressFamily {
        crate::address::family(&self.local)
    }

    /// An address of the family that is nobody's, as documentation has them.
    fn foreign(&self) -> SocketAddr {
        let ip = match self.local {
            SocketAddr::V4(_) => IpAddr::from([192, 0, 2, 1]),
            SocketAddr::V6(_) => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]),
        };
        SocketAddr::new(ip, 0)
    }

    fn wait<T>(
        &self,
        what: &str,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<Result<T, ErrorCode>>,
    ) -> Result<T, String> {
        let result = wait(self.driver, what, &mut poll)?;
        result.map_err(|error| format!("{what}: {error}"))
    }
}

fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Before a bind.
fn has_no_address(socket: &dyn Socket) -> Result<(), String> {
    match socket.local_address() {
        Err(ErrorCode::InvalidState) => Ok(()),
        Ok(address) if address.port() == 0 => Ok(()),
        other => Err(format!("local_address gave {other:?}")),
    }
}

/// After a bind to any port of `local`.
fn has_address_at(socket: &dyn Socket, local: SocketAddr) -> Result<SocketAddr, String> {
    match socket.local_address() {
        Ok(address) if address.ip() == local.ip() && address.port() != 0 => Ok(address),
        other => Err(format!("bound to {local}, local_address gave {other:?}")),
    }
}

fn expect<T: core::fmt::Debug>(
    what: &str,
    result: Result<T, ErrorCode>,
    expected: ErrorCode,
) -> Result<(), String> {
    match result {
        Err(error) if error == expected => Ok(()),
        other => Err(format!("{what} gave {other:?}, and not {expected:?}")),
    }
}

/// Sets each of `options` that there is and reads it back; then to its extremes.
fn settings(socket: &dyn Socket, options: &[(SocketOption, u64)]) -> Result<(), Miss> {
    let mut had = Vec::new();
    for (option, value) in options {
        match socket.set_option(*option, *value) {
            Err(ErrorCode::NotSupported) => continue,
            Err(error) => return Err(format!("set {option:?}: {error}").into()),
            Ok(()) => had.push(option),
        }
        if !matches!(socket.option(*option), Ok(1..)) {
            let read = socket.option(*option);
            return Err(format!("{option:?} set to {value}, then {read:?}").into());
        }
        let most = match option {
            SocketOption::HopLimit => 255,
            SocketOption::KeepAliveCount => u32::MAX.into(),
            _ => u64::MAX,
        };
        for extreme in [1, most] {
            if let Err(error) = socket.set_option(*option, extreme) {
                return Err(format!("set {option:?} to {extreme}: {error}").into());
            }
        }
    }
    match had.is_empty() {
        true => Err(Miss::Skipped("there are none".into())),
        false => Ok(()),
    }
}
