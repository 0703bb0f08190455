//! The screen as a frame: the process in one line, upstreams, servers, and a line for the keys. It changes nothing but where the servers'
//! table is scrolled to.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table, TableState};

use super::column::Column;
use super::figures::{ServerFigures, UPSTREAM_HEADING};
use super::screen::{Change, Message, Mode, Screen};
use crate::api::server::{ServerHealth, ServerState, WantedState};
use crate::cli::ctl::show::last_failure;

const HEADING: Style = Style::new().add_modifier(Modifier::BOLD);
const FAINT: Style = Style::new().fg(Color::DarkGray);
const SELECTED: Style = Style::new().add_modifier(Modifier::REVERSED);
/// Between columns.
const SPACING: u16 = 2;
const KEYS: &str = "q quit  ↑↓ select  ←→ sort  i invert  / filter  d drain  r ready  m maint";

pub fn draw(frame: &mut Frame<'_>, screen: &mut Screen) {
    // The servers get two thirds of the height, if there are as many.
    let upstreams = (screen.figures.upstreams.len() as u16 + 1).min((frame.area().height / 3).max(2));
    let lines = [1, upstreams + 1].map(Constraint::Length);
    let layout = Layout::vertical([lines[0], lines[1], Constraint::Fill(1), Constraint::Length(1), Constraint::Length(1)]);
    let [head, upstreams, servers, detail, keys] = layout.areas(frame.area());
    frame.render_widget(screen.figures.head(), head);
    draw_upstreams(frame, screen, upstreams);
    draw_servers(frame, screen, servers);
    frame.render_widget(Paragraph::new(detail_of(screen)).style(FAINT), detail);
    draw_last_line(frame, screen, keys);
}

fn draw_upstreams(frame: &mut Frame<'_>, screen: &Screen, area: Rect) {
    let upstreams = &screen.figures.upstreams;
    // Beside the heading and the empty line below the table.
    let fit = usize::from(area.height).saturating_sub(2);
    let shown = if upstreams.len() <= fit { fit } else { fit.saturating_sub(1) };
    let cells: Vec<_> = upstreams.iter().take(shown).map(|upstream| upstream.cells()).collect();
    let heading = UPSTREAM_HEADING.map(str::to_uppercase);
    let is_number = |column: usize| (1..4).contains(&column);
    let widths = widths(&heading, &cells, is_number, area.width);
    let rows = cells.iter().map(|cells| row(cells, is_number, |_| Style::new()));
    frame
        .render_widget(Table::new(rows, widths).column_spacing(SPACING).header(row(&heading, is_number, |_| HEADING)), area);
    let hidden = upstreams.len().saturating_sub(shown);
    if hidden > 0 {
        let more = Rect { y: area.y + area.height.saturating_sub(2), height: area.height.min(1), ..area };
        frame.render_widget(Paragraph::new(format!("and {hidden} more")).style(FAINT), more);
    }
}

fn draw_servers(frame: &mut Frame<'_>, screen: &mut Screen, area: Rect) {
    screen.page = usize::from(area.height).saturating_sub(1);
    let servers = screen.servers();
    let cells: Vec<_> = servers.iter().map(|server| Column::ALL.map(|column| column.cell(server))).collect();
    let heading = Column::ALL.map(|column| {
        let arrow = if column == screen.column { screen.direction.arrow().to_string() } else { String::new() };
        format!("{}{arrow}", column.heading().to_uppercase())
    });
    let is_number = |column: usize| Column::ALL[column].is_number();
    let widths = widths(&heading, &cells, is_number, area.width);
    let rows = servers.iter().zip(&cells).map(|(server, cells)| row(cells, is_number, |at| style(server, Column::ALL[at])));
    let table = Table::new(rows, widths).column_spacing(SPACING).row_highlight_style(SELECTED);
    let table = table.header(row(&heading, is_number, |_| HEADING));
    let mut state = TableState::new().with_offset(screen.offset).with_selected(screen.selected(&servers));
    frame.render_stateful_widget(table, area, &mut state);
    screen.offset = state.offset();
}

/// The widths of the columns that fit: those of their widest cells. The last one may be cut off, unless it has numbers.
fn widths<const COUNT: usize>(
    heading: &[String; COUNT],
    rows: &[[String; COUNT]],
    is_number: impl Fn(usize) -> bool,
    mut left: u16,
) -> Vec<Constraint> {
    let mut widths = Vec::new();
    for column in 0..COUNT {
        let cells = rows.iter().chain([heading]).map(|cells| Line::raw(&*cells[column]).width());
        let width = u16::try_from(cells.max().unwrap_or(0)).unwrap_or(u16::MAX);
        if left == 0 || (width > left && is_number(column)) {
            break;
        }
        widths.push(Constraint::Length(width.min(left)));
        left = left.saturating_sub(width).saturating_sub(SPACING);
    }
    widths
}

fn row<'a>(cells: &'a [String], is_number: impl Fn(usize) -> bool, style: impl Fn(usize) -> Style) -> Row<'a> {
    Row::new(cells.iter().enumerate().map(|(column, cell)| {
        let line = Line::raw(&**cell);
        Cell::from(if is_number(column) { line.right_aligned() } else { line }).style(style(column))
    }))
}

fn style(server: &ServerFigures, column: Column) -> Style {
    let color = match column {
        Column::State => state_color(server.info.state),
        Column::Health => health_color(server.info.health),
        Column::Failures if server.failures > 0.0 => Some(Color::Red),
        Column::Server
        | Column::Weight
        | Column::Requests
        | Column::Failures
        | Column::InFlight
        | Column::Max
        | Column::Sessions => None,
    };
    color.map_or_else(Style::new, |color| Style::new().fg(color))
}

const fn state_color(state: ServerState) -> Option<Color> {
    match state {
        ServerState::Ready => Some(Color::Green),
        ServerState::Drain | ServerState::Leaving => Some(Color::Yellow),
        ServerState::Maint => Some(Color::Blue),
    }
}

const fn health_color(health: ServerHealth) -> Option<Color> {
    match health {
        ServerHealth::Up => Some(Color::Green),
        ServerHealth::Draining | ServerHealth::Pending => Some(Color::Yellow),
        ServerHealth::Down | ServerHealth::Ejected => Some(Color::Red),
        ServerHealth::Unchecked => None,
    }
}

/// The selected server: where it is, and its last failure.
fn detail_of(screen: &Screen) -> String {
    let servers = screen.servers();
    match screen.selected(&servers) {
        Some(place) => {
            let info = &servers[place].info;
            format!(
                "{} of {}: {} at {}, waiting {}, last failure {}",
                place + 1,
                servers.len(),
                Column::Server.cell(servers[place]),
                info.address,
                info.waiting,
                last_failure(info)
            )
        }
        None => "no server passes the filter".to_owned(),
    }
}

fn draw_last_line(frame: &mut Frame<'_>, screen: &Screen, area: Rect) {
    let line = match (&screen.mode, &screen.message) {
        (Mode::Filter, _) => {
            let line = format!("filter: {}", screen.filter);
            let end = area.x.saturating_add(Line::raw(&*line).width() as u16).min(area.right().saturating_sub(1));
            frame.set_cursor_position(Position::new(end, area.y));
            Line::raw(line)
        }
        (Mode::Confirm(change), _) => Line::styled(question(change), HEADING),
        (Mode::Browse, Some(Message::Done(text))) => Line::raw(text.clone()),
        (Mode::Browse, Some(Message::Failed(text))) => Line::styled(text.replace('\n', " "), Style::new().fg(Color::Red)),
        (Mode::Browse, None) if screen.filter.is_empty() => Line::styled(KEYS, FAINT),
        (Mode::Browse, None) => {
            Line::from(vec![Span::raw(format!("filter: {} (Esc clears it)  ", screen.filter)), Span::styled(KEYS, FAINT)])
        }
    };
    frame.render_widget(line, area);
}

fn question(change: &Change) -> String {
    let (verb, effect) = match change.wanted {
        WantedState::Drain => ("drain", "it keeps its sessions and gets no new ones"),
        WantedState::Maint => ("maint", "it gets no requests and no health checks"),
        WantedState::Ready => ("ready", "it serves as usual"),
    };
    format!("{verb} {}? {effect}. y: yes, any other key: no", change.server)
}
