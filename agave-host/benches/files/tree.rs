use crate::common::Failure;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The guest's files, in a temporary folder that goes with the value.
pub(crate) struct Tree(PathBuf);

impl Tree {
    /// With a file of so many whole mebibytes' bytes, and a directory of so many entries.
    pub(crate) fn new(file_size: u64, entries: u32) -> Result<Self, Failure> {
        let name = format!("agave-bench-{}", std::process::id());
        let tree = Self(std::env::temp_dir().join(name));
        fs::create_dir(&tree.0)?;
        let mut data = File::create(tree.0.join("data"))?;
        let piece = vec![b'd'; 1 << 20];
        for _ in 0..file_size / piece.len() as u64 {
            data.write_all(&piece)?;
        }
        // So that nothing is written to the disk while others are measured.
        data.sync_all()?;

        let mut directory = tree.0.clone();
        for _ in 0..=3 {
            fs::create_dir_all(&directory)?;
            fs::write(directory.join("file"), "content")?;
            directory.push("d");
        }

        let many = tree.0.join("many");
        fs::create_dir(&many)?;
        for number in 0..entries {
            File::create(many.join(format!("entry-{number:05}")))?;
        }
        Ok(tree)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{} stays: {error}", self.0.display());
        }
    }
}
