//! Tests with real files. Each test sets the clock.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use burdock::ids::ServerId;
use burdock::session::fingerprint::Fingerprint;
use burdock::session::fingerprint_key::FingerprintKeyId;
use burdock::session::lifetime::Lifetime;
use burdock::table::format::{Header, NoHeader, Precedence};
use burdock::table::{Budget, Known, Persist, ServerHandle, Table, TableName, TableSpec};
use burdock::time::{Skipped, UnixSeconds, Uptime};
use tempfile::TempDir;

use super::status::{Persistence, Status};
use crate::runtime::clock::{Clock, Moment};
use crate::storage::files::TableDirectory;
use crate::storage::progress::Progress;
use crate::storage::recovery;
use crate::storage::recovery::Trouble;
use crate::storage::session_storage::SessionStorage;
use crate::storage::worker::{Worker, live};

const KEY: FingerprintKeyId = FingerprintKeyId(*b"01234567");
const BEGIN: u64 = 1_800_000_000;
const IDLE: u32 = 3_600;

/// A process that stores one table in a directory.
struct Process {
    table: Arc<Table>,
    status: Arc<Status>,
    worker: Worker,
    now: Moment,
}

fn moment(seconds: u64) -> Moment {
    Moment {
        uptime: Uptime(Duration::from_secs(seconds)),
        wall: Duration::from_secs(BEGIN + seconds),
        skipped: Skipped::default(),
    }
}

fn table(capacity: u32) -> Table {
    let name = TableName::parse("shop").unwrap();
    let capacity = NonZeroU32::new(capacity).unwrap();
    let lifetime = Lifetime { idle: Some(IDLE), life: None };
    Table::new(TableSpec { name, capacity, lifetime, persist: Persist::On })
}

fn start(directory: &Path, key: FingerprintKeyId, capacity: u32, now: Moment) -> Process {
    let table = Arc::new(table(capacity));
    let status = Arc::new(Status::new(Persist::On));
    let kept = vec![(Arc::clone(&table), Arc::clone(&status))];
    let worker = Worker::open(directory, kept, Default::default(), key, &Clock::start(), now);
    Process { table, status, worker, now }
}

impl Process {
    fn at(directory: &TempDir, seconds: u64) -> Self {
        start(directory.path(), KEY, 10_000, moment(seconds))
    }

    fn wall(&self) -> UnixSeconds {
        self.now.now().wall
    }

    fn server(&self, id: &str) -> ServerHandle {
        self.table.register(&ServerId::parse(id).unwrap()).unwrap()
    }

    fn tie(&self, sessions: std::ops::Range<u64>, server: &str) {
        let server = self.server(server);
        sessions.for_each(|n| _ = self.table.tie(session(n), &server, Budget::Within, self.wall()));
    }

    /// Advances the clock by this many seconds, and writes everything that is due.
    fn pass(&mut self, seconds: u64) {
        let span = Duration::from_secs(seconds);
        self.now = Moment { uptime: self.now.uptime.plus(span), wall: self.now.wall + span, ..self.now };
        while self.worker.step(self.now) != Progress::Idle {}
    }

    fn live(&self) -> u64 {
        live(&self.table, self.wall())
    }

    fn server_of(&self, n: u64) -> Option<String> {
        match self.table.find(session(n), self.wall()) {
            Known::Session(session) => Some(self.table.server(session.server).unwrap().as_str().to_owned()),
            Known::Expired(_) | Known::Unknown => None,
        }
    }

    /// Ends the process as `kill -9` does.
    fn kill(self) {
        drop(self);
    }

    fn end(self) {
        self.worker.close(self.now);
    }
}

fn session(n: u64) -> Fingerprint {
    Fingerprint::from_bytes((u128::from(n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).to_be_bytes())
}

fn files(directory: &TempDir) -> Vec<String> {
    let entries = std::fs::read_dir(directory.path().join("sessions/shop")).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn file(directory: &TempDir, name: &str) -> PathBuf {
    directory.path().join("sessions/shop").join(name)
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

/// A directory with a snapshot of 5,000 sessions (several blocks) and two journals with one more each.
fn stored() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::at(&directory, 0);
    process.tie(0..5_000, "a");
    process.pass(1);
    process.kill();
    overwrite(&file(&directory, "journal.1"), 500_000, b"damage, so that a snapshot is due");
    let mut process = Process::at(&directory, 20);
    process.pass(1);
    process.tie(5_000..5_001, "b");
    process.pass(1);
    process.kill();
    let mut process = Process::at(&directory, 30);
    process.tie(5_001..5_002, "c");
    process.pass(1);
    process.kill();
    assert_eq!(files(&directory), ["journal.3", "journal.4", "snapshot.3"]);
    directory
}

#[test]
fn changes_written_before_a_kill_survive() {
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::at(&directory, 0);
    process.tie(0..100, "a");
    process.tie(100..200, "b");
    process.pass(1);
    process.tie(50..60, "b");
    process.table.forget(session(3), process.wall());
    process.pass(1);
    process.tie(200..300, "a");
    process.kill();

    let process = Process::at(&directory, 10);
    assert_eq!(process.live(), 199);
    let servers = [2, 3, 50, 199, 200].map(|n| process.server_of(n));
    let expected = [Some("a"), None, Some("b"), Some("b"), None];
    assert_eq!(servers, expected.map(|id| id.map(str::to_owned)));
    assert_eq!(process.status.persistence(), Persistence::On);
}

#[test]
fn a_graceful_end_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::at(&directory, 0);
    process.tie(0..100, "a");
    process.end();
    assert_eq!(Process::at(&directory, 0).live(), 100);
}

#[test]
fn downtime_counts_as_idle_time() {
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::at(&directory, 0);
    process.tie(0..1, "a");
    process.pass(1_000);
    process.tie(1..2, "a");
    process.end();
    let process = Process::at(&directory, u64::from(IDLE) * 11 / 10 + 1);
    assert_eq!([0, 1].map(|n| process.server_of(n).is_some()), [false, true]);
}

#[test]
fn a_clock_step_loses_no_session_permanently() {
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::at(&directory, 50_000);
    process.tie(0..10, "a");
    process.pass(1);
    process.kill();
    // The clock was too early for a while.
    let mut process = Process::at(&directory, 0);
    assert_eq!(process.live(), 10);
    process.tie(10..20, "a");
    process.pass(1);
    process.end();
    assert_eq!(Process::at(&directory, 50_000).live(), 10);
}

#[test]
fn all_files_are_private_to_their_owner() {
    let directory = stored();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    for name in files(&directory) {
        assert_eq!(mode(&file(&directory, &name)), 0o600, "{name}");
    }
    assert_eq!(mode(&directory.path().join("sessions/.lock")), 0o600);
    assert_eq!(mode(&directory.path().join("sessions/shop")), 0o700);
}

#[test]
fn a_torn_end_is_cut_and_reported_at_any_length() {
    let directory = stored();
    let path = file(&directory, "journal.3");
    let whole = std::fs::read(&path).unwrap();
    let header = Header { table: TableName::parse("shop").unwrap(), key: KEY };
    for length in 0..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        let table = table(10_000);
        let files = TableDirectory::new(&directory.path().join("sessions"), &header.table);
        let now = moment(40).now().wall;
        let report = recovery::read(&files, &header, &table, recovery::From::Snapshot, Precedence::Stored, now).unwrap();
        assert_eq!(live(&table, now), 5_001, "{length}");
        let begin = header.encode().len();
        let reported = match &*report.troubles {
            [] => length == 0 || length == begin,
            [(_, Trouble::Header(NoHeader::Damaged))] => length < begin,
            [(_, Trouble::Cut(bytes))] => *bytes == (length - begin) as u64,
            _ => false,
        };
        assert!(reported, "{length}: {:?}", report.troubles);
    }
}

#[test]
fn a_damaged_block_is_lost_and_a_checkpoint_repairs_the_files() {
    let directory = stored();
    overwrite(&file(&directory, "snapshot.3"), 70_000, b"damage");
    let mut process = Process::at(&directory, 40);
    let left = process.live();
    assert!((4_800..4_900).contains(&left), "{left}");
    assert_eq!([5_000, 5_001].map(|n| process.server_of(n).is_some()), [true; 2]);
    process.pass(1);
    assert_eq!(files(&directory), ["journal.6", "snapshot.6"]);
    process.kill();
    let mut process = Process::at(&directory, 50);
    assert_eq!(process.live(), left);
    process.pass(1);
    assert_eq!(files(&directory), ["journal.6", "journal.7", "snapshot.6"]);
}

#[test]
fn a_table_starts_with_any_files_in_its_directory() {
    let directory = stored();
    std::fs::write(file(&directory, "snapshot.3"), b"no snapshot at all").unwrap();
    std::fs::write(file(&directory, "journal.x"), b"").unwrap();
    std::fs::write(file(&directory, "snapshot.9.new"), b"half").unwrap();
    std::fs::create_dir(file(&directory, "journal.8")).unwrap();
    let mut process = Process::at(&directory, 40);
    assert_eq!(process.live(), 2);
    process.pass(1);
    assert!(!file(&directory, "snapshot.9.new").exists());
    process.end();
}

#[test]
fn a_missing_journal_loses_only_its_own_changes() {
    let directory = stored();
    std::fs::remove_file(file(&directory, "journal.3")).unwrap();
    let process = Process::at(&directory, 40);
    assert_eq!([4_999, 5_000, 5_001].map(|n| process.server_of(n).is_some()), [true, false, true]);
}

#[test]
fn a_different_fingerprint_key_drops_every_session() {
    let directory = stored();
    let mut process = start(directory.path(), FingerprintKeyId(*b"another!"), 10_000, moment(40));
    assert_eq!(process.live(), 0);
    process.pass(1);
    process.kill();
    assert_eq!(Process::at(&directory, 50).live(), 0);
}

#[test]
fn a_file_of_a_newer_burdock_is_not_read() {
    let directory = stored();
    overwrite(&file(&directory, "snapshot.3"), 8, &[0, 2]);
    assert_eq!(Process::at(&directory, 40).live(), 2);
}

#[test]
fn a_different_capacity_loads_what_fits() {
    let directory = tempfile::tempdir().unwrap();
    let process = start(directory.path(), KEY, 100_000, moment(0));
    process.tie(0..60_000, "a");
    process.end();
    let process = start(directory.path(), KEY, 1_000_000, moment(40));
    assert_eq!(process.live(), 60_000);
    process.kill();
    let process = start(directory.path(), KEY, 100, moment(40));
    assert!((100..40_000).contains(&process.live()), "{}", process.live());
}

#[test]
fn journals_do_not_grow_beyond_their_limit() {
    let directory = tempfile::tempdir().unwrap();
    let mut process = start(directory.path(), KEY, 400_000, moment(0));
    for n in 0..40 {
        process.tie(0..20_000, if n % 2 == 0 { "a" } else { "b" });
        process.pass(1);
    }
    let sizes = files(&directory).into_iter().map(|name| file(&directory, &name).metadata().unwrap().len());
    let bytes: u64 = sizes.sum();
    assert!(files(&directory).iter().any(|name| name.starts_with("snapshot")), "{:?}", files(&directory));
    // A journal may fill for ten seconds after a snapshot has begun, here with 580,000 bytes in each.
    assert!(bytes < (4 << 20) + 10 * 600_000, "{bytes}");
    process.kill();
    let process = start(directory.path(), KEY, 400_000, moment(60));
    assert_eq!(process.live(), 20_000);
    assert_eq!(process.server_of(7).as_deref(), Some("b"));
}

#[test]
fn many_short_runs_leave_few_files() {
    let directory = tempfile::tempdir().unwrap();
    for n in 0..50 {
        let mut process = Process::at(&directory, n * 20);
        process.tie(n..n + 1, "a");
        process.pass(1);
        process.kill();
    }
    assert!(files(&directory).len() < 12, "{:?}", files(&directory));
    assert_eq!(Process::at(&directory, 1_000).live(), 50);
}

#[test]
fn changes_lost_by_the_feed_are_in_the_next_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let mut process = start(directory.path(), KEY, 1_000_000, moment(0));
    process.tie(0..300_000, "a");
    process.pass(1);
    assert!(process.status.lost() > 0);
    process.kill();
    assert_eq!(start(directory.path(), KEY, 1_000_000, moment(10)).live(), 300_000);
}

#[test]
fn changes_during_a_checkpoint_are_not_lost() {
    let directory = tempfile::tempdir().unwrap();
    let mut process = start(directory.path(), KEY, 1_000_000, moment(0));
    process.tie(0..300_000, "a");
    let mut n = 0;
    process.now = moment(1);
    loop {
        match process.worker.step(process.now) {
            Progress::Idle => break,
            Progress::WaitingForDisk => continue,
            Progress::Busy => {}
        }
        process.tie(n * 100..n * 100 + 50, "b");
        process.table.forget(session(n * 100 + 99), process.wall());
        process.tie(300_000 + n..300_001 + n, "c");
        n += 1;
    }
    assert!(n > 50, "{n}");
    process.pass(1);
    let live = process.live();
    process.kill();
    let process = start(directory.path(), KEY, 1_000_000, moment(10));
    assert_eq!(process.live(), live);
    for n in 0..n {
        let servers = [n * 100, n * 100 + 99, 300_000 + n].map(|n| process.server_of(n));
        assert_eq!(servers, [Some("b".to_owned()), None, Some("c".to_owned())], "{n}");
    }
}

#[test]
fn a_second_process_waits_in_memory_then_continues_the_files() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = Process::at(&directory, 0);
    first.tie(0..100, "a");
    first.pass(1);
    let mut second = Process::at(&directory, 1);
    assert_eq!((second.live(), second.status.persistence()), (100, Persistence::Waiting));
    first.tie(100..200, "a");
    first.pass(1);
    second.tie(200..300, "b");
    second.tie(0..1, "b");
    second.pass(2);
    assert_eq!(files(&directory), ["journal.1"]);
    first.end();
    second.pass(2);
    assert_eq!((second.live(), second.status.persistence()), (300, Persistence::On));
    second.pass(1);
    second.kill();
    let third = Process::at(&directory, 10);
    assert_eq!(third.live(), 300);
    assert_eq!([0, 1, 100, 200].map(|n| third.server_of(n).unwrap()), ["b", "a", "a", "b"]);
}

#[test]
fn a_successor_reads_a_checkpoint_made_after_its_start() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = start(directory.path(), KEY, 400_000, moment(0));
    first.tie(0..100, "a");
    first.pass(1);
    let mut second = start(directory.path(), KEY, 400_000, moment(1));
    first.tie(100..160_000, "a");
    first.pass(1);
    assert!(!file(&directory, "journal.1").exists());
    first.end();
    second.pass(2);
    assert_eq!(second.live(), 160_000);
}

/// /dev/full gives the same error as a full disk.
#[test]
fn a_full_disk_keeps_the_table_in_memory_until_it_has_space() {
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::at(&directory, 0);
    process.tie(0..100, "a");
    process.pass(1);
    let full = || File::options().write(true).open("/dev/full").unwrap();
    process.worker.writer().exchange_journal(full());
    process.tie(100..200, "a");
    process.pass(1);
    assert_eq!((process.status.persistence(), process.status.errors()), (Persistence::Failing, 1));
    process.tie(200..300, "a");
    process.pass(20);
    assert_eq!((process.live(), files(&directory)), (300, vec!["journal.1".to_owned()]));
    process.pass(11);
    assert_eq!((process.status.persistence(), process.status.errors()), (Persistence::On, 1));
    process.kill();
    assert_eq!(Process::at(&directory, 60).live(), 300);
}

#[test]
fn failed_retries_leave_no_files_behind() {
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::at(&directory, 0);
    process.tie(0..100, "a");
    process.pass(1);
    let path = directory.path().join("sessions/shop");
    let aside = directory.path().join("aside");
    std::fs::rename(&path, &aside).unwrap();
    std::fs::write(&path, b"no directory").unwrap();
    process.worker.writer().exchange_journal(File::options().write(true).open("/dev/full").unwrap());
    process.tie(100..101, "a");
    for n in 0..5 {
        process.pass(31);
        assert_eq!((process.status.persistence(), process.status.errors()), (Persistence::Failing, n + 1));
    }
    std::fs::remove_file(&path).unwrap();
    std::fs::rename(&aside, &path).unwrap();
    process.pass(31);
    assert_eq!(process.status.persistence(), Persistence::On);
    assert_eq!(files(&directory), ["journal.3", "snapshot.3"]);
}

#[test]
fn an_unusable_directory_does_not_prevent_the_start() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("sessions"), b"no directory").unwrap();
    let mut process = Process::at(&directory, 0);
    process.tie(0..10, "a");
    process.pass(1);
    assert_eq!(process.status.persistence(), Persistence::Failing);
    std::fs::remove_file(directory.path().join("sessions")).unwrap();
    process.pass(60);
    assert_eq!(process.status.persistence(), Persistence::On);
    process.kill();
    assert_eq!(Process::at(&directory, 61).live(), 10);
}

#[test]
fn closing_waits_for_the_writer_thread() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::start();
    let now = clock.moment().now().wall;
    let first = Arc::new(table(1_000));
    let sessions = SessionStorage::open(directory.path(), vec![Arc::clone(&first)], Default::default(), KEY, clock);
    sessions.run().unwrap();
    let server = first.register(&ServerId::parse("a").unwrap()).unwrap();
    first.tie(session(1), &server, Budget::Within, now);
    sessions.close();
    sessions.close();
    let second = Arc::new(table(1_000));
    let sessions = SessionStorage::open(directory.path(), vec![Arc::clone(&second)], Default::default(), KEY, clock);
    assert_eq!(sessions.tables().iter().map(|(_, status)| status.persistence()).collect::<Vec<_>>(), [Persistence::On]);
    assert_eq!(live(&second, now), 1);
    sessions.close();
}

/// Measures loading and writing, run by hand: `MEASURE=10000000 cargo test --release --bin burdock -- --ignored --nocapture cost`.
#[test]
#[ignore = "a measurement"]
fn the_cost_of_loading_and_writing() {
    let count: u64 = std::env::var("MEASURE").map_or(1_000_000, |text| text.parse().unwrap());
    let directory =
        std::env::var_os("DIRECTORY").map_or_else(|| tempfile::tempdir().unwrap(), |at| TempDir::new_in(at).unwrap());
    let clock = Clock::start();
    let mut process = start(directory.path(), KEY, u32::try_from(count).unwrap(), moment(0));
    let servers: Vec<String> = (0..10).map(|n| format!("shop-{n}")).collect();
    let report = |what: &str, per: u64, begun: Uptime| {
        let span = clock.uptime().since(begun);
        println!("{what}: {span:?}, {:.1} ns each", span.as_nanos() as f64 / per as f64);
    };
    let step = |process: &mut Process, from: u64, to: u64| {
        for n in from..to {
            process.tie(n..n + 1, &servers[(n % 10) as usize]);
        }
    };
    let part = count / 64;
    step(&mut process, 0, part);
    process.now = moment(1);
    let begun = clock.uptime();
    process.worker.step(process.now);
    report("journal", part, begun);
    step(&mut process, part, part * 2);
    process.now = moment(2);
    let begun = clock.uptime();
    process.worker.step(process.now);
    report("journal again", part, begun);
    step(&mut process, part * 2, count);
    let begun = clock.uptime();
    process.pass(11);
    report("journal (what fits) and snapshot", count, begun);
    process.kill();
    let bytes: u64 = files(&directory).iter().map(|name| file(&directory, name).metadata().unwrap().len()).sum();
    println!("{bytes} bytes, {:.1} each", bytes as f64 / count as f64);
    let begun = clock.uptime();
    let process = start(directory.path(), KEY, u32::try_from(count).unwrap(), moment(20));
    report("empty table and load", count, begun);
    assert!(process.live() > count - count / 1_000);
}

/// A file system of four megabytes, until dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let directory = TempDir::new().unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs"];
        assert!(Command::new("mount").args(mount).arg(directory.path()).status().unwrap().success(), "mounting needs root");
        Self(directory)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
#[ignore = "needs root, to mount a small file system: scripts/test --full"]
fn a_small_disk_recovers_after_it_was_full() {
    let disk = SmallDisk::mount();
    let directory = TempDir::new_in(disk.0.path()).unwrap();
    let mut process = Process::at(&directory, 0);
    process.tie(0..1_000, "a");
    process.pass(1);
    let filler = directory.path().join("filler");
    let mut filling = File::create(&filler).unwrap();
    while filling.write_all(&[1; 4096]).is_ok() {}
    process.tie(1_000..9_000, "a");
    for n in 0..10 {
        process.pass(31);
        assert_eq!((process.status.persistence(), process.status.errors()), (Persistence::Failing, n + 1));
    }
    assert_eq!(files(&directory), ["journal.1"]);
    drop(filling);
    std::fs::remove_file(filler).unwrap();
    process.pass(31);
    assert_eq!(process.status.persistence(), Persistence::On);
    process.kill();
    assert_eq!(Process::at(&directory, 400).live(), 9_000);
}
