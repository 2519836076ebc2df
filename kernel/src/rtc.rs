//! The time of day, from the battery-backed clock (an MC146818, and what imitates it).

use agave_kernel::date::{Date, from_bcd};
use x86_64::instructions::port::Port;

const UPDATE_IN_PROGRESS: u8 = 0x80;
const BINARY: u8 = 4;
const HOURS_24: u8 = 2;
const AFTERNOON: u8 = 0x80;

fn read(register: u8) -> u8 {
    // SAFETY: selects a register of the clock, with NMIs off as they are, and reads it.
    unsafe {
        Port::<u8>::new(0x70).write(0x80 | register);
        Port::<u8>::new(0x71).read()
    }
}

/// Seconds since 1970 in UTC; 0 where the clock has no date, or is not there.
pub(crate) fn now() -> u64 {
    let registers = || [0_u8, 2, 4, 7, 8, 9].map(read);
    // Twice the same, and not in the middle of a step.
    for _ in 0..10_000 {
        if read(0x0a) & UPDATE_IN_PROGRESS != 0 {
            continue;
        }
        let first = registers();
        if first == registers() {
            return seconds(first, read(0x0b));
        }
    }
    0
}

fn seconds(registers: [u8; 6], status: u8) -> u64 {
    let number = |value: u8| match status & BINARY {
        0 => from_bcd(value),
        _ => value,
    };
    let [second, minute, hour, day, month, year] = registers;
    let mut hour = match status & HOURS_24 {
        0 => number(hour & !AFTERNOON) % 12,
        _ => number(hour),
    };
    if status & HOURS_24 == 0 && registers[2] & AFTERNOON != 0 {
        hour += 12;
    }
    Date {
        year: 2000 + u64::from(number(year)),
        month: number(month),
        day: number(day),
        hour,
        minute: number(minute),
        second: number(second),
    }
    .since_1970()
    .unwrap_or(0)
}
