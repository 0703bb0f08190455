//! The fields of sticky entries that differ, by their paths in the configuration. Which fields a method has, it says itself.

use super::difference::Field;
use crate::sticky::entry::EntrySpec;

/// Entries are compared by position, because their order decides which of them is asked first.
pub(super) fn entries(before: &[EntrySpec], after: &[EntrySpec]) -> Vec<Field> {
    let count = before.len().max(after.len());
    (0..count).flat_map(|at| entry(at, before.get(at), after.get(at))).collect()
}

fn entry(at: usize, before: Option<&EntrySpec>, after: Option<&EntrySpec>) -> Vec<Field> {
    let whole =
        || Field { name: format!("sticky[{at}]").into(), before: Some(describe(before)), after: Some(describe(after)) };
    let (Some(one), Some(other)) = (before, after) else { return vec![whole()] };
    let Some(mut fields) = one.method.compare(&other.method) else { return vec![whole()] };
    fields.push(("strict", one.strict == other.strict));
    let differing = fields.into_iter().filter(|(_, same)| !same);
    let named =
        |name| Field { name: format!("sticky[{at}].{}.{name}", other.method.label()).into(), before: None, after: None };
    differing.map(|(name, _)| named(name)).collect()
}

fn describe(entry: Option<&EntrySpec>) -> String {
    let Some(EntrySpec { method, .. }) = entry else { return "none".to_owned() };
    method.carrier().unwrap_or_else(|| method.label().to_owned())
}
