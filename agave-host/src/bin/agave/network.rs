//! `--allow-net` and `--deny-net`, in the order in which they are given.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches, value_parser};
use wasi_sockets::{NetworkPolicy, Rule};

const ALLOW: &str = "allow-net";
const DENY: &str = "deny-net";

/// The flags' rules in order, and whether each allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NetworkFlags(Vec<(bool, Rule)>);

impl NetworkFlags {
    /// The policy that they are, where there are any.
    pub(super) fn policy(&self) -> Option<NetworkPolicy> {
        let with = |policy: NetworkPolicy, (allow, rule): &(bool, Rule)| match allow {
            true => policy.allow(rule.clone()),
            false => policy.deny(rule.clone()),
        };
        let rules = (!self.0.is_empty()).then_some(&self.0)?;
        Some(rules.iter().fold(NetworkPolicy::new(), with))
    }
}

impl Args for NetworkFlags {
    fn augment_args(command: Command) -> Command {
        let flag = |name: &'static str, help: &'static str| {
            Arg::new(name)
                .long(name)
                .value_name("RULE")
                .value_parser(value_parser!(Rule))
                .action(ArgAction::Append)
                .help(help)
        };
        let command = command.arg(flag(
            ALLOW,
            "Grant a part of the network: a host name, *.NAME, address or range, with :PORT or \
             :FROM-TO, as in api.example.com:443; before it connect:, udp: or listen:. The first \
             rule that fits decides, whether it allows or denies; what none fits is denied",
        ));
        command.arg(flag(
            DENY,
            "Keep a part of the network from what later rules, or -S inherit-network, which is \
             after all rules, would allow",
        ))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for NetworkFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut flags = Vec::new();
        for (name, allow) in [(ALLOW, true), (DENY, false)] {
            let rules = matches.get_many::<Rule>(name).unwrap_or_default();
            let indices = matches.indices_of(name).into_iter().flatten();
            flags.extend(
                indices
                    .zip(rules)
                    .map(|(index, rule)| (index, (allow, rule.clone()))),
            );
        }
        flags.sort_by_key(|(index, _)| *index);
        Ok(Self(flags.into_iter().map(|(_, flag)| flag).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(flags: &[&str]) -> Result<NetworkFlags, Error> {
        let command = NetworkFlags::augment_args(Command::new("agave"));
        let matches = command.try_get_matches_from([&["agave"], flags].concat())?;
        NetworkFlags::from_arg_matches(&matches)
    }

    #[test]
    fn rules_are_kept_in_the_order_of_the_flags() {
        let flags = [
            "--deny-net=10.0.0.1",
            "--allow-net=10.0.0.0/8",
            "--allow-net=*.example.com:443",
            "--deny-net=*",
        ];
        let rules: Vec<_> = parse(&flags).unwrap().0;
        let told: Vec<_> = rules
            .iter()
            .map(|(allow, rule)| (*allow, rule.to_string()))
            .collect();
        let expected = [
            (false, "10.0.0.1"),
            (true, "10.0.0.0/8"),
            (true, "*.example.com:443"),
            (false, "*"),
        ];
        assert_eq!(told, expected.map(|(allow, rule)| (allow, rule.into())));
        assert!(parse(&[]).unwrap().policy().is_none());
        assert!(parse(&["--allow-net", "https://example.com"]).is_err());
    }
}
