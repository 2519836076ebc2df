//! The console: the first serial port (a 16550), by interrupts both ways.

use crate::{apic, events};
use agave_kernel::ring::Ring;
use core::fmt;
use spin::Mutex;
use x86_64::instructions::interrupts::without_interrupts;
use x86_64::instructions::port::Port;

/// The interrupt, as the I/O APIC counts.
pub(crate) const IRQ: u8 = 4;

const COM1: u16 = 0x3f8;

/// Registers, and their bits.
const DATA: u16 = 0;
const INTERRUPT_ENABLE: u16 = 1;
const INTERRUPT_ID: u16 = 2;
const FIFO_CONTROL: u16 = 2;
const LINE_CONTROL: u16 = 3;
const MODEM_CONTROL: u16 = 4;
const LINE_STATUS: u16 = 5;
const ENABLE_INPUT: u8 = 1;
const ENABLE_OUTPUT: u8 = 2;
const NO_INTERRUPT: u8 = 1;
const INPUT_READY: u8 = 1;
const OUTPUT_EMPTY: u8 = 0x20;

/// The bytes that the port takes once it is empty.
const FIFO: usize = 16;

struct Serial {
    input: Ring<4096>,
    output: Ring<16384>,
    enabled: u8,
    /// Interrupts come: what is written leaves by itself.
    live: bool,
    /// What was written last is no line's end.
    mid_line: bool,
}

/// Locked with interrupts off only, so no handler finds it locked.
static SERIAL: Mutex<Serial> = Mutex::new(Serial {
    input: Ring::new(),
    output: Ring::new(),
    enabled: 0,
    live: false,
    mid_line: false,
});

fn read(register: u16) -> u8 {
    // SAFETY: a register of the serial port; where there is none, reading gives 0xff.
    unsafe { Port::new(COM1 + register).read() }
}

fn write(register: u16, value: u8) {
    // SAFETY: a register of the serial port, or nobody's; it touches no memory.
    unsafe { Port::new(COM1 + register).write(value) }
}

impl Serial {
    fn enable(&mut self, enabled: u8) {
        if self.enabled != enabled {
            self.enabled = enabled;
            write(INTERRUPT_ENABLE, enabled);
        }
    }

    /// Passes on what the port takes now; its interrupt comes as long as there is more.
    fn send(&mut self) {
        if read(LINE_STATUS) & OUTPUT_EMPTY != 0 {
            for byte in core::iter::from_fn(|| self.output.pop()).take(FIFO) {
                write(DATA, byte);
            }
        }
        if !self.live {
            return;
        }
        match self.output.is_empty() {
            true => self.enable(self.enabled & !ENABLE_OUTPUT),
            false => self.enable(self.enabled | ENABLE_OUTPUT),
        }
    }

    /// Takes what has come. What finds no room stays in the port, whose interrupt is off until
    /// there is some: the other side waits.
    fn receive(&mut self) {
        while self.input.room() > 0 && read(LINE_STATUS) & INPUT_READY != 0 {
            self.input.push(read(DATA));
        }
        match self.input.room() {
            0 => self.enable(self.enabled & !ENABLE_INPUT),
            _ => self.enable(self.enabled | ENABLE_INPUT),
        }
    }
}

/// 115,200 baud, eight bits, no interrupts yet.
pub(crate) fn init() {
    write(INTERRUPT_ENABLE, 0);
    write(LINE_CONTROL, 0x80);
    write(DATA, 1);
    write(INTERRUPT_ENABLE, 0);
    write(LINE_CONTROL, 3);
    // What came before: its queue begins empty.
    with(|serial| {
        if read(LINE_STATUS) & INPUT_READY != 0 {
            serial.input.push(read(DATA));
        }
    });
    // Its interrupt comes for 14 bytes, or when no more follow.
    write(FIFO_CONTROL, 0xc7);
    // With the line that passes interrupts on.
    write(MODEM_CONTROL, 0x0b);
}

/// From now on it works by interrupts.
pub(crate) fn start() {
    apic::route(IRQ);
    with(|serial| {
        serial.live = true;
        serial.receive();
        serial.send();
    });
}

/// The interrupt itself.
pub(crate) fn interrupted() {
    let mut serial = SERIAL.lock();
    let (typed, waiting) = (serial.input.len(), serial.output.len());
    // It comes at an edge: none comes again before all reasons for it are gone.
    for _ in 0..64 {
        if read(INTERRUPT_ID) & NO_INTERRUPT != 0 {
            break;
        }
        serial.receive();
        serial.send();
    }
    if serial.input.len() > typed {
        events::set(events::INPUT);
    }
    if serial.output.len() < waiting {
        events::set(events::OUTPUT);
    }
}

fn with<T>(f: impl FnOnce(&mut Serial) -> T) -> T {
    without_interrupts(|| f(&mut SERIAL.lock()))
}

/// How many bytes [`put`] takes now.
pub(crate) fn room() -> usize {
    with(|serial| serial.output.room())
}

/// Takes as many of `bytes` as there is room for, and says how many.
pub(crate) fn put(bytes: &[u8]) -> usize {
    with(|serial| {
        let taken = serial.output.extend(bytes);
        if let Some(last) = bytes[..taken].last() {
            serial.mid_line = *last != b'\n';
        }
        serial.send();
        taken
    })
}

/// Whether somebody has typed.
pub(crate) fn has_input() -> bool {
    with(|serial| !serial.input.is_empty())
}

/// Takes the next byte that was typed.
pub(crate) fn get() -> Option<u8> {
    with(|serial| {
        let byte = serial.input.pop();
        if serial.live && serial.enabled & ENABLE_INPUT == 0 {
            serial.receive();
        }
        byte
    })
}

/// Waits until all has left, without interrupts: for the end.
pub(crate) fn drain() {
    with(|serial| {
        while !serial.output.is_empty() {
            serial.send();
        }
    });
}

/// The kernel's own messages, which wait for room.
pub(crate) struct Messages;

impl fmt::Write for Messages {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            rest = &rest[put(rest)..];
        }
        Ok(())
    }
}

/// Ends the line that a program has left without an end.
pub(crate) fn begin_line() {
    while with(|serial| serial.mid_line) && put(b"\n") == 0 {}
}

/// A line on the console that begins with the kernel's name.
#[macro_export]
macro_rules! say {
    ($($arg:tt)*) => {{
        use core::fmt::Write;
        $crate::serial::begin_line();
        let _ = writeln!($crate::serial::Messages, "agave-kernel: {}", format_args!($($arg)*));
    }};
}
