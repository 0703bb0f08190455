//! What the process stands on: clocks, directories, descriptor limits, keys, readiness.

pub mod clock;
pub mod descriptor_limits;
pub mod directories;
pub mod fault_injection;
pub mod keys;
pub mod readiness;
