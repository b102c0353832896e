//! Where spans go: in batches, as OTLP over HTTP, to the collector on this host.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider},
};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer as _, filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// Spans that wait for the exporter: enough for a few seconds at saturation, where the SDK's 2,048 would
/// drop most of them and look cheaper than it is.
const QUEUE: usize = 1 << 16;

/// Sends this crate's spans, and no library's, to `http://localhost:4318`, which the SDK takes by default.
pub fn install() -> Result<SdkTracerProvider, ExporterBuildError> {
    let exporter = SpanExporter::builder().with_http().build()?;
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE)
        .build();
    let processor = BatchSpanProcessor::builder(exporter)
        .with_batch_config(batches)
        .build();
    let provider = SdkTracerProvider::builder()
        .with_resource(Resource::builder().with_service_name("lab").build())
        .with_span_processor(processor)
        .build();
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("tierscope-lab-otel"))
        .with_filter(Targets::new().with_target(env!("CARGO_CRATE_NAME"), LevelFilter::INFO));
    tracing_subscriber::registry().with(spans).init();
    Ok(provider)
}
