//! What processes used, as the kernel counts it.

use std::collections::BTreeMap;
use std::fs;
use std::mem;
use std::time::Duration;

/// CPU time of a process or thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    pub user: Duration,
    pub system: Duration,
}

impl Cpu {
    pub fn total(self) -> Duration {
        self.user + self.system
    }

    pub fn since(self, earlier: Cpu) -> Cpu {
        Cpu {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }

    fn plus(self, other: Cpu) -> Cpu {
        Cpu {
            user: self.user + other.user,
            system: self.system + other.system,
        }
    }
}

/// All threads of this process, those that ended too; no children.
pub fn own_cpu() -> Cpu {
    // SAFETY: a plain C structure for which zero is valid, written by the kernel.
    let usage = unsafe {
        let mut usage: libc::rusage = mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let span = |time: libc::timeval| Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_usec).unwrap_or(0) * 1000);
    Cpu {
        user: span(usage.ru_utime),
        system: span(usage.ru_stime),
    }
}

/// A thousand sockets and more. What is refused shows when they are opened.
pub fn allow_many_files() {
    // SAFETY: both calls only read and write the structure given.
    unsafe {
        let mut limit: libc::rlimit = mem::zeroed();
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

/// Ticks of /proc a second.
fn ticks_per_second() -> u64 {
    // SAFETY: no pointers.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).ok().filter(|&ticks| ticks > 0).unwrap_or(100)
}

/// Name and CPU out of a line of `/proc/…/stat`. The name may hold spaces and brackets.
fn parse_stat(text: &str, ticks_per_second: u64) -> Option<(&str, Cpu)> {
    let (open, close) = (text.find('(')?, text.rfind(')')?);
    let name = text.get(open + 1..close)?;
    // After the name comes field 3; utime is field 14, stime 15.
    let mut fields = text.get(close + 1..)?.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let span = |ticks: u64| Duration::from_micros(ticks * 1_000_000 / ticks_per_second);
    let cpu = Cpu {
        user: span(ticks()?),
        system: span(ticks()?),
    };
    Some((name, cpu))
}

/// kB of a line such as `VmRSS:      1234 kB`.
fn parse_kb(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Another process of ours.
#[derive(Clone, Copy, Debug)]
pub struct Process(pub u32);

impl Process {
    fn read(self, file: &str) -> Result<String, String> {
        let path = format!("/proc/{}/{file}", self.0);
        fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))
    }

    pub fn cpu(self) -> Result<Cpu, String> {
        let stat = self.read("stat")?;
        let (_, cpu) = parse_stat(&stat, ticks_per_second()).ok_or("/proc/…/stat: not understood")?;
        Ok(cpu)
    }

    /// Memory held now, bytes.
    pub fn resident_bytes(self) -> Result<u64, String> {
        let kb = parse_kb(&self.read("status")?, "VmRSS").ok_or("/proc/…/status has no VmRSS")?;
        Ok(kb * 1024)
    }

    /// By thread name without its digits: `media-0.1` and `media-1.1` are `media`. Threads that ended are not in it.
    pub fn threads(self) -> Result<BTreeMap<String, Cpu>, String> {
        let path = format!("/proc/{}/task", self.0);
        let mut threads: BTreeMap<String, Cpu> = BTreeMap::new();
        for entry in fs::read_dir(&path).map_err(|error| format!("{path}: {error}"))?.flatten() {
            // A thread may end while we look.
            let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
            if let Some((name, cpu)) = parse_stat(&stat, ticks_per_second()) {
                let kind = kind_of(name).to_owned();
                let sum = threads.entry(kind).or_default();
                *sum = sum.plus(cpu);
            }
        }
        Ok(threads)
    }
}

fn kind_of(name: &str) -> &str {
    name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_name_holds() {
        let line = "4711 (tokio (rt) 1) S 1 4711 4711 0 -1 4194560 2000 0 0 0 250 75 0 0 20 0 5 0 123456 1000 200";
        let (name, cpu) = parse_stat(line, 100).unwrap();
        assert_eq!(name, "tokio (rt) 1");
        assert_eq!((cpu.user, cpu.system), (Duration::from_millis(2500), Duration::from_millis(750)));
        assert_eq!(cpu.total(), Duration::from_millis(3250));
        for broken in ["", "1 (a", "1 (a) S 1", "1 (a) S 1 1 1 0 -1 1 1 0 0 0 x 1"] {
            assert_eq!(parse_stat(broken, 100), None, "{broken}");
        }
    }

    #[test]
    fn memory_is_read_by_its_name() {
        let text = "Name:\taimg\nVmHWM:\t   9000 kB\nVmRSS:\t   8192 kB\nThreads:\t5\n";
        assert_eq!((parse_kb(text, "VmRSS"), parse_kb(text, "VmHWM")), (Some(8192), Some(9000)));
        assert_eq!((parse_kb(text, "Vm"), parse_kb(text, "Threads")), (None, None));
    }

    #[test]
    fn threads_of_one_kind_are_counted_together() {
        for (name, kind) in [
            ("media-0.1", "media"),
            ("tokio-rt-worker", "tokio-rt-worker"),
            ("lane-12", "lane"),
            ("aimg", "aimg"),
        ] {
            assert_eq!(kind_of(name), kind);
        }
    }

    #[test]
    fn this_process_can_be_looked_at() {
        let own = Process(std::process::id());
        assert!(own.resident_bytes().unwrap() > 100_000);
        assert!(!own.threads().unwrap().is_empty());
        assert!(own.cpu().is_ok());
    }
}
