use crate::common::Failure;
use crate::plain;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

/// What the guest does, by this process and with calls that block, on the files in `directory`.
pub(crate) fn subject(
    directory: &Path,
) -> impl FnMut(&str, &[u64]) -> Result<u64, Failure> + 'static {
    let data = directory.join("data");
    move |function: &str, parameters: &[u64]| match (function, parameters) {
        ("read-stream", &[piece, times]) => {
            let mut file = File::open(&data)?;
            let (mut buf, mut bytes) = (vec![0; piece as usize], 0);
            while bytes < piece * times {
                match file.read(&mut buf)? {
                    0 => return Err("the file is too short".into()),
                    n => bytes += n as u64,
                }
            }
            Ok(bytes)
        }
        ("write-stream", &[piece, times]) => {
            let mut file = File::options().write(true).open(&data)?;
            let bytes = vec![b'n'; piece as usize];
            for _ in 0..times {
                file.write_all(&bytes)?;
            }
            Ok(piece * times)
        }
        _ => plain::call(function, parameters),
    }
}
