//! Puts many equal siblings on one line.

use std::collections::HashMap;

use super::node::Node;
use crate::duration::human;

/// As many equal siblings as still stand on lines of their own.
const MOST: usize = 5;

/// Equal siblings (same name, same tier), if more than five, become one `×12` line in the first one's place.
pub(super) fn fold(nodes: Vec<Node>) -> Vec<Node> {
    let mut count: HashMap<String, usize> = HashMap::new();
    for node in nodes.iter().filter(|n| n.is_work()) {
        *count.entry(node.label.clone()).or_default() += 1;
    }
    let mut place: HashMap<String, usize> = HashMap::new();
    let mut groups: Vec<Vec<Node>> = Vec::new();
    for node in nodes {
        let many = node.is_work() && count.get(&node.label).is_some_and(|n| *n > MOST);
        match place.get(&node.label).filter(|_| many) {
            Some(group) => groups[*group].push(node),
            None => {
                if many {
                    place.insert(node.label.clone(), groups.len());
                }
                groups.push(vec![node]);
            }
        }
    }
    groups.into_iter().filter_map(merge).collect()
}

fn merge(group: Vec<Node>) -> Option<Node> {
    let times = group.len();
    let durations = || group.iter().filter_map(|n| n.duration);
    let (least, most) = (
        durations().min().unwrap_or(0),
        durations().max().unwrap_or(0),
    );
    let (sum, failed) = (durations().sum(), group.iter().filter(|n| n.failed).count());
    let mut group = group.into_iter();
    let mut line = group.next()?;
    if times == 1 {
        return Some(line);
    }
    line.label = format!("{} ×{times}", line.label);
    line.duration = Some(sum);
    line.failed = failed > 0;
    line.children.clear();
    line.segments.extend(group.flat_map(|n| n.segments));
    line.notes = vec![format!("each {} to {}", human(least), human(most))];
    if failed > 0 {
        line.notes.insert(0, format!("{failed} failed"));
    }
    Some(line)
}
