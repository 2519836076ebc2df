//! The kernel's command line, as `-append` gives it.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr};

/// What the command line says.
#[derive(Debug, PartialEq, Eq)]
pub struct Command {
    /// Whether to tell at the end how much of the heap was used.
    pub stats: bool,
    /// How long the program may run, or an instance for a request, in milliseconds.
    pub timeout: Option<u64>,
    /// How many bytes of memory an instance may have.
    pub memory: Option<usize>,
    /// Folders of the initrd that the program has by these names; `None` for all of it as `/`.
    pub folders: Option<Vec<String>>,
    /// Environment variables of the program.
    pub environment: Vec<(String, String)>,
    /// What to do.
    pub action: Action,
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// `run PROGRAM ARGS…`: a program of the initrd.
    Run {
        /// Its path in the initrd.
        program: String,
        /// Its arguments.
        arguments: Vec<String>,
    },
    /// `serve PROGRAM [ADDRESS]:PORT`: a program of the initrd that answers HTTP requests.
    Serve {
        /// Its path in the initrd.
        program: String,
        /// Where it is reached; without an address, at all of IPv4.
        address: SocketAddr,
    },
    /// `demo`: the table of all APIs.
    Demo,
}

/// Why a command line can't be done.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// It says nothing.
    #[error(
        "the command line has no command: give `run PROGRAM ARGS…`, \
         `serve PROGRAM [ADDRESS]:PORT` or `demo`"
    )]
    Empty,
    /// A word is not known.
    #[error(
        "`{0}` is no command: give `run PROGRAM ARGS…`, `serve PROGRAM [ADDRESS]:PORT` or `demo`"
    )]
    Unknown(String),
    /// `run` or `serve` has no program.
    #[error("`run` and `serve` need the path of a program in the initrd")]
    NoProgram,
    /// `serve` has no address, or more than that.
    #[error("`serve PROGRAM` needs [ADDRESS]:PORT, such as :80, and nothing behind it")]
    Address,
    /// `timeout` has no number.
    #[error("`timeout` needs a number of milliseconds")]
    Timeout,
    /// `memory` has no number.
    #[error("`memory` needs a number of MiB")]
    Memory,
    /// `dir` has no name.
    #[error("`dir` needs the name of a folder in the initrd")]
    Folder,
    /// `demo` has something behind it.
    #[error("`demo` takes no arguments")]
    Arguments,
    /// A quoted part has no end.
    #[error("a quote (\") is not closed")]
    Quote,
}

impl Command {
    /// Reads `line`: words, of which the first may be `stats`, `timeout MILLISECONDS`,
    /// `memory MIB`, `dir NAME`, `nodir` and `NAME=VALUE`, then a command and its arguments. A word with
    /// spaces, or an empty one, is put in double quotes; in those a backslash takes the next
    /// character as it is.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn parse(line: &str) -> Result<Self, CommandError> {
        let mut words = words(line)?.into_iter();
        let (mut stats, mut timeout, mut memory) = (false, None, None);
        let (mut folders, mut environment) = (None, Vec::new());
        let action = loop {
            let word = words.next().ok_or(CommandError::Empty)?;
            match word.as_str() {
                "stats" => stats = true,
                "timeout" => {
                    let number = words.next().and_then(|number| number.parse().ok());
                    timeout = Some(number.ok_or(CommandError::Timeout)?);
                }
                "memory" => {
                    let number = words.next().and_then(|number| number.parse::<usize>().ok());
                    let bytes = number.and_then(|number| number.checked_mul(1 << 20));
                    memory = Some(bytes.ok_or(CommandError::Memory)?);
                }
                "dir" => {
                    let name = words.next().filter(|name| !name.is_empty());
                    let folders: &mut Vec<_> = folders.get_or_insert_default();
                    folders.push(name.ok_or(CommandError::Folder)?);
                }
                "nodir" => {
                    folders.get_or_insert_default();
                }
                "serve" => {
                    let program = words.next().ok_or(CommandError::NoProgram)?;
                    let address = words.next().and_then(|word| address(&word));
                    let address = address.ok_or(CommandError::Address)?;
                    match words.next() {
                        None => break Action::Serve { program, address },
                        Some(_) => return Err(CommandError::Address),
                    }
                }
                "run" => {
                    break Action::Run {
                        program: words.next().ok_or(CommandError::NoProgram)?,
                        arguments: words.collect(),
                    };
                }
                "demo" if words.next().is_some() => return Err(CommandError::Arguments),
                "demo" => break Action::Demo,
                _ => match word.split_once('=') {
                    Some((name, value)) if !name.is_empty() => {
                        environment.push((name.into(), value.into()));
                    }
                    _ => return Err(CommandError::Unknown(word)),
                },
            }
        };
        Ok(Self {
            stats,
            timeout,
            memory,
            folders,
            environment,
            action,
        })
    }
}

/// `[ADDRESS]:PORT`.
fn address(word: &str) -> Option<SocketAddr> {
    match word.strip_prefix(':') {
        Some(port) => Some((Ipv4Addr::UNSPECIFIED, port.parse().ok()?).into()),
        None => word.parse().ok(),
    }
}

fn words(line: &str) -> Result<Vec<String>, CommandError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or(CommandError::Quote)? {
                        '"' => break,
                        '\\' => word.push(chars.next().ok_or(CommandError::Quote)?),
                        char => word.push(char),
                    }
                }
            }
            char if char.is_whitespace() => words.extend(word.take()),
            char => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(program: &str, arguments: &[&str]) -> Action {
        Action::Run {
            program: program.into(),
            arguments: arguments.iter().map(|word| String::from(*word)).collect(),
        }
    }

    fn serve(program: &str, address: &str) -> Action {
        Action::Serve {
            program: program.into(),
            address: address.parse().unwrap(),
        }
    }

    #[test]
    fn words_are_split_and_quotes_keep_them_together() {
        for (line, action) in [
            ("run a.cwasm", run("a.cwasm", &[])),
            ("  run\ta  b c ", run("a", &["b", "c"])),
            (r#"run a "b c" "" d"e f"g"#, run("a", &["b c", "", "de fg"])),
            (r#"run a "\"\\ \n" \x"#, run("a", &[r#""\ n"#, r"\x"])),
            (
                "run run demo stats A=b",
                run("run", &["demo", "stats", "A=b"]),
            ),
            ("demo", Action::Demo),
            ("serve a :80", serve("a", "0.0.0.0:80")),
            ("serve a [::1]:8080", serve("a", "[::1]:8080")),
        ] {
            let command = Command::parse(line).unwrap();
            assert_eq!((command.stats, command.action), (false, action), "{line}");
        }
    }

    #[test]
    fn what_comes_before_the_command_is_kept() {
        let line = "A=b stats C= dir x memory 3 timeout 20 D=e=f dir \"y z\" demo";
        let command = Command::parse(line).unwrap();
        let environment = [("A", "b"), ("C", ""), ("D", "e=f")];
        assert!(command.stats);
        assert_eq!((command.timeout, command.memory), (Some(20), Some(3 << 20)));
        assert_eq!(command.folders, Some(["x", "y z"].map(String::from).into()));
        for (line, folders) in [("demo", None), ("nodir demo", Some(Vec::new()))] {
            assert_eq!(Command::parse(line).unwrap().folders, folders);
        }
        assert_eq!(
            command.environment,
            environment.map(|(a, b)| (a.into(), b.into()))
        );
    }

    #[test]
    fn a_line_that_says_nothing_known_is_refused() {
        for (line, error) in [
            ("", CommandError::Empty),
            ("stats A=b", CommandError::Empty),
            ("walk a", CommandError::Unknown("walk".into())),
            ("=x demo", CommandError::Unknown("=x".into())),
            ("run", CommandError::NoProgram),
            ("timeout demo", CommandError::Timeout),
            ("timeout -1 demo", CommandError::Timeout),
            ("memory 1.5 demo", CommandError::Memory),
            ("memory 99999999999999999 demo", CommandError::Memory),
            ("dir", CommandError::Folder),
            (r#"dir "" demo"#, CommandError::Folder),
            ("demo x", CommandError::Arguments),
            ("serve", CommandError::NoProgram),
            ("serve a", CommandError::Address),
            ("serve a 80", CommandError::Address),
            ("serve a localhost:80", CommandError::Address),
            ("serve a :99999", CommandError::Address),
            ("serve a :80 b", CommandError::Address),
            (r#"run "a"#, CommandError::Quote),
            (r#"run "a\"#, CommandError::Quote),
        ] {
            assert_eq!(Command::parse(line), Err(error), "{line}");
        }
    }
}
