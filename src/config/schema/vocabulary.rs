//! Words of other programs and plain guesses, with what to write in their place. The reader asks wherever it meets a
//! field, a word or a form that it does not expect. The table itself is the caller's: nothing here knows a word.

/// A row: where it applies, what was written there, and what to write in its place.
pub(crate) struct ForeignWord {
    /// Ends of paths without the numbers of list entries, such as `servers.address`. `*` is any name, the empty text is the
    /// top of the file, and `**` is everywhere.
    places: &'static [&'static str],
    written: Written,
    /// `<value>` stands for what was written, or for its part at the `*`; `<field>` for the name of an unknown field as the row
    /// spells it.
    help: &'static str,
}

enum Written {
    /// A field that the map at this place does not have.
    Field(&'static [&'static str]),
    /// The same, if our field would not take its value either.
    FieldUnless(&'static [&'static str], Fits),
    /// A text, or the only key of a map, that is not expected here. A `*` is any text: `a*b` begins with a
    /// and ends with b, `*a*` contains a.
    Word(&'static [&'static str]),
    List,
    Map,
    /// Nothing, for this field that is required.
    Nothing(&'static str),
}

/// Whether a value fits our field.
type Fits = fn(&str) -> bool;

/// What the reader found where it expected something else.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found<'f> {
    /// An unknown field with this value. The path ends with its name.
    Field {
        value: &'f str,
    },
    Word(&'f str),
    List,
    Map,
    /// No value: a missing field, whose name the path ends with, or an empty one.
    Nothing,
}

pub(crate) const fn field(
    places: &'static [&'static str],
    names: &'static [&'static str],
    help: &'static str,
) -> ForeignWord {
    ForeignWord { places, written: Written::Field(names), help }
}

/// For a value that our field would not take: a row that repeats it would lead to the next error. It stands before that row.
pub(crate) const fn field_unless(
    places: &'static [&'static str],
    names: &'static [&'static str],
    fits: Fits,
    help: &'static str,
) -> ForeignWord {
    ForeignWord { places, written: Written::FieldUnless(names, fits), help }
}

pub(crate) const fn word(
    places: &'static [&'static str],
    words: &'static [&'static str],
    help: &'static str,
) -> ForeignWord {
    ForeignWord { places, written: Written::Word(words), help }
}

pub(crate) const fn list(places: &'static [&'static str], help: &'static str) -> ForeignWord {
    ForeignWord { places, written: Written::List, help }
}

pub(crate) const fn map(places: &'static [&'static str], help: &'static str) -> ForeignWord {
    ForeignWord { places, written: Written::Map, help }
}

pub(crate) const fn missing(places: &'static [&'static str], field: &'static str, help: &'static str) -> ForeignWord {
    ForeignWord { places, written: Written::Nothing(field), help }
}

impl ForeignWord {
    /// The help of this row, if it applies to what was found at this path.
    pub(crate) fn help(&self, path: &[&str], found: Found<'_>) -> Option<String> {
        let (place, field, value) = match (&self.written, found) {
            (Written::FieldUnless(_, fits), Found::Field { value }) if value.is_empty() || fits(value) => return None,
            (Written::Field(names) | Written::FieldUnless(names, _), Found::Field { value }) => {
                let (name, place) = path.split_last()?;
                (place, *names.iter().find(|pattern| part(pattern, name).is_some())?, value)
            }
            (Written::Nothing(field), Found::Nothing) => (path.strip_suffix(&[*field])?, *field, ""),
            (Written::Word(words), Found::Word(text)) => (path, "", words.iter().find_map(|pattern| part(pattern, text))?),
            (Written::List, Found::List) | (Written::Map, Found::Map) => (path, "", ""),
            (
                Written::Field(_)
                | Written::FieldUnless(..)
                | Written::Word(_)
                | Written::List
                | Written::Map
                | Written::Nothing(_),
                _,
            ) => return None,
        };
        if !self.places.iter().any(|pattern| is_at(pattern, place)) {
            return None;
        }
        Some(self.help.replace("<field>", field).replace("<value>", &short(value)))
    }
}

/// What is at the only `*` of the pattern, or the whole text if that has none or several. None if the pattern does not fit.
fn part<'t>(pattern: &str, text: &'t str) -> Option<&'t str> {
    let mut pieces = pattern.split('*');
    let (Some(start), Some(end)) = (pieces.next(), pieces.next_back()) else {
        return (folded(pattern) == folded(text)).then_some(text);
    };
    let between = text.strip_prefix(start)?.strip_suffix(end)?;
    let mut rest = between;
    let mut part = between;
    for piece in pieces {
        rest = rest.split_once(piece)?.1;
        part = text;
    }
    Some(part)
}

/// A word without what differs between the spellings of programs: `maxConn`, `max-conn` and `max_conn` are one.
fn folded(word: &str) -> String {
    let letters = word.chars().filter(|c| !matches!(c, '-' | '_' | ' '));
    letters.flat_map(char::to_lowercase).collect()
}

fn is_at(pattern: &str, place: &[&str]) -> bool {
    match pattern {
        "**" => true,
        "" => place.is_empty(),
        names => {
            let mut place = place.iter().rev();
            names.rsplit('.').all(|name| place.next().is_some_and(|placed| name == "*" || name == *placed))
        }
    }
}

/// A value as it can be repeated in one line.
fn short(value: &str) -> String {
    const MAX_LENGTH: usize = 60;
    let repeatable = value.len() <= MAX_LENGTH && !value.is_empty() && !value.contains(char::is_control);
    if repeatable { value.to_owned() } else { "…".to_owned() }
}

/// Something that a row applies to, for a test of the rows.
#[cfg(test)]
#[derive(Debug)]
pub(crate) enum Sample {
    Field(&'static str),
    Word(String),
    List,
    Map,
    Nothing,
}

#[cfg(test)]
impl Sample {
    pub(crate) fn found(&self) -> Found<'_> {
        match self {
            Self::Field(value) => Found::Field { value },
            Self::Word(text) => Found::Word(text),
            Self::List => Found::List,
            Self::Map => Found::Map,
            Self::Nothing => Found::Nothing,
        }
    }
}

#[cfg(test)]
impl ForeignWord {
    /// One thing for each place and each pattern of this row, with its path.
    pub(crate) fn samples(&self) -> Vec<(Vec<String>, Sample)> {
        let place = |pattern: &str| -> Vec<String> {
            let names = pattern.split('.').filter(|name| !name.is_empty());
            names.map(|name| name.replace("**", "somewhere").replace('*', "some")).collect()
        };
        let under = |path: Vec<String>, name: &str| [path, vec![name.replace('*', "q")]].concat();
        let of_place = |path: Vec<String>| -> Vec<(Vec<String>, Sample)> {
            match self.written {
                Written::Field(names) => names.iter().map(|name| (under(path.clone(), name), Sample::Field(""))).collect(),
                // No field takes a control character.
                Written::FieldUnless(names, _) => {
                    names.iter().map(|name| (under(path.clone(), name), Sample::Field("\u{1}"))).collect()
                }
                Written::Word(words) => {
                    words.iter().map(|word| (path.clone(), Sample::Word(word.replace('*', "q")))).collect()
                }
                Written::List => vec![(path, Sample::List)],
                Written::Map => vec![(path, Sample::Map)],
                Written::Nothing(field) => vec![(under(path, field), Sample::Nothing)],
            }
        };
        self.places.iter().flat_map(|pattern| of_place(place(pattern))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_word_a_start_an_end_or_a_part() {
        for (pattern, text, expected) in [
            ("max_conns", "maxConns", Some("maxConns")),
            ("max_conns", "max-conns", Some("max-conns")),
            ("max_conns", "max_conn", None),
            ("$cookie_*", "$cookie_SID", Some("SID")),
            ("cookie(*)", "cookie(SID)", Some("SID")),
            ("cookie(*)", "cookie()", Some("")),
            ("aa*aa", "aaa", None),
            ("*${*", "a${b}", Some("a${b}")),
            ("a *{*}", "a b { c; }", Some("a b { c; }")),
            ("a *{*}", "a b }", None),
            ("*", "anything", Some("anything")),
        ] {
            assert_eq!(part(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_place_is_the_end_of_a_path() {
        let path = ["upstreams", "shop", "servers"];
        for (pattern, expected) in [("servers", true), ("upstreams.*.servers", true), ("dns.servers", false), ("", false)] {
            assert_eq!(is_at(pattern, &path), expected, "{pattern}");
        }
        assert!(is_at("**", &path) && is_at("", &[]) && !is_at("a.servers", &["servers"]));
    }

    #[test]
    fn a_row_repeats_what_was_written() {
        let row = field(&["servers"], &["host_name"], "write <field> as address: <value>");
        let path = ["servers", "hostName"];
        let help = row.help(&path, Found::Field { value: "10.0.0.1" });
        assert_eq!(help.as_deref(), Some("write host_name as address: 10.0.0.1"));
        assert_eq!(row.help(&path, Found::Word("host")), None);
        assert_eq!(row.help(&path, Found::Field { value: "" }).as_deref(), Some("write host_name as address: …"));
        let row = field_unless(&["servers"], &["host_name"], |value| value.starts_with('1'), "write a number");
        assert_eq!(row.help(&path, Found::Field { value: "10.0.0.1" }), None);
        assert_eq!(row.help(&path, Found::Field { value: "" }), None, "there is no text to judge");
        assert_eq!(row.help(&path, Found::Field { value: "x" }).as_deref(), Some("write a number"));
        let row = missing(&[""], "servers", "add servers");
        assert_eq!(row.help(&["servers"], Found::Nothing).as_deref(), Some("add servers"));
    }
}
