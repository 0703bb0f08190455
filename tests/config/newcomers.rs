//! What Burdock says to newcomers: 63 mistakes of people who know another proxy, guess, or slip. Each answer is a snapshot, and
//! says what to write.

use std::fmt::Write;

use burdock::config::Config;
use insta::assert_snapshot;

const CASES: &str = include_str!("newcomers.txt");

/// Cases without a good answer from the text alone: key files are read by the program.
const UNANSWERED: [&str; 1] = ["keys_that_do_not_exist"];

struct Case {
    name: &'static str,
    text: String,
    /// Parts of the answer.
    mends: Vec<String>,
}

fn cases() -> Vec<Case> {
    CASES.split("\n### ").skip(1).map(case).collect()
}

fn case(section: &'static str) -> Case {
    let (name, rest) = section.split_once('\n').unwrap();
    let mend = |line: &str| line.strip_prefix("=> ").map(|mend| mend.replace("\\n", "\n"));
    let mends = rest.lines().filter_map(mend).collect();
    let text = rest.lines().filter(|line| mend(line).is_none()).collect::<Vec<_>>().join("\n");
    Case { name, text, mends }
}

/// What `burdock check` prints, or `valid` and the warnings.
fn answer(text: &str) -> String {
    match Config::parse("burdock.yaml", text) {
        Err(errors) => errors.to_string(),
        Ok(config) => config.warnings.iter().fold("valid".to_owned(), |mut answer, warning| {
            write!(answer, "\n{warning}").unwrap();
            answer
        }),
    }
}

fn check(name: &str) {
    let case = cases().into_iter().find(|case| case.name == name).unwrap();
    assert_snapshot!(name, answer(&case.text), &case.text);
}

#[test]
fn all_but_one_of_the_63_mistakes_are_answered_with_their_mend() {
    let cases = cases();
    assert_eq!(cases.iter().map(|case| case.name).collect::<Vec<_>>(), NAMES);
    let mut unanswered = Vec::new();
    let mut wrong = String::new();
    for case in &cases {
        let answer = answer(&case.text);
        let missing: Vec<_> = case.mends.iter().filter(|mend| !answer.contains(*mend)).collect();
        if case.mends.is_empty() {
            unanswered.push(case.name);
        } else if !missing.is_empty() {
            writeln!(wrong, "{}: {missing:?} not in\n{answer}\n", case.name).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    unanswered.sort_unstable();
    assert_eq!(unanswered, UNANSWERED);
    assert_eq!(cases.len() - unanswered.len(), 62);
}

macro_rules! newcomers {
    ($($name:ident)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        $(#[test]
        fn $name() {
            check(stringify!($name));
        })*
    };
}

newcomers! {
    a_port_alone_as_listener
    a_star_as_listener
    a_name_as_listener
    listen_for_listeners
    servers_without_a_port
    urls_as_servers
    a_tab
    upstreams_as_a_list
    durations_without_a_unit
    variables
    tls_at_a_listener
    words_for_cookie_attributes
    camel_case
    no_routes
    path_in_match
    a_regex_as_path
    sticky_true
    ip_hash
    a_server_twice
    large_and_fractional_weights
    a_wrong_indent
    a_path_as_health_check
    a_path_beside_http
    a_key_in_the_file
    keys_that_do_not_exist
    json
    an_empty_file
    nginx_syntax
    nginx_variables_in_learn
    two_mistakes_in_mode_rewrite
    max_life_of_a_plain_token
    merge_keys
    include
    the_admin_address_as_listener
    a_listener_as_server
    a_servers_cookie
    an_entry_after_a_hash
    yes_for_true
    ipv6_without_quotes
    a_url_as_host
    strip_prefix
    any_trusted_proxy
    server_options_of_haproxy_and_nginx
    a_name_for_the_id
    host_port_and_url
    servers_as_a_map
    sticky_as_a_map
    a_field_of_a_cookie_beside_it
    a_cookie_beside_sticky
    jsessionid_as_method
    sections_of_other_proxies
    host_and_path_at_a_route
    values_in_place_of_maps
    one_failover_action
    a_space_in_a_name
    learn_without_create
    sources_of_requests_and_responses
    a_route_in_a_cookie
    a_unit_in_a_capacity
    a_match_twice
    no_route_to_an_upstream
    no_servers
    secure_true_and_a_quoted_weight
}
