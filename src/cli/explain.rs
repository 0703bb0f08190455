//! `burdock explain`
use clap::Args;

use super::{ConfigFile, Ended};

/// Says where a request would go, and why, without sending it
#[derive(Debug, Args)]
pub struct ExplainArgs {
    #[command(flatten)]
    config: ConfigFile,
}

pub fn explain(args: &ExplainArgs) -> Ended {
    let _ = args.config.path();
    Ended::Failed
}
