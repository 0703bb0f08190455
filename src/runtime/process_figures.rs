//! What the kernel says of this process, from `/proc`: CPU time, memory, descriptors, threads, and its start. The names and meanings
//! are those of Prometheus's own client libraries.

use std::fs;

use rustix::process::{Resource, getrlimit};

/// Figures of the process. Each is None if the kernel does not tell it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessFigures {
    /// CPU time of all threads, in user and kernel mode, in seconds.
    pub cpu_seconds: Option<f64>,
    pub open_descriptors: Option<u64>,
    /// The limit of open descriptors.
    pub max_descriptors: Option<u64>,
    pub resident_bytes: Option<u64>,
    pub virtual_bytes: Option<u64>,
    pub threads: Option<u64>,
    /// When it started, in seconds since 1970.
    pub started: Option<f64>,
}

/// The unit of times in `/proc`: a part of the kernel's interface to programs, whatever its own tick is.
const TICKS_PER_SECOND: f64 = 100.0;

impl ProcessFigures {
    /// Reads them. It takes some microseconds, and one for each hundred open descriptors.
    pub fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let (stat, status) = (text("/proc/self/stat"), text("/proc/self/status"));
        let stat = Stat::parse(&stat);
        let booted = field(&text("/proc/stat"), "btime").map(|seconds| seconds as f64);
        Self {
            cpu_seconds: stat.map(|stat| stat.cpu / TICKS_PER_SECOND),
            // The list is open itself.
            open_descriptors: fs::read_dir("/proc/self/fd").ok().map(|list| (list.count() as u64).saturating_sub(1)),
            max_descriptors: getrlimit(Resource::Nofile).current,
            resident_bytes: field(&status, "VmRSS:").map(|kib| kib * 1024),
            virtual_bytes: field(&status, "VmSize:").map(|kib| kib * 1024),
            threads: field(&status, "Threads:"),
            started: stat.zip(booted).map(|(stat, booted)| booted + stat.started / TICKS_PER_SECOND),
        }
    }
}

/// The fields of `/proc/self/stat` that are used, in ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stat {
    cpu: f64,
    /// Since the host's start.
    started: f64,
}

impl Stat {
    /// The second field is the program's name in parentheses, which may itself contain spaces and parentheses.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let after_name: Vec<&str> = rest.split_ascii_whitespace().collect();
        // proc(5) counts from 1, and these begin with the third.
        let number = |nth: usize| after_name.get(nth - 3)?.parse::<f64>().ok();
        Some(Self { cpu: number(14)? + number(15)?, started: number(22)? })
    }
}

/// The number after this name at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_spaces_and_parentheses_shifts_no_field() {
        let text = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 250 50 5 6 20 0 9 0 12345 99 88";
        assert_eq!(Stat::parse(text), Some(Stat { cpu: 300.0, started: 12_345.0 }));
        for short in ["", "7 (a", "7 (a) S 1 2"] {
            assert_eq!(Stat::parse(short), None);
        }
    }

    #[test]
    fn a_field_is_a_number_after_its_name() {
        let text = "Name:\tburdock\nVmRSS:\t   2048 kB\nbtime 17\n";
        assert_eq!([field(text, "VmRSS:"), field(text, "btime"), field(text, "VmSize:")], [Some(2048), Some(17), None]);
    }

    #[test]
    fn the_kernel_tells_every_figure_of_this_process() {
        let figures = ProcessFigures::read();
        let whole = [figures.open_descriptors, figures.resident_bytes, figures.virtual_bytes, figures.threads];
        assert!(whole.iter().all(|figure| figure.is_some_and(|figure| figure > 0)), "{figures:?}");
        assert!(figures.cpu_seconds.is_some() && figures.started.is_some_and(|started| started > 1e9), "{figures:?}");
    }
}
