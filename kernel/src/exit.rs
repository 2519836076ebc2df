//! The end: the exit status of the emulator.

use crate::serial;
use x86_64::instructions::port::Port;
use x86_64::instructions::{hlt, interrupts};

/// QEMU's `isa-debug-exit,iobase=0xf4,iosize=4`: a value `n` written there ends it with status
/// `2n + 1`.
const DEBUG_EXIT: u16 = 0xf4;

/// What the status says. The last line on the console has the program's exit code as it is.
#[derive(Clone, Copy)]
pub(crate) enum Code {
    /// The program ended with this code; 111 stands for all above. Status `2n + 1`: 1 for 0,
    /// 3 for 1.
    Program(u8),
    /// The command line or the initrd can't be done as it says: status 225.
    Command,
    /// The program trapped, or ran out of a limit: status 227.
    Failed,
    /// A mistake of the kernel's own, or out of memory where there is no going on: status 229.
    Panic,
    /// A fault of the processor: status 231.
    Fault,
    /// The machine lacks something: status 233.
    Machine,
}

impl Code {
    fn value(self) -> u32 {
        match self {
            Self::Program(code) => u32::from(code.min(111)),
            Self::Command => 112,
            Self::Failed => 113,
            Self::Panic => 114,
            Self::Fault => 115,
            Self::Machine => 116,
        }
    }
}

/// Ends the machine once all output has left; without the device, it halts for ever.
pub(crate) fn end(code: Code) -> ! {
    interrupts::disable();
    serial::drain();
    // SAFETY: the port is the device's or nobody's.
    unsafe { Port::<u32>::new(DEBUG_EXIT).write(code.value()) };
    loop {
        hlt();
    }
}
