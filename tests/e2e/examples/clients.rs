//! Clients without cookies, and clients that send their identity in several ways.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use super::{last, run};
use crate::harness::{Burdock, Page, ReceivedRequest, Reply, Request, Response, Site};
use crate::route_and_hash::bearer;

#[test]
fn a_server_id_in_a_header_is_followed_and_never_set() {
    let site = Site::new();
    let mut origins: Vec<_> = site.origins::<3>().into();
    let burdock = run(&site, "server-id-header.yaml");
    let named = |id: &str| burdock.ask(&Request::get("/").header("X-Server-ID", id));
    for _ in 0..2 {
        for (id, server) in [("server_123", "web-1"), ("server_124", "web-2"), ("server_125", "web-3")] {
            let response = named(id);
            assert_eq!((response.served_by(), response.header("x-server-id")), (server, None));
            assert_eq!(last(&origins, server).header("x-server-id"), Some(id));
        }
    }
    assert_eq!(named("server_999").status, 200);
    drop(origins.remove(0));
    let away: BTreeSet<_> = (0..4).map(|_| named("server_123").served_by().to_owned()).collect();
    assert!(away.len() == 1 && !away.contains("web-1"), "{away:?}");
    let _back = site.origin(1);
    burdock.wait_until_all_up();
    assert_eq!(named("server_123").served_by(), "web-1");
}

#[test]
fn a_client_session_in_a_header_sticks_to_one_server() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let burdock = run(&site, "server-id-header.yaml");
    let home =
        |n: usize| burdock.ask(&Request::get("/").header("X-Client-Session", &format!("abcdef{n}"))).served_by().to_owned();
    let homes: Vec<_> = (0..20).map(home).collect();
    assert_eq!((0..20).map(home).collect::<Vec<_>>(), homes);
    assert_eq!(homes.iter().collect::<BTreeSet<_>>().len(), 3, "{homes:?}");
    let both = Request::get("/").header("X-Client-Session", "abcdef0").header("X-Server-ID", "server_124");
    assert_eq!(burdock.ask(&both).served_by(), "web-2", "the server's id comes first");
}

/// An agent server that knows only the sessions that it began.
fn agent_server(name: &str) -> impl Fn(&ReceivedRequest) -> Reply + Send + Sync + use<> {
    let session = format!("session-of-{name}");
    move |request| match (request.header("mcp-session-id"), &*request.body) {
        (None, b"initialize") => Reply::with("Mcp-Session-Id", &session),
        (Some(known), _) if known == session => Page::new(200).body("result").into(),
        _ => Reply::status(400),
    }
}

#[test]
fn an_agent_keeps_its_server_and_starts_over_when_it_is_gone() {
    let site = Site::new();
    let mut origins: Vec<_> = site.origins::<3>().into();
    let burdock = run(&site, "mcp-agents.yaml");
    origins.iter().for_each(|origin| origin.respond_with(agent_server(&origin.name)));
    let post = |session: &str, body: &str| {
        let request = Request::new("POST", "/mcp").header("Origin", "https://inspector.example.com").body(body);
        burdock.ask(&if session.is_empty() { request } else { request.header("Mcp-Session-Id", session) })
    };
    let begun = post("", "initialize");
    let session = begun.header("mcp-session-id").unwrap();
    assert!(session.len() > 76 && session.ends_with(&format!("~session-of-{}", begun.served_by())), "{session}");
    assert_eq!(begun.header("access-control-expose-headers").map(str::to_ascii_lowercase), Some("mcp-session-id".into()));
    for _ in 0..5 {
        let called = post(session, "tools/call");
        assert_eq!((called.status, called.served_by(), called.text()), (200, begun.served_by(), "result".into()));
    }
    origins.retain(|origin| origin.name != begun.served_by());
    let gone = post(session, "tools/call");
    assert_eq!((gone.status, gone.header("x-served-by")), (404, None));
    let restarted = post("", "initialize");
    assert_eq!(post(restarted.header("mcp-session-id").unwrap(), "tools/call").status, 200);
}

/// An application that keeps its users in memory and reads their session id from the cookie or the header.
fn shop(name: &str) -> impl Fn(&ReceivedRequest) -> Reply + Send + Sync + use<> {
    let users: Mutex<HashMap<String, String>> = Mutex::default();
    let prefix = format!("of-{name}-");
    move |request| {
        let mut users = users.lock().unwrap();
        if request.path() == "/login" {
            let session = format!("{prefix}{}", users.len());
            users.insert(session.clone(), String::from_utf8_lossy(&request.body).into_owned());
            let page = Page::new(200);
            return match request.header("x-app") {
                Some(_) => page.header("X-Session-Id", &session).into(),
                None => page.header("Set-Cookie", &format!("JSESSIONID={session}; Path=/; HttpOnly")).into(),
            };
        }
        let cookie = request.header("cookie").and_then(|cookies| cookies.strip_prefix("JSESSIONID="));
        let user = cookie.or_else(|| request.header("x-session-id")).and_then(|session| users.get(session));
        user.map_or_else(|| Page::new(401), |user| Page::new(200).body(user.clone())).into()
    }
}

#[derive(Clone, Copy)]
enum From {
    Browser,
    Mobile,
}

/// Logs in and returns the next request to send, with the response to the login.
fn login(burdock: &Burdock, user: &str, from: From) -> (Request, Response) {
    let request = Request::new("POST", "/login").body(user);
    let response = burdock.ask(&match from {
        From::Browser => request,
        From::Mobile => request.header("X-App", "1"),
    });
    let next = match response.cookie("JSESSIONID") {
        Some((name, value)) => Request::get("/").header("Cookie", &format!("{name}={value}")),
        None => Request::get("/").header("X-Session-Id", response.header("x-session-id").expect("a session")),
    };
    (next, response)
}

#[test]
fn web_and_mobile_clients_stay_where_they_logged_in() {
    for file in ["web-and-mobile.yaml", "learned-web-and-mobile.yaml"] {
        clients_stay_where_they_have_logged_in(file);
    }
}

fn clients_stay_where_they_have_logged_in(file: &str) {
    let site = Site::new();
    let mut origins: Vec<_> = site.origins::<3>().into();
    let burdock = run(&site, file);
    origins.iter().for_each(|origin| origin.respond_with(shop(&origin.name)));
    let logins: Vec<_> = (0..8)
        .map(|n| {
            let user = format!("user-{n}");
            let (next, response) = login(&burdock, &user, if n % 2 == 0 { From::Mobile } else { From::Browser });
            (user, next, response.served_by().to_owned())
        })
        .collect();
    for _ in 0..3 {
        for (user, next, home) in &logins {
            let page = burdock.ask(next);
            assert_eq!((page.served_by(), page.text()), (&**home, user.clone()));
        }
    }
    assert_eq!(logins.iter().map(|(_, _, home)| home).collect::<BTreeSet<_>>().len(), 3);
    drop(origins.remove(0));
    for (user, next, home) in &logins {
        let page = burdock.ask(next);
        assert_eq!(page.status, if home == "web-1" { 401 } else { 200 }, "{user}");
    }
    let (again, _) = login(&burdock, "ann", From::Mobile);
    assert_eq!(burdock.ask(&again).text(), "ann");
}

#[test]
fn a_users_browser_and_phone_share_a_learned_session() {
    let site = Site::new();
    let origins = site.origins::<3>();
    let burdock = run(&site, "learned-web-and-mobile.yaml");
    origins.iter().for_each(|origin| origin.respond_with(shop(&origin.name)));
    for n in 0..6 {
        let user = format!("user-{n}");
        let (_, begun) = login(&burdock, &user, if n % 2 == 0 { From::Mobile } else { From::Browser });
        let id = match begun.cookie("JSESSIONID") {
            Some((_, id)) => id,
            None => begun.header("x-session-id").unwrap(),
        };
        for request in [
            Request::get("/").header("Cookie", &format!("JSESSIONID={id}")),
            Request::get("/").header("X-Session-Id", id),
            Request::get(&format!("/;jsessionid={id}?x=1")).header("X-Session-Id", id),
            Request::get(&format!("/?sid={id}")).header("X-Session-Id", id),
        ] {
            let page = burdock.ask(&request);
            assert_eq!((page.served_by(), page.text()), (begun.served_by(), user.clone()), "{request:?}");
        }
        for unread in [Request::get(&format!("/;jsessionid={id}")), Request::get(&format!("/?sid={id}"))] {
            assert_eq!(burdock.ask(&unread).served_by(), begun.served_by());
        }
    }
}

/// All the ways in which a client can send this session id.
fn ways(id: &str) -> [Request; 5] {
    [
        Request::get("/").header("Cookie", &format!("theme=dark; JSESSIONID={id}")),
        Request::get("/").header("X-Session-Id", id),
        Request::get(&format!("/?sid={id}")),
        Request::get(&format!("/cart;jsessionid={id}")),
        Request::get("/").header("Authorization", &bearer("sid", id)),
    ]
}

#[test]
fn one_identity_has_one_server_however_it_is_sent() {
    let site = Site::new();
    let mut origins: Vec<_> = site.origins::<3>().into();
    let burdock = run(&site, "one-identity.yaml");
    let homes = || -> Vec<String> {
        let home = |n| {
            let served: BTreeSet<_> =
                ways(&format!("5e55-{n}")).iter().map(|request| burdock.ask(request).served_by().to_owned()).collect();
            assert_eq!(served.len(), 1, "{served:?}");
            served.into_iter().next().unwrap()
        };
        (0..12).map(home).collect()
    };
    let before = homes();
    assert_eq!(before.iter().collect::<BTreeSet<_>>().len(), 3);
    drop(origins.remove(0));
    assert!(before.iter().zip(homes()).all(|(before, now)| before == "web-1" || *before == now));
    let _back = site.origin(1);
    burdock.wait_until_all_up();
    assert_eq!(homes(), before);
}

#[test]
fn an_anonymous_visitors_cookie_follows_a_later_identity() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let burdock = run(&site, "one-identity.yaml");
    let mut client = burdock.client();
    let first = client.get("/");
    assert_eq!(first.set_cookies().len(), 1);
    (0..3).for_each(|_| assert_eq!(client.get("/").served_by(), first.served_by()));
    for n in 0..6 {
        let named = client.ask(Request::get(&format!("/?sid=5e55-{n}")));
        let after = client.get("/");
        assert_eq!((after.served_by(), after.set_cookies().len()), (named.served_by(), 0));
    }
}
