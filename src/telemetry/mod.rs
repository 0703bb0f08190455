//! Records of requests: the access log and the metrics. It decides nothing.

pub mod access_log;
pub mod metrics;
pub mod request_record;
