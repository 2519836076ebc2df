//! From the loader to Rust.
//!
//! The loader finds the entry by an ELF note of Xen's (PVH), and enters it in 32-bit mode
//! without paging, with the address of its start info in `ebx`. From there: the first 4 GiB mapped
//! as they are, in pages of 2 MiB, then 64-bit mode, SSE for the code of programs, and a stack.

use core::arch::global_asm;

/// The kernel's own stack. What lies below it is not mapped once `paging::init` has run.
pub(crate) const STACK: usize = 256 << 10;

global_asm!(
    r#"
    .section .note.Xen, "a", @note
    .align 4
    .long 4
    .long 8
    .long 18
    .asciz "Xen"
    .quad pvh_start

    .section .boot, "ax", @progbits
    .code32
    .global pvh_start
pvh_start:
    cli
    cld
    movl $boot_gdt_pointer, %eax
    lgdt (%eax)
    movl %ebx, %esi

    movl $__bss_start, %edi
    movl $__kernel_end, %ecx
    subl %edi, %ecx
    shrl $2, %ecx
    xorl %eax, %eax
    rep stosl

    movl $boot_pdpt + 3, pml4
    movl $boot_pdpt, %edi
    movl $boot_pd + 3, %eax
    movl $4, %ecx
1:  movl %eax, (%edi)
    addl $4096, %eax
    addl $8, %edi
    decl %ecx
    jnz 1b

    movl $boot_pd, %edi
    movl $0x83, %eax
    movl $2048, %ecx
2:  movl %eax, (%edi)
    addl $0x200000, %eax
    addl $8, %edi
    decl %ecx
    jnz 2b

    movl $pml4, %eax
    movl %eax, %cr3
    movl %cr4, %eax
    orl $0x620, %eax          /* PAE, OSFXSR, OSXMMEXCPT */
    movl %eax, %cr4
    movl $0xc0000080, %ecx    /* EFER: LME, NXE */
    rdmsr
    orl $0x900, %eax
    wrmsr
    movl %cr0, %eax
    andl $0xfffffff3, %eax    /* EM and TS off */
    orl $0x80010023, %eax     /* PG, WP, NE, MP, PE */
    movl %eax, %cr0
    ljmp $8, $3f

    .code64
3:  xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %fs
    movl %eax, %gs
    movl %eax, %ss
    movq $boot_stack_top, %rsp
    xorl %ebp, %ebp
    movl %esi, %edi
    call kernel_main
4:  hlt
    jmp 4b

    .section .rodata.boot, "a", @progbits
    .align 8
boot_gdt:
    .quad 0
    .quad 0x00af9a000000ffff
boot_gdt_pointer:
    .word 15
    .long boot_gdt

    .section .bss.boot, "aw", @nobits
    .align 4096
    .global pml4
pml4: .skip 4096
boot_pdpt: .skip 4096
    .global boot_pd
boot_pd: .skip 4 * 4096
    .global boot_stack_guard
boot_stack_guard: .skip 4096
    .skip {stack}
boot_stack_top:
    .text
    "#,
    stack = const STACK,
    options(att_syntax)
);
