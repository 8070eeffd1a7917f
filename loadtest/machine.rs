//! On what was measured, and how busy it was.

use serde::Serialize;
use std::fs;

#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub kernel: String,
    /// The kernel's bound on what a socket may hold.
    pub rmem_max_bytes: Option<u64>,
    /// Runnable processes, mean of the last minute: at the start, at the end.
    pub load: [f64; 2],
}

impl Machine {
    pub fn here() -> Machine {
        Machine {
            cpu: model(&read("/proc/cpuinfo")).unwrap_or("unknown").to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            rmem_max_bytes: read("/proc/sys/net/core/rmem_max").trim().parse().ok(),
            load: [load(&read("/proc/loadavg")); 2],
        }
    }

    pub fn finished(&mut self) {
        self.load[1] = load(&read("/proc/loadavg"));
    }

    pub fn shown(&self) -> String {
        let rmem = self.rmem_max_bytes.map_or_else(|| "?".to_owned(), |bytes| bytes.to_string());
        format!(
            "{} × {}, Linux {}, rmem_max {rmem}, load {:.1} at the start, {:.1} at the end",
            self.cores, self.cpu, self.kernel, self.load[0], self.load[1]
        )
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn model(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim())
}

fn load(loadavg: &str) -> f64 {
    loadavg.split_ascii_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_and_load_are_read() {
        assert_eq!(model("processor\t: 0\nmodel name\t: AMD EPYC\nflags\t: a"), Some("AMD EPYC"));
        assert_eq!(model("processor\t: 0"), None);
        assert_eq!((load("6.50 6.35 5.06 2/300 4711\n"), load("")), (6.5, 0.0));
    }
}
