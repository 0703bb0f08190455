//! With real files. The clock is whatever a test says.

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
use burdock::table::{Budget, Enlisted, Known, Persist, Table, TableName, TableSpec};
use burdock::time::{UnixSeconds, Uptime};
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

/// A process that keeps one table in a folder.
struct Process {
    table: Arc<Table>,
    status: Arc<Status>,
    worker: Worker,
    now: Moment,
}

fn moment(seconds: u64) -> Moment {
    Moment { uptime: Uptime(Duration::from_secs(seconds)), wall: Duration::from_secs(BEGIN + seconds) }
}

fn table(capacity: u32) -> Table {
    let name = TableName::parse("shop").unwrap();
    let capacity = NonZeroU32::new(capacity).unwrap();
    let lifetime = Lifetime { idle: Some(IDLE), life: None };
    Table::new(TableSpec { name, capacity, lifetime, persist: Persist::On })
}

fn start(folder: &Path, key: FingerprintKeyId, capacity: u32, now: Moment) -> Process {
    let table = Arc::new(table(capacity));
    let status = Arc::new(Status::new(Persist::On));
    let kept = vec![(Arc::clone(&table), Arc::clone(&status))];
    let worker = Worker::open(folder, kept, Default::default(), key, &Clock::start(), now);
    Process { table, status, worker, now }
}

impl Process {
    fn at(folder: &TempDir, seconds: u64) -> Self {
        start(folder.path(), KEY, 10_000, moment(seconds))
    }

    fn wall(&self) -> UnixSeconds {
        self.now.now().wall
    }

    fn server(&self, id: &str) -> Enlisted {
        self.table.enlist(&ServerId::parse(id).unwrap()).unwrap()
    }

    fn tie(&self, sessions: std::ops::Range<u64>, server: &str) {
        let server = self.server(server);
        sessions.for_each(|n| _ = self.table.tie(session(n), &server, Budget::Within, self.wall()));
    }

    /// Goes on by so many seconds, and lets everything be written that is due.
    fn pass(&mut self, seconds: u64) {
        let span = Duration::from_secs(seconds);
        self.now = Moment { uptime: self.now.uptime.plus(span), wall: self.now.wall + span };
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

    /// Ends it as `kill -9` does.
    fn kill(self) {
        drop(self);
    }

    fn end(self) {
        self.worker.close(self.now);
    }
}

fn session(n: u64) -> Fingerprint {
    Fingerprint::from_octets((u128::from(n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).to_be_bytes())
}

fn files(folder: &TempDir) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path().join("sessions/shop")).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn file(folder: &TempDir, name: &str) -> PathBuf {
    folder.path().join("sessions/shop").join(name)
}

fn overwrite(path: &Path, at: u64, octets: &[u8]) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(octets).unwrap();
}

/// A folder with a snapshot of 5,000 sessions (several blocks) and two journals with one more each.
fn stored() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::at(&folder, 0);
    process.tie(0..5_000, "a");
    process.pass(1);
    process.kill();
    overwrite(&file(&folder, "journal.1"), 500_000, b"damage, so that a snapshot is due");
    let mut process = Process::at(&folder, 20);
    process.pass(1);
    process.tie(5_000..5_001, "b");
    process.pass(1);
    process.kill();
    let mut process = Process::at(&folder, 30);
    process.tie(5_001..5_002, "c");
    process.pass(1);
    process.kill();
    assert_eq!(files(&folder), ["journal.3", "journal.4", "snapshot.3"]);
    folder
}

#[test]
fn what_was_written_a_second_ago_outlives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::at(&folder, 0);
    process.tie(0..100, "a");
    process.tie(100..200, "b");
    process.pass(1);
    process.tie(50..60, "b");
    process.table.forget(session(3), process.wall());
    process.pass(1);
    process.tie(200..300, "a");
    process.kill();

    let process = Process::at(&folder, 10);
    assert_eq!(process.live(), 199);
    let servers = [2, 3, 50, 199, 200].map(|n| process.server_of(n));
    let expected = [Some("a"), None, Some("b"), Some("b"), None];
    assert_eq!(servers, expected.map(|id| id.map(str::to_owned)));
    assert_eq!(process.status.persistence(), Persistence::On);
}

#[test]
fn an_orderly_end_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::at(&folder, 0);
    process.tie(0..100, "a");
    process.end();
    assert_eq!(Process::at(&folder, 0).live(), 100);
}

#[test]
fn time_away_counts_as_idle() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::at(&folder, 0);
    process.tie(0..1, "a");
    process.pass(1_000);
    process.tie(1..2, "a");
    process.end();
    let process = Process::at(&folder, u64::from(IDLE) * 11 / 10 + 1);
    assert_eq!([0, 1].map(|n| process.server_of(n).is_some()), [false, true]);
}

#[test]
fn a_clock_that_steps_loses_no_session_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::at(&folder, 50_000);
    process.tie(0..10, "a");
    process.pass(1);
    process.kill();
    // It stood too early for a while.
    let mut process = Process::at(&folder, 0);
    assert_eq!(process.live(), 10);
    process.tie(10..20, "a");
    process.pass(1);
    process.end();
    assert_eq!(Process::at(&folder, 50_000).live(), 10);
}

#[test]
fn all_files_are_their_owners_alone() {
    let folder = stored();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    for name in files(&folder) {
        assert_eq!(mode(&file(&folder, &name)), 0o600, "{name}");
    }
    assert_eq!(mode(&folder.path().join("sessions/.lock")), 0o600);
    assert_eq!(mode(&folder.path().join("sessions/shop")), 0o700);
}

#[test]
fn a_torn_end_is_cut_wherever_it_is_torn_and_told() {
    let folder = stored();
    let path = file(&folder, "journal.3");
    let whole = std::fs::read(&path).unwrap();
    let header = Header { table: TableName::parse("shop").unwrap(), key: KEY };
    for length in 0..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        let table = table(10_000);
        let files = TableDirectory::new(&folder.path().join("sessions"), &header.table);
        let now = moment(40).now().wall;
        let report = recovery::read(&files, &header, &table, recovery::From::Snapshot, Precedence::Stored, now).unwrap();
        assert_eq!(live(&table, now), 5_001, "{length}");
        let begin = header.encode().len();
        let told = match &*report.troubles {
            [] => length == 0 || length == begin,
            [(_, Trouble::Header(NoHeader::Damaged))] => length < begin,
            [(_, Trouble::Cut(octets))] => *octets == (length - begin) as u64,
            _ => false,
        };
        assert!(told, "{length}: {:?}", report.troubles);
    }
}

#[test]
fn a_damaged_middle_costs_its_block_and_a_snapshot_mends_the_files() {
    let folder = stored();
    overwrite(&file(&folder, "snapshot.3"), 70_000, b"damage");
    let mut process = Process::at(&folder, 40);
    let left = process.live();
    assert!((4_800..4_900).contains(&left), "{left}");
    assert_eq!([5_000, 5_001].map(|n| process.server_of(n).is_some()), [true; 2]);
    process.pass(1);
    assert_eq!(files(&folder), ["journal.6", "snapshot.6"]);
    process.kill();
    let mut process = Process::at(&folder, 50);
    assert_eq!(process.live(), left);
    process.pass(1);
    assert_eq!(files(&folder), ["journal.6", "journal.7", "snapshot.6"]);
}

#[test]
fn whatever_is_in_the_folder_the_table_begins() {
    let folder = stored();
    std::fs::write(file(&folder, "snapshot.3"), b"no snapshot at all").unwrap();
    std::fs::write(file(&folder, "journal.x"), b"").unwrap();
    std::fs::write(file(&folder, "snapshot.9.new"), b"half").unwrap();
    std::fs::create_dir(file(&folder, "journal.8")).unwrap();
    let mut process = Process::at(&folder, 40);
    assert_eq!(process.live(), 2);
    process.pass(1);
    assert!(!file(&folder, "snapshot.9.new").exists());
    process.end();
}

#[test]
fn a_journal_that_is_missing_costs_what_is_in_it() {
    let folder = stored();
    std::fs::remove_file(file(&folder, "journal.3")).unwrap();
    let process = Process::at(&folder, 40);
    assert_eq!([4_999, 5_000, 5_001].map(|n| process.server_of(n).is_some()), [true, false, true]);
}

#[test]
fn another_key_forgets_every_session() {
    let folder = stored();
    let mut process = start(folder.path(), FingerprintKeyId(*b"another!"), 10_000, moment(40));
    assert_eq!(process.live(), 0);
    process.pass(1);
    process.kill();
    assert_eq!(Process::at(&folder, 50).live(), 0);
}

#[test]
fn a_file_of_a_newer_burdock_is_not_read() {
    let folder = stored();
    overwrite(&file(&folder, "snapshot.3"), 8, &[0, 2]);
    assert_eq!(Process::at(&folder, 40).live(), 2);
}

#[test]
fn another_capacity_takes_what_it_has_room_for() {
    let folder = tempfile::tempdir().unwrap();
    let process = start(folder.path(), KEY, 100_000, moment(0));
    process.tie(0..60_000, "a");
    process.end();
    let process = start(folder.path(), KEY, 1_000_000, moment(40));
    assert_eq!(process.live(), 60_000);
    process.kill();
    let process = start(folder.path(), KEY, 100, moment(40));
    assert!((100..40_000).contains(&process.live()), "{}", process.live());
}

#[test]
fn journals_do_not_grow_beyond_their_share() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = start(folder.path(), KEY, 400_000, moment(0));
    for n in 0..40 {
        process.tie(0..20_000, if n % 2 == 0 { "a" } else { "b" });
        process.pass(1);
    }
    let sizes = files(&folder).into_iter().map(|name| file(&folder, &name).metadata().unwrap().len());
    let octets: u64 = sizes.sum();
    assert!(files(&folder).iter().any(|name| name.starts_with("snapshot")), "{:?}", files(&folder));
    // A journal may fill for ten seconds after a snapshot has begun, here with 580,000 octets in each.
    assert!(octets < (4 << 20) + 10 * 600_000, "{octets}");
    process.kill();
    let process = start(folder.path(), KEY, 400_000, moment(60));
    assert_eq!(process.live(), 20_000);
    assert_eq!(process.server_of(7).as_deref(), Some("b"));
}

#[test]
fn many_short_lives_leave_few_files() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..50 {
        let mut process = Process::at(&folder, n * 20);
        process.tie(n..n + 1, "a");
        process.pass(1);
        process.kill();
    }
    assert!(files(&folder).len() < 12, "{:?}", files(&folder));
    assert_eq!(Process::at(&folder, 1_000).live(), 50);
}

#[test]
fn changes_that_come_too_fast_are_in_the_next_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = start(folder.path(), KEY, 1_000_000, moment(0));
    process.tie(0..300_000, "a");
    process.pass(1);
    assert!(process.status.lost() > 0);
    process.kill();
    assert_eq!(start(folder.path(), KEY, 1_000_000, moment(10)).live(), 300_000);
}

#[test]
fn what_happens_while_a_snapshot_is_written_is_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = start(folder.path(), KEY, 1_000_000, moment(0));
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
    let process = start(folder.path(), KEY, 1_000_000, moment(10));
    assert_eq!(process.live(), live);
    for n in 0..n {
        let servers = [n * 100, n * 100 + 99, 300_000 + n].map(|n| process.server_of(n));
        assert_eq!(servers, [Some("b".to_owned()), None, Some("c".to_owned())], "{n}");
    }
}

#[test]
fn a_second_process_stays_in_memory_and_goes_on_where_the_first_ended() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Process::at(&folder, 0);
    first.tie(0..100, "a");
    first.pass(1);
    let mut second = Process::at(&folder, 1);
    assert_eq!((second.live(), second.status.persistence()), (100, Persistence::Waiting));
    first.tie(100..200, "a");
    first.pass(1);
    second.tie(200..300, "b");
    second.tie(0..1, "b");
    second.pass(2);
    assert_eq!(files(&folder), ["journal.1"]);
    first.end();
    second.pass(2);
    assert_eq!((second.live(), second.status.persistence()), (300, Persistence::On));
    second.pass(1);
    second.kill();
    let third = Process::at(&folder, 10);
    assert_eq!(third.live(), 300);
    assert_eq!([0, 1, 100, 200].map(|n| third.server_of(n).unwrap()), ["b", "a", "a", "b"]);
}

#[test]
fn a_successor_reads_a_snapshot_that_was_made_after_it_began() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = start(folder.path(), KEY, 400_000, moment(0));
    first.tie(0..100, "a");
    first.pass(1);
    let mut second = start(folder.path(), KEY, 400_000, moment(1));
    first.tie(100..160_000, "a");
    first.pass(1);
    assert!(!file(&folder, "journal.1").exists());
    first.end();
    second.pass(2);
    assert_eq!(second.live(), 160_000);
}

/// What the system says where there is no room is what /dev/full says.
#[test]
fn a_full_disk_leaves_the_table_in_memory_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::at(&folder, 0);
    process.tie(0..100, "a");
    process.pass(1);
    let full = || File::options().write(true).open("/dev/full").unwrap();
    process.worker.writer().exchange_journal(full());
    process.tie(100..200, "a");
    process.pass(1);
    assert_eq!((process.status.persistence(), process.status.errors()), (Persistence::Failing, 1));
    process.tie(200..300, "a");
    process.pass(20);
    assert_eq!((process.live(), files(&folder)), (300, vec!["journal.1".to_owned()]));
    process.pass(11);
    assert_eq!((process.status.persistence(), process.status.errors()), (Persistence::On, 1));
    process.kill();
    assert_eq!(Process::at(&folder, 60).live(), 300);
}

#[test]
fn tries_that_fail_do_not_pile_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::at(&folder, 0);
    process.tie(0..100, "a");
    process.pass(1);
    let path = folder.path().join("sessions/shop");
    let aside = folder.path().join("aside");
    std::fs::rename(&path, &aside).unwrap();
    std::fs::write(&path, b"no folder").unwrap();
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
    assert_eq!(files(&folder), ["journal.3", "snapshot.3"]);
}

#[test]
fn a_folder_that_cannot_be_used_keeps_nothing_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("sessions"), b"no folder").unwrap();
    let mut process = Process::at(&folder, 0);
    process.tie(0..10, "a");
    process.pass(1);
    assert_eq!(process.status.persistence(), Persistence::Failing);
    std::fs::remove_file(folder.path().join("sessions")).unwrap();
    process.pass(60);
    assert_eq!(process.status.persistence(), Persistence::On);
    process.kill();
    assert_eq!(Process::at(&folder, 61).live(), 10);
}

#[test]
fn a_thread_writes_and_its_end_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::start();
    let now = clock.moment().now().wall;
    let first = Arc::new(table(1_000));
    let sessions = SessionStorage::open(folder.path(), vec![Arc::clone(&first)], Default::default(), KEY, clock);
    sessions.run().unwrap();
    let server = first.enlist(&ServerId::parse("a").unwrap()).unwrap();
    first.tie(session(1), &server, Budget::Within, now);
    sessions.close();
    sessions.close();
    let second = Arc::new(table(1_000));
    let sessions = SessionStorage::open(folder.path(), vec![Arc::clone(&second)], Default::default(), KEY, clock);
    assert_eq!(sessions.tables().iter().map(|(_, status)| status.persistence()).collect::<Vec<_>>(), [Persistence::On]);
    assert_eq!(live(&second, now), 1);
    sessions.close();
}

/// What loading and writing cost, by hand: `MEASURE=10000000 cargo test --release --bin burdock -- --ignored --nocapture cost`.
#[test]
#[ignore = "a measurement"]
fn the_cost_of_loading_and_writing() {
    let count: u64 = std::env::var("MEASURE").map_or(1_000_000, |text| text.parse().unwrap());
    let folder = std::env::var_os("FOLDER").map_or_else(|| tempfile::tempdir().unwrap(), |at| TempDir::new_in(at).unwrap());
    let clock = Clock::start();
    let mut process = start(folder.path(), KEY, u32::try_from(count).unwrap(), moment(0));
    let servers: Vec<String> = (0..10).map(|n| format!("shop-{n}")).collect();
    let told = |what: &str, per: u64, begun: Uptime| {
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
    told("journal", part, begun);
    step(&mut process, part, part * 2);
    process.now = moment(2);
    let begun = clock.uptime();
    process.worker.step(process.now);
    told("journal again", part, begun);
    step(&mut process, part * 2, count);
    let begun = clock.uptime();
    process.pass(11);
    told("journal (what fits) and snapshot", count, begun);
    process.kill();
    let octets: u64 = files(&folder).iter().map(|name| file(&folder, name).metadata().unwrap().len()).sum();
    println!("{octets} octets, {:.1} each", octets as f64 / count as f64);
    let begun = clock.uptime();
    let process = start(folder.path(), KEY, u32::try_from(count).unwrap(), moment(20));
    told("empty table and load", count, begun);
    assert!(process.live() > count - count / 1_000);
}

/// A file system of four megabytes, until dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let folder = TempDir::new().unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs"];
        assert!(Command::new("mount").args(mount).arg(folder.path()).status().unwrap().success(), "mounting needs root");
        Self(folder)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
#[ignore = "needs root, to mount a small file system: scripts/test --full"]
fn a_small_disk_that_fills_up_and_gets_room_again() {
    let disk = SmallDisk::mount();
    let folder = TempDir::new_in(disk.0.path()).unwrap();
    let mut process = Process::at(&folder, 0);
    process.tie(0..1_000, "a");
    process.pass(1);
    let filler = folder.path().join("filler");
    let mut filling = File::create(&filler).unwrap();
    while filling.write_all(&[1; 4096]).is_ok() {}
    process.tie(1_000..9_000, "a");
    for n in 0..10 {
        process.pass(31);
        assert_eq!((process.status.persistence(), process.status.errors()), (Persistence::Failing, n + 1));
    }
    assert_eq!(files(&folder), ["journal.1"]);
    drop(filling);
    std::fs::remove_file(filler).unwrap();
    process.pass(31);
    assert_eq!(process.status.persistence(), Persistence::On);
    process.kill();
    assert_eq!(Process::at(&folder, 400).live(), 9_000);
}
