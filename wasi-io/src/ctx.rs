/// The limits of one guest's streams.
#[derive(Clone, Debug)]
pub struct WasiIoCtx {
    max_read: usize,
}

impl WasiIoCtx {
    /// 64 KiB a read.
    pub const fn new() -> Self {
        Self { max_read: 64 << 10 }
    }

    /// The most bytes that one `read`, `skip` or `splice` moves, whatever the guest asks
    /// for; at least 1. It bounds what the host allocates for the call.
    pub fn max_read(mut self, bytes: usize) -> Self {
        self.max_read = bytes.max(1);
        self
    }

    /// `len` as the guest asked for it, brought down to the limit.
    pub fn clamp(&self, len: u64) -> usize {
        usize::try_from(len).map_or(self.max_read, |len| len.min(self.max_read))
    }
}

impl Default for WasiIoCtx {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_brought_down_to_the_limit() {
        let ctx = WasiIoCtx::new().max_read(10);
        assert_eq!(
            [ctx.clamp(0), ctx.clamp(9), ctx.clamp(u64::MAX)],
            [0, 9, 10]
        );
    }
}
