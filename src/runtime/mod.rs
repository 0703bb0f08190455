//! The process's environment: clocks, directories, descriptor limits, keys, the API's token and socket, readiness, systemd.

pub mod admin_socket;
pub mod bearer;
pub mod clock;
pub mod descriptor_limits;
pub mod directories;
pub mod fault_injection;
pub mod key_file;
pub mod keys;
pub mod leftovers;
pub mod own_listeners;
pub mod process_figures;
pub mod readiness;
pub mod regular_file;
pub mod systemd;
pub mod unix_sockets;
pub mod warn_limit;
