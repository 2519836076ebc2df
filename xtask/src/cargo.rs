//! Building with cargo.

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Builds a program in `folder`, and says where it is.
///
/// # Errors
/// It does not build.
pub fn build(folder: &Path, args: &[&str]) -> Result<PathBuf> {
    /// What is of interest in a message of cargo's.
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
    }
    let output = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()))
        .args([
            "build",
            "--locked",
            "--message-format",
            "json-render-diagnostics",
        ])
        .args(args)
        .current_dir(folder)
        .stderr(Stdio::inherit())
        .output()
        .context("starting cargo")?;
    ensure!(
        output.status.success(),
        "{} does not build",
        folder.display()
    );
    for line in output.stdout.split(|&byte| byte == b'\n') {
        if let Ok(Message {
            executable: Some(built),
        }) = serde_json::from_slice(line)
        {
            return Ok(built);
        }
    }
    bail!("cargo does not say where it built {}", folder.display())
}
