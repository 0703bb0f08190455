//! Texts of the file, and lists of names, as messages show them.

/// A text as messages show it: quoted, escaped, and not too long.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// The one of `known` that `written` was probably meant to be.
pub(crate) fn nearest<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let distance = |name: &str| strsim::osa_distance(&written.to_lowercase(), name);
    let near = known.into_iter().map(|name| (distance(name), name)).min_by_key(|&(distance, _)| distance);
    near.filter(|&(distance, name)| distance <= (name.len().max(written.len()) / 3).max(1)).map(|(_, name)| name)
}

/// Names as a sentence has them: `a, b or c`.
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
    fn the_nearest_name_is_offered_only_when_it_is_near() {
        assert_eq!(nearest("weigth", ["weight", "state"]), Some("weight"));
        assert_eq!(nearest("Weight", ["weight", "state"]), Some("weight"));
        assert_eq!(nearest("colour", ["weight", "state"]), None);
        assert_eq!(nearest("x", []), None);
    }
}
