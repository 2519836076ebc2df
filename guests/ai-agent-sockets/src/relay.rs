//! A message to a peer and its reply, with the limits that every route has.

use crate::bindings::wasi::sockets::instance_network::instance_network;
use crate::deadline::Deadline;
use crate::dial::{Addresses, Connection};
use crate::exchange::{Exchange, Stop};
use crate::peer::Peer;
use crate::refusal::Refusal;
use std::time::Duration;

/// So long a peer has for its first byte, resolving and connecting included, and for
/// each byte after it.
const ANSWER: Duration = Duration::from_secs(10);

/// So long after a reply's first byte it is held back, for it to end or to prove too long.
const GRACE: Duration = Duration::from_millis(200);

/// Longer replies are refused.
const MAX_REPLY: usize = 1024 * 1024;

/// A reply that has begun.
pub struct Relay<'a> {
    peer: &'a Peer,
    exchange: Exchange<'a>,
    /// What came of the reply while it was held back.
    pub beginning: Vec<u8>,
    /// That is the whole reply.
    pub ended: bool,
    total: usize,
}

impl<'a> Relay<'a> {
    /// Dials the peer, sends it the message, and collects the reply up to the first pause
    /// after the grace. Why the addresses are not what the resolver said goes into `notice`.
    ///
    /// Errors: 502 where the peer can't be reached, or the reply is empty, too long, or cut
    /// off by an error; 504 where no byte comes in time.
    pub fn begin(
        peer: &'a Peer,
        message: &'a [u8],
        half_close: bool,
        notice: &mut Option<String>,
    ) -> Result<Self, Refusal> {
        let deadline = Deadline::after(ANSWER);
        let network = instance_network();
        let addresses = Addresses::resolve(peer, &network, &deadline)?;
        notice.clone_from(&addresses.notice);
        let connection = Connection::open(peer, &addresses, &network, &deadline)?;
        let mut relay = Self {
            peer,
            exchange: Exchange::new(connection, message, half_close),
            beginning: Vec::new(),
            ended: false,
            total: 0,
        };
        relay.collect(&deadline)?;
        Ok(relay)
    }

    fn collect(&mut self, deadline: &Deadline) -> Result<(), Refusal> {
        self.beginning = match self.exchange.next(deadline) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                return Err(match self.exchange.send_error() {
                    Some(cause) => self.broken(cause),
                    None => Refusal::bad_gateway(format!(
                        "{} closed the connection without an answer.",
                        self.peer
                    )),
                });
            }
            Err(Stop::Expired) => {
                return Err(Refusal::gateway_timeout(format!(
                    "{} did not answer within {} seconds.",
                    self.peer,
                    ANSWER.as_secs()
                )));
            }
            Err(Stop::Broken(cause)) => return Err(self.broken(&cause)),
        };
        let grace = Deadline::after(GRACE);
        loop {
            self.total = self.beginning.len();
            if self.total > MAX_REPLY {
                return Err(self.too_long());
            }
            match self.exchange.next(&grace) {
                Ok(Some(more)) => self.beginning.extend(more),
                Ok(None) => {
                    self.ended = true;
                    return Ok(());
                }
                Err(Stop::Expired) => return Ok(()),
                Err(Stop::Broken(cause)) => return Err(self.broken(&cause)),
            }
        }
    }

    /// The next bytes after the beginning, `None` at the end of a reply that had not ended.
    ///
    /// Errors: 502 where the reply is too long, or cut off by an error; 504 where it pauses
    /// for too long.
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        match self.exchange.next(&Deadline::after(ANSWER)) {
            Ok(Some(bytes)) => {
                self.total += bytes.len();
                match self.total > MAX_REPLY {
                    true => Err(self.too_long()),
                    false => Ok(Some(bytes)),
                }
            }
            Ok(None) => Ok(None),
            Err(Stop::Expired) => Err(Refusal::gateway_timeout(format!(
                "{} paused within its reply for longer than {} seconds.",
                self.peer,
                ANSWER.as_secs()
            ))),
            Err(Stop::Broken(cause)) => Err(self.broken(&cause)),
        }
    }

    /// The whole reply.
    ///
    /// Errors: as for [`next`](Self::next).
    pub fn whole(mut self) -> Result<Vec<u8>, Refusal> {
        let mut bytes = std::mem::take(&mut self.beginning);
        while !self.ended {
            match self.next()? {
                Some(more) => bytes.extend(more),
                None => self.ended = true,
            }
        }
        Ok(bytes)
    }

    fn broken(&self, cause: &str) -> Refusal {
        Refusal::bad_gateway(format!("The connection to {} failed: {cause}.", self.peer))
    }

    fn too_long(&self) -> Refusal {
        Refusal::bad_gateway(format!(
            "The reply of {} is longer than {MAX_REPLY} bytes.",
            self.peer
        ))
    }
}
