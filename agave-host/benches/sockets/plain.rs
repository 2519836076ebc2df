use crate::common::Failure;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};

/// What the guest does, by this process and with calls that block.
pub(crate) fn call(function: &str, parameters: &[u64]) -> Result<u64, Failure> {
    let &[port, piece, times] = parameters else {
        return Err("three parameters are needed".into());
    };
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port as u16))?;
    let mut bytes = vec![b'n'; piece as usize];
    match function {
        "echo" => {
            for _ in 0..times {
                connection.write_all(&bytes)?;
                connection.read_exact(&mut bytes)?;
            }
        }
        "send" => {
            for _ in 0..times {
                connection.write_all(&bytes)?;
            }
            connection.shutdown(Shutdown::Write)?;
            connection.read_exact(&mut bytes[..1])?;
        }
        "receive" => {
            connection.write_all(&(piece * times).to_le_bytes())?;
            let mut left = piece * times;
            while left > 0 {
                match connection.read(&mut bytes)? {
                    0 => return Err("the peer closed the connection".into()),
                    n => left -= n as u64,
                }
            }
        }
        _ => return Err(format!("no such function: {function}").into()),
    }
    Ok(piece * times)
}
