//! Route templates: what makes two requests the same endpoint.

use smol_str::SmolStrBuilder;
use tierscope_model::SmolStr;

/// The path with its variable segments (numbers, long hex ids, UUIDs) replaced by `{id}`.
pub(crate) fn route(path: &str) -> SmolStr {
    let mut route = SmolStrBuilder::new();
    for (at, segment) in path.split('/').enumerate() {
        if at > 0 {
            route.push('/');
        }
        route.push_str(if is_variable(segment) {
            "{id}"
        } else {
            segment
        });
    }
    route.finish()
}

fn is_variable(segment: &str) -> bool {
    let number = !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit());
    let hex = segment.len() >= 16 && segment.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    number || hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ids_become_placeholders() {
        assert_eq!(route("/api/users/17/orders"), "/api/users/{id}/orders");
        assert_eq!(
            route("/api/x/6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
            "/api/x/{id}"
        );
        assert_eq!(route("/api/products/search"), "/api/products/search");
        assert_eq!(route("/"), "/");
    }
}
