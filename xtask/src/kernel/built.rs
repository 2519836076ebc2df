//! What is started in QEMU: the kernel, and programs compiled for it.

use crate::cargo::build;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The component of the demo.
pub const DEMO: &str = "agave-host/assets/wasi_demo.wasm";

/// A component that answers each request with a line.
pub const TINY: &str = "agave-host/tests/guests/hello_tiny.wasm";

/// The components that the kernel's tests run.
pub const TESTED: [&str; 7] = [
    DEMO,
    "agave-host/assets/ai_agent_sockets.wasm",
    "agave-host/tests/guests/ai_agent_sockets_p3.wasm",
    "agave-host/tests/guests/command.wasm",
    TINY,
    "agave-host/tests/guests/testbed.wasm",
    "agave-host/tests/guests/testbed_p3.wasm",
];

/// The kernel, and the command that compiles programs for it.
pub struct Built {
    pub kernel: PathBuf,
    pub agave: PathBuf,
}

impl Built {
    /// Builds both.
    ///
    /// # Errors
    /// One does not build.
    pub fn build(root: &Path) -> Result<Self> {
        Self::build_with(root, &[])
    }

    /// As [`Built::build`]; `agave` with these arguments of cargo's as well.
    ///
    /// # Errors
    /// As [`Built::build`].
    pub fn build_with(root: &Path, profile: &[&str]) -> Result<Self> {
        // In its folder: cargo finds the target there.
        let kernel = build(&root.join("kernel"), &["--release"])?;
        let mut agave = vec!["--package", "agave-host", "--bin", "agave"];
        agave.extend(profile);
        let agave = build(root, &agave)?;
        Ok(Self { kernel, agave })
    }

    /// Compiles the program `wasm` to `to`.
    ///
    /// # Errors
    /// What `agave compile` says.
    pub fn compile(&self, wasm: &Path, pulley: bool, to: &Path) -> Result<()> {
        let target = match pulley {
            true => "kernel-pulley",
            false => "kernel",
        };
        let status = Command::new(&self.agave)
            .args(["compile", "--target", target, "--output"])
            .args([to, wasm])
            .status()
            .context("starting agave")?;
        ensure!(status.success(), "{} does not compile", wasm.display());
        Ok(())
    }
}
