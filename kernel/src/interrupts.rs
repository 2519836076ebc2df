//! Interrupts, and faults of the processor.
//!
//! What a handler may do: nothing that takes a lock which code outside of handlers holds with
//! interrupts on, so it allocates nothing and wakes no task. It sets a flag ([`crate::events`])
//! that the executor looks at before it sleeps, and counts the epoch, which is one atomic
//! addition.

use crate::exit::{self, Code};
use core::arch::global_asm;
use core::cell::UnsafeCell;
use x86_64::VirtAddr;
use x86_64::instructions::tables;
use x86_64::registers::control::Cr2;
use x86_64::registers::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::structures::DescriptorTablePointer;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable};
use x86_64::structures::tss::TaskStateSegment;

/// Vectors of interrupts. Those of the I/O APIC are [`IRQ`] and the number of its input.
pub(crate) const IRQ: u8 = 0x20;
pub(crate) const TIMER: u8 = 0x40;
pub(crate) const VIRTIO: u8 = 0x41;
pub(crate) const SPURIOUS: u8 = 0xff;

/// Faults have a stack of their own, since a stack that ended may be the reason.
const FAULT_STACK: usize = 16 << 10;

global_asm!(
    r#"
    .section .text.interrupts, "ax", @progbits
    # Each is 16 bytes long: the table is filled by that.
    .align 16
    .global fault_stubs
fault_stubs:
    .set stub_vector, 0
    .rept 32
    .align 16
    # Those to which the processor gives no error code have 0.
    .if ((0x60227d00 >> stub_vector) & 1) == 0
    pushq $0
    .endif
    pushq $stub_vector
    jmp fault_entry
    .set stub_vector, stub_vector + 1
    .endr

    .align 16
    .global interrupt_stubs
interrupt_stubs:
    .rept 224
    .align 16
    pushq $stub_vector
    jmp interrupt_entry
    .set stub_vector, stub_vector + 1
    .endr

fault_entry:
    movq %rsp, %rdi
    andq $-16, %rsp
    cld
    call fault
    hlt

interrupt_entry:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %rbp
    movq %rsp, %rbp
    movq 80(%rsp), %rdi
    andq $-16, %rsp
    cld
    call interrupt
    movq %rbp, %rsp
    popq %rbp
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rax
    addq $8, %rsp
    iretq
    .text
    "#,
    options(att_syntax)
);

unsafe extern "C" {
    static fault_stubs: [u8; 32 * 16];
    static interrupt_stubs: [u8; 224 * 16];
}

/// What the processor and the stub leave on the stack.
#[repr(C)]
struct Fault {
    vector: u64,
    error: u64,
    rip: u64,
    cs: u64,
    flags: u64,
    rsp: u64,
}

const NAMES: [&str; 32] = [
    "divide error",
    "debug",
    "non-maskable interrupt",
    "breakpoint",
    "overflow",
    "bound range exceeded",
    "invalid opcode",
    "device not available",
    "double fault",
    "coprocessor segment overrun",
    "invalid TSS",
    "segment not present",
    "stack segment fault",
    "general protection fault",
    "page fault",
    "reserved",
    "x87 floating point",
    "alignment check",
    "machine check",
    "SIMD floating point",
    "virtualization",
    "control protection",
    "reserved",
    "reserved",
    "reserved",
    "reserved",
    "reserved",
    "reserved",
    "hypervisor injection",
    "VMM communication",
    "security",
    "reserved",
];

/// Nothing that programs do is a fault: their bounds are checked by code. So it is a mistake of
/// the kernel's, which ends it.
#[unsafe(no_mangle)]
extern "C" fn fault(fault: &Fault) -> ! {
    let name = usize::try_from(fault.vector)
        .ok()
        .and_then(|vector| NAMES.get(vector))
        .unwrap_or(&"unknown");
    crate::say!(
        "fault: {name} at {:#x}, error {:#x}, address {:#x}, stack {:#x}",
        fault.rip,
        fault.error,
        Cr2::read_raw(),
        fault.rsp
    );
    exit::end(Code::Fault)
}

#[unsafe(no_mangle)]
extern "C" fn interrupt(vector: u64) {
    const SERIAL: u64 = (IRQ + crate::serial::IRQ) as u64;
    const TICK: u64 = TIMER as u64;
    const DEVICE: u64 = VIRTIO as u64;
    match vector {
        TICK => crate::timer::interrupted(),
        SERIAL => crate::serial::interrupted(),
        DEVICE => crate::virtio::interrupted(),
        _ => {}
    }
    if vector != u64::from(SPURIOUS) {
        crate::apic::end_of_interrupt();
    }
}

/// A gate of the interrupt descriptor table (Intel SDM 3A, 7.14.1).
#[derive(Clone, Copy)]
#[repr(C)]
struct Gate {
    offset_low: u16,
    selector: u16,
    stack: u8,
    kind: u8,
    offset_middle: u16,
    offset_high: u32,
    reserved: u32,
}

impl Gate {
    const NONE: Self = Self {
        offset_low: 0,
        selector: 0,
        stack: 0,
        kind: 0,
        offset_middle: 0,
        offset_high: 0,
        reserved: 0,
    };

    /// An interrupt gate: it is entered with interrupts off.
    fn new(handler: u64, selector: u16, stack: u8) -> Self {
        Self {
            offset_low: handler as u16,
            selector,
            stack,
            kind: 0x8e,
            offset_middle: (handler >> 16) as u16,
            offset_high: (handler >> 32) as u32,
            reserved: 0,
        }
    }
}

/// What the processor reads and writes by itself.
struct Tables {
    gates: [Gate; 256],
    segments: GlobalDescriptorTable,
    tss: TaskStateSegment,
    stacks: [[u8; FAULT_STACK]; 2],
}

struct Shared(UnsafeCell<Tables>);

// SAFETY: `init` is its only user, once, with interrupts off.
unsafe impl Sync for Shared {}

static TABLES: Shared = Shared(UnsafeCell::new(Tables {
    gates: [Gate::NONE; 256],
    segments: GlobalDescriptorTable::new(),
    tss: TaskStateSegment::new(),
    stacks: [[0; FAULT_STACK]; 2],
}));

/// Has faults and interrupts go to their handlers; interrupts stay off.
///
/// # Safety
/// Called once, with interrupts off.
pub(crate) unsafe fn init() {
    // SAFETY: nobody else has it, as this is called once.
    let tables: &'static mut Tables = unsafe { &mut *TABLES.0.get() };
    for (slot, stack) in tables.stacks.iter().enumerate() {
        let end = stack.as_ptr_range().end as u64;
        tables.tss.interrupt_stack_table[slot] = VirtAddr::new(end & !0xf);
    }
    let code = tables.segments.append(Descriptor::kernel_code_segment());
    let data = tables.segments.append(Descriptor::kernel_data_segment());
    // SAFETY: the state segment is static, and nobody writes to it any more.
    let tss = unsafe { Descriptor::tss_segment_unchecked(&raw const tables.tss) };
    let tss = tables.segments.append(tss);
    let (faults, interrupts) = (
        &raw const fault_stubs as u64,
        &raw const interrupt_stubs as u64,
    );
    for vector in 0..256_u64 {
        let gate = match vector {
            // A double fault has a stack for itself: the first fault's may be the reason.
            8 => Gate::new(faults + 8 * 16, code.0, 2),
            0..32 => Gate::new(faults + vector * 16, code.0, 1),
            _ => Gate::new(interrupts + (vector - 32) * 16, code.0, 0),
        };
        tables.gates[vector as usize] = gate;
    }
    let pointer = DescriptorTablePointer {
        limit: (size_of_val(&tables.gates) - 1) as u16,
        base: VirtAddr::from_ptr(tables.gates.as_ptr()),
    };
    // SAFETY: the tables are static and complete; the selectors are theirs.
    unsafe {
        tables.segments.load_unsafe();
        CS::set_reg(code);
        SS::set_reg(data);
        DS::set_reg(data);
        ES::set_reg(data);
        tables::load_tss(tss);
        tables::lidt(&pointer);
    }
}
