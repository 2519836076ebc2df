//! Light requests beside guests that compute.

use crate::child::Server;
use crate::load::{Clients, Load, Outcome};
use crate::servers::{self, Column, Guest, Settings};
use crate::throughput::TIMEOUT;
use crate::{Failure, Plan};
use std::num::NonZero;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

const LIGHT: Load = Load {
    path: "/status?code=200",
    answer: "status\n",
    connections: 16,
};

/// Each computes until 200 ms have gone by.
const HEAVY: Load = Load {
    path: "/compute?ms=200",
    answer: "computed\n",
    connections: 2,
};

struct Case {
    column: Column,
    timeout: Option<Duration>,
    /// Whether all connections belong to one of the server's cores.
    one_core: bool,
}

/// What one window gave.
struct Window {
    light: Option<Outcome>,
    heavy: Outcome,
    /// CPU seconds of the server, a second.
    cores: f64,
}

/// Measures all, and prints it as a Markdown table.
pub(crate) fn run(plan: &Plan) -> Result<(), Failure> {
    println!(
        "{} connections with light requests beside {} whose guests compute for 200 ms each: \
         median and 99th percentile of the latency in ms. Cores: CPU seconds of the server a \
         second.\n",
        LIGHT.connections, HEAVY.connections
    );
    println!(
        "| server | timeout | connections | light: requests/s, latency | heavy: latency | cores \
         | heavy alone: latency | cores |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (column, timeout, one_core) in [
        (Column::Wasmtime, None, false),
        (Column::Wasmtime, Some(TIMEOUT), false),
        (Column::Agave, None, false),
        (Column::Agave, Some(TIMEOUT), false),
        (Column::Agave, Some(TIMEOUT), true),
    ] {
        if plan.columns.contains(&column) {
            let case = Case {
                column,
                timeout,
                one_core,
            };
            case.row(plan)?;
        }
    }
    println!();
    Ok(())
}

fn latency(outcome: &Outcome) -> String {
    let [p50, p99] = [0.5, 0.99].map(|part| outcome.latencies.quantile(part));
    format!("{p50:.1} / {p99:.1}")
}

impl Case {
    fn row(&self, plan: &Plan) -> Result<(), Failure> {
        let server = servers::start(self.column, Guest::Testbed, Settings::fresh(self.timeout))?;
        let rounds = |light: bool| {
            (0..plan.rounds)
                .map(|_| self.window(plan, &server, light))
                .collect::<Result<Vec<_>, _>>()
        };
        let both = Plan::median(rounds(true)?, |window| match &window.light {
            Some(light) => light.latencies.quantile(0.99),
            None => f64::NAN,
        });
        let alone = Plan::median(rounds(false)?, |window| window.cores);
        let light = both.light.as_ref().map_or_else(String::new, |light| {
            format!("{:.0}, {}", light.rate(), latency(light))
        });
        println!(
            "| {} | {} | {} | {light} | {} | {:.2} | {} | {:.2} |",
            self.column.name(),
            self.timeout.map_or("none", |_| "60 s"),
            if self.one_core {
                "on one core"
            } else {
                "on all cores"
            },
            latency(&both.heavy),
            both.cores,
            latency(&alone.heavy),
            alone.cores,
        );
        Ok(())
    }

    fn window(&self, plan: &Plan, server: &Server, light: bool) -> Result<Window, Failure> {
        // Our server gives each connection to the core that has the fewest: in turn, to them
        // all. With those of the others closed, all that are left are on one core.
        let nth = match self.one_core {
            true => available_parallelism().map_or(1, NonZero::get),
            false => 1,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let heavy = Clients::connect(server.address, HEAVY, nth).await?;
            let light = match light {
                true => Some(Clients::connect(server.address, LIGHT, nth).await?),
                false => None,
            };
            let begin = Instant::now() + plan.warm_up;
            // So that even the quick plan sees some of the heavy ones.
            let end = begin + plan.window.max(Duration::from_secs(1)) * 2;
            let cpu = async {
                tokio::time::sleep_until(begin.into()).await;
                let before = server.usage();
                tokio::time::sleep_until(end.into()).await;
                let after = server.usage();
                after.user + after.system - before.user - before.system
            };
            let light = async {
                match light {
                    Some(light) => light.run(begin, end).await.map(Some),
                    None => Ok(None),
                }
            };
            let (light, heavy, cpu) = tokio::join!(light, heavy.run(begin, end), cpu);
            Ok(Window {
                light: light?,
                heavy: heavy?,
                cores: cpu.as_secs_f64() / (end - begin).as_secs_f64(),
            })
        })
    }
}
