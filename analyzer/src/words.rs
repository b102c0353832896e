//! Numbers and statements as people write them.

use tierscope_model::Nanos;

/// Longest statement in a sentence, in characters.
const LONGEST: usize = 72;

/// `200.4 ms`, `3.12 ms`, `0.045 ms`, `2.31 s`.
pub(crate) fn ms(nanos: Nanos) -> String {
    let value = nanos as f64 / 1e6;
    match nanos {
        0..1_000_000 => format!("{value:.3} ms"),
        1_000_000..10_000_000 => format!("{value:.2} ms"),
        10_000_000..10_000_000_000 => format!("{value:.1} ms"),
        _ => format!("{:.2} s", value / 1e3),
    }
}

/// `4,812`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 segment`, `2 segments`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} {noun}{s}", grouped(number))
}

/// A probability: `p 0.004`, `p 3e-7`; `p < 1e-12` where the approximation behind it says no more.
pub(crate) fn chance(p: f64) -> String {
    match p {
        p if p < 1e-12 => "p < 1e-12".to_owned(),
        p if p < 0.001 => format!("p {p:.0e}"),
        p => format!("p {p:.3}"),
    }
}

/// A statement, short: what it does, and from its main table on.
pub(crate) fn statement(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= LONGEST {
        return text;
    }
    let upper = text.to_ascii_uppercase();
    let from = [" FROM ", " INTO ", " SET "]
        .into_iter()
        .find_map(|word| upper.find(word));
    let verb = text.split(' ').next().unwrap_or_default();
    let rest = from.and_then(|from| text.get(from..));
    let short = match rest {
        Some(rest) if verb.eq_ignore_ascii_case("select") => format!("{verb} …{rest}"),
        _ => text,
    };
    if short.chars().count() <= LONGEST {
        return short;
    }
    short.chars().take(LONGEST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_matter() {
        assert_eq!(ms(200_400_000), "200.4 ms");
        assert_eq!(ms(3_120_000), "3.12 ms");
        assert_eq!(ms(45_000), "0.045 ms");
        assert_eq!(ms(12_310_000_000), "12.31 s");
        assert_eq!(grouped(4_812), "4,812");
        assert_eq!(grouped(999), "999");
        assert_eq!(count(1, "segment"), "1 segment");
        let chances = [0.0, 3.4e-7, 0.0042].map(chance);
        assert_eq!(chances, ["p < 1e-12", "p 3e-7", "p 0.004"]);
    }

    #[test]
    fn a_long_statement_keeps_its_verb_and_table() {
        let long = "SELECT id, name, email, created_at, a, b, c, d, e, f FROM users WHERE id > $1 LIMIT $2";
        assert_eq!(
            statement(long),
            "SELECT … FROM users WHERE id > $1 LIMIT $2"
        );
        assert_eq!(statement("SELECT  1\n"), "SELECT 1");
        assert!(statement(&"é".repeat(500)).chars().count() <= LONGEST);
    }
}
