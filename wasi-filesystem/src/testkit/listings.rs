//! Listing directories.

use super::Check;
use super::kit::{Kit, NO_FOLLOW, Seen, broken, same};
use crate::DescriptorType;
use alloc::format;
use alloc::vec::Vec;
use wasi_io::testkit::wait;

pub(super) const CHECKS: &[Check] = &[
    (
        "a listing has every name once, with its kind and number",
        entries,
    ),
    ("an empty directory lists nothing", empty),
    ("a long listing is complete", long),
    (
        "what stays is listed once, whatever comes and goes",
        changing,
    ),
    (
        "listings don't disturb each other, and each begins at the first",
        several,
    ),
    ("a listing that has ended stays so", ended),
];

fn entries(kit: &Kit<'_>) -> Seen {
    kit.mkdir("dir")?;
    kit.mkdir("dir/below")?;
    kit.write("file", b"")?;
    let linked = kit.dir.symlink_at("dir", "link");
    let linked = matches!(kit.end("making a symbolic link", linked)?, Ok(()));
    let all = kit.list()?;
    let names: Vec<_> = all.iter().map(|entry| &*entry.name).collect();
    let expected = ["dir", "file", "link"];
    same("names", &names[..], &expected[..2 + usize::from(linked)])?;
    for entry in &all {
        let stat = kit.stat(NO_FOLLOW, &entry.name)?;
        let name = &entry.name;
        if entry.descriptor_type != DescriptorType::Unknown {
            same(
                &format!("kind of {name:?}"),
                entry.descriptor_type,
                stat.descriptor_type,
            )?;
        }
        if entry.inode != 0 {
            same(&format!("number of {name:?}"), entry.inode, stat.inode)?;
        }
    }
    Ok(())
}

fn empty(kit: &Kit<'_>) -> Seen {
    kit.lists(&[])
}

fn long(kit: &Kit<'_>) -> Seen {
    // More than fit into a page of a usual size.
    let name = |n| format!("{n:03}-{}", "x".repeat(100));
    for n in 0..400 {
        kit.write(&name(n), b"")?;
    }
    let all = kit.list()?;
    same("number of entries", all.len(), 400)?;
    match (0..400).zip(&all).find(|(n, entry)| entry.name != name(*n)) {
        Some((n, entry)) => broken(&format!("instead of entry {n}"), &entry.name),
        None => Ok(()),
    }
}

fn changing(kit: &Kit<'_>) -> Seen {
    let name = |n: usize| format!("{n:03}-{}", "y".repeat(60));
    for n in 0..300 {
        kit.write(&name(n), b"")?;
    }
    let goes = |n: usize| n % 7 == 3;
    let mut entries = kit.entries()?;
    let mut seen = Vec::new();
    while let Some(entry) = kit.next(&mut *entries)? {
        let step = seen.len();
        if step < 300 {
            if goes(step) {
                kit.unlink(&name(step))?;
            }
            kit.write(&format!("new-{step:03}"), b"")?;
        }
        seen.push(entry.name);
        if seen.len() > 1000 {
            return broken("a listing of 600 names at most", "more than 1000 entries");
        }
    }
    for n in (0..300).filter(|n| !goes(*n)) {
        let times = seen.iter().filter(|seen| **seen == name(n)).count();
        same(&format!("how often entry {n} comes"), times, 1)?;
    }
    seen.sort();
    match seen.windows(2).find(|two| two[0] == two[1]) {
        Some(two) => broken("listed twice", &two[0]),
        None => Ok(()),
    }
}

fn several(kit: &Kit<'_>) -> Seen {
    for n in 0..5 {
        kit.write(&format!("{n}"), b"")?;
    }
    let (mut one, mut other) = (kit.entries()?, kit.entries()?);
    let mut names = [Vec::new(), Vec::new()];
    for _ in 0..6 {
        for (entries, names) in [&mut one, &mut other].into_iter().zip(&mut names) {
            names.extend(kit.next(&mut **entries)?.map(|entry| entry.name));
        }
    }
    for mut names in names {
        names.sort();
        same(
            "names",
            names,
            ["0", "1", "2", "3", "4"].map(Into::into).into(),
        )?;
    }
    Ok(())
}

fn ended(kit: &Kit<'_>) -> Seen {
    kit.write("file", b"")?;
    let mut entries = kit.entries()?;
    kit.next(&mut *entries)?;
    for _ in 0..3 {
        let next = wait(kit.driver, "poll_next", |cx| entries.poll_next(cx))?;
        same("after the end", next, Ok(None))?;
    }
    Ok(())
}
