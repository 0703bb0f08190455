//! Runtime overrides on top of the configuration, and what a new configuration would do to sessions.

use burdock::balancer::diff;
use burdock::balancer::overrides::{MaxConns, Overrides, Patch, Presence, ServerOverride, ServerPatch, StateOverride};
use burdock::balancer::spec::Plan;
use burdock::config::Config;
use burdock::ids::{ServerId, UpstreamName};
use burdock::upstream::spec::{Admin, Then, Weight};

use crate::language::{lb, plan};

const TWO: &str = "[{id: a, address: 127.0.0.1:3001, weight: 2}, {id: b, address: 127.0.0.1:3002}]";

fn two(servers: &str) -> Plan {
    let mut plan = plan("cookie", "{}");
    let text = format!("listeners: [\"127.0.0.1:80\"]\nupstreams: {{shop: {{servers: {servers}, sticky: cookie}}}}");
    plan.upstreams = Config::parse("test", &text).unwrap().plan.upstreams;
    plan
}

fn shop() -> UpstreamName {
    UpstreamName::parse("shop").unwrap()
}

fn id(text: &str) -> ServerId {
    ServerId::parse(text).unwrap()
}

fn servers(plan: &Plan) -> Vec<(String, Admin, u32)> {
    let shown = |server: &std::sync::Arc<burdock::upstream::spec::ServerSpec>| {
        (server.id.as_str().to_owned(), server.admin, server.weight.get())
    };
    plan.upstreams[0].upstream.servers.iter().map(shown).collect()
}

fn one_override(server: &str, change: &str) -> Overrides {
    let mut changes = Overrides::default();
    changes.set(&shop(), &id(server), serde_json::from_str(change).unwrap());
    changes
}

#[test]
fn an_override_replaces_only_the_field_it_names() {
    let mut plan = two(TWO);
    one_override("a", r#"{"state": "maint"}"#).apply(&mut plan);
    assert_eq!(servers(&plan), [("a".to_owned(), Admin::Maint, 2), ("b".to_owned(), Admin::Ready, 1)]);
}

#[test]
fn an_added_server_stays_until_the_configuration_defines_it() {
    let added = one_override("c", r#"{"presence": {"added": {"address": "127.0.0.1:3003"}}, "weight": 5}"#);
    let mut plan = two(TWO);
    added.apply(&mut plan);
    assert_eq!(servers(&plan)[2], ("c".to_owned(), Admin::Ready, 5));
    let mut plan = two("[{id: c, address: 127.0.0.1:4000}]");
    added.apply(&mut plan);
    assert_eq!(servers(&plan).len(), 1);
    assert_eq!(plan.upstreams[0].upstream.servers[0].address.to_string(), "127.0.0.1:4000");
}

#[test]
fn a_removed_server_leaves_the_plan() {
    let mut plan = two(TWO);
    one_override("a", r#"{"presence": "removed"}"#).apply(&mut plan);
    assert_eq!(servers(&plan), [("b".to_owned(), Admin::Ready, 1)]);
}

#[test]
fn an_override_of_an_unconfigured_server_has_no_effect() {
    let mut plan = two(TWO);
    let before = plan.clone();
    one_override("x", r#"{"weight": 7}"#).apply(&mut plan);
    assert_eq!(plan, before);
}

#[test]
fn resetting_the_last_field_drops_the_override() {
    let mut changes = one_override("a", r#"{"weight": 7}"#);
    let patch = ServerPatch { weight: Patch::Reset, ..ServerPatch::default() };
    let change = changes.of(&shop(), &id("a")).unwrap().clone().patched(patch);
    changes.set(&shop(), &id("a"), change);
    assert!(changes.is_empty());
}

#[test]
fn a_patch_keeps_the_fields_it_does_not_name() {
    let drain = ServerPatch {
        state: Patch::Set(StateOverride::Drain { until: None, then: Then::AsConfigured }),
        ..ServerPatch::default()
    };
    let limit = ServerPatch { max_conns: Patch::Set(MaxConns::Unlimited), ..ServerPatch::default() };
    let change = ServerOverride::default().patched(drain).patched(limit);
    assert_eq!(change.state, Some(StateOverride::Drain { until: None, then: Then::AsConfigured }));
    assert_eq!((change.presence, change.weight), (Presence::Configured, None::<Weight>));
}

fn diff_lines(before: &Plan, after: &Plan) -> Vec<String> {
    let lb = lb(["a", "b"]);
    for _ in 0..3 {
        lb.client().visits(1);
    }
    lb.with_balancer(|balancer, now| diff::between(before, after, balancer, now)).iter().map(ToString::to_string).collect()
}

#[test]
fn equal_plans_have_no_differences() {
    assert_eq!(diff_lines(&two(TWO), &two(TWO)), Vec::<String>::new());
}

#[test]
fn a_diff_lists_removed_changed_and_added_servers() {
    let after = two("[{id: a, address: 127.0.0.1:3009, weight: 3, state: drain}, {id: c, address: 127.0.0.1:3003}]");
    assert_eq!(
        diff_lines(&two(TWO), &after),
        [
            "server shop/b removed, but stays until its sessions have ended",
            "server shop/a changed: state (ready → drain), weight (2 → 3), address (127.0.0.1:3001 → 127.0.0.1:3009)",
            "server shop/c added",
        ]
    );
}

#[test]
fn a_diff_names_the_fields_of_sticky_entries_that_changed() {
    let plan = |sticky: &str| {
        let text =
            format!("listeners: ['127.0.0.1:1']\nupstreams: {{shop: {{servers: ['127.0.0.1:3001'], sticky: {sticky}}}}}");
        Config::parse("test", &text).expect("a valid configuration").plan
    };
    let before = plan("[{cookie: {idle_timeout: 30m}}, {hash: {key: client_ip}}]");
    let fields = |sticky: &str| diff_lines(&before, &plan(sticky));
    assert_eq!(
        fields("[{cookie: {idle_timeout: 20m, same_site: lax, strict: true}}, {hash: {key: client_ip}}]"),
        ["upstream shop changed: sticky[0].cookie.same_site, sticky[0].cookie.idle_timeout, sticky[0].cookie.strict"]
    );
    assert_eq!(
        fields("[{header: {name: X-Session}}]"),
        ["upstream shop changed: sticky[0] (cookie BURDOCK_shop → header x-session), sticky[1] (hash → none)"]
    );
}

#[test]
fn a_diff_shows_a_drain_deadline_as_a_date() {
    let (before, mut after) = (two(TWO), two(TWO));
    one_override("a", r#"{"state": {"drain": {"until": 1800000000}}}"#).apply(&mut after);
    assert_eq!(diff_lines(&before, &after), ["server shop/a changed: state (ready → drain until 2027-01-15T08:00:00Z)"]);
}

#[test]
fn a_diff_counts_the_sessions_that_a_change_moves() {
    let idle = |plan: &mut Plan| plan.upstreams[0].upstream.removal = burdock::upstream::spec::Removal::Forget;
    let (mut before, mut after) = (two(TWO), two("[{id: a, address: 127.0.0.1:3001, weight: 2, state: maint}]"));
    idle(&mut before);
    idle(&mut after);
    let lb = lb(["a", "b"]).cookie(|cookie| cookie.lifetime.idle = Some(600));
    for _ in 0..3 {
        lb.client().visits(1);
    }
    let differences = lb.with_balancer(|balancer, now| diff::between(&before, &after, balancer, now));
    let lines: Vec<String> = differences.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "server shop/b removed; sessions by token that move: about 1",
            "server shop/a changed: state (ready → maint); sessions by token that move: about 2",
        ]
    );
}
