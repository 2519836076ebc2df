//! Services by the library alone.

use crate::support::server::guest;
use agave_host::Host;

#[test]
fn what_a_component_is_is_seen_from_it() {
    let host = Host::builder().pool(false).build().unwrap();
    for (name, command, service) in [
        ("interfaces_p3", true, false),
        ("testbed_p3", false, true),
        ("hello_p3", false, true),
        ("composed_p3", false, true),
        ("ai_agent_sockets_p3", false, true),
    ] {
        let program = host.load(&std::fs::read(guest(name)).unwrap()).unwrap();
        assert_eq!(program.is_command(), command, "{name}");
        assert_eq!(program.is_proxy(), service, "{name}");
    }
}
