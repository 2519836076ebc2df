use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// What a conformance kit found out about one backend.
#[derive(Clone, Debug)]
#[must_use = "it says whether the backend kept its promises"]
pub struct Report {
    subject: String,
    checks: Vec<Check>,
}

/// One guarantee, and what came of it.
#[derive(Clone, Debug)]
pub struct Check {
    /// The guarantee, as a sentence.
    pub name: &'static str,
    /// Why it does not hold, if it does not.
    pub result: Result<(), Miss>,
}

/// Why a guarantee was not seen to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss {
    /// It was broken: this was seen.
    Broken(String),
    /// It could not be checked on this backend, for this reason. No failure.
    Skipped(String),
}

impl From<String> for Miss {
    fn from(seen: String) -> Self {
        Self::Broken(seen)
    }
}

impl From<&str> for Miss {
    fn from(seen: &str) -> Self {
        Self::Broken(seen.to_string())
    }
}

impl Report {
    /// About `subject`, without checks.
    pub fn new(subject: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            checks: Vec::new(),
        }
    }

    /// Runs `check` and keeps its result under `name`, the sentence that it proves.
    pub fn check<E: Into<Miss>>(
        &mut self,
        name: &'static str,
        check: impl FnOnce() -> Result<(), E>,
    ) {
        let result = check().map_err(Into::into);
        self.checks.push(Check { name, result });
    }

    /// Adds the checks of `other`.
    pub fn extend(&mut self, other: Report) {
        self.checks.extend(other.checks);
    }

    /// All checks, in the order in which they were run.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// The guarantees that were broken, each with what was seen.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.checks.iter().filter_map(|check| match &check.result {
            Err(Miss::Broken(seen)) => Some((check.name, &**seen)),
            _ => None,
        })
    }

    /// Whether no guarantee was broken.
    pub fn is_ok(&self) -> bool {
        self.failures().next().is_none()
    }

    /// For tests.
    ///
    /// # Panics
    /// A guarantee was broken: with the whole report.
    #[track_caller]
    pub fn assert_ok(&self) {
        assert!(self.is_ok(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut held, mut broken, mut skipped) = (0, 0, 0);
        for check in &self.checks {
            match check.result {
                Ok(()) => held += 1,
                Err(Miss::Broken(_)) => broken += 1,
                Err(Miss::Skipped(_)) => skipped += 1,
            }
        }
        write!(
            f,
            "{}: {held} guarantees hold, {broken} are broken, {skipped} were skipped",
            self.subject
        )?;
        for check in &self.checks {
            match &check.result {
                Ok(()) => {}
                Err(Miss::Broken(seen)) => write!(f, "\n  BROKEN  {}: {seen}", check.name)?,
                Err(Miss::Skipped(why)) => write!(f, "\n  skipped {}: {why}", check.name)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_what_was_broken_and_why() {
        let mut report = Report::new("a clock");
        report.check("it ticks", || Ok::<(), String>(()));
        report.check("it strikes", || Err(Miss::Skipped("it has no bell".into())));
        assert!(report.is_ok());
        report.assert_ok();
        let mut more = Report::new("more");
        more.check("it never goes back", || Err("it went from 2 to 1"));
        report.extend(more);
        assert!(!report.is_ok());
        let failures: Vec<_> = report.failures().collect();
        assert_eq!(failures, [("it never goes back", "it went from 2 to 1")]);
        assert_eq!(
            report.to_string(),
            "a clock: 1 guarantees hold, 1 are broken, 1 were skipped\n  \
             skipped it strikes: it has no bell\n  \
             BROKEN  it never goes back: it went from 2 to 1"
        );
    }

    #[test]
    #[should_panic(expected = "BROKEN  it ticks: it stands")]
    fn a_broken_guarantee_panics_where_that_is_asked_for() {
        let mut report = Report::new("a clock");
        report.check("it ticks", || Err("it stands"));
        report.assert_ok();
    }
}
