use super::steps::{
    arrives, fill, get, noop, pattern, poll_ready, put, read_nothing, same, stays_closed, step,
    wait_permit,
};
use super::{Driver, Miss, Report, Task, both_are_woken, wait};
use crate::{InputStream, OutputStream, Pollable, StreamError};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::task::Poll;

/// An input that is under test.
type Input = Box<dyn InputStream>;
/// An output that is under test.
type Output = Box<dyn OutputStream>;
/// A pollable that is under test, and what makes its event come.
type Waiting = (Box<dyn Pollable>, Box<dyn FnOnce()>);
/// What has arrived at the far end of an output since the last call.
type Arrived = Box<dyn FnMut() -> Vec<u8>>;

/// Checks a [`Pollable`]. `make` gives one whose event has not come, and a function that makes
/// it come.
pub fn pollable(driver: &dyn Driver, make: &dyn Fn() -> Waiting) -> Report {
    let mut report = Report::new("Pollable");
    report.check("it is pending until the event has come", || {
        let (mut pollable, event) = make();
        if poll_ready(&mut *pollable) {
            return Err("was ready before".into());
        }
        event();
        wait(driver, "poll_ready", |cx| pollable.poll_ready(cx))
    });
    report.check("it stays ready", || {
        let (mut pollable, event) = make();
        event();
        wait(driver, "poll_ready", |cx| pollable.poll_ready(cx))?;
        match (0..3).all(|_| poll_ready(&mut *pollable)) {
            true => Ok(()),
            false => Err(String::from("was ready, then pending")),
        }
    });
    report.check("every task that waits is woken", || {
        let (mut pollable, event) = make();
        both_are_woken(
            driver,
            |cx| pollable.poll_ready(cx),
            || {
                event();
                Ok(())
            },
        )
    });
    report
}

/// Checks an [`InputStream`]. `make` gives one with these bytes to read, then the end.
pub fn input(driver: &dyn Driver, make: &dyn Fn(&[u8]) -> Input) -> Report {
    let mut report = Report::new("InputStream");
    check_input(&mut report, driver, 10_000, make);
    report
}

/// Checks an [`OutputStream`]. `make` gives one that has room, and a function that takes what
/// has arrived at the other end since its last call.
pub fn output(driver: &dyn Driver, make: &dyn Fn() -> (Output, Arrived)) -> Report {
    let mut report = Report::new("OutputStream");
    check_output(&mut report, driver, make);
    report
}

/// Checks an [`OutputStream`] and an [`InputStream`] that gives what was written to it. `make`
/// gives a new pair. Runs [`input`] and [`output`] on them too.
pub fn pipe(driver: &dyn Driver, make: &dyn Fn() -> (Output, Input)) -> Report {
    let mut report = Report::new("OutputStream and InputStream");
    // What fits, so that it can be written before anybody reads, with some room left to see
    // that a flush has ended.
    let room = wait_permit(driver, &mut *make().0).map_or(1, |room| room.min(10_000));
    check_input(&mut report, driver, room.div_ceil(2), &|bytes| {
        let (mut output, input) = make();
        if put(driver, &mut *output, bytes).is_ok() && output.flush().is_ok() && room > 1 {
            let _ = wait_permit(driver, &mut *output);
        }
        input
    });
    check_output(&mut report, driver, &|| {
        let (output, mut input) = make();
        let arrived = move || {
            let mut buf = vec![0; 64 << 10];
            match input.poll_read(&mut noop(), &mut buf) {
                Poll::Ready(Ok(n)) => buf[..n].to_vec(),
                _ => Vec::new(),
            }
        };
        (output, Box::new(arrived))
    });
    report.check("nothing there is pending, and not the end", || {
        let (_output, mut input) = make();
        if poll_ready(&mut *input) {
            return Err("poll_ready was ready".into());
        }
        match input.poll_read(&mut noop(), &mut [0; 8]) {
            Poll::Pending => Ok(()),
            Poll::Ready(result) => Err(format!("poll_read gave {result:?}")),
        }
    });
    report.check("an empty buffer does not wait for bytes", || {
        let (_output, mut input) = make();
        read_nothing(&mut *input)
    });
    report.check("a pending read takes no byte", || {
        let (mut output, mut input) = make();
        let mut first = [0xaa; 8];
        if input.poll_read(&mut noop(), &mut first).is_ready() {
            return Err("poll_read did not wait".into());
        }
        put(driver, &mut *output, b"a")?;
        let got = get(driver, &mut *input, 4)?;
        match (got.as_deref(), first) {
            (Some(b"a"), [0xaa, ..]) => Ok(()),
            _ => Err(format!("wrote \"a\", read {got:?}, then {first:?}")),
        }
    });
    report.check("it is no longer ready when all was read", || {
        let (mut output, mut input) = make();
        put(driver, &mut *output, b"a")?;
        get(driver, &mut *input, 8)?;
        match poll_ready(&mut *input) {
            true => Err(String::from("poll_ready was ready")),
            false => Ok(()),
        }
    });
    report.check("every task that waits for bytes is woken", || {
        let (mut output, mut input) = make();
        both_are_woken(
            driver,
            |cx| input.poll_ready(cx),
            || put(driver, &mut *output, b"a"),
        )
    });
    report.check("every task that waits in a read is woken", || {
        let (mut output, mut input) = make();
        both_are_woken(
            driver,
            |cx| input.poll_read(cx, &mut [0; 8]).map(drop),
            || put(driver, &mut *output, b"a"),
        )
    });
    report.check(
        "every task that waits for bytes is woken by the end",
        || {
            let (output, mut input) = make();
            both_are_woken(
                driver,
                |cx| input.poll_ready(cx),
                || {
                    drop(output);
                    Ok(())
                },
            )
        },
    );
    report.check("a full output is not ready and permits nothing", || {
        let (mut output, _input) = make();
        fill(driver, &mut *output).map(drop)
    });
    report.check("every task that waits for room is woken", || {
        let (mut output, mut input) = make();
        let tasks = fill(driver, &mut *output)?;
        let mut buf = vec![0; 64 << 10];
        let woken = driver.until(&mut || {
            let _ = input.poll_read(&mut noop(), &mut buf);
            tasks.iter().all(Task::is_woken)
        });
        match (woken, tasks.map(|task| task.is_woken())) {
            (true, _) => Ok(()),
            (_, woken) => Err(Miss::from(format!("woken, of two tasks: {woken:?}"))),
        }
    });
    report.check("bytes come through in order whoever waits for whom", || {
        let (mut output, mut input) = make();
        let all = pattern(20_000);
        let (mut sent, mut got) = (0, Vec::new());
        let mut failed = None;
        driver.until(&mut || {
            failed = step(&all, &mut sent, &mut *output, &mut got, &mut *input).err();
            failed.is_some() || got.len() >= all.len()
        });
        match failed {
            Some(error) => Err(error),
            None => same(&got, &all),
        }
    });
    report.check("without a reader a writer is closed, and stays so", || {
        let (mut output, input) = make();
        drop(input);
        stays_closed(driver, &mut *output)
    });
    report
}

fn check_input(
    report: &mut Report,
    driver: &dyn Driver,
    len: usize,
    make: &dyn Fn(&[u8]) -> Input,
) {
    let bytes = pattern(len);
    report.check("an empty buffer reads nothing and is no error", || {
        read_nothing(&mut *make(&bytes))
    });
    report.check("it is ready when a read would be", || {
        let mut input = make(&bytes);
        wait(driver, "poll_ready", |cx| input.poll_ready(cx))?;
        match input.poll_read(&mut noop(), &mut [0; 8]) {
            Poll::Ready(Ok(1..)) => Ok(()),
            other => Err(format!("was ready, but poll_read gave {other:?}")),
        }
    });
    report.check(
        "bytes are read in order, as many as fit and never none",
        || {
            let mut input = make(&bytes);
            let (mut got, mut size) = (Vec::new(), 1);
            while let Some(read) = get(driver, &mut *input, size)? {
                got.extend(read);
                size = size % 97 + 1;
            }
            same(&got, &bytes)
        },
    );
    report.check(
        "poll_read_bytes gives the same, at most as many as asked for",
        || {
            let mut input = make(&bytes);
            let (mut got, mut size) = (Vec::new(), 1);
            loop {
                match wait(driver, "poll_read_bytes", |cx| {
                    input.poll_read_bytes(cx, size)
                })? {
                    Ok(read) if read.is_empty() || read.len() > size => {
                        return Err(format!("asked for {size} bytes, got {}", read.len()));
                    }
                    Ok(read) => got.extend_from_slice(&read),
                    Err(StreamError::Closed) => return same(&got, &bytes),
                    Err(error) => return Err(format!("after {} bytes: {error}", got.len())),
                }
                size = size % 97 + 1;
            }
        },
    );
    report.check("poll_skip passes over what a read would have given", || {
        let mut input = make(&bytes);
        let skipped = wait(driver, "poll_skip", |cx| input.poll_skip(cx, 3))?;
        let skipped = skipped.map_err(|error| format!("poll_skip: {error}"))?;
        if !(1..=3).contains(&skipped) {
            return Err(format!("asked to skip 3 bytes, it skipped {skipped}"));
        }
        let next = get(driver, &mut *input, 1)?.unwrap_or_default();
        same(&next, &bytes[skipped..bytes.len().min(skipped + 1)])
    });
    report.check(
        "after the last byte it is closed and ready, and stays so",
        || {
            let mut input = make(&bytes);
            while get(driver, &mut *input, 64 << 10)?.is_some() {}
            for _ in 0..3 {
                match input.poll_read(&mut noop(), &mut [0; 8]) {
                    Poll::Ready(Err(StreamError::Closed)) => {}
                    other => return Err(format!("was closed, then poll_read gave {other:?}")),
                }
                if !poll_ready(&mut *input) {
                    return Err("was closed, but poll_ready was pending".into());
                }
            }
            Ok(())
        },
    );
}

fn check_output(report: &mut Report, driver: &dyn Driver, make: &dyn Fn() -> (Output, Arrived)) {
    report.check("it is ready when it permits a byte", || {
        let (mut output, _arrived) = make();
        wait_permit(driver, &mut *output)?;
        match poll_ready(&mut *output) {
            true => Ok(()),
            false => Err(String::from("permits bytes, but poll_ready was pending")),
        }
    });
    report.check(
        "a permit is for all of its bytes, in one write or in many",
        || {
            for pieces in [1, 2, 7] {
                let (mut output, mut arrived) = make();
                let permit = wait_permit(driver, &mut *output)?.min(10_000);
                let bytes = pattern(permit);
                for piece in bytes.chunks(permit.div_ceil(pieces)) {
                    if let Err(error) = output.write(piece) {
                        return Err(format!("permitted {permit} bytes, then: {error}"));
                    }
                }
                arrives(driver, &mut arrived, Vec::new(), &bytes)?;
            }
            Ok(())
        },
    );
    report.check("a flush ends", || {
        let (mut output, mut arrived) = make();
        flush(driver, &mut *output, &mut arrived).map(drop)
    });
    report.check(
        "what was flushed arrives after the stream is dropped",
        || {
            let (mut output, mut arrived) = make();
            let (bytes, came) = flush(driver, &mut *output, &mut arrived)?;
            drop(output);
            arrives(driver, &mut arrived, came, &bytes)
        },
    );
}

/// Writes and flushes, and says what was written and how much of it came already.
fn flush(
    driver: &dyn Driver,
    output: &mut dyn OutputStream,
    arrived: &mut Arrived,
) -> Result<(Vec<u8>, Vec<u8>), String> {
    let bytes = pattern(wait_permit(driver, output)?.min(100));
    let flushed = output.write(&bytes).and_then(|()| output.flush());
    flushed.map_err(|error| format!("a write that was permitted, and a flush: {error}"))?;
    let mut came = Vec::new();
    let ended = driver.until(&mut || {
        came.extend(arrived());
        !matches!(output.check_write(), Ok(0))
    });
    match ended {
        true => Ok((bytes, came)),
        false => Err("check_write stays at 0".into()),
    }
}
