//! WASI 0.2 for wasmtime.

use super::terminal;
pub use super::{TerminalInput, TerminalOutput, WasiCli, WasiCliCtxView, WasiCliView};
use crate::Exit;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bindings::wasi::cli::{
    environment, exit, stderr, stdin, stdout, terminal_input, terminal_output, terminal_stderr,
    terminal_stdin, terminal_stdout,
};
use wasi_io::{DynInputStream, DynOutputStream};
use wasmtime::Result;
use wasmtime::component::{Linker, Resource};

/// What the `bindgen!` of `wasi:cli@0.2.12` generates. In a world of your own, map `wasi:cli`
/// here with `with: { "wasi:cli": wasi_cli::p2::bindings::wasi::cli }`.
#[allow(missing_docs)]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/p2",
        inline: "
            package wasi-cli:host;
            world imports {
                import wasi:cli/environment@0.2.12;
                import wasi:cli/exit@0.2.12;
                import wasi:cli/stdin@0.2.12;
                import wasi:cli/stdout@0.2.12;
                import wasi:cli/stderr@0.2.12;
                import wasi:cli/terminal-input@0.2.12;
                import wasi:cli/terminal-output@0.2.12;
                import wasi:cli/terminal-stdin@0.2.12;
                import wasi:cli/terminal-stdout@0.2.12;
                import wasi:cli/terminal-stderr@0.2.12;
            }
        ",
        world: "wasi-cli:host/imports",
        with: {
            "wasi:io": wasi_io::p2::bindings::wasi::io,
            "wasi:cli/terminal-input.terminal-input": super::TerminalInput,
            "wasi:cli/terminal-output.terminal-output": super::TerminalOutput,
        },
        imports: { default: trappable },
        require_store_data_send: true,
    });
}

/// Links all that `wasi:cli/imports` imports of `wasi:cli` itself: environment, exit, stdin,
/// stdout, stderr and terminal-*. They refer to `wasi:io/streams`, which
/// [`wasi_io::p2::add_to_linker`] links.
///
/// # Errors
/// One of them is in the linker already.
pub fn add_to_linker<T: WasiCliView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    environment::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    exit::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    stdin::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    stdout::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    stderr::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    terminal_input::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    terminal_output::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    terminal_stdin::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    terminal_stdout::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    terminal_stderr::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    Ok(())
}

impl environment::Host for WasiCliCtxView<'_> {
    fn get_environment(&mut self) -> Result<Vec<(String, String)>> {
        Ok(self.ctx.get_environment().to_vec())
    }

    fn get_arguments(&mut self) -> Result<Vec<String>> {
        Ok(self.ctx.get_arguments().to_vec())
    }

    fn initial_cwd(&mut self) -> Result<Option<String>> {
        Ok(self.ctx.get_initial_cwd().map(ToString::to_string))
    }
}

impl exit::Host for WasiCliCtxView<'_> {
    fn exit(&mut self, status: core::result::Result<(), ()>) -> Result<()> {
        Err(Exit::from_status(status).into())
    }

    fn exit_with_code(&mut self, code: u8) -> Result<()> {
        Err(Exit::new(code).into())
    }
}

impl stdin::Host for WasiCliCtxView<'_> {
    fn get_stdin(&mut self) -> Result<Resource<DynInputStream>> {
        Ok(self.table.push(self.ctx.get_stdin().stream())?)
    }
}

impl stdout::Host for WasiCliCtxView<'_> {
    fn get_stdout(&mut self) -> Result<Resource<DynOutputStream>> {
        Ok(self.table.push(self.ctx.get_stdout().stream())?)
    }
}

impl stderr::Host for WasiCliCtxView<'_> {
    fn get_stderr(&mut self) -> Result<Resource<DynOutputStream>> {
        Ok(self.table.push(self.ctx.get_stderr().stream())?)
    }
}

impl terminal_stdin::Host for WasiCliCtxView<'_> {
    fn get_terminal_stdin(&mut self) -> Result<Option<Resource<TerminalInput>>> {
        let is_terminal = self.ctx.get_stdin().is_terminal();
        terminal(self.table, is_terminal, TerminalInput(()))
    }
}

impl terminal_stdout::Host for WasiCliCtxView<'_> {
    fn get_terminal_stdout(&mut self) -> Result<Option<Resource<TerminalOutput>>> {
        let is_terminal = self.ctx.get_stdout().is_terminal();
        terminal(self.table, is_terminal, TerminalOutput(()))
    }
}

impl terminal_stderr::Host for WasiCliCtxView<'_> {
    fn get_terminal_stderr(&mut self) -> Result<Option<Resource<TerminalOutput>>> {
        let is_terminal = self.ctx.get_stderr().is_terminal();
        terminal(self.table, is_terminal, TerminalOutput(()))
    }
}

impl terminal_input::Host for WasiCliCtxView<'_> {}

impl terminal_input::HostTerminalInput for WasiCliCtxView<'_> {
    fn drop(&mut self, terminal: Resource<TerminalInput>) -> Result<()> {
        self.table.delete(terminal)?;
        Ok(())
    }
}

impl terminal_output::Host for WasiCliCtxView<'_> {}

impl terminal_output::HostTerminalOutput for WasiCliCtxView<'_> {
    fn drop(&mut self, terminal: Resource<TerminalOutput>) -> Result<()> {
        self.table.delete(terminal)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Input, Output, Sink};
    use crate::{Stdin, Stdout, WasiCliCtx};
    use environment::Host as _;
    use exit::Host as _;
    use stderr::Host as _;
    use stdin::Host as _;
    use stdout::Host as _;
    use terminal_stderr::Host as _;
    use terminal_stdin::Host as _;
    use terminal_stdout::Host as _;
    use wasmtime::component::ResourceTable;

    fn with<T>(ctx: &WasiCliCtx, f: impl FnOnce(WasiCliCtxView<'_>) -> T) -> T {
        let mut table = ResourceTable::new();
        f(WasiCliCtxView {
            ctx,
            table: &mut table,
        })
    }

    #[test]
    fn an_exit_ends_the_call_with_its_code() {
        with(&WasiCliCtx::default(), |mut view| {
            for (answer, code) in [
                (view.exit(Ok(())), 0),
                (view.exit(Err(())), 1),
                (view.exit_with_code(0), 0),
                (view.exit_with_code(42), 42),
                (view.exit_with_code(255), 255),
            ] {
                let error = answer.unwrap_err();
                let exit = error.downcast_ref::<Exit>().unwrap();
                assert_eq!((exit.code, exit.is_success()), (code, code == 0));
            }
        });
    }

    #[test]
    fn the_surroundings_are_as_granted() {
        let ctx = WasiCliCtx::new("p").env("K", "V").arg("a").initial_cwd("/");
        with(&ctx, |mut view| {
            assert_eq!(view.get_environment().unwrap(), [("K".into(), "V".into())]);
            assert_eq!(view.get_arguments().unwrap(), ["p", "a"]);
            assert_eq!(view.initial_cwd().unwrap().as_deref(), Some("/"));
        });
        with(&WasiCliCtx::default(), |mut view| {
            assert_eq!(view.initial_cwd().unwrap(), None);
        });
    }

    #[test]
    fn each_standard_stream_goes_where_it_should() {
        let (out, err) = (Output::new(9), Output::new(9));
        let ctx = WasiCliCtx::default()
            .stdin(Input::new("in"))
            .stdout(out.clone())
            .stderr(err.clone());
        with(&ctx, |mut view| {
            let stdin = view.get_stdin().unwrap();
            assert_eq!(view.table.get_mut(&stdin).unwrap().read(9).unwrap(), "in");
            let (stdout, stderr) = (view.get_stdout().unwrap(), view.get_stderr().unwrap());
            for (stream, bytes) in [(stdout, b"out"), (stderr, b"err")] {
                let stream = view.table.get_mut(&stream).unwrap();
                stream.check_write().unwrap();
                stream.write(bytes).unwrap().unwrap();
            }
        });
        assert_eq!(
            (out.contents(), err.contents()),
            (b"out".into(), b"err".into())
        );
    }

    struct Terminal;

    impl Stdin for Terminal {
        fn stream(&self) -> DynInputStream {
            DynInputStream::closed()
        }

        fn is_terminal(&self) -> bool {
            true
        }
    }

    impl Stdout for Terminal {
        fn stream(&self) -> DynOutputStream {
            DynOutputStream::new(Sink)
        }

        fn is_terminal(&self) -> bool {
            true
        }
    }

    #[test]
    fn only_a_terminal_is_one() {
        let none = WasiCliCtx::default;
        for (ctx, expected) in [
            (none(), [false; 3]),
            (none().stdin(Terminal), [true, false, false]),
            (none().stdout(Terminal), [false, true, false]),
            (none().stderr(Terminal), [false, false, true]),
        ] {
            with(&ctx, |mut view| {
                let terminals = [
                    view.get_terminal_stdin().unwrap().is_some(),
                    view.get_terminal_stdout().unwrap().is_some(),
                    view.get_terminal_stderr().unwrap().is_some(),
                ];
                assert_eq!(terminals, expected);
            });
        }
    }
}
