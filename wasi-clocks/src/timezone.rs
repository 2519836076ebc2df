use crate::Timezone;
use alloc::borrow::Cow;
use core::fmt;
use wasi_types::Datetime;

/// How local time is shown at one time (`wasi:clocks/timezone.timezone-display`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimezoneDisplay {
    utc_offset: i32,
    name: Cow<'static, str>,
    in_daylight_saving_time: bool,
}

impl TimezoneDisplay {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self {
        utc_offset: 0,
        name: Cow::Borrowed("UTC"),
        in_daylight_saving_time: false,
    };

    /// Local time that is `utc_offset` seconds ahead of UTC (behind it, if negative); `None`
    /// where that is a day or more.
    pub fn new(
        utc_offset: i32,
        name: impl Into<Cow<'static, str>>,
        in_daylight_saving_time: bool,
    ) -> Option<Self> {
        (utc_offset.unsigned_abs() < 24 * 60 * 60).then(|| Self {
            utc_offset,
            name: name.into(),
            in_daylight_saving_time,
        })
    }

    /// Seconds ahead of UTC, -86,399 to 86,399.
    pub fn utc_offset(&self) -> i32 {
        self.utc_offset
    }

    /// The short name, such as `CEST`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the offset is the one of summer.
    pub fn in_daylight_saving_time(&self) -> bool {
        self.in_daylight_saving_time
    }

    /// The short name, without a copy.
    pub fn into_name(self) -> Cow<'static, str> {
        self.name
    }
}

impl fmt::Display for TimezoneDisplay {
    /// Such as `CEST (UTC+02:00)`, with seconds where the offset has some.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.utc_offset < 0 { '-' } else { '+' };
        let seconds = self.utc_offset.unsigned_abs();
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{} (UTC{sign}{hours:02}:{minutes:02}", self.name)?;
        if seconds != 0 {
            write!(f, ":{seconds:02}")?;
        }
        f.write_str(")")
    }
}

/// The timezone of who has none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Utc;

impl Timezone for Utc {
    fn display(&self, _: Datetime) -> TimezoneDisplay {
        TimezoneDisplay::UTC
    }

    fn iana_id(&self) -> Option<Cow<'static, str>> {
        Some(Cow::Borrowed("UTC"))
    }
}

/// The same all year.
impl Timezone for TimezoneDisplay {
    fn display(&self, _: Datetime) -> TimezoneDisplay {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn an_offset_is_less_than_a_day() {
        for (offset, taken) in [
            (0, true),
            (86_399, true),
            (-86_399, true),
            (86_400, false),
            (-86_400, false),
            (i32::MIN, false),
        ] {
            let made = TimezoneDisplay::new(offset, "X", true);
            assert_eq!(made.is_some(), taken, "{offset}");
        }
    }

    #[test]
    fn it_is_shown_with_its_offset() {
        for (offset, shown) in [
            (0, "X (UTC+00:00)"),
            (5 * 3600 + 45 * 60, "X (UTC+05:45)"),
            (-1, "X (UTC-00:00:01)"),
            (-(3 * 3600 + 30 * 60), "X (UTC-03:30)"),
            (86_399, "X (UTC+23:59:59)"),
        ] {
            let display = TimezoneDisplay::new(offset, "X", false).unwrap();
            assert_eq!(display.to_string(), shown);
        }
    }
}
