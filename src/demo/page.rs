//! The HTML of a shop. All foreign text goes through [`Text`], which escapes it.

use std::fmt::{self, Write as _};

use super::decisions::{Decision, Decisions};
use super::shop::{GOODS, Origin, Session, Visit};

/// The note for a client with a session of another shop.
pub const LOST: &str = "this server does not know your session: your cart was lost";

/// The meaning of Burdock's most frequent reasons.
const LEGEND: &str = "new: a client without a tie · hit: the client went to its tied server · redispatched: another server failed \
                      first · down: the tied server is down, so the client was moved";

const STYLE: &str = include_str!("style.css");

/// The columns of the list of decisions: heading, and the log's field.
const COLUMNS: [(&str, &str); 9] = [
    ("request", "http_method"),
    ("", "path"),
    ("server", "server"),
    ("reason", "reason"),
    ("previous server", "from"),
    ("tied by", "method"),
    ("cookie", "settled"),
    ("tries", "tries"),
    ("status", "status"),
];

/// Escapes text for HTML, in an element or a quoted attribute.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => out.write_str("&amp;"),
            '<' => out.write_str("&lt;"),
            '>' => out.write_str("&gt;"),
            '"' => out.write_str("&quot;"),
            '\'' => out.write_str("&#39;"),
            _ => out.write_char(c),
        })
    }
}

/// The shop's page.
pub fn shop(server: &str, visit: &Visit, decisions: &Decisions) -> String {
    let none = Session::default();
    let session = if let Visit::Known(session) = visit { session } else { &none };
    let body = format!(
        "<header><div><p>Burdock demo shop</p><h1>Served by {server}</h1><p>Process {pid}. Your cart is only in the memory of this \
         process.</p></div></header><main>{note}{login}{cart}{goods}{decisions}</main>",
        server = Text(server),
        pid = std::process::id(),
        note = note(visit),
        login = login(session),
        cart = cart(session),
        goods = goods(),
        decisions = decisions_section(decisions),
    );
    document("Burdock demo shop", hue(server), "", &body)
}

/// The list of decisions, a page within the shop's page.
pub fn decisions(decisions: &[Decision]) -> String {
    let head: String = COLUMNS.iter().map(|(heading, _)| format!("<th>{heading}</th>")).collect();
    let rows: String = decisions.iter().map(row).collect();
    document("Decisions", 0, "frame", &format!("<table><tr>{head}</tr>{rows}</table>"))
}

fn document(title: &str, hue: u32, class: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\" style=\"--hue:{hue}\"><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><link rel=\"icon\" href=\"data:,\">\
         <style>{STYLE}</style><body class=\"{class}\">{body}</body></html>\n"
    )
}

/// A colour per server, to show a change of server.
fn hue(server: &str) -> u32 {
    server.bytes().fold(7, |hue, byte| (hue * 31 + u32::from(byte) * 97) % 360)
}

fn note(visit: &Visit) -> String {
    let lost = match visit {
        Visit::Unknown => true,
        Visit::Known(session) => session.origin == Origin::Lost,
        Visit::Nameless => false,
    };
    if !lost {
        return String::new();
    }
    format!(
        "<section class=\"wide note\"><b>A failover:</b> {LOST}. Another shop had it, or this one before a \
         restart. Log in again; from now on you stay here.</section>"
    )
}

fn login(session: &Session) -> String {
    let inside = match &session.customer {
        Some(customer) => format!(
            "<p>Logged in as <b>{}</b>.</p><form method=\"post\" action=\"/logout\"><button>Log out</button></form>",
            Text(customer)
        ),
        None => "<p class=\"soft\">You are not logged in.</p><form method=\"post\" action=\"/login\"><input name=\"name\" \
                 placeholder=\"Your name\" aria-label=\"Your name\" maxlength=\"40\" required> <button>Log in</button></form>"
            .to_owned(),
    };
    format!("<section><h2>Your session</h2>{inside}</section>")
}

fn cart(session: &Session) -> String {
    let rows: String = session.cart().map(|(good, count)| format!("<tr><td>{good}</td><td>{count}</td></tr>")).collect();
    let inside =
        if rows.is_empty() { "<p class=\"soft\">It is empty.</p>".to_owned() } else { format!("<table>{rows}</table>") };
    format!("<section><h2>Your cart</h2>{inside}</section>")
}

fn goods() -> String {
    let items: String = GOODS
        .iter()
        .map(|good| {
            format!(
                "<li>{good}<form method=\"post\" action=\"/cart\"><button name=\"item\" value=\"{good}\" aria-label=\"Add \
                 {good}\">Add</button></form></li>"
            )
        })
        .collect();
    format!("<section><h2>Things that stick</h2><ul>{items}</ul></section>")
}

fn decisions_section(decisions: &Decisions) -> String {
    let list = match &decisions.log {
        Some(_) => format!("<iframe src=\"/decisions\" title=\"The latest decisions\"></iframe><small>{LEGEND}</small>"),
        None => "<p class=\"soft\">This shop does not know where Burdock's access log is.</p>".to_owned(),
    };
    let metrics = decisions.metrics.as_deref().map_or_else(String::new, |address| {
        format!("<small>Metrics: <a href=\"{0}\">{0}</a> (<code>burdock_decisions_total</code>)</small>", Text(address))
    });
    format!(
        "<section class=\"wide\"><h2>Burdock's decisions, newest first</h2>{list}<p><a class=\"button\" href=\"/\">Reload</a> \
         {metrics}</p></section>"
    )
}

fn row(decision: &Decision) -> String {
    let cells = COLUMNS.iter().map(|(_, field)| {
        let class = if *field == "reason" { " class=\"reason\"" } else { "" };
        format!("<td{class}>{}</td>", Text(&decision.get(field)))
    });
    format!("<tr>{}</tr>", cells.collect::<String>())
}
