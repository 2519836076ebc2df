use crate::common::Failure;
use std::net::Ipv4Addr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;

/// What the guest does, by this process, on a runtime of one thread.
pub(crate) fn subject()
-> Result<impl FnMut(&str, &[u64]) -> Result<u64, Failure> + 'static, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    Ok(move |function: &str, parameters: &[u64]| runtime.block_on(call(function, parameters)))
}

async fn call(function: &str, parameters: &[u64]) -> Result<u64, Failure> {
    let &[port, piece, times] = parameters else {
        return Err("three parameters are needed".into());
    };
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port as u16)).await?;
    let mut bytes = vec![b't'; piece as usize];
    match function {
        "echo" => {
            for _ in 0..times {
                connection.write_all(&bytes).await?;
                connection.read_exact(&mut bytes).await?;
            }
        }
        "send" => {
            for _ in 0..times {
                connection.write_all(&bytes).await?;
            }
            connection.shutdown().await?;
            connection.read_exact(&mut bytes[..1]).await?;
        }
        "receive" => {
            connection.write_all(&(piece * times).to_le_bytes()).await?;
            let mut left = piece * times;
            while left > 0 {
                match connection.read(&mut bytes).await? {
                    0 => return Err("the peer closed the connection".into()),
                    n => left -= n as u64,
                }
            }
        }
        _ => return Err(format!("no such function: {function}").into()),
    }
    Ok(piece * times)
}
