//! How messages show texts of the file and lists of names.

/// A text for a message: quoted, escaped, and not too long.
pub(crate) fn quoted(text: &str) -> String {
    const MAX_LENGTH: usize = 60;
    match text.char_indices().nth(MAX_LENGTH) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// The one of `known` that `written` is probably a misspelling of.
pub(crate) fn nearest<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let distance = |name: &str| strsim::osa_distance(&written.to_lowercase(), name);
    let near = known.into_iter().map(|name| (distance(name), name)).min_by_key(|&(distance, _)| distance);
    near.filter(|&(distance, name)| distance <= (name.len().max(written.len()) / 3).max(1)).map(|(_, name)| name)
}

/// Names in a sentence: `a, b or c`.
pub(crate) fn any_of<'k>(names: impl IntoIterator<Item = &'k str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => "nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_near_name_is_suggested() {
        assert_eq!(nearest("weigth", ["weight", "state"]), Some("weight"));
        assert_eq!(nearest("Weight", ["weight", "state"]), Some("weight"));
        assert_eq!(nearest("colour", ["weight", "state"]), None);
        assert_eq!(nearest("x", []), None);
    }
}
