use crate::memory::{Input, Sink};
use crate::{Stdin, Stdout};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// What one guest is told of its surroundings; a clone is told the same and has the same
/// standard streams.
///
/// Unless granted: no environment, no argument but the program's name, no directory, a standard
/// input that is at its end, and outputs that keep nothing.
#[derive(Clone)]
pub struct WasiCliCtx {
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
    initial_cwd: Option<String>,
    stdin: Arc<dyn Stdin>,
    stdout: Arc<dyn Stdout>,
    stderr: Arc<dyn Stdout>,
}

impl WasiCliCtx {
    /// For a guest that is called `program`, which is its first argument.
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            environment: Vec::new(),
            arguments: [program.into()].into(),
            initial_cwd: None,
            stdin: Arc::new(Input::default()),
            stdout: Arc::new(Sink),
            stderr: Arc::new(Sink),
        }
    }

    /// Sets an environment variable, in place of an earlier one of that name.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        match self.environment.iter_mut().find(|known| known.0 == name) {
            Some(known) => known.1 = value,
            None => self.environment.push((name, value)),
        }
        self
    }

    /// Adds an argument after those that are there.
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments after those that are there.
    pub fn args<T: Into<String>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// The directory that relative paths begin at: a path of the guest's, which grants nothing.
    pub fn initial_cwd(mut self, path: impl Into<String>) -> Self {
        self.initial_cwd = Some(path.into());
        self
    }

    /// Where the guest reads from.
    pub fn stdin(mut self, stdin: impl Stdin) -> Self {
        self.stdin = Arc::new(stdin);
        self
    }

    /// Where its output goes.
    pub fn stdout(mut self, stdout: impl Stdout) -> Self {
        self.stdout = Arc::new(stdout);
        self
    }

    /// Where its messages go.
    pub fn stderr(mut self, stderr: impl Stdout) -> Self {
        self.stderr = Arc::new(stderr);
        self
    }

    /// The variables' names and values (`wasi:cli/environment.get-environment`).
    pub fn get_environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// The program's name and its arguments (`wasi:cli/environment.get-arguments`).
    pub fn get_arguments(&self) -> &[String] {
        &self.arguments
    }

    /// The directory that relative paths begin at (`wasi:cli/environment.initial-cwd` of
    /// WASI 0.2, `get-initial-cwd` of 0.3).
    pub fn get_initial_cwd(&self) -> Option<&str> {
        self.initial_cwd.as_deref()
    }

    /// The standard input (`wasi:cli/stdin`).
    pub fn get_stdin(&self) -> &Arc<dyn Stdin> {
        &self.stdin
    }

    /// The standard output (`wasi:cli/stdout`).
    pub fn get_stdout(&self) -> &Arc<dyn Stdout> {
        &self.stdout
    }

    /// The standard error (`wasi:cli/stderr`).
    pub fn get_stderr(&self) -> &Arc<dyn Stdout> {
        &self.stderr
    }
}

impl Default for WasiCliCtx {
    /// For a guest that is called `main`.
    fn default() -> Self {
        Self::new("main")
    }
}

impl fmt::Debug for WasiCliCtx {
    /// Without the environment's values, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.environment.iter().map(|(name, _)| name).collect();
        f.debug_struct("WasiCliCtx")
            .field("environment", &names)
            .field("arguments", &self.arguments)
            .field("initial_cwd", &self.initial_cwd)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasi_io::StreamError;

    #[test]
    fn nothing_is_granted_by_default() {
        let ctx = WasiCliCtx::default();
        assert!(ctx.get_environment().is_empty());
        assert_eq!(ctx.get_arguments(), ["main"]);
        assert_eq!(ctx.get_initial_cwd(), None);
        let stdin = ctx.get_stdin();
        assert!(matches!(stdin.stream().read(1), Err(StreamError::Closed)));
        assert!(!stdin.is_terminal());
        for output in [ctx.get_stdout(), ctx.get_stderr()] {
            let mut stream = output.stream();
            let permit = stream.check_write().unwrap();
            stream.write(&alloc::vec![1; permit]).unwrap().unwrap();
            assert!(!output.is_terminal());
        }
    }

    #[test]
    fn what_is_set_is_there_once() {
        let ctx = WasiCliCtx::new("prog")
            .env("A", "1")
            .env("B", "2")
            .env("A", "3")
            .arg("-x")
            .args(["y", "z"])
            .initial_cwd("/home");
        let expected = [("A".into(), "3".into()), ("B".into(), "2".into())];
        assert_eq!(ctx.get_environment(), expected);
        assert_eq!(ctx.get_arguments(), ["prog", "-x", "y", "z"]);
        assert_eq!(ctx.get_initial_cwd(), Some("/home"));
    }

    #[test]
    fn values_of_the_environment_are_not_printed() {
        let ctx = WasiCliCtx::default().env("TOKEN", "hunter2");
        let printed = alloc::format!("{ctx:?}");
        assert!(printed.contains("TOKEN") && !printed.contains("hunter2"));
    }
}
