//! WASI 0.3 for wasmtime.
