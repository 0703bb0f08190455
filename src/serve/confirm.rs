//! The one place where a response waits until followers of a session table know of its change, before the client does. It does not
//! know who follows: each follower tells the table whether responses wait for it, and how long.

use burdock::balancer::StickyUpstream;
use burdock::balancer::reason::TieAction;
use burdock::table::{Confirmation, Patience};

/// What a response waits for: nothing, unless a table has followers that responses wait for.
pub type Confirmations = Vec<Confirmation>;

/// Call it when the change is made.
pub fn of(settled: TieAction, upstream: &StickyUpstream) -> Confirmations {
    match settled {
        // A table has at most seen the session again.
        TieAction::None | TieAction::Kept => Vec::new(),
        TieAction::Renewed | TieAction::Inserted | TieAction::Rewritten | TieAction::Learned | TieAction::Forgotten => {
            upstream.tables().filter_map(Confirmation::of).collect()
        }
    }
}

/// Returns when every follower knows of the change or has run out of time.
pub async fn wait(confirmations: Confirmations) {
    for mut confirmation in confirmations {
        let at_most = confirmation.at_most();
        if tokio::time::timeout(at_most, &mut confirmation).await.is_err() {
            // A late follower still gets the change.
            match confirmation.run_out() {
                Patience::Left => {}
                Patience::Lost => log::warn!(
                    "another process confirms changes of session tables too slowly: responses no longer wait for it; a session that \
                     changes now may lose its server"
                ),
            }
        }
    }
}
