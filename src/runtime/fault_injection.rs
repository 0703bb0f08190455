//! Faults that tests ask for by the environment, in debug builds alone.

/// A disk as slow as one could wish: goes on when the file that the environment names is not there (any more).
pub fn slow_disk() {
    if !cfg!(debug_assertions) {
        return;
    }
    let Some(slow) = std::env::var_os("BURDOCK_SLOW_DISK") else { return };
    while std::path::Path::new(&slow).exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
