//! `kv`: a key-value store on files, from a command line. The README tells the commands.

mod error;
mod segment;
mod store;
#[cfg(test)]
mod tests;
mod writer;

use error::{Error, On, Result};
use std::env;
use std::io::{self, BufRead, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};
use store::Store;
use writer::{Cut, Settings, Writer};

const USAGE: &str = "\
usage: kv COMMAND

  set KEY VALUE   stores; `-` reads the value from stdin
  get KEY         prints the value
  delete KEY
  list [PREFIX]   prints the keys, sorted
  import          stores the lines `key=value` of stdin
  compact         writes the log anew without what is no longer stored
  backup DIR      makes another store in DIR
  stats
  repair          cuts damaged files; ends the lock of one that died

variables: KV_DIR, the store's folder (kv); KV_SEGMENT, the bytes after which a file is
followed by another (1048576); KV_WAIT, the milliseconds to wait for another kv (1000)
";

/// A line of an import, cut off where no value is as long.
const MAX_LINE: u64 = (segment::MAX_KEY + segment::MAX_VALUE + 4) as u64;

fn main() -> ExitCode {
    let mut output = BufWriter::new(io::stdout().lock());
    let result = run(&mut output).and_then(|()| output.flush().on(Path::new("stdout")));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // What was printed comes before why it ended. Nobody is left to be told of a
            // failure here.
            let _ = output.flush();
            tell(&error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(output: &mut impl Write) -> Result<()> {
    let args = env::args_os().skip(1).map(|argument| {
        let not_utf8 = |_| Error::Usage("an argument is not UTF-8".into());
        argument.into_string().map_err(not_utf8)
    });
    let args = args.collect::<Result<Vec<_>>>()?;
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let root = env::var_os("KV_DIR").map_or("kv".into(), PathBuf::from);
    let settings = Settings {
        segment: variable("KV_SEGMENT", 1 << 20)?,
        wait: Duration::from_millis(variable("KV_WAIT", 1000)?),
    };
    let stdout = Path::new("stdout");
    let write = || {
        let writer = Writer::open(&root, settings)?;
        if let Some(cut) = writer.cut() {
            tell(&told(cut));
        }
        Ok::<_, Error>(writer)
    };

    match args[..] {
        ["set", key, value] => {
            writer::check_key(key)?;
            let value = match value {
                "-" => value_from(io::stdin().lock())?,
                value => value.into(),
            };
            let mut writer = write()?;
            writer.set(key, &value)?;
            writer.sync()
        }
        ["get", key] => {
            let value = Store::read(&root, |store| store.get(key))?;
            output.write_all(&value).on(stdout)?;
            writeln!(output).on(stdout)
        }
        ["delete", key] => {
            let mut writer = write()?;
            writer.delete(key)?;
            writer.sync()
        }
        ["list"] => list(&root, "", output),
        ["list", prefix] => list(&root, prefix, output),
        ["import"] => import(&mut write()?, io::stdin().lock(), output),
        ["compact"] => {
            let (before, after) = write()?.compact()?;
            writeln!(output, "{before} bytes are now {after}").on(stdout)
        }
        ["backup", folder] => {
            let (linked, copied) = write()?.backup(Path::new(folder))?;
            writeln!(output, "{linked} files linked, {copied} copied").on(stdout)
        }
        ["stats"] => stats(&root, output),
        ["repair"] => {
            let cuts = writer::repair(&root, settings)?;
            cuts.iter()
                .try_for_each(|cut| writeln!(output, "{}", told(cut)).on(stdout))
        }
        ["help"] => output.write_all(USAGE.as_bytes()).on(stdout),
        [] => Err(Error::Usage("no command".into())),
        [command, ..] => Err(Error::Usage(format!(
            "no command `{command}` with {} arguments",
            args.len() - 1
        ))),
    }
}

fn variable(name: &str, default: u64) -> Result<u64> {
    let Some(value) = env::var_os(name) else {
        return Ok(default);
    };
    let value = value.to_str().and_then(|it| it.parse().ok());
    value.ok_or_else(|| Error::Usage(format!("{name} is not a number")))
}

/// A value of all that `input` has, or one byte more than a value may have.
fn value_from(input: impl Read) -> Result<Vec<u8>> {
    let mut value = Vec::new();
    let mut input = input.take(segment::MAX_VALUE as u64 + 1);
    input.read_to_end(&mut value).on(Path::new("stdin"))?;
    Ok(value)
}

fn list(root: &Path, prefix: &str, output: &mut impl Write) -> Result<()> {
    let keys = Store::read(root, |store| Ok(store.keys(prefix)))?;
    keys.iter()
        .try_for_each(|key| writeln!(output, "{key}"))
        .on(Path::new("stdout"))
}

/// Stores each line; those before a bad one stay.
fn import(writer: &mut Writer, mut input: impl BufRead, output: &mut impl Write) -> Result<()> {
    let mut count = 0;
    let mut line = Vec::new();
    let result = loop {
        line.clear();
        let mut input = input.by_ref().take(MAX_LINE);
        if input.read_until(b'\n', &mut line).on(Path::new("stdin"))? == 0 {
            break Ok(());
        }
        match import_line(writer, &line) {
            Ok(()) => count += 1,
            Err(Error::Usage(what) | Error::Input(what)) => {
                break Err(Error::Input(format!("line {}: {what}", count + 1)));
            }
            Err(error) => return Err(error),
        }
    };
    writer.sync()?;
    writeln!(output, "{count} stored").on(Path::new("stdout"))?;
    result
}

fn import_line(writer: &mut Writer, line: &[u8]) -> Result<()> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let Some(equals) = line.iter().position(|&byte| byte == b'=') else {
        return Err(Error::Input("no `=`".into()));
    };
    let (key, value) = line.split_at(equals);
    let not_utf8 = |_| Error::Input("the key is not UTF-8".into());
    writer.set(str::from_utf8(key).map_err(not_utf8)?, &value[1..])
}

fn stats(root: &Path, output: &mut impl Write) -> Result<()> {
    let start = Instant::now();
    let (store, generation, segments) = Store::read(root, |store| {
        Ok((store.stats()?, store.generation, store.segments.len()))
    })?;
    let opened = start.elapsed();
    let mut lines = vec![
        format!("keys {}", store.keys),
        format!("values {} bytes", store.values),
        format!("log {} bytes", store.log),
        format!("segments {segments}"),
        format!("generation {generation}"),
    ];
    if let Some(modified) = store.modified {
        let epoch = modified.duration_since(SystemTime::UNIX_EPOCH);
        // A clock may have been put back since.
        let age = SystemTime::now().duration_since(modified);
        lines.push(format!(
            "modified {} s",
            epoch.unwrap_or_default().as_secs()
        ));
        lines.push(format!("age {} s", age.unwrap_or_default().as_secs()));
    }
    lines.push(format!("read in {} us", opened.as_micros()));
    lines
        .iter()
        .try_for_each(|line| writeln!(output, "{line}"))
        .on(Path::new("stdout"))
}

fn told(cut: &Cut) -> String {
    format!("cut {} bytes off {}", cut.bytes, cut.path.display())
}

fn tell(what: &str) {
    let _ = writeln!(io::stderr(), "kv: {what}");
}
