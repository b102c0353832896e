//! Rows of two traces, path by path.

use std::collections::{HashMap, HashSet};

use tierscope_model::SpanKind;

use super::fingerprint;
use super::group::Group;
use super::order::merged;
use super::{Row, Tag};

/// One row for each path that either has.
pub(super) fn rows<'a>(a: &[Group<'a>], b: &[Group<'a>]) -> Vec<Row<'a>> {
    // The two roots are compared whatever they are called.
    match (a.split_first(), b.split_first()) {
        (Some((one, a)), Some((two, b))) => {
            let mut all: Vec<Row<'a>> = row(Some(one), Some(two)).into_iter().collect();
            all.extend(level(a, b));
            all
        }
        _ => level(a, b),
    }
}

fn level<'a>(a: &[Group<'a>], b: &[Group<'a>]) -> Vec<Row<'a>> {
    let keys = |groups: &[Group<'a>]| groups.iter().map(|g| g.key).collect::<Vec<u64>>();
    let (keys_a, mut keys_b) = (keys(a), keys(b));
    rename(a, b, &keys_a, &mut keys_b);
    let places = |keys: &[u64]| -> HashMap<u64, usize> {
        keys.iter()
            .enumerate()
            .map(|(at, key)| (*key, at))
            .collect()
    };
    let (in_a, in_b) = (places(&keys_a), places(&keys_b));
    let both = merged(&keys_a, &keys_b).into_iter().map(|key| {
        let at = |places: &HashMap<u64, usize>| places.get(&key).copied();
        row(at(&in_a).map(|at| &a[at]), at(&in_b).map(|at| &b[at]))
    });
    both.flatten().collect()
}

/// Gives those that only the second has the keys of those that only the first has, name by name.
fn rename(a: &[Group<'_>], b: &[Group<'_>], keys_a: &[u64], keys_b: &mut [u64]) {
    let known: HashSet<u64> = keys_b.iter().copied().collect();
    let mut left: HashMap<_, Vec<u64>> = HashMap::new();
    for (group, key) in a.iter().zip(keys_a).rev() {
        if !known.contains(key) {
            left.entry(like(group)).or_default().push(*key);
        }
    }
    let taken: HashSet<u64> = keys_a.iter().copied().collect();
    for (group, key) in b.iter().zip(keys_b.iter_mut()) {
        if !taken.contains(key) {
            let same = left.get_mut(&like(group)).and_then(Vec::pop);
            *key = same.unwrap_or(*key);
        }
    }
}

/// Equal for groups that are called the same.
fn like<'a>(group: &Group<'a>) -> (SpanKind, &'a str, String) {
    let span = group.span;
    (span.kind, &span.resource.service, fingerprint::name(span))
}

/// None where neither is there.
fn row<'a>(a: Option<&Group<'a>>, b: Option<&Group<'a>>) -> Option<Row<'a>> {
    let shown = b.or(a)?;
    let critical = |group: Option<&Group<'a>>| group.map_or(0, |g| g.cell.critical_ns as i64);
    Some(Row {
        name: fingerprint::name(shown.span),
        service: &shown.span.resource.service,
        a: a.map(|group| group.cell.clone()),
        b: b.map(|group| group.cell.clone()),
        delta_ns: critical(b) - critical(a),
        tag: Tag::Same,
        normal: None,
        whole_normal: None,
        way_normal: None,
        noise: false,
        path: a.unwrap_or(shown).path,
        way: a.unwrap_or(shown).way,
        children: level(children(a), children(b)),
        span: shown.span,
    })
}

fn children<'g, 'a>(group: Option<&'g Group<'a>>) -> &'g [Group<'a>] {
    group.map_or(&[], |group| &group.children)
}
