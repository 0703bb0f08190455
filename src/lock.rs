//! The core's locks, and the counters whose order between threads matters as that of locks does. Where interleavings are tested
//! (feature `shuttle`) a scheduler that tries many of them decides who goes on at each; everywhere else they are `parking_lot`'s
//! and the standard library's, and nothing more.

#[cfg(not(feature = "shuttle"))]
pub(crate) use parking_lot::{Mutex, MutexGuard, RwLock};
#[cfg(feature = "shuttle")]
pub(crate) use scheduled::{Mutex, RwLock};
#[cfg(feature = "shuttle")]
pub(crate) use shuttle::sync::{MutexGuard, atomic::AtomicU32};
#[cfg(not(feature = "shuttle"))]
pub(crate) use std::sync::atomic::AtomicU32;

/// Shuttle's locks with the face of `parking_lot`'s. A panic ends the test, so nobody meets a lock that one has poisoned.
#[cfg(feature = "shuttle")]
mod scheduled {
    use std::sync::PoisonError;

    use shuttle::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

    #[derive(Debug, Default)]
    pub struct Mutex<T>(shuttle::sync::Mutex<T>);

    #[derive(Debug, Default)]
    pub struct RwLock<T>(shuttle::sync::RwLock<T>);

    impl<T> Mutex<T> {
        pub fn new(value: T) -> Self {
            Self(shuttle::sync::Mutex::new(value))
        }

        pub fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl<T> RwLock<T> {
        pub fn new(value: T) -> Self {
            Self(shuttle::sync::RwLock::new(value))
        }

        pub fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().unwrap_or_else(PoisonError::into_inner)
        }

        pub fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().unwrap_or_else(PoisonError::into_inner)
        }
    }
}
