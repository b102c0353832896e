//! Every parameterised SQL statement of the service, each in its static texts.
//!
//! A text must stay the same for prepared statements to be cached, so the variants are made at
//! compile time. All extra conditions are constant for the statement: PostgreSQL evaluates them
//! once, before the first row, and plans the rest as if they were not there.

/// One statement; which text is sent depends on the mode of the request.
#[derive(Debug)]
pub struct Statement {
    sleeps: bool,
    plain: &'static str,
    truth: &'static str,
    slow: &'static str,
    slow_truth: &'static str,
}

impl Statement {
    /// Whether it is always sent in its slow form, with 0 seconds to sleep where nothing is injected.
    pub fn sleeps(&self) -> bool {
        self.sleeps
    }

    /// The text to send. `truth` binds the request id (text) after the statement's own
    /// parameters, `slow` binds the seconds to sleep (float8) after that.
    pub fn text(&self, truth: bool, slow: bool) -> &'static str {
        match (truth, slow) {
            (false, false) => self.plain,
            (true, false) => self.truth,
            (false, true) => self.slow,
            (true, true) => self.slow_truth,
        }
    }
}

/// `NAME($2, $3) = "head" + "tail"`: the two placeholders are the first that the statement does
/// not use itself; the extra conditions go between head, which ends in a condition, and tail.
/// `sleeps` is said of all that follow.
macro_rules! statements {
    (sleeps: $sleeps:literal; $($(#[$doc:meta])* $name:ident($first:literal, $second:literal) = $head:literal + $tail:literal;)*) => {$(
        $(#[$doc])*
        pub static $name: Statement = Statement {
            sleeps: $sleeps,
            plain: concat!($head, $tail),
            truth: concat!($head, " AND ", $first, "::text IS NOT NULL", $tail),
            slow: concat!($head, " AND (SELECT pg_sleep(", $first, ")) IS NOT NULL", $tail),
            slow_truth: concat!(
                $head, " AND ", $first, "::text IS NOT NULL",
                " AND (SELECT pg_sleep(", $second, ")) IS NOT NULL", $tail
            ),
        };
    )*};
}

// A slow one of these is to be told from the others by its time alone: a statement with a condition more
// is another one.
statements! {
    sleeps: true;

    /// The price of the product $1 in cents.
    PRICE("$2", "$3") = "SELECT price_cents FROM products WHERE id = $1" + "";

    /// The ten products that match the search $1 best: (id, name, price in cents, rank).
    SEARCH("$2", "$3") =
        "SELECT id, name, price_cents, \
         ts_rank(to_tsvector('english', name || ' ' || description), websearch_to_tsquery('english', $1)) AS rank \
         FROM products \
         WHERE to_tsvector('english', name || ' ' || description) @@ websearch_to_tsquery('english', $1)"
        + " ORDER BY rank DESC, id LIMIT 10";
}

statements! {
    sleeps: false;

    /// 50 users after the id $1: (id, name, email).
    USERS_AFTER("$2", "$3") =
        "SELECT id, name, email FROM users WHERE id > $1" + " ORDER BY id LIMIT 50";

    /// The user $1: (id, name, email).
    USER("$2", "$3") = "SELECT id, name, email FROM users WHERE id = $1" + "";

    /// How many orders the user $1 has, and their sum in cents.
    USER_TOTALS("$2", "$3") =
        "SELECT count(*), coalesce(sum(total_cents), 0)::bigint FROM orders WHERE user_id = $1" + "";

    /// The orders of the user $1 with their products, newest first.
    USER_ORDERS("$2", "$3") =
        "SELECT o.id, p.name AS product, o.quantity, o.total_cents, o.status \
         FROM orders o JOIN products p ON p.id = o.product_id WHERE o.user_id = $1"
        + " ORDER BY o.id DESC LIMIT 20";

    /// The order ids of the user $1, newest first.
    USER_ORDER_IDS("$2", "$3") =
        "SELECT id FROM orders WHERE user_id = $1" + " ORDER BY id DESC LIMIT 20";

    /// The order $1 with its product.
    ORDER("$2", "$3") =
        "SELECT o.id, p.name AS product, o.quantity, o.total_cents, o.status \
         FROM orders o JOIN products p ON p.id = o.product_id WHERE o.id = $1" + "";

    /// An order of user $1 for product $2, quantity $3, total $4 cents: its id.
    INSERT_ORDER("$5", "$6") =
        "INSERT INTO orders (user_id, product_id, quantity, total_cents, status) \
         SELECT $1::int, $2::int, $3::int, $4::bigint, 'new' WHERE true" + " RETURNING id";

    /// Takes $2 pieces of product $1 from the stock: what is left of it.
    TAKE_STOCK("$3", "$4") =
        "UPDATE products SET stock = stock - $2 WHERE id = $1" + " RETURNING stock";

    /// What the user $1 bought, by product: (name, pieces, cents), dearest first.
    REPORT_LINES("$2", "$3") =
        "SELECT p.name AS product, sum(o.quantity)::bigint AS pieces, sum(o.total_cents)::bigint AS cents \
         FROM orders o JOIN products p ON p.id = o.product_id WHERE o.user_id = $1"
        + " GROUP BY p.name ORDER BY cents DESC, p.name LIMIT 50";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_conditions_take_the_next_placeholders() {
        assert_eq!(
            USER.text(false, false),
            "SELECT id, name, email FROM users WHERE id = $1"
        );
        assert_eq!(
            TAKE_STOCK.text(true, true),
            "UPDATE products SET stock = stock - $2 WHERE id = $1 AND $3::text IS NOT NULL \
             AND (SELECT pg_sleep($4)) IS NOT NULL RETURNING stock"
        );
    }
}
