//! A statement in two or three words.

/// Longest summary in bytes; a name beyond it is cut.
const MAX_LEN: usize = 255;

/// Operation and main table of a masked statement, e.g. `SELECT users`, `INSERT orders`, `BEGIN`,
/// `WITH … SELECT orders`. Best effort: where no table shows, the operation alone.
pub fn summary(masked: &str) -> String {
    let words = words(masked);
    let Some(first) = words.first() else {
        return String::new();
    };
    let operation = first.text.to_ascii_uppercase();
    let mut summary = match operation.as_str() {
        "WITH" => with(&words),
        _ => named(&operation, table(&operation, &words)),
    };
    let end = (0..=MAX_LEN.min(summary.len()))
        .rev()
        .find(|&at| summary.is_char_boundary(at));
    summary.truncate(end.unwrap_or(0));
    summary
}

/// A word and how many brackets it stands in.
struct Word<'a> {
    text: &'a str,
    depth: usize,
}

impl Word<'_> {
    fn is(&self, keyword: &str) -> bool {
        self.text.eq_ignore_ascii_case(keyword)
    }
}

/// The main statement behind the common table expressions.
fn with(words: &[Word<'_>]) -> String {
    let main = words.iter().position(|word| {
        word.depth == 0
            && ["select", "insert", "update", "delete", "merge"]
                .iter()
                .any(|verb| word.is(verb))
    });
    match main {
        Some(at) => {
            let verb = words[at].text.to_ascii_uppercase();
            format!("WITH … {}", named(&verb, table(&verb, &words[at..])))
        }
        None => "WITH".to_owned(),
    }
}

fn named(operation: &str, table: Option<String>) -> String {
    match table {
        Some(table) => format!("{operation} {table}"),
        None => operation.to_owned(),
    }
}

fn table(operation: &str, words: &[Word<'_>]) -> Option<String> {
    let keyword = match operation {
        "SELECT" | "DELETE" => "from",
        "INSERT" | "MERGE" => "into",
        "UPDATE" | "COPY" | "TRUNCATE" | "ANALYZE" | "VACUUM" => return name(&words[1..]),
        "CREATE" | "ALTER" | "DROP" => "table",
        _ => return None,
    };
    let outer = |word: &&Word<'_>| word.depth == 0;
    let places = || (0..words.len()).filter(|&at| words[at].is(keyword));
    let outermost = places().filter(|&at| outer(&&words[at]));
    outermost
        .chain(places())
        .find_map(|at| name(&words[at + 1..]))
}

/// The name that `words` begin with, its quotes taken off.
fn name(words: &[Word<'_>]) -> Option<String> {
    const NO_NAMES: [&str; 9] = [
        "only",
        "table",
        "if",
        "not",
        "exists",
        "lateral",
        "select",
        "concurrently",
        "with",
    ];
    let word = words
        .iter()
        .find(|word| !NO_NAMES[..6].iter().any(|no| word.is(no)))?;
    let is_name = word
        .text
        .starts_with(|first: char| first.is_alphabetic() || "_\"".contains(first))
        && !NO_NAMES.iter().any(|no| word.is(no));
    is_name.then(|| word.text.replace('"', ""))
}

/// Names and keywords with their dots and quotes; every other character stands alone and is left out, but
/// for brackets, which count.
fn words(masked: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut depth = 0_usize;
    let mut rest = masked;
    while let Some(first) = rest.chars().next() {
        let len = word_len(rest).max(first.len_utf8());
        match first {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ' ' | ',' | ';' => {}
            _ => words.push(Word {
                text: &rest[..len],
                depth,
            }),
        }
        rest = &rest[len..];
    }
    words
}

fn word_len(text: &str) -> usize {
    let mut quoted = false;
    let end = text.find(|char: char| {
        quoted ^= char == '"';
        !(quoted || char.is_alphanumeric() || "_.$\"".contains(char))
    });
    end.unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn a_summary_names_operation_and_main_table() {
        for (masked, expected) in [
            ("SELECT id, name FROM users WHERE id = $1", "SELECT users"),
            (
                "select extract(year from at) from orders o join users u on true",
                "SELECT orders",
            ),
            (
                "SELECT * FROM (SELECT ? FROM \"public\".\"users\") x",
                "SELECT public.users",
            ),
            ("SELECT count(*) FROM ONLY users", "SELECT users"),
            (
                "INSERT INTO orders (a) VALUES ($1) RETURNING id",
                "INSERT orders",
            ),
            ("UPDATE products SET stock = stock - $1", "UPDATE products"),
            ("DELETE FROM audit.log", "DELETE audit.log"),
            (
                "WITH a AS (SELECT ? FROM b) SELECT * FROM a",
                "WITH … SELECT a",
            ),
            ("WITH a AS (SELECT ?) UPDATE b SET c = ?", "WITH … UPDATE b"),
            ("CREATE TABLE IF NOT EXISTS t (a int)", "CREATE t"),
            ("BEGIN", "BEGIN"),
            ("commit", "COMMIT"),
            ("SELECT ?", "SELECT"),
            ("SET timezone TO ?", "SET"),
            ("?", "?"),
            ("", ""),
        ] {
            assert_eq!(summary(masked), expected, "{masked}");
        }
    }
}
