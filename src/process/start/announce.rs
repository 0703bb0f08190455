//! The first lines of the log: which Burdock starts, with which configuration, and where it listens.

use std::path::Path;

use burdock::config::Config;
use burdock::config::values::Http1;
use log::LevelFilter;

/// Logs the start line, and says so if RUST_LOG asks for messages that this build does not have.
pub fn announce(config: &Config, file: &Path) {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    log::info!("{}", start_line(config, &file));
    if let Some(line) = compiled_out(log::max_level(), log::STATIC_MAX_LEVEL) {
        log::warn!("{line}");
    }
}

fn start_line(config: &Config, file: &Path) -> String {
    let listeners: Vec<String> = config.listeners.iter().map(|listener| listener.address.to_string()).collect();
    let address = config.admin.address.map(|address| address.to_string());
    let socket = config.admin.socket.as_ref().map(|path| path.display().to_string());
    let admin: Vec<String> = address.into_iter().chain(socket).collect();
    let admin = if admin.is_empty() { "none".to_owned() } else { admin.join(", ") };
    let engine = match config.process.http1 {
        Http1::Pingora => "pingora",
        Http1::Native => "native, and pingora for requests with a body",
    };
    format!(
        "burdock {} starts, process {}; configuration: {}; listeners: {}; admin: {admin}; state: {}; HTTP/1 engine: {engine}",
        env!("CARGO_PKG_VERSION"),
        std::process::id(),
        file.display(),
        listeners.join(", "),
        config.process.state_dir.display()
    )
}

fn compiled_out(wanted: LevelFilter, built: LevelFilter) -> Option<String> {
    let [wanted, built] = [wanted, built].map(|level| (level, level.as_str().to_lowercase()));
    let missing = wanted.0 > built.0;
    missing.then(|| {
        format!("RUST_LOG asks for {}, which is compiled out of this build: it shows {} and above", wanted.1, built.1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_is_compiled_out_is_named() {
        let line = compiled_out(LevelFilter::Trace, LevelFilter::Info).unwrap();
        assert!(line.contains("trace, which is compiled out") && line.contains("shows info and above"), "{line}");
        assert_eq!(compiled_out(LevelFilter::Info, LevelFilter::Info), None);
        assert_eq!(compiled_out(LevelFilter::Off, LevelFilter::Trace), None);
    }
}
