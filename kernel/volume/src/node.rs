use crate::volume::Shared;
use alloc::sync::Arc;
use hadris_fs::NodeId;

/// An object of a [`FatVolume`](crate::FatVolume) that is in use.
///
/// Dropping the last reference to a file writes its size and time to its directory, and gives
/// its room back where its name is gone. That waits for the disk.
pub struct Node {
    pub(crate) shared: Arc<Shared>,
    pub(crate) id: NodeId,
    pub(crate) is_directory: bool,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.shared.state.lock().release(self.id);
    }
}
