//! Faults for tests, enabled by environment variables, in debug builds only.

/// Simulates a slow disk: waits while the file named by `BURDOCK_SLOW_DISK` exists.
pub fn slow_disk() {
    if !cfg!(debug_assertions) {
        return;
    }
    let Some(slow) = std::env::var_os("BURDOCK_SLOW_DISK") else { return };
    while std::path::Path::new(&slow).exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
