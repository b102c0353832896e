//! The order of siblings of two traces in one list: by their longest common subsequence.

/// Above this many pairs of siblings, order is the first trace's, then the second's.
const MOST: usize = 4_000_000;

/// Both lists' elements, each once: those that only one has stand where they stand in it. In each list an
/// element stands once.
pub(super) fn merged(a: &[u64], b: &[u64]) -> Vec<u64> {
    let common = common(a, b);
    let mut order = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.iter().copied(), b.iter().copied());
    let both: std::collections::HashSet<u64> = b.clone().collect();
    for pivot in common.into_iter().map(Some).chain([None]) {
        // What is in both and out of order stands where it stands in the second.
        order.extend(until(&mut a, pivot).filter(|key| !both.contains(key)));
        order.extend(until(&mut b, pivot));
        order.extend(pivot);
    }
    order
}

/// The elements up to `end`, which is taken, too.
fn until(list: &mut impl Iterator<Item = u64>, end: Option<u64>) -> std::vec::IntoIter<u64> {
    let mut before = Vec::new();
    for key in list {
        if Some(key) == end {
            break;
        }
        before.push(key);
    }
    before.into_iter()
}

/// The longest common subsequence.
fn common(a: &[u64], b: &[u64]) -> Vec<u64> {
    if a.len().saturating_mul(b.len()) > MOST {
        return Vec::new();
    }
    let width = b.len() + 1;
    // longest[i * width + j]: of a[i..] and b[j..].
    let mut longest = vec![0u32; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i * width + j] = if a[i] == b[j] {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut found) = (0, 0, Vec::new());
    while i < a.len() && j < b.len() {
        if a[i] == b[j] {
            found.push(a[i]);
            (i, j) = (i + 1, j + 1);
        } else if longest[(i + 1) * width + j] >= longest[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_only_one_has_stands_where_it_stood() {
        assert_eq!(merged(&[1, 2, 3], &[1, 9, 3]), [1, 2, 9, 3]);
        assert_eq!(merged(&[1, 2], &[2, 1]).len(), 2);
        assert_eq!(merged(&[], &[7]), [7]);
        assert_eq!(merged(&[1, 2, 3, 4], &[4, 1, 2, 3]), [4, 1, 2, 3]);
    }

    proptest! {
        #[test]
        fn every_element_stands_once_and_the_second_order_holds(
            a in prop::collection::btree_set(0..30u64, 0..20),
            b in Just((0..30u64).collect::<Vec<_>>()).prop_shuffle(),
            cut in 0..30usize,
        ) {
            let (a, b): (Vec<u64>, &[u64]) = (a.into_iter().collect(), &b[..cut]);
            let order = merged(&a, b);
            let all: BTreeSet<u64> = a.iter().chain(b).copied().collect();
            prop_assert_eq!(order.iter().copied().collect::<BTreeSet<_>>(), all.clone());
            prop_assert_eq!(order.len(), all.len());
            let second: Vec<u64> = order.into_iter().filter(|key| b.contains(key)).collect();
            prop_assert_eq!(&second[..], b);
        }
    }
}
