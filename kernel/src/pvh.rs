//! What the loader tells of the machine: `hvm_start_info` of Xen's PVH boot ABI (the public header
//! `arch-x86/hvm/start_info.h`), little-endian.

use core::ops::Range;

const MAGIC: u32 = 0x336e_c578;

/// The lengths of the structures.
const START_INFO: usize = 56;
const MODULE: usize = 32;
const MEMORY_ENTRY: usize = 24;

/// The type of memory that is free to use.
const RAM: u32 = 1;

/// More entries than this a memory map does not have: a guard against a wild count.
const ENTRIES_MAX: u32 = 256;

/// A command line longer than this is cut off.
const COMMAND_LINE_MAX: usize = 4096;

/// Reads physical memory: the bytes at an address, `None` where there is none.
pub trait Physical {
    /// `len` bytes at `address`.
    fn read(&self, address: u64, len: usize) -> Option<&[u8]>;
}

/// The start info, read.
#[derive(Debug)]
pub struct StartInfo<'a> {
    /// What was given by `-append`; what is not UTF-8 in it is cut off.
    pub command_line: &'a str,
    /// Where the first module is (`-initrd`).
    pub initrd: Option<Range<u64>>,
    address: u64,
    memory: &'a [u8],
    memory_address: u64,
}

impl<'a> StartInfo<'a> {
    /// Reads the start info at `address`; `None`: there is none, or it has no memory map.
    pub fn read(physical: &'a impl Physical, address: u64) -> Option<Self> {
        let info = physical.read(address, START_INFO)?;
        if u32_at(info, 0)? != MAGIC || u32_at(info, 4)? < 1 {
            return None;
        }
        let entries = u32_at(info, 48)?.min(ENTRIES_MAX);
        let memory_address = u64_at(info, 40)?;
        let memory = physical.read(memory_address, entries as usize * MEMORY_ENTRY)?;
        let initrd = match u32_at(info, 12)? {
            0 => None,
            _ => {
                let module = physical.read(u64_at(info, 16)?, MODULE)?;
                let start = u64_at(module, 0)?;
                Some(start..start.checked_add(u64_at(module, 8)?)?)
            }
        };
        Some(Self {
            command_line: match u64_at(info, 24)? {
                0 => "",
                address => command_line(physical, address),
            },
            initrd,
            address,
            memory,
            memory_address,
        })
    }

    /// The memory that is free to use, as the loader has it.
    pub fn ram(&self) -> impl Iterator<Item = Range<u64>> {
        let entries = self.memory.chunks_exact(MEMORY_ENTRY);
        entries.filter_map(|entry| {
            let start = u64_at(entry, 0)?;
            let end = start.checked_add(u64_at(entry, 8)?)?;
            (u32_at(entry, 16)? == RAM).then_some(start..end)
        })
    }

    /// The largest piece of memory below `limit` without anything of the loader's, and of which
    /// nothing is in `kernel`.
    pub fn largest_free(&self, kernel: Range<u64>, limit: u64) -> Option<Range<u64>> {
        let memory_end = self.memory_address + self.memory.len() as u64;
        let line = self.command_line.as_bytes().as_ptr_range();
        let taken = [
            kernel,
            self.initrd.clone().unwrap_or(0..0),
            self.address..self.address + START_INFO as u64,
            self.memory_address..memory_end,
            line.start as u64..line.end as u64,
        ];
        largest(self.ram(), &taken, limit)
    }
}

/// The largest piece below `limit` of what is in `ram` and not in `taken`.
fn largest(
    ram: impl Iterator<Item = Range<u64>>,
    taken: &[Range<u64>],
    limit: u64,
) -> Option<Range<u64>> {
    let pieces = ram.flat_map(|ram| {
        // A piece begins where memory does, or where something ends.
        let starts = [ram.start]
            .into_iter()
            .chain(taken.iter().map(|range| range.end));
        let starts: [Option<u64>; 8] = {
            let mut starts = starts.filter(|start| ram.contains(start));
            core::array::from_fn(|_| starts.next())
        };
        starts.into_iter().flatten().map(move |start| {
            let ends = taken
                .iter()
                .filter(|range| !range.is_empty() && range.end > start);
            let end = ends.map(|range| range.start.max(start)).min();
            start..end.unwrap_or(u64::MAX).min(ram.end).min(limit).max(start)
        })
    });
    pieces
        .filter(|piece| !piece.is_empty())
        .max_by_key(|piece| piece.end - piece.start)
}

fn command_line(physical: &impl Physical, address: u64) -> &str {
    // Its length is not told: it ends with a 0.
    let mut len = 0;
    while len < COMMAND_LINE_MAX {
        match physical.read(address + len as u64, 1) {
            Some(&[byte]) if byte != 0 => len += 1,
            _ => break,
        }
    }
    let bytes = physical.read(address, len).unwrap_or_default();
    match core::str::from_utf8(bytes) {
        Ok(line) => line,
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            core::str::from_utf8(valid).unwrap_or_default()
        }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + 8)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory from address 0x1000 on.
    struct Memory(Vec<u8>);

    const BASE: u64 = 0x1000;

    impl Physical for Memory {
        fn read(&self, address: u64, len: usize) -> Option<&[u8]> {
            let at = usize::try_from(address.checked_sub(BASE)?).ok()?;
            self.0.get(at..at.checked_add(len)?)
        }
    }

    /// A start info at the base, a module at 0x1100, the memory map at 0x1200, the line at
    /// 0x1300.
    fn machine(modules: u32, entries: &[(u64, u64, u32)], line: &[u8]) -> Memory {
        let mut memory = vec![0; 0x1000];
        let mut put = |at: usize, bytes: &[u8]| memory[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &MAGIC.to_le_bytes());
        put(4, &1_u32.to_le_bytes());
        put(12, &modules.to_le_bytes());
        put(16, &0x1100_u64.to_le_bytes());
        put(24, &0x1300_u64.to_le_bytes());
        put(40, &0x1200_u64.to_le_bytes());
        put(48, &(entries.len() as u32).to_le_bytes());
        put(0x100, &0x70_0000_u64.to_le_bytes());
        put(0x108, &0x1234_u64.to_le_bytes());
        for (number, (start, len, kind)) in entries.iter().enumerate() {
            let at = 0x200 + number * MEMORY_ENTRY;
            put(at, &start.to_le_bytes());
            put(at + 8, &len.to_le_bytes());
            put(at + 16, &kind.to_le_bytes());
        }
        put(0x300, line);
        Memory(memory)
    }

    const RAM_ONLY: [(u64, u64, u32); 3] = [
        (0, 0x9_fc00, 1),
        (0xf_0000, 0x1_0000, 2),
        (0x10_0000, 0x70_0000, 1),
    ];

    #[test]
    fn command_line_initrd_and_memory_are_found() {
        let memory = machine(1, &RAM_ONLY, "run a b\u{e9}\0junk".as_bytes());
        let info = StartInfo::read(&memory, BASE).unwrap();
        assert_eq!(info.command_line, "run a b\u{e9}");
        assert_eq!(info.initrd, Some(0x70_0000..0x70_1234));
        let ram: Vec<_> = info.ram().collect();
        assert_eq!(ram, [0..0x9_fc00, 0x10_0000..0x80_0000]);
    }

    #[test]
    fn what_is_no_start_info_is_refused() {
        let good = machine(1, &RAM_ONLY, b"");
        for (at, value, read) in [
            (0, MAGIC, true),
            (0, 1, false),
            (4, 0, false),
            (20, 1, false),
            (44, 1, false),
            (0x10c, u32::MAX, true),
        ] {
            let mut memory = machine(1, &RAM_ONLY, b"");
            memory.0[at..at + 4].copy_from_slice(&value.to_le_bytes());
            assert_eq!(StartInfo::read(&memory, BASE).is_some(), read, "{at}");
        }
        assert!(StartInfo::read(&good, BASE + 0x2000).is_none());
    }

    #[test]
    fn a_line_that_is_no_text_ends_where_it_stops_to_be() {
        let memory = machine(0, &RAM_ONLY, b"run \xff\xfe\0");
        let info = StartInfo::read(&memory, BASE).unwrap();
        assert_eq!((info.command_line, info.initrd), ("run ", None));
    }

    #[test]
    fn the_largest_piece_has_nothing_of_what_is_taken() {
        for (taken, limit, largest_is) in [
            (vec![], 1000, Some(100..500)),
            (vec![0..150], 1000, Some(150..500)),
            (vec![400..500], 1000, Some(100..400)),
            (vec![0..150, 400..500], 1000, Some(150..400)),
            (vec![0..150, 200..210], 1000, Some(210..500)),
            (vec![0..150, 490..510], 250, Some(150..250)),
            (vec![0..150, 100..450], 1000, Some(450..500)),
            (vec![0..600], 1000, Some(600..620)),
            (vec![0..700], 1000, None),
            (vec![0..0], 1000, Some(100..500)),
        ] {
            let ram = [100..500, 600..620];
            assert_eq!(
                largest(ram.into_iter(), &taken, limit),
                largest_is,
                "{taken:?}"
            );
        }
    }

    #[test]
    fn the_heap_lies_between_the_kernel_and_the_initrd() {
        let memory = machine(1, &RAM_ONLY, b"\0");
        let info = StartInfo::read(&memory, BASE).unwrap();
        let free = info.largest_free(0..0x50_0000, 1 << 32);
        assert_eq!(free, Some(0x50_0000..0x70_0000));
    }
}
