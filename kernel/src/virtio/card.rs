//! A network card, as smoltcp's driver wants it: it moves Ethernet frames.
//!
//! Memory is bounded: as many frames each way as a queue has places. Nothing waits: a card without
//! room sends later, and its interrupt says when.

use super::plain::Areas;
use super::{Device, Memory, Plain};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;
use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::time::Instant;
use virtio_drivers::Result;
use virtio_drivers::device::net::VirtIONetRaw;

/// Frames that the card has each way.
const QUEUE: usize = 64;

/// The queue that frames are sent by (virtio 1.2, 5.1.2).
const SEND: usize = 1;

/// The longest frame: an Ethernet header and a packet of 1,500 bytes.
const FRAME_MAX: usize = 1514;

/// Room for a frame behind the header of virtio's, which has 12 bytes or fewer; what drivers take
/// at least.
type Frame = Box<[u8; 1526]>;

type Raw = VirtIONetRaw<Memory, Plain, QUEUE>;

/// The card.
pub(crate) struct Card {
    /// Before the frames, so that the device is at rest when those go.
    raw: Raw,
    /// What the card may fill, by their places in its queue.
    posted: [Option<Frame>; QUEUE],
    /// What the network looks at, or has looked at.
    taken: Option<Frame>,
    sender: Sender,
}

/// What there is to send with.
struct Sender {
    /// What the card sends, by their places in its queue, and how many bytes it is.
    sending: [Option<(Frame, usize)>; QUEUE],
    free: Vec<Frame>,
    areas: Areas,
    /// Whether the card interrupts for what it has sent: it is asked to while there is no room.
    interrupts: bool,
    /// Frames that are in `sending` or `free`.
    made: usize,
}

impl Card {
    /// Sets up the card; from now on it receives.
    ///
    /// # Errors
    /// The device is not as virtio has it, or there is no memory.
    pub(crate) fn new(device: Device, used: u32, changed: u32) -> Result<Self> {
        // Before the card does anything that it interrupts for.
        device.listen(used, changed);
        let areas = device.transport.areas();
        let mut card = Self {
            raw: VirtIONetRaw::new(device.transport)?,
            posted: [const { None }; QUEUE],
            taken: None,
            sender: Sender {
                sending: [const { None }; QUEUE],
                free: Vec::with_capacity(QUEUE),
                areas,
                interrupts: true,
                made: 0,
            },
        };
        for _ in 0..QUEUE {
            card.post(Box::new([0; _]))?;
        }
        Ok(card)
    }

    pub(crate) fn mac(&self) -> [u8; 6] {
        self.raw.mac_address()
    }

    /// Lets the card fill `frame`.
    fn post(&mut self, mut frame: Frame) -> Result<()> {
        // SAFETY: until the card is done with it, it is in `posted`, where nobody looks at it.
        let place = unsafe { self.raw.receive_begin(&mut frame[..]) }?;
        if let Some(slot) = self.posted.get_mut(usize::from(place)) {
            *slot = Some(frame);
        }
        Ok(())
    }

    /// The next frame that has come, in `taken`: where it is in there.
    fn take(&mut self) -> Option<Range<usize>> {
        loop {
            let place = self.raw.poll_receive()?;
            let mut frame = self.posted.get_mut(usize::from(place))?.take()?;
            // SAFETY: it is the one that was posted at this place.
            let came = unsafe { self.raw.receive_complete(place, &mut frame[..]) };
            match came {
                Ok((start, len)) if start + len <= frame.len() => {
                    self.taken = Some(frame);
                    return Some(start..start + len);
                }
                // What is too short to be a frame, or longer than its room.
                _ => self.post(frame).ok()?,
            }
        }
    }

    /// Gives the card back what was looked at.
    fn settle(&mut self) {
        if let Some(frame) = self.taken.take() {
            // There is the place that it had.
            let _ = self.post(frame);
        }
    }
}

impl Sender {
    /// Whether there is a frame to fill, and room in the card.
    fn ready(&mut self, raw: &mut Raw) -> bool {
        let ready = self.has_room(raw);
        if self.interrupts != ready {
            return ready;
        }
        self.interrupts = !ready;
        self.areas.set_interrupts(SEND, self.interrupts);
        // What was sent in between has interrupted nobody.
        ready || self.has_room(raw)
    }

    /// As [`Sender::ready`]; takes back what the card has sent.
    fn has_room(&mut self, raw: &mut Raw) -> bool {
        while let Some(place) = raw.poll_transmit() {
            let sent = self.sending.get_mut(usize::from(place));
            let Some((frame, len)) = sent.and_then(Option::take) else {
                return false;
            };
            // SAFETY: it is what was sent at this place.
            let _ = unsafe { raw.transmit_complete(place, &frame[..len]) };
            self.free.push(frame);
        }
        if self.free.is_empty() && self.made < QUEUE {
            self.free.push(Box::new([0; _]));
            self.made += 1;
        }
        !self.free.is_empty() && raw.can_send()
    }

    /// Sends the frame of `len` bytes that `fill` makes.
    fn send<T>(&mut self, raw: &mut Raw, len: usize, fill: impl FnOnce(&mut [u8]) -> T) -> T {
        let mut frame = self.free.pop().unwrap_or_else(|| {
            self.made += 1;
            Box::new([0; _])
        });
        let start = raw.fill_buffer_header(&mut frame[..]).unwrap_or(0);
        let result = fill(&mut frame[start..start + len]);
        // SAFETY: until the card is done with it, it is in `sending`, where nobody looks at it.
        match unsafe { raw.transmit_begin(&frame[..start + len]) } {
            Ok(place) => {
                if let Some(slot) = self.sending.get_mut(usize::from(place)) {
                    *slot = Some((frame, start + len));
                }
            }
            // It is lost, as frames may be.
            Err(_) => self.free.push(frame),
        }
        result
    }
}

impl phy::Device for Card {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = ToSend<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Received<'_>, ToSend<'_>)> {
        self.settle();
        // What comes in may need an answer.
        if !self.sender.ready(&mut self.raw) {
            return None;
        }
        let range = self.take()?;
        let Self {
            raw, taken, sender, ..
        } = self;
        let frame = taken.as_ref()?;
        Some((Received(&frame[range]), ToSend { raw, sender }))
    }

    fn transmit(&mut self, _now: Instant) -> Option<ToSend<'_>> {
        self.settle();
        let Self { raw, sender, .. } = self;
        sender.ready(raw).then_some(ToSend { raw, sender })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME_MAX;
        capabilities
    }
}

/// A frame that has come.
pub(crate) struct Received<'a>(&'a [u8]);

impl phy::RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// Room for a frame.
pub(crate) struct ToSend<'a> {
    raw: &'a mut Raw,
    sender: &'a mut Sender,
}

impl phy::TxToken for ToSend<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.sender.send(self.raw, len, f)
    }
}
