use super::*;

#[test]
fn a_datetime_is_an_instant_up_to_the_end_of_instants() {
    const END: u64 = i64::MAX as u64;
    for (seconds, nanoseconds, expected) in [
        (0, 0, (0, 0)),
        (7, 999_999_999, (7, 999_999_999)),
        (END, 5, (i64::MAX, 5)),
        (END + 1, 5, (i64::MAX, 999_999_999)),
        (u64::MAX, 0, (i64::MAX, 999_999_999)),
    ] {
        let time = Datetime::new(seconds, nanoseconds).unwrap();
        let instant = system_clock::Instant::from(time);
        assert_eq!((instant.seconds, instant.nanoseconds), expected);
    }
}

#[test]
fn a_guests_instant_is_a_datetime_from_1970_on() {
    let end = i64::MAX as u64;
    for (seconds, nanoseconds, expected) in [
        (0, 0, Some((0, 0))),
        (1, 999_999_999, Some((1, 999_999_999))),
        (1, 1_000_000_000, Some((2, 0))),
        (1, u32::MAX, Some((5, 294_967_295))),
        (i64::MAX, u32::MAX, Some((end + 4, 294_967_295))),
        (-1, 999_999_999, None),
        (-1, 1_000_000_000, Some((0, 0))),
        (-4, u32::MAX, Some((0, 294_967_295))),
        (-5, u32::MAX, None),
        (i64::MIN, u32::MAX, None),
    ] {
        let instant = system_clock::Instant {
            seconds,
            nanoseconds,
        };
        let expected = expected.map(|(s, n)| Datetime::new(s, n).unwrap());
        assert_eq!(Datetime::try_from(instant).ok(), expected, "{instant:?}");
    }
}
