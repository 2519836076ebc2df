//! WASI 0.3 for wasmtime.

use super::terminal;
pub use super::{TerminalInput, TerminalOutput, WasiCli, WasiCliCtxView, WasiCliView};
use crate::Exit;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bindings::wasi::cli::{
    environment, exit, stderr, stdin, stdout, terminal_input, terminal_output, terminal_stderr,
    terminal_stdin, terminal_stdout, types,
};
use types::ErrorCode;
use wasi_error::{StreamError, filesystem};
use wasi_io::p3::{OutcomeReader, read_via_stream, write_via_stream};
use wasi_types::WASI_0_3;
use wasmtime::Result;
use wasmtime::component::{Access, Linker, Resource, StreamReader};

/// What the `bindgen!` of `wasi:cli@0.3.0` generates. In a world of your own, map `wasi:cli`
/// here with `with: { "wasi:cli": wasi_cli::p3::bindings::wasi::cli }`.
#[allow(missing_docs)]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/p3",
        inline: "
            package wasi-cli:host;
            world imports {
                import wasi:cli/types@0.3.0;
                import wasi:cli/environment@0.3.0;
                import wasi:cli/exit@0.3.0;
                import wasi:cli/stdin@0.3.0;
                import wasi:cli/stdout@0.3.0;
                import wasi:cli/stderr@0.3.0;
                import wasi:cli/terminal-input@0.3.0;
                import wasi:cli/terminal-output@0.3.0;
                import wasi:cli/terminal-stdin@0.3.0;
                import wasi:cli/terminal-stdout@0.3.0;
                import wasi:cli/terminal-stderr@0.3.0;
            }
        ",
        world: "wasi-cli:host/imports",
        with: {
            "wasi:cli/terminal-input.terminal-input": super::TerminalInput,
            "wasi:cli/terminal-output.terminal-output": super::TerminalOutput,
        },
        imports: {
            "wasi:cli/stdin.read-via-stream": store | trappable,
            "wasi:cli/stdout.write-via-stream": store | trappable,
            "wasi:cli/stderr.write-via-stream": store | trappable,
            default: trappable,
        },
        require_store_data_send: true,
    });
}

/// Links all that `wasi:cli/imports` imports of `wasi:cli` itself: types, environment, exit,
/// stdin, stdout, stderr and terminal-*, under each of the names of [`WASI_0_3`].
///
/// # Errors
/// One of them is in the linker already.
pub fn add_to_linker<T: WasiCliView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    for version in WASI_0_3 {
        let name = |interface| format!("wasi:cli/{interface}@{version}");
        let linked = &mut linker.instance(&name("types"))?;
        types::add_to_linker_instance::<T, WasiCli>(linked, T::cli)?;
        let linked = &mut linker.instance(&name("environment"))?;
        environment::add_to_linker_instance::<T, WasiCli>(linked, T::cli)?;
        let linked = &mut linker.instance(&name("exit"))?;
        exit::add_to_linker_instance::<T, WasiCli>(linked, T::cli)?;
        let linked = &mut linker.instance(&name("stdin"))?;
        stdin::add_to_linker_instance::<T, WasiCli>(linked, T::cli)?;
        let linked = &mut linker.instance(&name("stdout"))?;
        stdout::add_to_linker_instance::<T, WasiCli>(linked, T::cli)?;
        let linked = &mut linker.instance(&name("stderr"))?;
        stderr::add_to_linker_instance::<T, WasiCli>(linked, T::cli)?;
        let linked = &mut linker.instance(&name("terminal-input"))?;
        terminal_input::add_to_linker_instance::<T, WasiCli>(linked, T::cli)?;
        let linked = &mut linker.instance(&name("terminal-output"))?;
        terminal_output::add_to_linker_instance::<T, WasiCli>(linked, T::cli)?;
        let linked = &mut linker.instance(&name("terminal-stdin"))?;
        terminal_stdin::add_to_linker_instance::<T, WasiCli>(linked, T::cli)?;
        let linked = &mut linker.instance(&name("terminal-stdout"))?;
        terminal_stdout::add_to_linker_instance::<T, WasiCli>(linked, T::cli)?;
        let linked = &mut linker.instance(&name("terminal-stderr"))?;
        terminal_stderr::add_to_linker_instance::<T, WasiCli>(linked, T::cli)?;
    }
    Ok(())
}

/// What a guest is told of a standard stream's failure.
fn error_code(error: StreamError) -> ErrorCode {
    let StreamError::LastOperationFailed(cause) = error else {
        return ErrorCode::Pipe;
    };
    let code = cause.downcast_ref::<filesystem::ErrorCode>().copied();
    #[cfg(feature = "std")]
    let code = code.or_else(|| cause.downcast_ref::<std::io::Error>().map(Into::into));
    match code {
        Some(filesystem::ErrorCode::Pipe) => ErrorCode::Pipe,
        Some(filesystem::ErrorCode::IllegalByteSequence) => ErrorCode::IllegalByteSequence,
        _ => ErrorCode::Io,
    }
}

impl types::Host for WasiCliCtxView<'_> {}

impl environment::Host for WasiCliCtxView<'_> {
    fn get_environment(&mut self) -> Result<Vec<(String, String)>> {
        Ok(self.ctx.get_environment().to_vec())
    }

    fn get_arguments(&mut self) -> Result<Vec<String>> {
        Ok(self.ctx.get_arguments().to_vec())
    }

    fn get_initial_cwd(&mut self) -> Result<Option<String>> {
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

impl stdin::Host for WasiCliCtxView<'_> {}

impl<T: 'static> stdin::HostWithStore<T> for WasiCli {
    fn read_via_stream(
        mut store: Access<'_, T, Self>,
    ) -> Result<(StreamReader<u8>, OutcomeReader<ErrorCode>)> {
        let input = store.get().ctx.get_stdin().stream();
        read_via_stream(store, input, error_code)
    }
}

impl stdout::Host for WasiCliCtxView<'_> {}

impl<T: 'static> stdout::HostWithStore<T> for WasiCli {
    fn write_via_stream(
        mut store: Access<'_, T, Self>,
        data: StreamReader<u8>,
    ) -> Result<OutcomeReader<ErrorCode>> {
        let output = store.get().ctx.get_stdout().stream();
        write_via_stream(store, data, output, error_code)
    }
}

impl stderr::Host for WasiCliCtxView<'_> {}

impl<T: 'static> stderr::HostWithStore<T> for WasiCli {
    fn write_via_stream(
        mut store: Access<'_, T, Self>,
        data: StreamReader<u8>,
    ) -> Result<OutcomeReader<ErrorCode>> {
        let output = store.get().ctx.get_stderr().stream();
        write_via_stream(store, data, output, error_code)
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
mod tests;
