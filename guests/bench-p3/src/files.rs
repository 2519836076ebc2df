use crate::bindings::wasi::filesystem::preopens::get_directories;
use crate::bindings::wasi::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};
use crate::bindings::wit_stream;
use crate::piece::Piece;

pub async fn read(piece: u64, times: u64) -> u64 {
    let file = data(DescriptorFlags::READ).await;
    let (mut stream, outcome) = file.read_via_stream(0);
    let mut buffer = Piece::new(piece);
    let mut bytes = 0;
    while bytes < piece * times {
        bytes += buffer.read(&mut stream, piece).await;
    }
    drop(stream);
    outcome.await.expect("read-via-stream");
    bytes
}

pub async fn write(piece: u64, times: u64) -> u64 {
    let file = data(DescriptorFlags::WRITE).await;
    let (mut writer, contents) = wit_stream::new();
    let written = file.write_via_stream(contents, 0);
    let mut buffer = Piece::new(piece);
    for _ in 0..times {
        buffer.write(&mut writer).await;
    }
    drop(writer);
    written.await.expect("write-via-stream");
    piece * times
}

async fn data(flags: DescriptorFlags) -> Descriptor {
    let directory = get_directories().pop().expect("a preopened directory").0;
    let (path, open) = (PathFlags::empty(), OpenFlags::empty());
    let opened = directory.open_at(path, "data".into(), open, flags).await;
    opened.expect("open-at")
}
