//! The machine a run was on, since no figure means anything without it.

use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::Result;
use crate::measure::median;

/// How often the disk is asked for its latency.
const PROBES: usize = 100;

/// What the figures depend on besides the code.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
    filesystem: String,
    /// Median of appending one page to a file and waiting for the disk, in microseconds: what each
    /// commit costs at least.
    fdatasync_us: u64,
}

impl Machine {
    /// Looks at the machine, and at the disk that holds `dir`.
    pub(crate) fn look(dir: &Path) -> Result<Self> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Ok(Self {
            cpu: cpu.map_or("unknown", |(_, model)| model).to_owned(),
            cores: std::thread::available_parallelism()?.get(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            filesystem: filesystem(dir)?,
            fdatasync_us: fdatasync(dir)?.as_micros() as u64,
        })
    }

    /// Whether the disk forgets everything when the machine stops, so that no figure here counts.
    pub(crate) fn is_volatile(&self) -> bool {
        matches!(self.filesystem.as_str(), "tmpfs" | "ramfs")
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, cores, kernel, filesystem, fdatasync_us } = self;
        write!(f, "{cpu}, {cores} cores, Linux {kernel}, {filesystem}, fdatasync {fdatasync_us} µs")
    }
}

/// The type of the file system that holds `dir`: that of the longest mount point before it.
fn filesystem(dir: &Path) -> Result<String> {
    let dir = dir.canonicalize()?;
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let longest = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            Some((fields.next()?, fields.next()?))
        })
        .filter(|(point, _)| dir.starts_with(point))
        .max_by_key(|(point, _)| point.len());
    Ok(longest.map_or("unknown", |(_, kind)| kind).to_owned())
}

fn fdatasync(dir: &Path) -> Result<Duration> {
    let path = dir.join("fdatasync-probe");
    let mut file = File::create(&path)?;
    let mut times = Vec::with_capacity(PROBES);
    for _ in 0..PROBES {
        let start = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    fs::remove_file(path)?;
    Ok(median(times))
}
