//! Values of flags, spelled as wasmtime's users spell them.

use std::time::Duration;

/// `-S KEY[=VALUE][,…]`: what WASI grants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wasi {
    pub(super) inherit_network: bool,
    pub(super) inherit_env: bool,
}

/// `-W KEY[=VALUE][,…]`: limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wasm {
    pub(super) max_memory_size: Option<usize>,
    pub(super) timeout: Option<Duration>,
}

/// `-C KEY[=VALUE][,…]`: how programs are compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Codegen {
    pub(super) cache: bool,
}

impl Codegen {
    /// As [`Wasi::parse`].
    ///
    /// # Errors
    /// A key or value that is not known, by name.
    pub(super) fn parse(lists: &[String]) -> Result<Self, String> {
        let mut codegen = Self { cache: true };
        for (key, value) in pairs(lists) {
            match key {
                "cache" => codegen.cache = flag("-C", key, value)?,
                _ => return Err(unknown("-C", key, "cache")),
            }
        }
        Ok(codegen)
    }
}

impl Wasi {
    /// Takes over what the lists say, in order.
    ///
    /// # Errors
    /// A key or value that is not known, by name.
    pub(super) fn parse(lists: &[String]) -> Result<Self, String> {
        let mut wasi = Self::default();
        for (key, value) in pairs(lists) {
            match key {
                // Always linked; what a guest may do with them is granted apart.
                "cli" | "common" | "http" | "p3" => drop(flag("-S", key, value)?),
                "inherit-network" => wasi.inherit_network = flag("-S", key, value)?,
                "inherit-env" => wasi.inherit_env = flag("-S", key, value)?,
                _ => {
                    return Err(unknown(
                        "-S",
                        key,
                        "cli, http, inherit-network, inherit-env, p3",
                    ));
                }
            }
        }
        Ok(wasi)
    }
}

impl Wasm {
    /// As [`Wasi::parse`].
    ///
    /// # Errors
    /// A key or value that is not known, by name.
    pub(super) fn parse(lists: &[String]) -> Result<Self, String> {
        let mut wasm = Self::default();
        for (key, value) in pairs(lists) {
            let needed = || value.ok_or(format!("-W {key} needs a value: -W {key}=VALUE"));
            match key {
                // On, always.
                "component-model" | "component-model-async" => drop(flag("-W", key, value)?),
                "max-memory-size" => wasm.max_memory_size = Some(size(needed()?)?),
                "timeout" => wasm.timeout = Some(duration(needed()?)?),
                _ => {
                    let known = "component-model, component-model-async, max-memory-size, timeout";
                    return Err(unknown("-W", key, known));
                }
            }
        }
        Ok(wasm)
    }
}

fn unknown(option: &str, key: &str, known: &str) -> String {
    format!("unknown key `{key}` for {option} (known: {known})")
}

fn pairs(lists: &[String]) -> impl Iterator<Item = (&str, Option<&str>)> {
    let items = lists.iter().flat_map(|list| list.split(','));
    items.map(|item| match item.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (item, None),
    })
}

fn flag(option: &str, key: &str, value: Option<&str>) -> Result<bool, String> {
    match value {
        None | Some("y" | "yes" | "true") => Ok(true),
        Some("n" | "no" | "false") => Ok(false),
        Some(other) => Err(format!("{option} {key} is y or n, not `{other}`")),
    }
}

/// Bytes: a number, with `K`, `M` or `G` for powers of 1,024 (`KiB` and so on are the same).
///
/// # Errors
/// Anything else, and what does not fit.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let shift = match unit {
        "" | "B" => Some(0),
        "K" | "KiB" => Some(10),
        "M" | "MiB" => Some(20),
        "G" | "GiB" => Some(30),
        _ => None,
    };
    let bytes = number.parse::<usize>().ok().zip(shift);
    bytes
        .and_then(|(number, shift)| number.checked_mul(1 << shift))
        .ok_or(format!(
            "`{text}` is no size: write bytes, or a number with K, M or G"
        ))
}

/// A time: a number with `ms`, `s`, `m` or `h`; without a unit it is seconds.
///
/// # Errors
/// Anything else, zero, and what is longer than 500 years.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let scale: Option<u64> = match unit {
        "ms" => Some(1),
        "" | "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let scaled = number.parse::<u64>().ok().zip(scale);
    scaled
        .and_then(|(number, scale)| number.checked_mul(scale))
        .filter(|millis| (1..=500 * 365 * 86_400_000).contains(millis))
        .map(Duration::from_millis)
        .ok_or(format!(
            "`{text}` is no time: write a number with ms, s, m or h, at least 1ms"
        ))
}

/// `--env K=V`, or `--env K` for this process's own value.
///
/// # Errors
/// No name, or a value that is not Unicode.
pub(super) fn environment(
    variables: &[String],
    inherit: bool,
) -> Result<Vec<(String, String)>, String> {
    let mut environment: Vec<(String, String)> = Vec::new();
    if inherit {
        environment.extend(
            std::env::vars_os().filter_map(|(key, value)| {
                Some((key.into_string().ok()?, value.into_string().ok()?))
            }),
        );
    }
    for variable in variables {
        let (key, value) = match variable.split_once('=') {
            Some((key, value)) => (key, Some(String::from(value))),
            None => match std::env::var(variable) {
                Ok(value) => (variable.as_str(), Some(value)),
                Err(std::env::VarError::NotPresent) => (variable.as_str(), None),
                Err(_) => return Err(format!("--env {variable}: its value is not Unicode")),
            },
        };
        if key.is_empty() {
            return Err(format!("--env {variable}: write KEY=VALUE, or KEY"));
        }
        environment.retain(|(known, _)| known != key);
        environment.extend(value.map(|value| (String::from(key), value)));
    }
    Ok(environment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(lists: &[&str]) -> Vec<String> {
        lists.iter().copied().map(String::from).collect()
    }

    #[test]
    fn wasi_keys_are_taken_in_order_and_unknown_ones_refused_by_name() {
        let wasi = |list: &[&str]| Wasi::parse(&lists(list));
        assert!(!wasi(&["cli,http=y", "p3"]).unwrap().inherit_network);
        assert!(wasi(&["cli", "inherit-network"]).unwrap().inherit_network);
        assert!(
            !wasi(&["inherit-network,inherit-network=n"])
                .unwrap()
                .inherit_network
        );
        for (list, told) in [("nn", "`nn`"), ("", "``"), ("cli=maybe", "`maybe`")] {
            let error = wasi(&[list]).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn what_is_compiled_is_kept_unless_that_is_switched_off() {
        let codegen = |list: &[&str]| Codegen::parse(&lists(list));
        assert_eq!(codegen(&[]), Ok(Codegen { cache: true }));
        assert_eq!(codegen(&["cache=n"]), Ok(Codegen { cache: false }));
        assert!(codegen(&["opt-level=2"]).unwrap_err().contains("opt-level"));
    }

    #[test]
    fn wasm_keys_are_limits() {
        let wasm = |list: &[&str]| Wasm::parse(&lists(list));
        let limits = wasm(&[
            "component-model-async,max-memory-size=65536",
            "timeout=1500ms",
        ]);
        let limits = limits.unwrap();
        assert_eq!(limits.max_memory_size, Some(65536));
        assert_eq!(limits.timeout, Some(Duration::from_millis(1500)));
        for list in ["timeout", "timeout=0", "max-memory-size=x", "fuel=1"] {
            assert!(wasm(&[list]).is_err(), "{list}");
        }
    }

    #[test]
    fn sizes_and_times_have_units() {
        for (text, bytes) in [("1", 1), ("2K", 2048), ("3MiB", 3 << 20), ("1G", 1 << 30)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "K", "-1", "1.5M", "1T", "99999999999999999999"] {
            assert!(size(text).is_err(), "{text}");
        }
        for (text, millis) in [("1ms", 1), ("2", 2000), ("3s", 3000), ("1m", 60_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "0s", "s", "1d", "-1s", "99999999999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_later_variable_takes_the_place_of_an_earlier_one() {
        let env = |list: &[&str]| environment(&lists(list), false);
        let pair = |key: &str, value: &str| (String::from(key), String::from(value));
        assert_eq!(
            env(&["A=1", "B=", "A=x=y"]).unwrap(),
            [pair("B", ""), pair("A", "x=y")]
        );
        let path = std::env::var("PATH").unwrap();
        assert_eq!(env(&["PATH"]).unwrap(), [pair("PATH", &path)]);
        assert_eq!(env(&["NO_SUCH_VARIABLE_ANYWHERE"]).unwrap(), []);
        assert!(env(&["=1"]).is_err());
    }
}
