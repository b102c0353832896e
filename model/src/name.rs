//! Attribute names.

/// OpenTelemetry's stable names, and ours under `tierscope.`.
pub mod attr {
    /// Request method.
    pub const HTTP_REQUEST_METHOD: &str = "http.request.method";
    /// Route template where one is known (numbers in the path replaced by `{id}`).
    pub const HTTP_ROUTE: &str = "http.route";
    /// Response status code, an integer.
    pub const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";
    /// Path without the query string.
    pub const URL_PATH: &str = "url.path";
    /// Database product: `postgresql`.
    pub const DB_SYSTEM_NAME: &str = "db.system.name";
    /// SQL text, its literals replaced by `?`.
    pub const DB_QUERY_TEXT: &str = "db.query.text";
    /// Operation and main table, e.g. `SELECT users`.
    pub const DB_QUERY_SUMMARY: &str = "db.query.summary";
    /// Rows the statement returned or touched.
    pub const DB_RESPONSE_RETURNED_ROWS: &str = "db.response.returned_rows";
    /// SQLSTATE of a failed statement.
    pub const DB_RESPONSE_STATUS_CODE: &str = "db.response.status_code";
    /// Address of the other end.
    pub const NETWORK_PEER_ADDRESS: &str = "network.peer.address";
    /// Port of the other end.
    pub const NETWORK_PEER_PORT: &str = "network.peer.port";
    /// Process id.
    pub const PROCESS_PID: &str = "process.pid";
    /// Thread id.
    pub const THREAD_ID: &str = "thread.id";
    /// Class of an error: a status code, an SQLSTATE, `timeout`, `cancelled`, `closed`.
    pub const ERROR_TYPE: &str = "error.type";
    /// File path of a file operation.
    pub const FILE_PATH: &str = "file.path";

    /// What part of a hop a span is: `transfer`, `receive queue`.
    pub const PART: &str = "tierscope.part";
    /// Both ends of a hop, e.g. `nginx → app`.
    pub const HOP: &str = "tierscope.hop";
    /// `request` or `response`.
    pub const DIRECTION: &str = "tierscope.direction";
    /// Number of tiers between the client and this span; the client is 0.
    pub const HOP_COUNT: &str = "tierscope.hop_count";
    /// Bytes of a message or of a file operation.
    pub const BYTES: &str = "tierscope.bytes";
    /// Byte range of the request message: `sender cookie:lo-hi`, TCP sequence numbers.
    pub const REQUEST_RANGE: &str = "tierscope.request_range";
    /// Byte range of the response message.
    pub const RESPONSE_RANGE: &str = "tierscope.response_range";
    /// Request id that nginx gave.
    pub const REQUEST_ID: &str = "tierscope.request_id";
    /// Request id that a client chose.
    pub const CLIENT_REQUEST_ID: &str = "tierscope.client_request_id";
    /// Trace id that a client chose in `X-Trace-Id`.
    pub const CLIENT_TRACE_ID: &str = "tierscope.client_trace_id";
    /// What was not measured on this span, and why.
    pub const NOT_MEASURED: &str = "tierscope.not_measured";
    /// Nanoseconds by which a span ends after its parent: kept as measured, and flagged.
    pub const OUTLIVES_PARENT_NS: &str = "tierscope.outlives_parent_ns";
    /// Nanoseconds by which a span of an imported trace starts before its parent: kept, and flagged.
    pub const STARTS_BEFORE_PARENT_NS: &str = "tierscope.starts_before_parent_ns";
    /// Connection upkeep that belongs to no request: `ping`, `close statement`, `startup`.
    pub const UPKEEP: &str = "tierscope.upkeep";
    /// Cache key of a cache event.
    pub const CACHE_KEY: &str = "tierscope.cache.key";
    /// Retransmitted segments that overlap this message.
    pub const RETRANSMITS: &str = "tierscope.retransmits";
    /// Nanoseconds from the return of the last write of an answer until its last byte left: its server had
    /// done its part by then.
    pub const UNSENT_NS: &str = "tierscope.unsent_ns";
    /// File operation: `read`, `append`, `fsync`.
    pub const FILE_OPERATION: &str = "tierscope.file.operation";
    /// PostgreSQL exchange: `prepare`, `query`, `simple query`, `close`.
    pub const DB_EXCHANGE: &str = "tierscope.db.exchange";
    /// Packets of a message that were dropped on their sender's host before they had left.
    pub const DROPPED: &str = "tierscope.dropped";
    /// Bytes of a message that were sent again.
    pub const RETRANSMIT_BYTES: &str = "tierscope.retransmit.bytes";
    /// Nanoseconds for which bytes sent again kept in-order data from the reader.
    pub const RETRANSMIT_HOLE_NS: &str = "tierscope.retransmit.hole_ns";
    /// Segments sent again that the receiver had already: they cost nothing.
    pub const RETRANSMIT_SPURIOUS: &str = "tierscope.retransmit.spurious";
    /// Time on a CPU of the threads that worked on the span, in nanoseconds.
    pub const ON_CPU_NS: &str = "tierscope.on_cpu_ns";
    /// Their time runnable without a CPU: run-queue latency, in nanoseconds.
    pub const RUNNABLE_NS: &str = "tierscope.runnable_ns";
    /// Their time off CPU until something woke them, in nanoseconds.
    pub const OFF_CPU_NS: &str = "tierscope.off_cpu_ns";
    /// Number of equal operations that one span stands for.
    pub const COUNT: &str = "tierscope.count";
    /// Time within such a span that an operation was under way (their union), in nanoseconds.
    pub const BUSY_NS: &str = "tierscope.busy_ns";
    /// Where in the file an operation began.
    pub const FILE_OFFSET: &str = "tierscope.file.offset";
    /// User stack, innermost frame first, a line per frame.
    pub const CODE_STACKTRACE: &str = "code.stacktrace";
    /// Buffers that an execution found in PostgreSQL's shared buffers.
    pub const BUFFER_HITS: &str = "tierscope.buffers.hits";
    /// Buffers that it had to read.
    pub const BUFFER_READS: &str = "tierscope.buffers.reads";
    /// Tranche of a PostgreSQL lightweight lock.
    pub const LWLOCK_TRANCHE: &str = "tierscope.lwlock.tranche";
    /// What a PostgreSQL lock is on: `relation`, `transactionid`, `tuple` …
    pub const LOCK_TYPE: &str = "tierscope.lock.type";
    /// Its mode.
    pub const LOCK_MODE: &str = "tierscope.lock.mode";
    /// Which one, in words: `transaction 7431`, `relation 16402 of database 5`.
    pub const LOCK_TAG: &str = "tierscope.lock.tag";
    /// On a server that passes requests on, in nanoseconds since it had read the request's head: the
    /// whole request was read.
    pub const NGINX_REQUEST_READ_NS: &str = "tierscope.nginx.request_read_ns";
    /// The upstream was chosen: connecting began, or the first byte was written to it.
    pub const NGINX_UPSTREAM_CHOSEN_NS: &str = "tierscope.nginx.upstream_chosen_ns";
    /// The new connection to it was established; not there where an open one was used.
    pub const NGINX_CONNECTED_NS: &str = "tierscope.nginx.connected_ns";
    /// The request's last byte to the upstream left.
    pub const NGINX_REQUEST_SENT_NS: &str = "tierscope.nginx.request_sent_ns";
    /// The head of the upstream's answer was read.
    pub const NGINX_HEAD_RECEIVED_NS: &str = "tierscope.nginx.head_received_ns";
    /// The last byte of the upstream's answer was read.
    pub const NGINX_BODY_RECEIVED_NS: &str = "tierscope.nginx.body_received_ns";
    /// The first byte of the answer was written to the client.
    pub const NGINX_RESPONSE_BEGUN_NS: &str = "tierscope.nginx.response_begun_ns";
    /// Its last byte left.
    pub const NGINX_RESPONSE_SENT_NS: &str = "tierscope.nginx.response_sent_ns";
    /// The request's line in the access log was written.
    pub const NGINX_FINISHED_NS: &str = "tierscope.nginx.finished_ns";
    /// On the client's span of a connection's first request: SYN sent → established, in nanoseconds.
    pub const CONNECT_NS: &str = "tierscope.connect_ns";
    /// Established → first byte of that request written, in nanoseconds.
    pub const CONNECTED_BEFORE_NS: &str = "tierscope.connected_before_ns";
    /// What a span rests on where it is not the usual probe: `wait event`.
    pub const SOURCE: &str = "tierscope.source";
    /// PostgreSQL's wait event that such a span is made from, e.g. `WALSync`.
    pub const WAIT_EVENT: &str = "tierscope.wait_event";
    /// File of a PostgreSQL relation: tablespace, database and file number, and a fork other than the main one.
    pub const RELATION_FILE: &str = "tierscope.relation.file";
    /// Number of the page in it that was read; of several the first's.
    pub const RELATION_BLOCK: &str = "tierscope.relation.block";
    /// Block device, `major:minor`.
    pub const DISK_DEVICE: &str = "tierscope.disk.device";
    /// On the root of an imported trace, whose times are nanoseconds since 1970: `jaeger`, `zipkin`, `otlp`.
    pub const IMPORT_FORMAT: &str = "tierscope.import.format";
    /// What is odd about an imported span, e.g. `shared id, no start`.
    pub const IMPORT_ODD: &str = "tierscope.import.odd";
    /// Its id as it came, where that is not hex or another span has it, too.
    pub const IMPORT_ID: &str = "tierscope.import.id";
    /// The parent that it came with, where it could not be joined to it.
    pub const IMPORT_PARENT: &str = "tierscope.import.parent";
    /// Its further references, e.g. `follows_from 4bf9…/00f0…`.
    pub const IMPORT_LINKS: &str = "tierscope.import.links";
}
