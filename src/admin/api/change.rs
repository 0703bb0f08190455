//! Changes to the process: runs them on a blocking thread and turns their errors into problems.

use std::sync::Arc;

use ::http::{HeaderMap, StatusCode};
use burdock::config::Errors;
use burdock::ids::{ServerId, UpstreamName};

use crate::api::problem::{FieldError, Problem};
use crate::control::change::{ChangeError, Control};
use crate::control::persist::Persisted;
use crate::control::reload::ReloadError;
use crate::control::servers::Expect;
use crate::control::tag::Tag;

/// Runs a change on a blocking thread: it builds rings and writes files, and must not hold up other requests.
pub async fn carry_out<T: Send + 'static>(
    control: &Arc<Control>,
    change: impl FnOnce(&Control) -> T + Send + 'static,
) -> Result<T, Problem> {
    let control = Arc::clone(control);
    let done = tokio::task::spawn_blocking(move || change(&control)).await;
    done.map_err(|_| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the change failed halfway: see the log of the process")
    })
}

/// Parses the names of a server.
///
/// # Errors
/// 404 where a name is invalid: nothing has such a name.
pub fn names(upstream: &str, server: &str) -> Result<(UpstreamName, ServerId), Problem> {
    let missing = |what: String| Problem::new(StatusCode::NOT_FOUND, format!("no {what}"));
    let upstream = UpstreamName::parse(upstream).map_err(|_| missing(format!("upstream {upstream:?}")))?;
    let id = ServerId::parse(server).map_err(|_| missing(format!("server {server:?}")))?;
    Ok((upstream, id))
}

/// What `If-Match` expects of a server (RFC 9110 13.1.1). If it lists several states, it expects the current one if that is
/// among them.
pub fn expected(control: &Control, (upstream, id): (&UpstreamName, &ServerId), headers: &HeaderMap) -> Expect {
    let lines = headers.get_all(::http::header::IF_MATCH).iter().filter_map(|line| line.to_str().ok());
    let tags: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    if tags.is_empty() || tags.contains(&"*") {
        return Expect::Anything;
    }
    let now = control.server(upstream, id).map(|(_, tag)| etag(&tag)).ok();
    let found = now.as_deref().filter(|now| tags.contains(now)).unwrap_or(tags[0]);
    Expect::Tag(Tag(found.trim_matches('"').to_owned()))
}

pub fn etag(tag: &Tag) -> String {
    format!("\"{}\"", tag.0)
}

/// Why a change will not survive a restart.
pub fn warning(persisted: Persisted) -> Option<String> {
    match persisted {
        Persisted::Yes => None,
        Persisted::No(why) => Some(format!("the change is in effect, but will not survive a restart: {why}")),
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        let status = match &error {
            ChangeError::NoUpstream(_) | ChangeError::NoServer(..) => StatusCode::NOT_FOUND,
            ChangeError::Exists(..) | ChangeError::ServerLeaving(_) | ChangeError::TooMany => StatusCode::CONFLICT,
            ChangeError::Mismatch { .. } => StatusCode::PRECONDITION_FAILED,
            ChangeError::Leaving => StatusCode::SERVICE_UNAVAILABLE,
            ChangeError::OwnListener(_) | ChangeError::Publish(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, error.to_string())
    }
}

impl From<ReloadError> for Problem {
    fn from(error: ReloadError) -> Self {
        match error {
            ReloadError::Wrong(errors) => wrong(&errors),
            ReloadError::Change(error) => error.into(),
            ReloadError::NeedsUpgrade(_) => Self::new(StatusCode::CONFLICT, error.to_string()),
            ReloadError::Unreadable { .. } | ReloadError::Key(_) | ReloadError::Token(_) | ReloadError::OwnListener(_) => {
                Self::new(StatusCode::CONFLICT, format!("nothing changed: {error}"))
            }
        }
    }
}

/// All errors of the configuration file, each with its line and column.
fn wrong(errors: &Errors) -> Problem {
    let errors = errors.faults().iter().map(|fault| {
        let help = fault.help.iter().map(|help| format!("; {help}"));
        FieldError { at: fault.at.to_string(), detail: std::iter::once(fault.to_string()).chain(help).collect() }
    });
    let errors = errors.collect();
    Problem { errors, ..Problem::new(StatusCode::CONFLICT, "nothing changed: the configuration file has errors") }
}
