//! Figures of the edge, and the text that Prometheus reads. The recorder is the node's: a handle is passed in.

use http::Method;
use std::sync::Arc;
use std::time::Duration;

/// Renders every figure of the node in Prometheus' text format.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `route` is a row's path, never the client's: labels stay few.
pub fn answered(method: &Method, route: &'static str, status: u16, took: Duration) {
    let method = match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        _ => "other",
    };
    metrics::counter!("aimg_http_requests_total", "method" => method, "route" => route, "status" => status.to_string()).increment(1);
    metrics::histogram!("aimg_http_request_seconds", "method" => method, "route" => route).record(took.as_secs_f64());
}
