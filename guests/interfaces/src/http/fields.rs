//! `fields`.

use super::OK;
use crate::bindings::wasi::http::types::{Fields, HeaderError, OutgoingRequest};
use crate::checks::Checks;

pub fn run(checks: &mut Checks) {
    mutable(checks);
    syntax(checks);
    forbidden(checks);
    immutable(checks);
    limit(checks);
}

fn entry(name: &str, value: &str) -> (String, Vec<u8>) {
    (name.into(), value.into())
}

fn mutable(checks: &mut Checks) {
    let fields = Fields::new();
    checks.eq("fields: new: empty", fields.entries().len(), 0);
    checks.eq("fields.append", fields.append("X-One", b"1"), OK);
    checks.eq("fields.append: again", fields.append("x-one", b"2"), OK);
    checks.eq("fields.append: empty", fields.append("x-empty", b""), OK);
    checks.eq(
        "fields.get: all, in any case",
        fields.get("x-ONE"),
        [b"1", b"2"],
    );
    checks.eq(
        "fields.get: empty is not absent",
        fields.get("x-empty"),
        [b""],
    );
    checks.eq("fields.get: absent", fields.get("x-none"), [b""; 0]);
    checks.eq("fields.get: not a name", fields.get("x one"), [b""; 0]);
    for (name, has) in [
        ("X-one", true),
        ("x-empty", true),
        ("x-none", false),
        ("", false),
        ("a b", false),
    ] {
        checks.eq(format!("fields.has: {name:?}"), fields.has(name), has);
    }
    checks.eq(
        "fields.entries: as they were made",
        fields.entries(),
        [
            entry("X-One", "1"),
            entry("x-one", "2"),
            entry("x-empty", ""),
        ],
    );
    checks.eq(
        "fields.set",
        fields.set("X-ONE", &[b"3".into(), b"4".into()]),
        OK,
    );
    checks.eq("fields.set: instead", fields.get("x-one"), [b"3", b"4"]);
    checks.eq("fields.set: no values", fields.set("x-empty", &[]), OK);
    checks.eq(
        "fields.set: no values: absent",
        fields.has("x-empty"),
        false,
    );
    let copy = fields.clone();
    checks.eq("fields.clone: the same", copy.entries(), fields.entries());
    checks.eq("fields.delete", fields.delete("x-One"), OK);
    checks.eq("fields.delete: absent", fields.delete("x-one"), OK);
    checks.eq("fields.delete: gone", fields.entries().len(), 0);
    checks.eq("fields.clone: a copy", copy.get("x-one"), [b"3", b"4"]);
    checks.eq("fields.clone: mutable", copy.append("x-two", b"5"), OK);

    let list = [entry("A", "1"), entry("b", "2"), entry("a", "3")];
    let fields = Fields::from_list(&list).expect("fields");
    checks.eq("fields.from-list", fields.entries(), list);
    checks.eq("fields.from-list: mutable", fields.append("c", b"4"), OK);
    let none = Fields::from_list(&[]).map(|fields| fields.entries().len());
    checks.eq("fields.from-list: empty", none, Ok::<_, ()>(0));
}

fn syntax(checks: &mut Checks) {
    let invalid = Some(HeaderError::InvalidSyntax);
    let fields = Fields::new();
    for name in [
        "", " ", "a b", "a:", "a\r\nb", "a\0", "é", "(a)", "a/b", "a@",
    ] {
        for (function, code) in [
            ("append", fields.append(name, b"1").err()),
            ("set", fields.set(name, &[b"1".into()]).err()),
            ("delete", fields.delete(name).err()),
            ("from-list", Fields::from_list(&[entry(name, "1")]).err()),
        ] {
            checks.eq(
                format!("fields.{function}: the name {name:?}"),
                code,
                invalid,
            );
        }
    }
    for value in ["a\r", "a\n", "a\r\nb: c", "\0", "\u{7f}", "\u{1}"] {
        for (function, code) in [
            ("append", fields.append("a", value.as_bytes()).err()),
            ("set", fields.set("a", &[b"1".into(), value.into()]).err()),
            ("from-list", Fields::from_list(&[entry("a", value)]).err()),
        ] {
            checks.eq(
                format!("fields.{function}: the value {value:?}"),
                code,
                invalid,
            );
        }
    }
    checks.eq("invalid-syntax: changes nothing", fields.entries().len(), 0);
    for value in ["", "a b", "a\tb", "ü", "\u{80}"] {
        checks.eq(
            format!("fields.append: the value {value:?}"),
            fields.append("a", value.as_bytes()),
            OK,
        );
    }
    checks.eq(
        "fields.append: any byte of a value",
        fields.append("a", &[0xff]),
        OK,
    );
    checks.eq(
        "fields.append: a token",
        fields.append("!#$%&'*+-.^_`|~09Az", b""),
        OK,
    );
}

/// The names that belong to the connection.
fn forbidden(checks: &mut Checks) {
    let forbidden = Some(HeaderError::Forbidden);
    let fields = Fields::new();
    for name in [
        "connection",
        "Keep-Alive",
        "proxy-connection",
        "transfer-encoding",
        "Transfer-Encoding",
        "upgrade",
        "host",
        "http2-settings",
    ] {
        for (function, code) in [
            ("append", fields.append(name, b"x").err()),
            ("set", fields.set(name, &[b"x".into()]).err()),
            ("from-list", Fields::from_list(&[entry(name, "x")]).err()),
        ] {
            checks.eq(
                format!("fields.{function}: {name}: forbidden"),
                code,
                forbidden,
            );
        }
    }
    checks.eq("forbidden: changes nothing", fields.entries().len(), 0);
}

fn immutable(checks: &mut Checks) {
    let fields = Fields::from_list(&[entry("a", "1")]).expect("fields");
    let request = OutgoingRequest::new(fields);
    let headers = request.headers();
    for (function, code) in [
        ("set", headers.set("a", &[b"2".into()]).err()),
        ("append", headers.append("b", b"2").err()),
        ("delete", headers.delete("a").err()),
    ] {
        checks.eq(
            format!("fields.{function}: immutable"),
            code,
            Some(HeaderError::Immutable),
        );
    }
    checks.eq("immutable: as it was", headers.entries(), [entry("a", "1")]);
    let copy = headers.clone();
    checks.eq("fields.clone: of immutable ones", copy.delete("a"), OK);
    checks.eq("immutable: not by its clone", headers.has("a"), true);
}

/// The host holds 128 KiB of fields for a guest.
fn limit(checks: &mut Checks) {
    let fields = Fields::new();
    let value = [b'v'; 4096];
    let full = (0..1000).find_map(|n| fields.append(&format!("x-{n}"), &value).err());
    checks.eq("fields.append: no room", full, Some(HeaderError::Forbidden));
}
