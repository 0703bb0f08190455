//! What is shipped, tried with the tools that use it: systemd, dpkg, podman and Kubernetes' schemas. As root, in the full tier
//! (`scripts/test --full`), with what `scripts/install full` brings. Roots are made by debootstrap once and kept in the target
//! folder; what a test makes of one goes with the test, and mounts are in namespaces that end with their command.
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
