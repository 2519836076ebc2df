//! The chapter [docs/porting.md](../../../docs/porting.md), whose blocks are tests here. Those
//! that begin with the name of a module are that module, and the others use it.
#![doc = include_str!("../../../docs/porting.md")]
#![no_std]
extern crate self as port;
extern crate std;

pub mod machine;

macro_rules! modules {
    ($($name:ident $file:literal),*) => {$(
        #[allow(missing_docs)]
        pub mod $name {
            include!(concat!(env!("OUT_DIR"), "/", $file));
        }
    )*};
}

modules! {
    executor "executor.rs", clock "clock.rs", entropy "entropy.rs", console "console.rs",
    rom "rom.rs", network "network.rs", system "system.rs"
}
