//! Keys and figures in, frames out.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::draw::draw;
use super::figures::{Figures, Snapshot};
use super::screen::{Change, Effect, Mode, Screen};
use crate::api::process::{Readiness, Version};
use crate::api::server::{
    AnswerInfo, FailureInfo, ServerHealth, ServerInfo, ServerState, SessionCount, Source, WantedState,
};
use crate::api::upstream::{UpstreamInfo, UpstreamList};
use crate::cli::ctl::metrics::Counters;
use crate::cli::ctl::server_arg::ServerArg;

const NO_SESSIONS: SessionCount = SessionCount { learned: None, by_token: Some(0) };

fn server(id: &str, state: ServerState, health: ServerHealth, in_flight: u32) -> ServerInfo {
    let failed = FailureInfo { reason: "connect".to_owned(), ago: 70, at: 0 };
    ServerInfo {
        upstream: "shop".to_owned(),
        id: id.to_owned(),
        address: format!("10.0.0.1:80{id}"),
        state,
        deadline: None,
        health,
        last_failure: (health == ServerHealth::Down).then_some(failed),
        answers: AnswerInfo::default(),
        weight: 1,
        max_conns: None,
        backup: false,
        in_flight,
        waiting: 0,
        sessions: SessionCount { by_token: Some(u64::from(in_flight) * 10), ..NO_SESSIONS },
        source: Source::File,
    }
}

fn snapshot(at: u64, servers: Vec<ServerInfo>, metrics: &str) -> Snapshot {
    let version =
        Version { version: "1.2.3".to_owned(), pid: 7, uptime: 3_700, readiness: Readiness::Ready, connections: 12 };
    let info = |name: &str| UpstreamInfo {
        name: name.to_owned(),
        balance: "round_robin".to_owned(),
        sticky: Vec::new(),
        servers: servers.len(),
        taking_new: 2,
        in_flight: 8,
        sessions: NO_SESSIONS,
    };
    Snapshot {
        at: Duration::from_secs(at),
        version,
        upstreams: UpstreamList { upstreams: ["shop", "chat", "mail", "news"].map(info).to_vec() },
        servers,
        counters: Counters::parse(metrics),
    }
}

/// Four servers in four states.
fn four() -> Figures {
    let servers = || {
        vec![
            server("1", ServerState::Ready, ServerHealth::Up, 2),
            server("2", ServerState::Ready, ServerHealth::Down, 0),
            server("3", ServerState::Drain, ServerHealth::Up, 5),
            server("4", ServerState::Maint, ServerHealth::Unchecked, 1),
        ]
    };
    let metrics = |requests: u32, failures: u32| {
        format!(
            "burdock_requests_total 0\nburdock_decisions_total{{upstream=\"shop\",reason=\"hit\"}} {requests}
burdock_server_requests_total{{upstream=\"shop\",server=\"3\"}} {requests}
burdock_server_failures_total{{upstream=\"shop\",server=\"2\"}} {failures}\n"
        )
    };
    Figures::between(&snapshot(10, servers(), &metrics(0, 0)), &snapshot(12, servers(), &metrics(50, 4)))
}

fn many(count: usize) -> Figures {
    let servers: Vec<_> =
        (0..count).map(|n| server(&format!("web-{n:03}"), ServerState::Ready, ServerHealth::Up, n as u32)).collect();
    Figures::between(&snapshot(0, Vec::new(), ""), &snapshot(1, servers, ""))
}

fn drawn(screen: &mut Screen, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, screen)).unwrap();
    terminal
}

/// The frame as text, without spaces at the ends of lines.
fn frame(screen: &mut Screen) -> String {
    let terminal = drawn(screen, 100, 14);
    let lines = terminal.backend().buffer().content.chunks(100).map(|cells| {
        let line: String = cells.iter().map(ratatui::buffer::Cell::symbol).collect();
        format!("{}\n", line.trim_end())
    });
    lines.collect()
}

/// The names of the servers that are shown, in order.
fn shown(screen: &mut Screen) -> Vec<String> {
    let frame = frame(screen);
    let names = frame.lines().filter_map(|line| line.split_whitespace().next()).filter(|word| word.starts_with("shop/"));
    names.map(str::to_owned).collect()
}

fn press(screen: &mut Screen, keys: &[KeyCode]) -> Effect {
    keys.iter().fold(Effect::None, |_, key| screen.key(KeyEvent::new(*key, KeyModifiers::NONE)))
}

fn type_text(screen: &mut Screen, text: &str) -> Effect {
    press(screen, &text.chars().map(KeyCode::Char).collect::<Vec<_>>())
}

#[test]
fn the_screen_shows_the_process_upstreams_servers_and_the_selected_one() {
    let mut screen = Screen::new(four());
    press(&mut screen, &[KeyCode::Down]);
    insta::assert_snapshot!(frame(&mut screen), @"
    burdock 1.2.3, up for 1h 1m, ready, 12 client connections, 0.0 requests/s
    UPSTREAM  REQ/S  IN FLIGHT  SESSIONS  TAKING NEW  REASONS PER SECOND
    shop       25.0          8        ~0  2 of 4      hit 25.0
    chat        0.0          8        ~0  2 of 4
    and 2 more

    SERVER▲  STATE  HEALTH     WEIGHT  REQ/S  FAIL/S  IN FLIGHT  MAX  SESSIONS
    shop/1   ready  up              1    0.0     0.0          2    -       ~20
    shop/2   ready  down            1    0.0     2.0          0    -        ~0
    shop/3   drain  up              1   25.0     0.0          5    -       ~50
    shop/4   maint  unchecked       1    0.0     0.0          1    -       ~10

    2 of 4: shop/2 at 10.0.0.1:802, waiting 0, last failure connect, 1m 10s ago
    q quit  ↑↓ select  ←→ sort  i invert  / filter  d drain  r ready  m maint
    ");
}

#[test]
fn states_have_colors() {
    let mut screen = Screen::new(four());
    let terminal = drawn(&mut screen, 100, 14);
    let lines: Vec<_> = terminal.backend().buffer().content.chunks(100).collect();
    let color_of = |server: &str, word: &str| {
        let text = |cells: &[ratatui::buffer::Cell]| cells.iter().map(|cell| cell.symbol().to_owned()).collect::<String>();
        let line = lines.iter().find(|cells| text(cells).starts_with(server)).unwrap();
        line[text(line).find(word).unwrap()].fg
    };
    assert_eq!([color_of("shop/1", "ready"), color_of("shop/1", "up")], [Color::Green; 2]);
    assert_eq!([color_of("shop/2", "down"), color_of("shop/2", "2.0")], [Color::Red; 2]);
    assert_eq!([color_of("shop/3", "drain"), color_of("shop/4", "maint")], [Color::Yellow, Color::Blue]);
}

#[test]
fn columns_sort_and_numbers_begin_with_the_largest() {
    let mut screen = Screen::new(four());
    assert_eq!(shown(&mut screen), ["shop/1", "shop/2", "shop/3", "shop/4"]);
    press(&mut screen, &[KeyCode::Right; 6]);
    assert!(frame(&mut screen).contains("IN FLIGHT▼"));
    assert_eq!(shown(&mut screen), ["shop/3", "shop/1", "shop/4", "shop/2"]);
    type_text(&mut screen, "i");
    assert_eq!(shown(&mut screen), ["shop/2", "shop/4", "shop/1", "shop/3"]);
    press(&mut screen, &[KeyCode::Left; 2]);
    assert_eq!(shown(&mut screen), ["shop/3", "shop/1", "shop/2", "shop/4"], "by requests, then by name");
}

#[test]
fn the_list_scrolls_with_the_selected_server_which_stays_selected_when_it_moves() {
    let mut screen = Screen::new(many(300));
    let first = shown(&mut screen);
    assert_eq!(first[0], "shop/web-000");
    press(&mut screen, &[KeyCode::PageDown, KeyCode::Down]);
    assert!(!shown(&mut screen).contains(&"shop/web-000".to_owned()));
    press(&mut screen, &[KeyCode::End]);
    assert!(
        shown(&mut screen).contains(&"shop/web-299".to_owned()) && frame(&mut screen).contains("300 of 300: shop/web-299")
    );
    press(&mut screen, &[KeyCode::Right; 6]);
    assert!(frame(&mut screen).contains("1 of 300: shop/web-299"), "{}", frame(&mut screen));
    press(&mut screen, &[KeyCode::Up, KeyCode::Down, KeyCode::Down]);
    assert!(frame(&mut screen).contains("3 of 300: shop/web-297"));
    press(&mut screen, &[KeyCode::Home]);
    screen.figures = many(10);
    assert!(frame(&mut screen).contains("1 of 10: shop/web-009"), "the selected server is gone");
    screen.figures = many(0);
    press(&mut screen, &[KeyCode::Down, KeyCode::PageUp, KeyCode::Char('d')]);
    assert!(frame(&mut screen).contains("no server passes the filter") && screen.mode == Mode::Browse);
}

#[test]
fn a_filter_takes_names_states_and_health() {
    let mut screen = Screen::new(four());
    type_text(&mut screen, "/shop/3");
    assert_eq!(shown(&mut screen), ["shop/3"]);
    assert!(frame(&mut screen).ends_with("filter: shop/3\n"));
    press(&mut screen, &[KeyCode::Backspace, KeyCode::Enter]);
    assert_eq!(shown(&mut screen).len(), 4);
    press(&mut screen, &[KeyCode::Esc]);
    type_text(&mut screen, "/down");
    press(&mut screen, &[KeyCode::Enter]);
    assert_eq!(shown(&mut screen), ["shop/2"]);
    assert!(frame(&mut screen).contains("filter: down (Esc clears it)"));
    press(&mut screen, &[KeyCode::Esc]);
    assert_eq!(shown(&mut screen).len(), 4);
}

#[test]
fn changes_need_a_confirmation_and_hit_the_selected_server() {
    let change = |wanted| {
        let server = ServerArg { upstream: "shop".to_owned(), server: "3".to_owned() };
        Effect::Change(Change { server, wanted })
    };
    let mut screen = Screen::new(four());
    press(&mut screen, &[KeyCode::Down, KeyCode::Down]);
    for (key, wanted) in [("d", WantedState::Drain), ("r", WantedState::Ready), ("m", WantedState::Maint)] {
        assert_eq!(type_text(&mut screen, key), Effect::None);
        assert!(frame(&mut screen).contains(" shop/3? it "), "{}", frame(&mut screen));
        // The server moves while the question stands.
        type_text(&mut screen, "n");
        assert!(frame(&mut screen).ends_with("nothing changed\n"));
        type_text(&mut screen, key);
        let mut moved = four();
        moved.servers.reverse();
        moved.servers[0].info.id = "0".to_owned();
        screen.figures = moved;
        assert_eq!(type_text(&mut screen, "y"), change(wanted));
    }
}

#[test]
fn q_and_ctrl_c_quit_but_q_is_a_letter_of_a_filter() {
    let mut screen = Screen::new(four());
    assert_eq!(type_text(&mut screen, "q"), Effect::Quit);
    assert_eq!(type_text(&mut screen, "/q"), Effect::None);
    assert_eq!(screen.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), Effect::Quit);
}

#[test]
fn any_size_of_a_terminal_can_be_drawn() {
    let mut screen = Screen::new(many(30));
    for (width, height) in [(0, 0), (1, 1), (5, 2), (20, 4), (60, 6), (300, 100)] {
        for mode in [Mode::Browse, Mode::Filter] {
            screen.mode = mode;
            drawn(&mut screen, width, height);
        }
    }
}

#[test]
fn a_narrow_terminal_shows_whole_names_and_no_part_of_a_number() {
    let mut screen = Screen::new(many(3));
    let terminal = drawn(&mut screen, 36, 8);
    let lines: Vec<String> = terminal
        .backend()
        .buffer()
        .content
        .chunks(36)
        .map(|cells| cells.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned())
        .collect();
    assert_eq!(lines[4..6], ["SERVER▲       STATE  HEALTH  WEIGHT", "shop/web-000  ready  up           1"]);
}

#[test]
fn without_a_terminal_the_page_has_the_same_figures() {
    insta::assert_snapshot!(four().page(), @"
    burdock 1.2.3, up for 1h 1m, ready, 12 client connections, 0.0 requests/s

    UPSTREAM  REQ/S  IN FLIGHT  SESSIONS  TAKING NEW  REASONS PER SECOND
    shop       25.0          8        ~0  2 of 4      hit 25.0
    chat        0.0          8        ~0  2 of 4
    mail        0.0          8        ~0  2 of 4
    news        0.0          8        ~0  2 of 4

    SERVER  STATE  HEALTH     WEIGHT  REQ/S  FAIL/S  IN FLIGHT  MAX  SESSIONS
    shop/1  ready  up              1    0.0     0.0          2    -       ~20
    shop/2  ready  down            1    0.0     2.0          0    -        ~0
    shop/3  drain  up              1   25.0     0.0          5    -       ~50
    shop/4  maint  unchecked       1    0.0     0.0          1    -       ~10
    ");
}
