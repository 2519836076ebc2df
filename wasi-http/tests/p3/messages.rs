//! Fields, options, and the heads of messages.

use crate::support::*;
use types::{
    HeaderError, HostFields, HostRequest, HostRequestOptions, HostRequestWithStore, HostResponse,
    HostResponseWithStore, Method, RequestOptionsError, Scheme,
};
use wasi_http::p3::bindings::wasi::http::types;
use wasi_http::p3::{WasiHttp, WasiHttpView, add_to_linker};
use wasi_http::{FIELD_OVERHEAD, GuestRequestOptions, RequestOptions, WasiHttpCtx, memory};
use wasmtime::component::Linker;

#[test]
fn all_interfaces_are_linked_under_each_name_and_once() {
    let mut linker = Linker::<State>::new(&engine());
    add_to_linker(&mut linker).unwrap();
    assert!(add_to_linker(&mut linker).is_err());
    for interface in ["types", "client", "handler"] {
        for version in wasi_types::WASI_0_3 {
            let name = format!("wasi:http/{interface}@{version}");
            linker.allow_shadowing(false);
            let mut instance = linker.instance(&name).unwrap();
            let known = match interface {
                "types" => "[constructor]fields",
                "client" => "send",
                _ => "handle",
            };
            let again = instance.func_wrap(known, |_, (): ()| Ok(()));
            assert!(again.is_err(), "{name} {known}");
        }
    }
}

#[test]
fn fields_have_codes_of_their_own_for_size_and_are_taken() {
    let ctx = WasiHttpCtx::new().fields_limit(2 * (FIELD_OVERHEAD + 2));
    let mut store = store(ctx);
    let http = &mut store.data_mut().http();
    let fields = HostFields::new(http).unwrap();
    let append = |http: &mut _, name: &str, value: &str| {
        HostFields::append(http, borrow(&fields), name.into(), value.into()).unwrap()
    };
    append(http, "a", "1").unwrap();
    append(http, "A", "2").unwrap();
    let refused = append(http, "a", "3");
    assert!(matches!(refused, Err(HeaderError::SizeExceeded)));
    let refused = append(http, "host", "a");
    assert!(matches!(refused, Err(HeaderError::Forbidden)));
    let refused = append(http, "b b", "a");
    assert!(matches!(refused, Err(HeaderError::InvalidSyntax)));
    let many = vec![("a".into(), vec![]); 3];
    let refused = HostFields::from_list(http, many).unwrap();
    assert!(matches!(refused, Err(HeaderError::SizeExceeded)));
    let taken = HostFields::get_and_delete(http, borrow(&fields), "a".into()).unwrap();
    assert_eq!(taken.unwrap(), [b"1", b"2"]);
    assert!(!HostFields::has(http, borrow(&fields), "a".into()).unwrap());
    let refused = HostFields::get_and_delete(http, borrow(&fields), "".into()).unwrap();
    assert!(matches!(refused, Err(HeaderError::InvalidSyntax)));
}

#[test]
fn a_request_keeps_what_a_guest_sets_and_refuses_what_no_request_has() {
    let mut store = store(WasiHttpCtx::new());
    let headers = fields(&mut store, &[("a", "1")]);
    let none = ready(&mut store, Ok(None));
    let (request, _) = <WasiHttp as HostRequestWithStore<State>>::new(
        access(&mut store),
        headers,
        None,
        none,
        None,
    )
    .unwrap();
    let http = &mut store.data_mut().http();
    let this = || borrow(&request);
    assert!(matches!(http.get_method(this()).unwrap(), Method::Get));
    assert_eq!(http.get_path_with_query(this()).unwrap(), None);
    assert!(http.get_scheme(this()).unwrap().is_none());
    assert_eq!(http.get_authority(this()).unwrap(), None);
    assert!(http.get_options(this()).unwrap().is_none());

    for (path, valid) in [
        ("/", true),
        ("/a/../../bar", true),
        ("a/b/c", true),
        ("../..", true),
        ("?foo", true),
        ("/é", true),
        ("/a b", false),
        ("/\r\n", false),
        ("/\0", false),
    ] {
        let set = http.set_path_with_query(this(), Some(path.into())).unwrap();
        assert_eq!(set.is_ok(), valid, "{path:?}");
        let kept = http.get_path_with_query(this()).unwrap();
        assert_eq!(kept.as_deref() == Some(path), valid, "{path:?}");
    }
    let set = http.set_path_with_query(this(), Some("".into())).unwrap();
    assert_eq!(set, Ok(()));
    let path = http.get_path_with_query(this()).unwrap();
    assert_eq!(path.as_deref(), Some("/"));

    for (authority, valid) in [
        ("example.com:80", true),
        ("user:pass%20@localhost:80", true),
        ("[2001:db8::1]", true),
        ("::", false),
        (":@", false),
        ("@@", false),
        ("@:", false),
        (" ", false),
        ("", false),
        ("#", false),
        ("localhost:what", false),
    ] {
        let set = http.set_authority(this(), Some(authority.into())).unwrap();
        assert_eq!(set.is_ok(), valid, "{authority:?}");
    }

    for name in ["GET", "PATCH", "PURGE"] {
        let set = http.set_method(this(), Method::Other(name.into())).unwrap();
        assert_eq!(set, Ok(()));
    }
    assert!(matches!(http.get_method(this()).unwrap(), Method::Other(name) if name == "PURGE"));
    let set = http
        .set_method(this(), Method::Other("A B".into()))
        .unwrap();
    assert_eq!(set, Err(()));
    let other = Some(Scheme::Other("HTTPS".into()));
    assert_eq!(http.set_scheme(this(), other).unwrap(), Ok(()));
    let scheme = http.get_scheme(this()).unwrap();
    assert!(matches!(scheme, Some(Scheme::Https)));

    let headers = HostRequest::get_headers(http, this()).unwrap();
    let refused = http.delete(borrow(&headers), "a".into()).unwrap();
    assert!(matches!(refused, Err(HeaderError::Immutable)));
}

#[test]
fn a_response_has_a_status_of_100_to_599() {
    let mut store = store(WasiHttpCtx::new());
    let none = ready(&mut store, Ok(None));
    let (response, _) = new_response(&mut store, &[], None, none);
    let http = &mut store.data_mut().http();
    let this = || borrow(&response);
    assert_eq!(http.get_status_code(this()).unwrap(), 200);
    for (status, valid) in [
        (100, true),
        (101, true),
        (404, true),
        (599, true),
        (0, false),
        (99, false),
        (600, false),
        (1000, false),
        (u16::MAX, false),
    ] {
        let set = http.set_status_code(this(), status).unwrap();
        assert_eq!(set.is_ok(), valid, "{status}");
        let kept = http.get_status_code(this()).unwrap() == status;
        assert_eq!(kept, valid, "{status}");
    }
}

#[test]
fn options_of_a_request_are_kept_and_immutable() {
    let mut store = store(WasiHttpCtx::new());
    let http = &mut store.data_mut().http();
    let options = HostRequestOptions::new(http).unwrap();
    let this = || borrow(&options);
    assert_eq!(http.get_connect_timeout(this()).unwrap(), None);
    assert!(http.set_connect_timeout(this(), Some(1)).unwrap().is_ok());
    assert!(
        http.set_first_byte_timeout(this(), Some(2))
            .unwrap()
            .is_ok()
    );
    assert!(
        http.set_between_bytes_timeout(this(), Some(3))
            .unwrap()
            .is_ok()
    );

    let headers = fields(&mut store, &[]);
    let none = ready(&mut store, Ok(None));
    let (request, _) = <WasiHttp as HostRequestWithStore<State>>::new(
        access(&mut store),
        headers,
        None,
        none,
        Some(options),
    )
    .unwrap();
    let http = &mut store.data_mut().http();
    let options = http.get_options(borrow(&request)).unwrap().unwrap();
    let this = || borrow(&options);
    assert_eq!(http.get_connect_timeout(this()).unwrap(), Some(1));
    assert_eq!(http.get_first_byte_timeout(this()).unwrap(), Some(2));
    assert_eq!(http.get_between_bytes_timeout(this()).unwrap(), Some(3));
    for refused in [
        http.set_connect_timeout(this(), None),
        http.set_first_byte_timeout(this(), None),
        http.set_between_bytes_timeout(this(), None),
    ] {
        let refused = refused.unwrap();
        assert!(matches!(refused, Err(RequestOptionsError::Immutable)));
    }
    let copy = HostRequestOptions::clone(http, this()).unwrap();
    let set = http.set_connect_timeout(borrow(&copy), None).unwrap();
    assert!(set.is_ok());
    assert_eq!(http.get_connect_timeout(this()).unwrap(), Some(1));
}

#[test]
fn a_clone_of_options_can_be_changed() {
    let options = RequestOptions {
        connect_timeout: Some(7),
        ..RequestOptions::default()
    };
    let mut fixed = GuestRequestOptions::immutable(options);
    assert!(fixed.options_mut().is_none());
    let mut copy = fixed.to_mutable();
    copy.options_mut().unwrap().connect_timeout = None;
    assert_eq!(fixed.options(), options);
    assert_eq!(copy.options().connect_timeout, None);
}

#[test]
fn an_incoming_request_is_without_the_hosts_fields() {
    let mut store = store(WasiHttpCtx::new());
    let mut request = incoming(Box::new(memory::Empty));
    for name in ["host", "connection", "a"] {
        request.headers.append(name, "b").unwrap();
    }
    let request = wasi_http::p3::new_request(&mut store, request).unwrap();
    let http = &mut store.data_mut().http();
    assert!(http.get_scheme(borrow(&request)).unwrap().is_some());
    assert!(http.get_authority(borrow(&request)).unwrap().is_some());
    let headers = HostRequest::get_headers(http, borrow(&request)).unwrap();
    let all = http.copy_all(headers).unwrap();
    assert_eq!(all, [("a".into(), b"b".to_vec())]);
    HostRequestWithStore::drop(access(&mut store), request).unwrap();
}

#[test]
fn a_message_that_is_dropped_frees_its_streams_and_its_body() {
    let mut store = store(WasiHttpCtx::new());
    let (peer, body) = parts();
    let request = wasi_http::p3::new_request(&mut store, incoming(body)).unwrap();
    assert!(peer.is_held());
    HostRequestWithStore::drop(access(&mut store), request).unwrap();
    assert!(!peer.is_held());

    let (writer, stream) = Writer::new(&mut store);
    let none = ready(&mut store, Ok(None));
    let (response, _) = new_response(&mut store, &[], Some(stream), none);
    run(&mut store);
    assert!(!writer.gone());
    HostResponseWithStore::drop(access(&mut store), response).unwrap();
    run(&mut store);
    assert!(writer.gone());
}
