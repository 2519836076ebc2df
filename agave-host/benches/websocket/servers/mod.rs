//! The servers: what is compared.

mod agave;
mod native;

use crate::Failure;
use crate::child::{Server, end_with_parent};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// A column of the comparison.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    /// hyper and tungstenite without any component.
    Native,
    /// Ours.
    Agave,
}

impl Column {
    pub(crate) const ALL: [Self; 2] = [Self::Native, Self::Agave];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Agave => "agave",
        }
    }
}

impl FromStr for Column {
    type Err = Failure;

    fn from_str(name: &str) -> Result<Self, Failure> {
        let column = Self::ALL.into_iter().find(|column| column.name() == name);
        column.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("no server `{name}`: {names}").into()
        })
    }
}

/// Starts a server.
pub(crate) fn start(column: Column) -> Result<Server, Failure> {
    Server::start(&[column.name()])
}

/// Runs the server that the argument names; it tells its address on standard output, and does
/// not end.
pub(crate) fn serve(mut arguments: impl Iterator<Item = String>) -> Result<(), Failure> {
    let column = arguments.next().ok_or("a server needs a name")?.parse()?;
    end_with_parent();
    match column {
        Column::Native => native::run(),
        Column::Agave => agave::run(),
    }
}

/// Where every server listens: on a port that the system chooses.
const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
