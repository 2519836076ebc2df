//! `cargo xtask wit`: every crate carries the WIT that it needs, so a package occurs many
//! times in the repository. All of them must say the same.

use crate::files;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::Path;

/// An interface's or world's name, `interface` or `world` first, and its tokens.
type Items = BTreeMap<String, Vec<String>>;

/// For a package and an item of it, the folder where it was seen first, and its tokens there.
type Known = BTreeMap<(String, String), (String, Vec<String>)>;

/// Compares all WIT packages below `root` that occur in more than one `wit` folder.
///
/// Errors: two copies of a package differ in an interface or a world that both have.
pub fn check(root: &Path) -> Result<()> {
    let mut copies = BTreeMap::<String, usize>::new();
    let mut known = Known::new();
    let mut differences = Vec::new();
    for (folder, files) in folders(root)? {
        let (package, items) = package(&files).with_context(|| folder.clone())?;
        for (item, elsewhere) in differing(&mut known, &package, &folder, items) {
            differences.push(format!(
                "{package}: {item}: not the same in {elsewhere} and {folder}"
            ));
        }
        *copies.entry(package).or_default() += 1;
    }
    for (package, copies) in copies {
        println!("{package}: {copies} copies");
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

/// The items of `package` in `folder` that were not the same where they were seen first, each
/// with that folder. What a copy leaves out is no difference: it holds what its crate refers to.
fn differing(
    known: &mut Known,
    package: &str,
    folder: &str,
    items: Items,
) -> Vec<(String, String)> {
    let mut differing = Vec::new();
    for (item, tokens) in items {
        match known.entry((package.into(), item.clone())) {
            Entry::Vacant(entry) => {
                entry.insert((folder.into(), tokens));
            }
            Entry::Occupied(entry) if entry.get().1 == tokens => {}
            Entry::Occupied(entry) => differing.push((item, entry.get().0.clone())),
        }
    }
    differing
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

    /// The names of the items that differ.
    fn differ(a: &Items, b: &Items) -> Vec<String> {
        let mut known = Known::new();
        assert!(differing(&mut known, "p", "a", a.clone()).is_empty());
        let found = differing(&mut known, "p", "b", b.clone());
        found.into_iter().map(|(item, _)| item).collect()
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
        assert_eq!(differ(&items, &other.1), [""; 0]);
    }

    #[test]
    fn every_change_of_an_interface_is_a_difference() {
        let (_, items) = parse(&[IO]);
        for (from, to) in [
            ("func(in: list<u32>,)", "func(in: list<u64>)"),
            ("func(in: list<u32>,)", "func(input: list<u32>)"),
            ("poll: func", "%poll: func"),
            ("interface poll", "@since(version = 0.2.0) interface poll"),
        ] {
            let (_, other) = parse(&[&IO.replacen(from, to, 1)]);
            assert_eq!(differ(&items, &other).len(), 1, "{to}");
        }
    }

    #[test]
    fn what_a_copy_leaves_out_is_no_difference() {
        let (_, items) = parse(&[IO]);
        let (_, without) = parse(&[IO.split("world").next().unwrap()]);
        assert_eq!(differ(&items, &without), [""; 0]);
        assert_eq!(differ(&without, &items), [""; 0]);
        let (_, other) = parse(&[&IO.replace("import poll", "export poll")]);
        assert_eq!(differ(&items, &other), ["world imports"]);
    }

    #[test]
    fn what_the_first_copy_leaves_out_is_compared_among_the_others() {
        let copies = [
            IO.split("world").next().unwrap(),
            IO,
            &IO.replace("import poll", "export poll"),
        ];
        let mut known = Known::new();
        let found = copies.map(|copy| {
            let (name, items) = parse(&[copy]);
            differing(&mut known, &name, copy, items)
        });
        assert_eq!(
            found,
            [vec![], vec![], vec![("world imports".into(), IO.into())]]
        );
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
