//! The shipped files, tested with the tools that use them: systemd, dpkg, podman and Kubernetes' schemas. The tests run as root in the
//! full tier (`scripts/test --full`), with the tools that `scripts/install full` installs. debootstrap creates root file systems
//! once and keeps them in the target directory; a test's copy is removed with the test, and mounts are in namespaces that end with
//! their command.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

mod compose;
mod debian;
mod image;
mod kubernetes;
mod podman;
mod production;
mod root;
mod shop;
mod systemd;
mod tools;
mod unit;
