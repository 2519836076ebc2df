use super::{Column, Failure, Plan, Role};
use std::time::Duration;

/// What a subject is asked to do, often.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// The guest's export.
    pub(crate) function: &'static str,
    /// What comes before the number of times.
    pub(crate) parameters: Vec<u64>,
    /// How often, in one measurement.
    pub(crate) times: u64,
    /// None for what is the same for all.
    pub(crate) goal: Option<Goal>,
}

/// The most time that ours may take.
#[derive(Clone, Copy)]
pub(crate) struct Goal {
    /// Columns, and how many times what each takes.
    pub(crate) times: &'static [(&'static str, f64)],
    /// Nanoseconds besides.
    pub(crate) more: f64,
}

/// Which of its measurements stands for a subject.
#[derive(Clone, Copy)]
pub(crate) struct Statistic {
    pub(crate) name: &'static str,
    /// How far from the least, 0, to the most, 1.
    pub(crate) quantile: f64,
}

/// The comparison; columns take turns.
pub(crate) struct Table {
    pub(crate) statistic: Statistic,
    pub(crate) rounds: usize,
    pub(crate) columns: Vec<Column>,
}

impl Table {
    /// Measures all that `plan` asks for, and prints it as Markdown.
    pub(crate) fn run(&mut self, plan: &Plan, rows: &[Row]) -> Result<(), Failure> {
        self.rounds = plan.rounds.unwrap_or(self.rounds).max(1);
        println!(
            "Time for one, the {} of {}, and times native.\n",
            self.statistic.name, self.rounds
        );
        let ours = self.columns.iter().filter(|it| it.role == Role::Ours);
        let ours: Vec<&str> = ours.map(|column| column.name).collect();
        print!("| |");
        for column in &self.columns {
            print!(" {} |", column.name);
        }
        println!(
            " goal | {} | not slower than wasmtime-wasi |",
            ours.join(", ")
        );
        println!("|---|{}---|---|---|", "---|".repeat(self.columns.len()));
        for row in rows {
            let wanted = |part: &String| row.name.contains(part.as_str());
            if plan.rows.is_empty() || plan.rows.iter().any(wanted) {
                self.row(plan, row)?;
            }
        }
        println!();
        Ok(())
    }

    fn row(&mut self, plan: &Plan, row: &Row) -> Result<(), Failure> {
        let times = match plan.quick {
            true => row.times.div_ceil(64),
            false => row.times,
        };
        let mut parameters = row.parameters.clone();
        parameters.push(times);
        let mut took = vec![Vec::new(); self.columns.len()];
        let mut expected = None;
        // The round before the first is to warm up.
        for round in 0..=self.rounds {
            for turn in 0..self.columns.len() {
                // Another one begins each round.
                let at = (turn + round) % self.columns.len();
                let Column { name, subject, .. } = &mut self.columns[at];
                let doing = |failure| format!("{}, {name}: {failure}", row.name);
                let (given, time) = subject.call(row.function, &parameters).map_err(doing)?;
                if given != *expected.get_or_insert(given) {
                    return Err(
                        doing(format!("{given}, where others have {expected:?}").into()).into(),
                    );
                }
                if round > 0 {
                    took[at].push(time);
                }
            }
        }
        let nanos = |times_taken: Vec<Duration>| {
            self.statistic.of(times_taken).as_nanos() as f64 / times as f64
        };
        let columns = self.columns.iter().zip(took);
        let measured: Vec<_> = columns.map(|(it, took)| (it, nanos(took))).collect();
        print_row(row, &measured);
        Ok(())
    }
}

fn print_row(row: &Row, measured: &[(&Column, f64)]) {
    let of = |name| {
        let found = measured.iter().find(|(column, _)| column.name == name);
        found.map_or(f64::NAN, |(_, nanos)| *nanos)
    };
    let all = |role| measured.iter().filter(move |(it, _)| it.role == role);
    let rival = all(Role::Rival)
        .map(|(_, nanos)| *nanos)
        .fold(f64::INFINITY, f64::min);
    let verdicts = |most: f64| {
        let verdicts = all(Role::Ours).map(|(_, nanos)| verdict(*nanos, most));
        verdicts.collect::<Vec<_>>().join(", ")
    };

    print!("| {} |", row.name);
    let (_, native) = measured[0];
    for (n, (_, nanos)) in measured.iter().enumerate() {
        match n > 0 && native >= 1.0 {
            true => print!(" {} ({:.2}×) |", time(*nanos), nanos / native),
            // Of nothing there is no multiple.
            false => print!(" {} |", time(*nanos)),
        }
    }
    let Some(goal) = row.goal else {
        println!(" | | |");
        return;
    };
    let times = goal.times.iter().map(|(column, times)| times * of(*column));
    let goal = times.sum::<f64>() + goal.more;
    println!(
        " {} | {} | {} |",
        time(goal),
        verdicts(goal),
        verdicts(rival)
    );
}

fn verdict(nanos: f64, most: f64) -> String {
    match nanos <= most {
        true => "PASS".into(),
        false => format!("miss by {:.0} %", (nanos / most - 1.0) * 100.0),
    }
}

/// Three digits, and a unit.
fn time(nanos: f64) -> String {
    let (number, unit) = match nanos {
        ..1e4 => return format!("{nanos:.0} ns"),
        ..1e6 => (nanos / 1e3, "µs"),
        _ => (nanos / 1e6, "ms"),
    };
    match number {
        ..10.0 => format!("{number:.2} {unit}"),
        ..100.0 => format!("{number:.1} {unit}"),
        _ => format!("{number:.0} {unit}"),
    }
}

impl Statistic {
    fn of(self, mut all: Vec<Duration>) -> Duration {
        all.sort();
        all[((all.len() - 1) as f64 * self.quantile) as usize]
    }
}
