//! Notifies systemd when the process is ready, and then keeps its watchdog alive. It decides nothing: it follows [`Readiness`].
//!
//! [`Readiness`]: crate::runtime::readiness::Readiness

use std::sync::Arc;

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;

use crate::control::state::ProcessState;
use crate::runtime::readiness::Ready;
use crate::runtime::systemd;

pub struct SystemdService(pub Arc<ProcessState>);

#[async_trait]
impl BackgroundService for SystemdService {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        tokio::select! {
            () = notify(&self.0) => {}
            _ = shutdown.wait_for(|ending| *ending) => {}
        }
    }
}

async fn notify(state: &ProcessState) {
    match state.serving.readiness.settled().await {
        Ready::Yes => systemd::ready(),
        Ready::Leaving | Ready::Replaced | Ready::NotListening | Ready::NotChecked => return,
    }
    let Some(every) = systemd::alive_interval() else { return };
    loop {
        state.watchdog.alive().await;
        systemd::alive();
        tokio::time::sleep(every).await;
    }
}
