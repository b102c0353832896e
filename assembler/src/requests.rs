//! Pass 6: collects what carries one request id until nothing more of it can come.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;
use tierscope_model::{Incomplete, Nanos, RequestId, Timestamp};

use crate::app::{Apps, RequestKey};
use crate::connections::Connections;
use crate::exchange::Exchange;
use crate::tree::{Parts, Query, caller_of};

/// One request's pieces so far.
#[derive(Default)]
struct Bucket {
    exchanges: Vec<Box<Exchange>>,
    queries: Vec<Query>,
    apps: Vec<RequestKey>,
    first: Timestamp,
    last: Timestamp,
    /// When the earliest of it began.
    begun: Timestamp,
}

/// All requests that are not built yet.
pub(crate) struct Requests {
    buckets: FxHashMap<RequestId, Bucket>,
    due: VecDeque<(Timestamp, RequestId)>,
    /// A request is built when nothing of it was seen for this long and nothing of it is open.
    grace: Nanos,
    /// It is built anyway when this much time has passed since its first event.
    patience: Nanos,
    /// Most requests held; beyond it the oldest is built as it is.
    limit: usize,
    pub(crate) over_budget: u64,
}

impl Requests {
    pub(crate) fn new(grace: Nanos, patience: Nanos, limit: usize) -> Requests {
        let (buckets, due) = (FxHashMap::default(), VecDeque::new());
        Requests {
            buckets,
            due,
            grace,
            patience,
            limit,
            over_budget: 0,
        }
    }

    pub(crate) fn exchange(&mut self, id: RequestId, exchange: Box<Exchange>, now: Timestamp) {
        let bucket = self.touch(id, now);
        bucket.begun = bucket.begun.min(exchange.begun);
        bucket.exchanges.push(exchange);
    }

    pub(crate) fn query(&mut self, query: Query, now: Timestamp) {
        self.touch(query.binding.request.1, now).queries.push(query);
    }

    pub(crate) fn app(&mut self, key: RequestKey, now: Timestamp) {
        let bucket = self.touch(key.1, now);
        if !bucket.apps.contains(&key) {
            bucket.apps.push(key);
        }
    }

    fn touch(&mut self, id: RequestId, now: Timestamp) -> &mut Bucket {
        let (due, grace) = (&mut self.due, self.grace);
        let bucket = self.buckets.entry(id).or_insert_with(|| {
            due.push_back((now + grace, id));
            Bucket {
                first: now,
                begun: now,
                ..Bucket::default()
            }
        });
        bucket.last = now;
        bucket
    }

    /// When the oldest that is not built yet began.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        self.buckets.values().map(|bucket| bucket.begun).min()
    }

    /// Whether there is a request to be looked at: by [`Requests::take_due`].
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        let next = self.due.front();
        next.is_some_and(|(due, _)| *due <= now || self.is_over())
    }

    fn is_over(&self) -> bool {
        self.buckets.len() > self.limit
    }

    /// Takes the request that is due next, unless more of it can come: then it is due again later.
    pub(crate) fn take_due(
        &mut self,
        now: Timestamp,
        apps: &mut Apps,
        connections: &Connections,
    ) -> Option<Parts> {
        let (over, (_, id)) = (self.is_over(), self.due.pop_front()?);
        let bucket = self.buckets.get(&id)?;
        if over {
            self.over_budget += 1;
            return self.take(id, apps, Some(Incomplete::Budget));
        }
        if now.since(bucket.first) >= self.patience {
            return self.take(id, apps, Some(Incomplete::NoResponse));
        }
        let again = if bucket.last + self.grace > now {
            bucket.last + self.grace
        } else if bucket.is_open(id, apps, connections) {
            now + self.grace
        } else {
            return self.take(id, apps, None);
        };
        self.due.push_back((again, id));
        None
    }

    /// Takes every request: the recording ended.
    pub(crate) fn take_all(&mut self, apps: &mut Apps) -> Vec<Parts> {
        let mut ids: Vec<_> = self
            .buckets
            .iter()
            .map(|(id, bucket)| (bucket.first, *id))
            .collect();
        ids.sort_unstable();
        ids.into_iter()
            .filter_map(|(_, id)| self.take(id, apps, None))
            .collect()
    }

    fn take(
        &mut self,
        id: RequestId,
        apps: &mut Apps,
        reason: Option<Incomplete>,
    ) -> Option<Parts> {
        let bucket = self.buckets.remove(&id)?;
        let requests: Vec<_> = bucket
            .apps
            .iter()
            .filter_map(|key| Some((*key, apps.take(*key)?)))
            .collect();
        let mut incomplete: Vec<_> = reason.into_iter().collect();
        if requests
            .iter()
            .any(|(_, request)| request.end.is_none() || request.start.is_none())
        {
            incomplete.push(Incomplete::RecordingEdge);
        }
        let Bucket {
            exchanges, queries, ..
        } = bucket;
        Some(Parts {
            id: Some(id),
            exchanges,
            queries,
            apps: requests,
            incomplete,
        })
    }
}

impl Bucket {
    /// Whether more of this request may come: a handler or a caller's exchange is still open.
    fn is_open(&self, id: RequestId, apps: &Apps, connections: &Connections) -> bool {
        if self.exchanges.is_empty() || self.apps.iter().any(|key| apps.is_open(*key)) {
            return true;
        }
        (0..self.exchanges.len()).any(|at| {
            let exchange = &self.exchanges[at];
            let caller_missing = caller_of(&self.exchanges, at).is_none();
            let pid = exchange.client.pid.filter(|_| caller_missing);
            pid.is_some_and(|pid| connections.may_hold_caller(pid, exchange.begun, id))
        })
    }
}
