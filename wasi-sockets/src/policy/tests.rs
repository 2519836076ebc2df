use super::*;
use alloc::string::{String, ToString};
use wasi_io::sync::Mutex;

/// A policy of lines such as `allow *.example.com`.
fn policy(rules: &[&str]) -> NetworkPolicy {
    let rules = rules.iter().map(|line| line.split_once(' ').unwrap());
    rules.fold(NetworkPolicy::new(), |policy, (verdict, rule)| {
        let rule = rule.parse().unwrap_or_else(|error| panic!("{error}"));
        match verdict {
            "allow" => policy.allow(rule),
            "deny" => policy.deny(rule),
            _ => panic!("{verdict}"),
        }
    })
}

/// Whether what goes to `to` by TCP is allowed to who knows `names` for it.
fn connects(policy: &NetworkPolicy, to: &str, names: &[&str]) -> bool {
    let to: core::net::SocketAddr = to.parse().unwrap();
    let names = names.iter().copied();
    let judged = policy.judge(Direction::Connect, to.ip(), to.port(), names);
    judged.is_ok()
}

const PUBLIC: &str = "203.0.113.7:443";

#[test]
fn each_kind_of_host_covers_its_own() {
    for (rule, to, names, allowed) in [
        // Names.
        ("api.example.com", PUBLIC, &["api.example.com"][..], true),
        (
            "api.example.com",
            PUBLIC,
            &["x.example", "api.example.com"],
            true,
        ),
        ("api.example.com", PUBLIC, &[], false),
        ("api.example.com", PUBLIC, &["example.com"], false),
        ("api.example.com", PUBLIC, &["v2.api.example.com"], false),
        ("api.example.com:443", PUBLIC, &["api.example.com"], true),
        ("api.example.com:80", PUBLIC, &["api.example.com"], false),
        (
            "api.example.com:400-500",
            PUBLIC,
            &["api.example.com"],
            true,
        ),
        (
            "connect:api.example.com",
            PUBLIC,
            &["api.example.com"],
            true,
        ),
        ("udp:api.example.com", PUBLIC, &["api.example.com"], false),
        (
            "listen:api.example.com",
            PUBLIC,
            &["api.example.com"],
            false,
        ),
        // What is below a name.
        ("*.example.com", PUBLIC, &["api.example.com"], true),
        ("*.example.com", PUBLIC, &["a.b.example.com"], true),
        ("*.example.com", PUBLIC, &["example.com"], false),
        ("*.example.com", PUBLIC, &["badexample.com"], false),
        ("*.example.com", PUBLIC, &["example.com.evil.test"], false),
        ("*.example.com", PUBLIC, &[".example.com"], false),
        ("*.example.com", PUBLIC, &[], false),
        // Anything.
        ("*", PUBLIC, &[], true),
        ("*", PUBLIC, &["a.test"], true),
        ("*:443", PUBLIC, &[], true),
        ("*:80", PUBLIC, &[], false),
        ("*", "[2606:4700::1]:443", &[], true),
        ("listen:*", PUBLIC, &[], false),
        // Addresses.
        ("203.0.113.7", PUBLIC, &[], true),
        ("203.0.113.7", PUBLIC, &["a.test"], true),
        ("203.0.113.8", PUBLIC, &[], false),
        ("203.0.113.0/24", PUBLIC, &[], true),
        ("203.0.114.0/24", PUBLIC, &[], false),
        ("0.0.0.0/0", PUBLIC, &[], true),
        ("::/0", PUBLIC, &[], false),
        ("203.0.113.7", "[::ffff:203.0.113.7]:443", &[], true),
        ("::ffff:203.0.113.7", PUBLIC, &[], true),
        ("2001:db8::/32", "[2001:db8:1::1]:443", &[], true),
        ("2001:db8::/32", "[2001:db9::1]:443", &[], false),
        // Leave for what IPv6 carries is not leave for the IPv6 address.
        ("203.0.113.7", "[64:ff9b::203.0.113.7]:443", &[], false),
    ] {
        let policy = policy(&[&alloc::format!("allow {rule}")]);
        assert_eq!(
            connects(&policy, to, names),
            allowed,
            "{rule}: {to} {names:?}"
        );
    }
}

#[test]
fn names_cover_special_addresses_only_as_their_rule_says() {
    // address, by an exact name, by the names below one or any, by the range itself
    for (address, exact, many, range) in [
        ("203.0.113.7", true, true, "203.0.113.0/24"),
        ("127.0.0.1", true, false, "127.0.0.0/8"),
        ("10.1.2.3", true, false, "10.0.0.0/8"),
        ("192.168.0.1", true, false, "192.168.0.1"),
        ("::1", true, false, "::1"),
        ("fd00::1", true, false, "fc00::/7"),
        ("::ffff:127.0.0.1", true, false, "127.0.0.1"),
        ("64:ff9b::127.0.0.1", true, false, "64:ff9b::/96"),
        ("2002:a00:1::1", true, false, "2002::/16"),
        ("169.254.169.254", false, false, "169.254.169.254"),
        ("fd00:ec2::254", false, false, "fd00:ec2::254"),
        ("100.100.100.200", false, false, "100.64.0.0/10"),
        ("::ffff:169.254.169.254", false, false, "169.254.0.0/16"),
        ("64:ff9b::169.254.169.254", false, false, "64:ff9b::/96"),
        ("fe80::1", false, false, "fe80::/10"),
        ("0.0.0.0", false, false, "0.0.0.0/0"),
        ("::", false, false, "::/0"),
    ] {
        let to = match address.contains(':') {
            true => alloc::format!("[{address}]:80"),
            false => alloc::format!("{address}:80"),
        };
        let names = ["a.example.com"];
        for (rule, allowed) in [
            ("a.example.com", exact),
            ("*.example.com", many),
            ("*", many),
            (range, true),
        ] {
            let rule = alloc::format!("allow {rule}");
            let allows = connects(&policy(&[&rule]), &to, &names);
            assert_eq!(allows, allowed, "{rule}: {address}");
        }
        let range = match range.contains(':') {
            true => alloc::format!("allow [{range}]:80"),
            false => alloc::format!("allow {range}:80"),
        };
        let both = policy(&["allow *.example.com", &range]);
        assert!(connects(&both, &to, &names), "granted by itself: {address}");
        assert!(
            connects(&NetworkPolicy::new().allow_all(), &to, &[]),
            "all: {address}"
        );
    }
}

#[test]
fn the_first_rule_that_is_about_it_decides() {
    let names = &["a.example.com"][..];
    for (rules, to, names, allowed) in [
        (&[][..], PUBLIC, names, false),
        (&["deny *"], PUBLIC, names, false),
        (&["deny a.example.com", "allow *"], PUBLIC, names, false),
        (&["allow *", "deny a.example.com"], PUBLIC, names, true),
        (&["deny a.example.com:80", "allow *"], PUBLIC, names, true),
        (&["deny udp:*", "allow *"], PUBLIC, names, true),
        (
            &["deny 203.0.113.0/24", "allow a.example.com"],
            PUBLIC,
            names,
            false,
        ),
        (
            &["allow a.example.com", "deny 203.0.113.0/24"],
            PUBLIC,
            names,
            true,
        ),
        (
            &["deny *.example.com", "allow 203.0.113.7"],
            PUBLIC,
            names,
            false,
        ),
        (
            &["deny *.example.com", "allow 203.0.113.7"],
            PUBLIC,
            &[],
            true,
        ),
        // One of its names is denied.
        (
            &["deny b.test", "allow a.example.com"],
            PUBLIC,
            &["a.example.com", "b.test"],
            false,
        ),
        // Denied however it is written.
        (
            &["deny 10.0.0.0/8", "allow ::/0"],
            "[64:ff9b::a01:203]:80",
            &[],
            false,
        ),
        (
            &["deny 10.0.0.0/8", "allow ::/0"],
            "[2002:a01:203::1]:80",
            &[],
            false,
        ),
        (
            &["deny 10.0.0.0/8", "allow 0.0.0.0/0"],
            "[::ffff:10.1.2.3]:80",
            &[],
            false,
        ),
        (
            &["deny 10.0.0.0/8", "allow ::/0"],
            "[64:ff9b::b01:203]:80",
            &[],
            true,
        ),
    ] {
        assert_eq!(
            connects(&policy(rules), to, names),
            allowed,
            "{rules:?}: {to} {names:?}"
        );
    }
    let all = NetworkPolicy::new()
        .deny("a.example.com".parse().unwrap())
        .allow_all();
    assert!(connects(&all, "169.254.169.254:80", &[]));
    assert!(!connects(&all, PUBLIC, names));
}

#[test]
fn rules_to_listen_are_about_local_addresses() {
    for (rules, local, allowed) in [
        (&["allow *"][..], "127.0.0.1:80", false),
        (&["allow 0.0.0.0/0"], "127.0.0.1:80", false),
        (&["allow listen:*"], "127.0.0.1:80", true),
        (&["allow listen:*"], "0.0.0.0:80", true),
        (&["allow listen:*"], "[::]:80", true),
        (&["allow listen:*:8080"], "0.0.0.0:80", false),
        (&["allow listen:127.0.0.1:80"], "127.0.0.1:80", true),
        (&["allow listen:127.0.0.1:80"], "0.0.0.0:80", false),
        (&["allow listen:0.0.0.0:80"], "0.0.0.0:80", true),
        // All local addresses are those of the range, too.
        (
            &["deny listen:10.0.0.0/8", "allow listen:*"],
            "0.0.0.0:80",
            false,
        ),
        (
            &["deny listen:10.0.0.0/8", "allow listen:*"],
            "[::]:80",
            true,
        ),
        (
            &["deny listen:10.0.0.0/8", "allow listen:*"],
            "127.0.0.1:80",
            true,
        ),
        (
            &["deny 127.0.0.0/8", "allow listen:*"],
            "127.0.0.1:80",
            true,
        ),
    ] {
        let local: core::net::SocketAddr = local.parse().unwrap();
        let names = core::iter::empty();
        let judged = policy(rules).judge(Direction::Listen, local.ip(), local.port(), names);
        assert_eq!(judged.is_ok(), allowed, "{rules:?}: {local}");
    }
}

#[test]
fn a_name_is_looked_up_if_some_rule_could_use_it() {
    for (rules, name, allowed) in [
        (&[][..], "a.test", false),
        (&["allow a.test:80"], "a.test", true),
        (&["allow a.test:80"], "b.test", false),
        (&["allow udp:a.test"], "a.test", true),
        (&["allow listen:localhost"], "localhost", true),
        (&["allow listen:*"], "a.test", false),
        (&["allow *.test"], "a.test", true),
        (&["allow *.test"], "test", false),
        (&["allow *"], "a.test", true),
        (&["allow 0.0.0.0/0", "allow ::/0"], "a.test", false),
        (&["deny a.test", "allow *"], "a.test", false),
        (&["deny a.test", "allow *"], "b.test", true),
        (&["allow *", "deny a.test"], "a.test", true),
        (&["deny a.test:80", "allow *:443"], "a.test", true),
        (&["deny a.test:80", "allow *:80"], "a.test", false),
        (&["deny a.test:80-90", "allow *:90-91"], "a.test", true),
        (
            &["deny a.test:1-80", "deny *:81-65535", "allow *"],
            "a.test",
            false,
        ),
        (
            &["deny a.test:1-80", "deny *:82-65535", "allow *"],
            "a.test",
            true,
        ),
        (&["deny connect:a.test", "allow *"], "a.test", true),
        (
            &["deny connect:a.test", "deny udp:a.test", "allow *"],
            "a.test",
            false,
        ),
        (&["deny 0.0.0.0/0", "allow *"], "a.test", true),
    ] {
        let judged = policy(rules).judge_lookup(name);
        assert_eq!(judged.is_ok(), allowed, "{rules:?}: {name}");
    }
    assert!(
        NetworkPolicy::new()
            .allow_all()
            .judge_lookup("a.test")
            .is_ok()
    );
}

#[test]
fn a_request_is_judged_by_its_host_and_then_by_each_address() {
    let rules = policy(&[
        "deny 203.0.113.9",
        "allow *.example.com:443",
        "allow localhost",
        "allow 127.0.0.1:80",
        "allow [2001:db8::/32]:80",
        "allow udp:other.test",
    ]);
    // host, port, the addresses that may be used
    let addresses = ["203.0.113.7", "203.0.113.9", "127.0.0.1", "169.254.169.254"];
    for (host, port, allowed) in [
        ("api.example.com", 443, Some(&["203.0.113.7"][..])),
        ("API.Example.Com.", 443, Some(&["203.0.113.7"])),
        ("api.example.com", 80, None),
        ("example.com", 443, None),
        ("localhost", 80, Some(&["203.0.113.7", "127.0.0.1"])),
        ("localhost", 81, Some(&["203.0.113.7", "127.0.0.1"])),
        ("127.0.0.1", 80, Some(&["127.0.0.1"])),
        ("127.0.0.1", 81, None),
        ("[2001:db8::1]", 80, Some(&["127.0.0.1"])),
        ("2001:db8::1", 80, Some(&["127.0.0.1"])),
        ("[2001:db9::1]", 80, None),
        ("127.1", 80, None),
        ("0x7f000001", 80, None),
        ("%6cocalhost", 80, None),
        ("other.test", 80, None),
        ("", 80, None),
    ] {
        let grant = rules.request(host, port);
        let permitted = grant.as_ref().map(|grant| {
            let parsed = addresses.map(|address| address.parse::<IpAddr>().unwrap());
            let permitted = parsed.into_iter().filter(|address| grant.permits(*address));
            permitted
                .map(|address| address.to_string())
                .collect::<Vec<_>>()
        });
        match allowed {
            Some(allowed) => assert_eq!(permitted.unwrap(), allowed, "{host}:{port}"),
            None => assert_eq!(permitted, Err(&ErrorCode::AccessDenied), "{host}:{port}"),
        }
    }
}

#[test]
fn a_request_without_a_permitted_address_is_reported_once() {
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = told.clone();
    let policy = policy(&["allow *.test:80"]).report(move |refusal| {
        log.lock().push(refusal.to_string());
    });
    let grant = policy.request("a.test", 80).unwrap();
    let permitted = |addresses: &[&str]| {
        let addresses = addresses.iter().map(|address| address.parse().unwrap());
        let permitted = grant.permitted(addresses.collect())?;
        Ok(permitted
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>())
    };
    let mixed = permitted(&["10.0.0.1:80", "203.0.113.7:80", "[::1]:80"]);
    assert_eq!(mixed.unwrap(), ["203.0.113.7:80"]);
    assert_eq!(permitted(&[]), Ok(Vec::new()));
    assert!(told.lock().is_empty());
    let refused = permitted(&["10.0.0.1:80", "[::1]:80"]);
    assert_eq!(refused, Err(ErrorCode::AccessDenied));
    let expected = "request to a.test:80 (10.0.0.1) refused: the rule `*.test:80` does not cover \
                    this kind of address; a rule for the address would";
    assert_eq!(*told.lock(), [expected]);
    assert!(policy.request(&"a".repeat(60_000), 80).is_err());
    assert!(told.lock()[1].len() < 400, "what a guest chose has an end");
}
