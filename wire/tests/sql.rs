//! Masking: no literal survives, and layout does not tell statements apart.

use proptest::prelude::*;
use tierscope_wire::sql::{fingerprint, mask, mask_bytes};

#[test]
fn literals_lists_and_layout() {
    for (sql, expected) in [
        (
            "SELECT * FROM t WHERE a = 'x''y' AND b=12.5e-3",
            "SELECT * FROM t WHERE a = ? AND b=?",
        ),
        (
            "SELECT E'a\\'b', N'c', B'01', X'ff', U&'\\0041', $$d$$, $t$e$t$",
            "SELECT ?, ?, ?, ?, ?, ?, ?",
        ),
        (
            "SELECT 0x1F, 0b11, 0o17, 0XFF, 1_000, .5, 5.",
            "SELECT ?, ?, ?, ?, ?, ?, ?",
        ),
        (
            "  SELECT\n\t1 -- a 'comment'\n , /* b /* c */ */ 2  ",
            "SELECT ? , ?",
        ),
        (
            "SELECT \"Weird 'name'\" FROM t",
            "SELECT \"Weird 'name'\" FROM t",
        ),
        ("a IN (1, 2, 3)", "a IN (?)"),
        ("a in ( 'x' )", "a in (?)"),
        ("a IN ($1, $2, $3) AND b = $4", "a IN ($1, …) AND b = $4"),
        ("a IN ($7)", "a IN ($7, …)"),
        ("a IN (SELECT 1)", "a IN (SELECT ?)"),
        ("a IN (1, b)", "a IN (?, b)"),
        (
            "a = ANY($1) AND b IS NOT NULL",
            "a = ANY($1) AND b IS NOT NULL",
        ),
        ("SELECT a || 'b' || 5, a->>'k'", "SELECT a || ? || ?, a->>?"),
        ("SELECT 'cut short", "SELECT ?"),
        ("SELECT $tag$cut short", "SELECT ?"),
        ("SELECT a <-- it's\n 'secret'", "SELECT a < ?"),
        ("SELECT a ->>-- it's\n 'secret'", "SELECT a ?"),
        ("SELECT a @>/* it's */ 'secret'", "SELECT a @> ?"),
        ("SELECT `'` secret '`", "SELECT `?`"),
        ("BEGIN", "BEGIN"),
        ("", ""),
    ] {
        let mut bytes = sql.as_bytes().to_vec();
        mask_bytes(&mut bytes);
        let text = String::from_utf8(bytes).expect("still UTF-8");
        assert_eq!(mask(sql), expected, "{sql}");
        assert_eq!(mask(&text), expected, "{sql} by way of {text}");
        assert_eq!(mask(expected), expected, "masked twice");
    }
}

#[test]
fn bytes_that_are_not_text_are_masked_from_there_on() {
    let mut bytes = b"SELECT 'a', b\xff, 'c'".to_vec();
    mask_bytes(&mut bytes);
    assert_eq!(bytes, b"SELECT ???, b??????");
}

/// Pieces of statements; every literal and comment holds a 9, nothing else does. Each is whole: an open
/// dollar quote would end in the next piece and turn its text into names and parameters.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z_]{1,8}",
        1 => "\"[a-z ']{1,6}\"",
        2 => "\\$[1-8]",
        3 => "(=|<|\\|\\||->|,|\\(|\\)|\\+|::|\\[|\\]| IN \\(|;)",
        2 => "'[a-z \"$-]{0,5}9(''|[a-z ])*'",
        1 => "E'[a-z]{0,3}9(\\\\'|[a-z])*'",
        1 => "N'[a-z]{0,3}9(''|[a-z])*'",
        1 => ("(t[a-z]{0,2})?", "[a-z' ]{0,5}").prop_map(|(tag, rest)| format!("${tag}$9{rest}${tag}$")),
        2 => "9{1,3}(\\.9{1,2})?",
        1 => "9e-9",
        1 => "0[xob]9{1,4}",
        1 => "/\\*[a-z' ]{0,5}9\\*/",
        1 => "--[a-z' ]{0,5}9\n",
    ]
}

proptest! {
    #[test]
    fn no_literal_survives_however_a_statement_is_cut(pieces in prop::collection::vec(piece(), 1..12), cut in 0_usize..120) {
        let sql = pieces.join(" ");
        let cut = cut.min(sql.len());
        let mut bytes = sql.as_bytes()[..cut].to_vec();
        mask_bytes(&mut bytes);
        let text = String::from_utf8(bytes).expect("still UTF-8");
        prop_assert!(!text.contains('9'), "{text}");
        prop_assert_eq!(text.len(), cut);
        let masked = mask(&sql[..cut]);
        prop_assert!(!masked.contains('9'), "{masked}");
        prop_assert_eq!(mask(&text), masked);
    }

    #[test]
    fn any_text_is_taken(sql in "\\PC{0,60}") {
        let masked = mask(&sql);
        prop_assert!(masked.len() <= 2 * sql.len() + 8);
        tierscope_wire::sql::summary(&masked);
    }
}

#[test]
fn a_fingerprint_does_not_tell_parameters_from_literals() {
    for (own, normalised) in [
        ("SELECT 1", "SELECT $1"),
        (
            "SELECT a FROM t WHERE b = $1 AND c = 'x' LIMIT 20",
            "SELECT a FROM t WHERE b = $1 AND c = $2 LIMIT $3",
        ),
        ("a IN (1, 2) AND b = 'c'", "a IN ($1, $2) AND b = $3"),
        (
            "SELECT NULL, a IS NOT NULL, b IS TRUE, NOT true",
            "SELECT $1, a IS NOT NULL, b IS TRUE, NOT $2",
        ),
        ("SELECT\n\"$1\" FROM t", "SELECT \"$1\" FROM t"),
    ] {
        assert_eq!(fingerprint(own), fingerprint(normalised), "{own}");
    }
    let (one, other) = (
        "SELECT a FROM t WHERE b = $1",
        "SELECT a FROM t WHERE c = $1",
    );
    assert_ne!(fingerprint(one), fingerprint(other));
    let (one, other) = ("SELECT a IS TRUE", "SELECT a IS NULL");
    assert_ne!(fingerprint(one), fingerprint(other));
}
