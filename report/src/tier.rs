//! The tiers a request passed, in the order it met them.

use tierscope_model::Trace;

/// Service names, each once, in order of first appearance: the client first.
pub(crate) struct Tiers<'a>(Vec<&'a str>);

impl<'a> Tiers<'a> {
    pub(crate) fn of(trace: &'a Trace) -> Tiers<'a> {
        let mut names: Vec<&str> = Vec::new();
        for span in &trace.spans {
            let service = span.resource.service.as_str();
            if !names.contains(&service) {
                names.push(service);
            }
        }
        Tiers(names)
    }

    /// The tier's place, 0 being the client.
    pub(crate) fn index(&self, service: &str) -> usize {
        self.0.iter().position(|s| *s == service).unwrap_or(0)
    }

    pub(crate) fn names(&self) -> &[&'a str] {
        &self.0
    }
}
