//! What a guest's lookups answered.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use wasi_clocks::Instant;

/// The most pairs of an address and a name that are remembered for a guest.
const MAX: usize = 1024;

/// The names that each address is an answer for, and until when.
#[derive(Default)]
pub(super) struct Answers {
    names: BTreeMap<IpAddr, Vec<(Arc<str>, Instant)>>,
    /// How many pairs there are.
    len: usize,
}

impl Answers {
    /// Remembers that `name` has `address`, until `end`.
    pub(super) fn add(&mut self, name: &Arc<str>, address: IpAddr, now: Instant, end: Instant) {
        let address = address.to_canonical();
        let known = self.names.get_mut(&address).into_iter().flatten();
        if let Some((_, until)) = known.into_iter().find(|(known, _)| known == name) {
            *until = end.max(*until);
            return;
        }
        if self.len >= MAX {
            self.forget(now);
        }
        self.names
            .entry(address)
            .or_default()
            .push((name.clone(), end));
        self.len += 1;
    }

    /// The names that have `address` now.
    pub(super) fn names(
        &self,
        address: IpAddr,
        now: Instant,
    ) -> impl Iterator<Item = &str> + Clone {
        let known = self
            .names
            .get(&address.to_canonical())
            .into_iter()
            .flatten();
        known
            .filter(move |(_, end)| now < *end)
            .map(|(name, _)| &**name)
    }

    /// Drops what has ended, or else what ends first.
    fn forget(&mut self, now: Instant) {
        let ends = self.names.values().flatten().map(|(_, end)| *end);
        let until = ends.min().map_or(now, |first| first.max(now));
        let mut len = 0;
        self.names.retain(|_, names| {
            names.retain(|(_, end)| *end > until);
            len += names.len();
            !names.is_empty()
        });
        self.len = len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    fn address(n: usize) -> IpAddr {
        Ipv4Addr::from_bits(u32::try_from(n).unwrap()).into()
    }

    fn count(answers: &Answers, n: usize, now: Instant) -> usize {
        answers.names(address(n), now).count()
    }

    #[test]
    fn an_answer_lasts_until_its_end_and_a_new_one_prolongs_it() {
        let (a, b) = (Arc::from("a"), Arc::from("b"));
        let mut answers = Answers::default();
        answers.add(&a, address(1), 0, 10);
        answers.add(&b, "::ffff:0.0.0.1".parse().unwrap(), 0, 5);
        assert_eq!(answers.names(address(1), 4).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(answers.names(address(1), 5).collect::<Vec<_>>(), ["a"]);
        answers.add(&a, address(1), 9, 20);
        answers.add(&a, address(1), 9, 12);
        assert_eq!(count(&answers, 1, 19), 1);
        assert_eq!(count(&answers, 1, 20), 0);
        assert_eq!(count(&answers, 2, 0), 0);
        assert_eq!(answers.len, 2);
    }

    #[test]
    fn there_is_room_for_a_new_answer_and_what_ends_first_goes() {
        let name = Arc::from("a");
        let mut answers = Answers::default();
        for n in 0..MAX {
            answers.add(&name, address(n), 0, 100 + n as u64);
        }
        assert_eq!(answers.len, MAX);
        answers.add(&name, address(MAX), 0, 1000);
        assert_eq!(count(&answers, 0, 0), 0, "ends first");
        assert_eq!(count(&answers, 1, 0), 1);
        assert_eq!(answers.len, MAX);
        answers.add(&name, address(MAX + 1), 600, 1000);
        assert_eq!(answers.len, MAX - 499, "101 to 600 have ended");
        let pairs: usize = answers.names.values().map(Vec::len).sum();
        assert_eq!(answers.len, pairs);
    }
}
