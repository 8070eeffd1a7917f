//! Logs to stderr, metrics to a Prometheus page.

use crate::config::Log;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// ractor_cluster logs payloads at debug level: never let it.
const CAPS: [&str; 2] = ["ractor=info", "ractor_cluster=info"];

pub fn logs(log: &Log) -> Result<(), String> {
    let mut filter = EnvFilter::try_new(&log.filter).map_err(|error| format!("log.filter: {error}"))?;
    for cap in CAPS {
        filter = filter.add_directive(cap.parse().map_err(|error| format!("log filter {cap}: {error}"))?);
    }
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let done = if log.format == "json" {
        registry.with(layer.json()).try_init()
    } else {
        registry.with(layer).try_init()
    };
    done.map_err(|error| format!("logs: {error}"))
}

pub fn metrics() -> Result<PrometheusHandle, String> {
    PrometheusBuilder::new().install_recorder().map_err(|error| format!("metrics: {error}"))
}
