use wit_bindgen::{StreamReader, StreamResult, StreamWriter};

/// A buffer that one read or write after the other has.
pub struct Piece(Vec<u8>);

impl Piece {
    pub fn new(bytes: u64) -> Self {
        Self(vec![b'p'; bytes as usize])
    }

    /// Reads at most `most` bytes in one go, and says how many.
    pub async fn read(&mut self, stream: &mut StreamReader<u8>, most: u64) -> u64 {
        let mut buffer = core::mem::take(&mut self.0);
        let whole = buffer.len();
        // It reads into all that there is place for.
        let (kept, most) = match most < whole as u64 {
            true => (whole - most as usize, most),
            false => (0, whole as u64),
        };
        buffer.truncate(kept);
        let (result, buffer) = stream.read(buffer).await;
        let StreamResult::Complete(n) = result else {
            panic!("the stream ended: {result:?}");
        };
        assert!(n as u64 <= most);
        self.restore(buffer, whole);
        n as u64
    }

    /// Writes all of it.
    pub async fn write(&mut self, stream: &mut StreamWriter<u8>) {
        let whole = self.0.len();
        let left = stream.write_all(core::mem::take(&mut self.0)).await;
        assert!(left.is_empty(), "the stream was closed");
        self.restore(left, whole);
    }

    /// Has its length again without the bytes being filled in: that would take as long as a
    /// part of what is measured.
    fn restore(&mut self, mut buffer: Vec<u8>, whole: usize) {
        assert!(buffer.capacity() >= whole);
        // SAFETY: all of them were initialised in `new`, and it is the same allocation: what
        // has it meanwhile writes bytes, or none.
        unsafe { buffer.set_len(whole) };
        self.0 = buffer;
    }
}
