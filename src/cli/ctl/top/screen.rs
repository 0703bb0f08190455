//! The state of the screen: figures and keys in, what to do out. It knows no terminal, and does nothing itself.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::column::{Column, Direction};
use super::figures::{Figures, ServerFigures};
use crate::api::server::WantedState;
use crate::cli::ctl::server_arg::ServerArg;

pub struct Screen {
    pub figures: Figures,
    pub column: Column,
    pub direction: Direction,
    pub filter: String,
    pub mode: Mode,
    pub message: Option<Message>,
    /// The first server that is shown, and how many fit: what was drawn last.
    pub offset: usize,
    pub page: usize,
    /// By name, because servers change places.
    selected: Option<ServerArg>,
}

/// What keys are for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Mode {
    Browse,
    /// They are the text of the filter.
    Filter,
    /// They confirm a change.
    Confirm(Change),
}

/// The change of a server that was asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    pub server: ServerArg,
    pub wanted: WantedState,
}

/// The last line until the next key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    Done(String),
    Failed(String),
}

/// What a key asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Effect {
    None,
    Quit,
    Change(Change),
}

impl Screen {
    pub fn new(figures: Figures) -> Self {
        let column = Column::Server;
        Self {
            figures,
            column,
            direction: column.direction(),
            filter: String::new(),
            mode: Mode::Browse,
            message: None,
            offset: 0,
            page: 1,
            selected: None,
        }
    }

    /// The servers that pass the filter, in order.
    pub fn servers(&self) -> Vec<&ServerFigures> {
        let mut servers: Vec<_> = self.figures.servers.iter().filter(|server| self.passes(server)).collect();
        servers.sort_by(|a, b| self.column.compare(self.direction, a, b));
        servers
    }

    /// A filter is a part of the name, the state or the health.
    fn passes(&self, server: &ServerFigures) -> bool {
        let cells = [Column::Server, Column::State, Column::Health].map(|column| column.cell(server));
        cells.iter().any(|cell| cell.contains(&self.filter))
    }

    /// The place of the selected server among [`Self::servers`]: the first one's if it is gone.
    pub fn selected(&self, servers: &[&ServerFigures]) -> Option<usize> {
        let place = servers.iter().position(|server| Some(named(server)) == self.selected);
        place.or(if servers.is_empty() { None } else { Some(0) })
    }

    pub fn key(&mut self, key: KeyEvent) -> Effect {
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return Effect::Quit;
        }
        self.message = None;
        match std::mem::replace(&mut self.mode, Mode::Browse) {
            Mode::Browse => self.browse(key.code),
            Mode::Filter => {
                self.edit(key.code);
                Effect::None
            }
            Mode::Confirm(change) if key.code == KeyCode::Char('y') => Effect::Change(change),
            Mode::Confirm(_) => {
                self.message = Some(Message::Done("nothing changed".to_owned()));
                Effect::None
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most keys do nothing")]
    fn browse(&mut self, key: KeyCode) -> Effect {
        let page = self.page.max(1) as isize;
        match key {
            KeyCode::Char('q') => return Effect::Quit,
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::PageUp => self.step(-page),
            KeyCode::PageDown => self.step(page),
            KeyCode::Home | KeyCode::Char('g') => self.step(isize::MIN),
            KeyCode::End | KeyCode::Char('G') => self.step(isize::MAX),
            KeyCode::Left | KeyCode::Char('<') => self.sort_by(self.column.beside(-1)),
            KeyCode::Right | KeyCode::Char('>') => self.sort_by(self.column.beside(1)),
            KeyCode::Char('i') => self.direction = self.direction.inverted(),
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Char('d') => self.ask(WantedState::Drain),
            KeyCode::Char('r') => self.ask(WantedState::Ready),
            KeyCode::Char('m') => self.ask(WantedState::Maint),
            _ => {}
        }
        Effect::None
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most keys do nothing")]
    fn edit(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => return,
            KeyCode::Esc => return self.filter.clear(),
            KeyCode::Char(c) => self.filter.push(c),
            KeyCode::Backspace => drop(self.filter.pop()),
            _ => {}
        }
        self.mode = Mode::Filter;
    }

    fn sort_by(&mut self, column: Column) {
        self.column = column;
        self.direction = column.direction();
    }

    fn step(&mut self, by: isize) {
        let servers = self.servers();
        let Some(place) = self.selected(&servers) else { return };
        let to = place.saturating_add_signed(by).min(servers.len() - 1);
        self.selected = Some(named(servers[to]));
    }

    fn ask(&mut self, wanted: WantedState) {
        let servers = self.servers();
        let Some(place) = self.selected(&servers) else { return };
        // From now on it stays selected, whatever moves.
        let server = named(servers[place]);
        self.selected = Some(server.clone());
        self.mode = Mode::Confirm(Change { server, wanted });
    }
}

fn named(server: &ServerFigures) -> ServerArg {
    ServerArg { upstream: server.info.upstream.clone(), server: server.info.id.clone() }
}
