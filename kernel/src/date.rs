//! Dates as a clock's registers have them.

/// A moment in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// 1970 to 9999.
    pub year: u64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
}

impl Date {
    /// Seconds since 1970 without leap seconds; `None` where a number is not in its range.
    pub fn since_1970(self) -> Option<u64> {
        let in_range = (1970..=9999).contains(&self.year)
            && (1..=12).contains(&self.month)
            && (1..=days_of(self.year, self.month)).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second < 60;
        if !in_range {
            return None;
        }
        let years: u64 = (1970..self.year)
            .map(|year| 365 + u64::from(is_leap(year)))
            .sum();
        let months: u64 = (1..self.month)
            .map(|month| u64::from(days_of(self.year, month)))
            .sum();
        let days = years + months + u64::from(self.day - 1);
        let hours = days * 24 + u64::from(self.hour);
        Some((hours * 60 + u64::from(self.minute)) * 60 + u64::from(self.second))
    }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of(year: u64, month: u8) -> u8 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The number whose two decimal digits are the two halves of `value`.
pub fn from_bcd(value: u8) -> u8 {
    (value >> 4) * 10 + (value & 0xf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_counted_from_1970_with_leap_years() {
        for (date, seconds) in [
            ((1970, 1, 1, 0, 0, 0), Some(0)),
            ((2000, 2, 29, 12, 0, 0), Some(951_825_600)),
            ((2001, 2, 29, 0, 0, 0), None),
            ((2024, 12, 31, 23, 59, 59), Some(1_735_689_599)),
            ((2026, 3, 1, 1, 2, 3), Some(1_772_326_923)),
            ((2026, 0, 1, 0, 0, 0), None),
            ((2026, 13, 1, 0, 0, 0), None),
            ((2026, 1, 0, 0, 0, 0), None),
            ((2026, 4, 31, 0, 0, 0), None),
            ((2026, 1, 1, 24, 0, 0), None),
            ((1969, 1, 1, 0, 0, 0), None),
        ] {
            let (year, month, day, hour, minute, second) = date;
            let date = Date {
                year,
                month,
                day,
                hour,
                minute,
                second,
            };
            assert_eq!(date.since_1970(), seconds, "{date:?}");
        }
    }

    #[test]
    fn two_digits_are_one_number() {
        for (value, number) in [(0, 0), (0x09, 9), (0x10, 10), (0x59, 59), (0x99, 99)] {
            assert_eq!(from_bcd(value), number);
        }
    }
}
