//! A small in-process cache with a time to live.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{context::Context, probes};

/// Values by id, each for a limited time. Only rows that exist are put in, so the table bounds it.
pub struct Cache<T> {
    name: &'static str,
    time_to_live: Duration,
    entries: Mutex<HashMap<i32, (Instant, T)>>,
}

impl<T: Clone> Cache<T> {
    /// An empty cache whose keys are called `name:id`.
    pub fn new(name: &'static str, time_to_live: Duration) -> Self {
        Self {
            name,
            time_to_live,
            entries: Mutex::default(),
        }
    }

    /// The value of `id`, if it is fresh and the request does not bypass the cache.
    pub fn get(&self, context: &Context, id: i32) -> Option<T> {
        let found = self.fresh(id).filter(|_| !context.faults.cache_bypass);
        let key = || format!("{}:{id}", self.name);
        match found {
            Some(_) => probes::cache_hit(context.id, key),
            None => probes::cache_miss(context.id, key),
        }
        found
    }

    /// Stores the value of `id`, unless the request bypasses the cache.
    pub fn put(&self, context: &Context, id: i32, value: T) {
        if !context.faults.cache_bypass {
            self.entries().insert(id, (Instant::now(), value));
        }
    }

    /// Forgets all values.
    pub fn clear(&self) {
        self.entries().clear();
    }

    fn fresh(&self, id: i32) -> Option<T> {
        self.entries()
            .get(&id)
            .filter(|(stored, _)| stored.elapsed() < self.time_to_live)
            .map(|(_, value)| value.clone())
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<i32, (Instant, T)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::*;
    use crate::{
        fault::{Faults, Latency},
        request_id::RequestId,
    };

    fn context(cache_bypass: bool) -> Context {
        let faults = Faults {
            cache_bypass,
            ..Faults::default()
        };
        let id = RequestId::of(&HeaderMap::new());
        Context::new(id, false, faults, Latency::default())
    }

    #[test]
    fn value_is_found_until_it_is_stale() {
        let cache = Cache::new("user", Duration::from_millis(20));
        cache.put(&context(false), 7, "seven");
        assert_eq!(cache.get(&context(false), 7), Some("seven"));
        assert_eq!(cache.get(&context(false), 8), None);
        std::thread::sleep(Duration::from_millis(25));
        assert_eq!(cache.get(&context(false), 7), None);
    }

    #[test]
    fn bypass_neither_reads_nor_stores() {
        let cache = Cache::new("user", Duration::from_secs(60));
        cache.put(&context(true), 7, "seven");
        assert_eq!(cache.get(&context(false), 7), None);
        cache.put(&context(false), 7, "seven");
        assert_eq!(cache.get(&context(true), 7), None);
    }
}
