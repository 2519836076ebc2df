//! A conformance kit: whether a backend keeps what [`Directory`] and [`File`] promise.
//!
//! [`run`] makes a directory of its own in the one that it is given, runs each guarantee there
//! as a check with a name, removes it all, and returns a report of which guarantees were
//! broken, with what was seen instead. What the backend says is unsupported is skipped. Of a
//! directory that [is read-only](Directory::is_read_only), it checks what is there.
//!
//! ```
//! use std::sync::Arc;
//! use wasi_clocks::manual::ManualClock;
//! use wasi_filesystem::memory::MemFs;
//! use wasi_filesystem::{testkit, vfs};
//! use wasi_io::testkit::AtOnce;
//!
//! let fs = MemFs::new(Arc::new(ManualClock::default()));
//! let report = testkit::run(&AtOnce, vfs::directory(Arc::new(fs)));
//! println!("{report}");
//! report.assert_ok();
//! ```
//!
//! [`File`]: crate::File

mod directories;
mod files;
mod kit;
mod links;
mod listings;
mod names;
mod paths;
mod read_only;
mod vectored;

use crate::backend::Directory;
use alloc::format;
use alloc::sync::Arc;
use kit::{Kit, Seen};
use wasi_io::testkit::{Driver, Report};

/// A guarantee, as a sentence, and what proves it in an empty directory.
type Check = (&'static str, fn(&Kit<'_>) -> Seen);

/// Where in the directory the checks are run.
const SCRATCH: &str = "wasi-filesystem-testkit";

/// Levels of directories that the checks make.
const LEVELS: usize = 10;

/// Checks the backend of `directory`; `driver` moves it on where operations are pending.
pub fn run(driver: &dyn Driver, directory: Arc<dyn Directory>) -> Report {
    let mut report = Report::new("a directory");
    let kit = Kit::new(driver, directory);
    if kit.dir.is_read_only() {
        read_only::run(&kit, &mut report);
        return report;
    }
    let mut scratch = None;
    report.check("a directory can be made and opened", || {
        kit.mkdir(SCRATCH)?;
        scratch = Some(kit.below(SCRATCH)?);
        Ok::<_, wasi_io::testkit::Miss>(())
    });
    let Some(scratch) = scratch else {
        return report;
    };
    let checks = [
        paths::CHECKS,
        directories::CHECKS,
        names::CHECKS,
        links::CHECKS,
        listings::CHECKS,
        files::CHECKS,
        vectored::CHECKS,
    ];
    for (n, (name, check)) in checks.into_iter().flatten().enumerate() {
        report.check(name, || {
            // A directory each, so that what one leaves does not break the next.
            let path = format!("{n}");
            scratch.mkdir(&path)?;
            check(&scratch.below(&path)?)
        });
    }
    report.check("all that was made can be removed", || {
        kit.remove(SCRATCH, LEVELS)
    });
    report
}
