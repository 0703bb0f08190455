//! Waits before a response says what it has changed in a session table, where somebody is to know of that before the client does. Who
//! that is, and for how long an answer waits, is between them and the table.

use burdock::balancer::StickyUpstream;
use burdock::balancer::reason::TieAction;
use burdock::table::Confirmation;

/// What is to be waited for: nothing, unless tables have followers that answers wait for.
pub type Confirmations = Vec<Confirmation>;

/// To be made when the change is.
pub fn of(settled: TieAction, pool: &StickyUpstream) -> Confirmations {
    match settled {
        // A table has at most seen the session again.
        TieAction::None | TieAction::Kept => Vec::new(),
        TieAction::Renewed | TieAction::Inserted | TieAction::Rewritten | TieAction::Learned | TieAction::Forgotten => {
            pool.tables().filter_map(Confirmation::of).collect()
        }
    }
}

/// Comes back when all know, or have had their time.
pub async fn wait(confirmations: Confirmations) {
    for confirmation in confirmations {
        let at_most = confirmation.at_most();
        // Who is late is told nevertheless.
        let _ = tokio::time::timeout(at_most, confirmation).await;
    }
}
