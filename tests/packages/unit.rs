//! The unit, as checked by systemd-analyze.

use std::fs;

use crate::tools::{command, ok, output, project, text};

const UNIT: &str = "deploy/systemd/burdock.service";

#[test]
#[ignore = "needs systemd: scripts/test --full"]
fn systemd_analyze_accepts_the_unit() {
    let text = fs::read_to_string(project().join(UNIT)).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let unit = directory.path().join("burdock.service");
    fs::write(&unit, text.replace("/usr/bin/burdock", env!("CARGO_BIN_EXE_burdock"))).unwrap();
    assert_eq!(ok(command("systemd-analyze verify --man=no").arg(&unit)), "");
}

#[test]
#[ignore = "needs systemd: scripts/test --full"]
fn the_units_exposure_is_at_most_2() {
    let report = output(&mut command(&format!("systemd-analyze security --no-pager --offline=yes --threshold=20 {UNIT}")));
    assert!(report.status.success(), "{}", text(&report));
}
