//! Traces in the formats of other tools: Jaeger's UI, Zipkin v2 and OTLP; out and in.
//!
//! Each export gives a value that serialises to the JSON which that tool takes as it is. All three
//! carry the same: every span with its id, parent, times on the wall clock, attributes and events,
//! and under `tierscope.` the evidence for its parent and its exact monotonic times. A span that
//! could not be joined goes out without a parent and marked `tierscope.orphan`.

mod clock;
mod extra;
mod import;
mod jaeger;
mod otlp;
mod zipkin;

pub use clock::Clock;
pub use import::{Format, ImportError, Imported, Importer, Odd};
pub use jaeger::{JaegerFile, to_jaeger};
pub use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
pub use otlp::to_otlp;
pub use zipkin::{ZipkinSpan, to_zipkin};
