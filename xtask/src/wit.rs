//! `cargo xtask wit`: every crate carries the WIT that it needs, so a package occurs many
//! times in the repository. All of them must say the same.

use crate::files;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// An interface's or world's name, `interface` or `world` first, and its tokens.
type Items = BTreeMap<String, Vec<String>>;

/// Compares all WIT packages below `root` that occur in more than one `wit` folder.
///
/// Errors: two copies of a package differ in an interface, or in a world that both have.
pub fn check(root: &Path) -> Result<()> {
    // A package's copies, each with its folder.
    let mut packages = BTreeMap::<String, Vec<(String, Items)>>::new();
    for (folder, files) in folders(root)? {
        let (name, items) = package(&files).with_context(|| folder.clone())?;
        packages.entry(name).or_default().push((folder, items));
    }
    let mut differences = Vec::new();
    for (name, copies) in &packages {
        let [first, others @ ..] = &copies[..] else {
            continue;
        };
        for other in others {
            for item in differing(&first.1, &other.1) {
                let has = |copy: &(String, Items)| copy.1.contains_key(item);
                let (a, b) = (&first.0, &other.0);
                differences.push(match (has(first), has(other)) {
                    (true, true) => format!("{name}: {item}: not the same in {a} and {b}"),
                    (true, false) => format!("{name}: {item}: in {a}, missing in {b}"),
                    _ => format!("{name}: {item}: in {b}, missing in {a}"),
                });
            }
        }
        println!("{name}: {} copies", copies.len());
    }
    ensure!(
        differences.is_empty(),
        "copies of a package differ:\n  {}",
        differences.join("\n  ")
    );
    Ok(())
}

/// The folders with WIT files in or below a folder named `wit`, each with its files.
fn folders(root: &Path) -> Result<BTreeMap<String, Vec<String>>> {
    let mut folders = BTreeMap::<_, Vec<_>>::new();
    for path in files::below(root)? {
        let folder = files::relative(root, path.parent().unwrap_or(root));
        let is_wit = path.extension().is_some_and(|it| it == "wit");
        if is_wit && folder.split('/').any(|part| part == "wit") {
            let text =
                fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            folders.entry(folder).or_default().push(text);
        }
    }
    Ok(folders)
}

/// The names of the items that are not the same in both copies. A world that only one of
/// them has is no difference: nobody else needs it.
fn differing<'a>(a: &'a Items, b: &'a Items) -> Vec<&'a str> {
    let mut names: Vec<&str> = a.keys().chain(b.keys()).map(String::as_str).collect();
    names.sort();
    names.dedup();
    names.retain(|&name| match (a.get(name), b.get(name)) {
        (Some(a), Some(b)) => a != b,
        _ => name.starts_with("interface "),
    });
    names
}

/// The name and the items of the package that the files of a folder make up.
fn package(files: &[String]) -> Result<(String, Items)> {
    let mut package = None;
    let mut items = Items::new();
    for file in files {
        let tokens = tokens(file);
        let mut rest = &tokens[..];
        while !rest.is_empty() {
            let (item, later) = rest.split_at(end_of_item(rest)?);
            rest = later;
            // Gates stand before the keyword, and are a part of the item.
            let keyword = item
                .iter()
                .position(|it| ["package", "interface", "world", "use"].contains(&&**it));
            let Some(keyword) = keyword else {
                bail!("no item begins with `{}`", item[0]);
            };
            match &*item[keyword] {
                "package" if item.ends_with(&["}".into()]) => bail!("a nested package"),
                "package" => package = Some(item[keyword + 1..item.len() - 1].concat()),
                "use" => (),
                kind => {
                    let name = item.get(keyword + 1).context("an item without a name")?;
                    items.insert(format!("{kind} {name}"), item.to_vec());
                }
            }
        }
    }
    Ok((package.context("no file names the package")?, items))
}

/// How many tokens the first item has: up to a `;` or the end of its block.
fn end_of_item(tokens: &[String]) -> Result<usize> {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match &**token {
            "{" => depth += 1,
            "}" if depth <= 1 => return Ok(at + 1),
            "}" => depth -= 1,
            ";" if depth == 0 => return Ok(at + 1),
            _ => (),
        }
    }
    bail!("the last item has no end")
}

/// Splits WIT text into words and marks. Comments, and commas before a closing mark, mean
/// nothing and are left out.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if is_word(first) {
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            tokens.push(rest[..length].into());
            length
        } else {
            if !first.is_whitespace() {
                if "})>".contains(first) && tokens.last().is_some_and(|it| it == ",") {
                    tokens.pop();
                }
                tokens.push(first.into());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || "-_%.".contains(c)
}

/// The length of a block comment, in which others may be nested.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
        } else {
            at += 1;
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(files: &[&str]) -> (String, Items) {
        let files: Vec<String> = files.iter().map(|it| it.to_string()).collect();
        package(&files).unwrap()
    }

    const IO: &str = "package wasi:io@0.2.12;\n\
        interface poll { poll: func(in: list<u32>,) -> list<u32>; }\n\
        world imports { import poll; }";

    #[test]
    fn comments_whitespace_and_last_commas_mean_nothing() {
        let (name, items) = parse(&[IO]);
        let other = parse(&[
            "/// Docs.\ninterface poll {\n  /* a /* nested */ one */\n  \
             poll: func(in:list<u32>)->list<u32>; // end\n}",
            "package wasi:io @ 0.2.12 ;",
        ]);
        assert_eq!(name, "wasi:io@0.2.12");
        assert_eq!(other.0, name);
        assert_eq!(differing(&items, &other.1), [""; 0]);
    }

    #[test]
    fn every_change_of_an_interface_is_a_difference() {
        let (_, items) = parse(&[IO]);
        for (from, to) in [
            ("func(in: list<u32>,)", "func(in: list<u64>)"),
            ("func(in: list<u32>,)", "func(input: list<u32>)"),
            ("poll: func", "%poll: func"),
            ("interface poll", "@since(version = 0.2.0) interface poll"),
            ("interface poll", "interface empty {} interface poll"),
        ] {
            let (_, other) = parse(&[&IO.replacen(from, to, 1)]);
            assert_eq!(differing(&items, &other).len(), 1, "{to}");
        }
    }

    #[test]
    fn worlds_differ_only_where_both_exist() {
        let (_, items) = parse(&[IO]);
        let (_, without) = parse(&[IO.split("world").next().unwrap()]);
        assert_eq!(differing(&items, &without), [""; 0]);
        let (_, other) = parse(&[&IO.replace("import poll", "export poll")]);
        assert_eq!(differing(&items, &other), ["world imports"]);
    }

    #[test]
    fn a_broken_file_is_an_error() {
        for file in [
            "interface poll {",
            "package wasi:io",
            "func();",
            "interface a {}",
            "package a:b {}",
        ] {
            assert!(package(&[file.into()]).is_err(), "{file}");
        }
    }
}
