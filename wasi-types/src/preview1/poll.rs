use super::records::put;
use super::{ClockId, Errno, EventRwFlags, SubclockFlags, Version};

super::numbered! {
    /// What a subscription is for (`eventtype`).
    EventType {
        /// A clock's time has come.
        Clock,
        /// A descriptor can be read.
        FdRead,
        /// A descriptor can be written.
        FdWrite,
    }
}

/// `subscription`: an event that `poll_oneoff` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The guest's own, which the event repeats.
    pub userdata: u64,
    /// What for.
    pub u: SubscriptionU,
}

/// `subscription_u`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionU {
    /// A clock's time.
    Clock {
        /// The clock; `None` where the guest's number is none of a clock.
        id: Option<ClockId>,
        /// Nanoseconds: of the clock, or from now.
        timeout: u64,
        /// Which of the two; bits that have no meaning included.
        flags: SubclockFlags,
    },
    /// Reading.
    FdRead(u32),
    /// Writing.
    FdWrite(u32),
}

impl Subscription {
    /// How many bytes the record has.
    pub const fn size_of(version: Version) -> usize {
        match version {
            Version::Preview1 => 48,
            Version::Preview0 => 56,
        }
    }

    /// The subscription in `record`, [`Subscription::size_of`] bytes; `None` where its type is
    /// none, or the record is shorter.
    pub fn from_bytes(record: &[u8], version: Version) -> Option<Self> {
        if record.len() < Self::size_of(version) {
            return None;
        }
        let u32_at = |at| u32::from_le_bytes(core::array::from_fn(|n| record[at + n]));
        let u64_at = |at| u64::from_le_bytes(core::array::from_fn(|n| record[at + n]));
        // Preview 0 has a number of the guest's own before the clock's.
        let clock = match version {
            Version::Preview1 => 16,
            Version::Preview0 => 24,
        };
        let u = match EventType::from_raw(record[8].into())? {
            EventType::Clock => SubscriptionU::Clock {
                id: ClockId::from_raw(u32_at(clock)),
                timeout: u64_at(clock + 8),
                flags: SubclockFlags::from_bits_retain(u16::from_le_bytes([
                    record[clock + 24],
                    record[clock + 25],
                ])),
            },
            EventType::FdRead => SubscriptionU::FdRead(u32_at(16)),
            EventType::FdWrite => SubscriptionU::FdWrite(u32_at(16)),
        };
        Some(Self {
            userdata: u64_at(0),
            u,
        })
    }

    /// The type.
    pub const fn event_type(&self) -> EventType {
        match self.u {
            SubscriptionU::Clock { .. } => EventType::Clock,
            SubscriptionU::FdRead(_) => EventType::FdRead,
            SubscriptionU::FdWrite(_) => EventType::FdWrite,
        }
    }
}

/// `event`: what `poll_oneoff` saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// That of the subscription.
    pub userdata: u64,
    /// Why it can't be waited for, or success.
    pub error: Errno,
    /// What for.
    pub event_type: EventType,
    /// Bytes that can be read or written.
    pub nbytes: u64,
    /// The descriptor's state.
    pub flags: EventRwFlags,
}

impl Event {
    /// How many bytes the record has.
    pub const SIZE: usize = 32;

    /// The record.
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        let mut record = [0; Self::SIZE];
        put(&mut record, 0, self.userdata.to_le_bytes());
        put(&mut record, 8, self.error.raw().to_le_bytes());
        record[10] = self.event_type as u8;
        put(&mut record, 16, self.nbytes.to_le_bytes());
        put(&mut record, 24, self.flags.bits().to_le_bytes());
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each byte is its own offset, but for the tag.
    fn record(tag: u8) -> [u8; 56] {
        let mut record = core::array::from_fn(|n| n as u8);
        record[8] = tag;
        record
    }

    #[test]
    fn a_subscription_has_the_layout_of_its_version() {
        let mut bytes = record(0);
        bytes[16..20].copy_from_slice(&[1, 0, 0, 0]);
        bytes[24..28].copy_from_slice(&[0, 0, 0, 0]);
        for (version, id, timeout, flags) in [
            (
                Version::Preview1,
                ClockId::Monotonic,
                0x1f1e_1d1c_0000_0000,
                0x2928,
            ),
            (
                Version::Preview0,
                ClockId::Realtime,
                0x2726_2524_2322_2120,
                0x3130,
            ),
        ] {
            let subscription = Subscription::from_bytes(&bytes, version).unwrap();
            assert_eq!(subscription.userdata, 0x0706_0504_0302_0100);
            assert_eq!(
                subscription.u,
                SubscriptionU::Clock {
                    id: Some(id),
                    timeout,
                    flags: SubclockFlags::from_bits_retain(flags),
                }
            );
            assert_eq!(Subscription::from_bytes(&bytes[..40], version), None);
        }
        for version in [Version::Preview1, Version::Preview0] {
            let u = |tag| Subscription::from_bytes(&record(tag), version).map(|s| s.u);
            assert_eq!(u(1), Some(SubscriptionU::FdRead(0x1312_1110)));
            assert_eq!(u(2), Some(SubscriptionU::FdWrite(0x1312_1110)));
            assert_eq!(u(3), None);
        }
    }

    #[test]
    fn an_event_has_the_layout_of_the_witx() {
        let event = Event {
            userdata: 1,
            error: Errno::Notcapable,
            event_type: EventType::FdWrite,
            nbytes: 2,
            flags: EventRwFlags::FD_READWRITE_HANGUP,
        };
        let mut bytes = [0; 32];
        (bytes[0], bytes[8], bytes[10], bytes[16], bytes[24]) = (1, 76, 2, 2, 1);
        assert_eq!(event.to_bytes(), bytes);
    }
}
