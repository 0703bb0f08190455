//! What becomes of a request when an attempt at a server fails: tried again, or answered. Both engines ask here.

use std::sync::Arc;

use ::http::Method;
use burdock::upstream::retry::{Failure, Progress, ShouldRetry};
use pingora::Error;

use super::context::Context;
use super::reply;
use super::state::ServingState;
use crate::servers::shortage;

/// What follows a failed attempt.
#[derive(Debug)]
pub enum Next {
    Again,
    /// The request ends with the error of the attempt.
    Failed,
    /// The request ends with this error: the server is not to blame.
    Refused(Box<Error>),
}

/// No connection could be opened.
pub fn connecting(error: &Error, method: &Method, context: &mut Context, state: &Arc<ServingState>) -> Next {
    if let Some(what) = shortage::of(error) {
        state.short_of(what);
        context.failed(Failure::Shortage, method, Progress::Replayable, state);
        context.short_of_resources();
        return Next::Refused(reply::status(503, "no connection to a server can be opened on this host"));
    }
    exchanging(error, Failure::Connect, method, Progress::Replayable, context, state)
}

/// An exchange on an open connection failed.
pub fn exchanging(
    error: &Error,
    failure: Failure,
    method: &Method,
    progress: Progress,
    context: &mut Context,
    state: &Arc<ServingState>,
) -> Next {
    context.attempt_failed(error);
    match context.failed(failure, method, progress, state) {
        ShouldRetry::Yes => Next::Again,
        ShouldRetry::No => Next::Failed,
    }
}
