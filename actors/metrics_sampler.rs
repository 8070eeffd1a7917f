//! `MetricsSampler`: what this node uses of its machine, every 5 s, as series and as gauges.

use crate::deps::Deps;
use aimg_actor_kit::{ActorError, Context, Dispatch};
use aimg_domain::metric::Point;
use aimg_store::records::Scope;
use aimg_store::series::SeriesKey;
use std::sync::Arc;
use std::time::Duration;
use sysinfo::{Disks, Networks, Pid, ProcessRefreshKind, ProcessesToUpdate, System};

const EVERY: Duration = Duration::from_secs(5);

pub enum SampleMessage {
    Tick,
}

pub struct MetricsSampler {
    deps: Arc<Deps>,
    system: System,
    disks: Disks,
    networks: Networks,
    me: Option<Pid>,
}

impl MetricsSampler {
    pub fn new(deps: Arc<Deps>) -> Result<MetricsSampler, ActorError> {
        let failed = |error: sysinfo::Error| ActorError::new(format!("this machine cannot be measured: {error}"));
        let me = sysinfo::get_current_pid().ok();
        let system = System::new().map_err(failed)?;
        let disks = Disks::new_with_refreshed_list().map_err(failed)?;
        let networks = Networks::new_with_refreshed_list().map_err(failed)?;
        Ok(MetricsSampler {
            deps,
            system,
            disks,
            networks,
            me,
        })
    }

    fn sample(&mut self) -> Vec<(&'static str, f64)> {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        self.disks.refresh(true);
        self.networks.refresh(true);
        let mut values = vec![
            ("node.cpu_percent", f64::from(self.system.global_cpu_usage())),
            ("node.memory_used_bytes", self.system.used_memory() as f64),
            ("node.memory_total_bytes", self.system.total_memory() as f64),
            ("node.calls", self.deps.live.count() as f64),
        ];
        if let Some(me) = self.me {
            let wanted = ProcessRefreshKind::nothing().with_cpu().with_memory();
            self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&[me]), true, wanted);
            if let Some(process) = self.system.process(me) {
                values.push(("process.cpu_percent", f64::from(process.cpu_usage())));
                values.push(("process.memory_bytes", process.memory() as f64));
            }
        }
        if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
            values.push(("process.open_files", files.count() as f64));
        }
        // The disk that holds our data: the longest mount point that is a prefix of its path.
        let data = std::fs::canonicalize(&self.deps.open).unwrap_or_else(|_| self.deps.open.clone());
        let disk = self
            .disks
            .iter()
            .filter(|disk| data.starts_with(disk.mount_point()))
            .max_by_key(|disk| disk.mount_point().as_os_str().len());
        if let Some(disk) = disk {
            values.push(("node.disk_free_bytes", disk.available_space() as f64));
        }
        let seconds = EVERY.as_secs_f64();
        let (received, sent) = self
            .networks
            .values()
            .fold((0, 0), |(r, s), network| (r + network.received(), s + network.transmitted()));
        values.push(("node.network_received_bytes_per_s", received as f64 / seconds));
        values.push(("node.network_sent_bytes_per_s", sent as f64 / seconds));
        values
    }
}

impl Dispatch for MetricsSampler {
    type Message = SampleMessage;
    const KIND: &'static str = "metrics_sampler";
    const BOUND: usize = 8;

    async fn started(&mut self, context: &mut Context<Self>) -> Result<(), ActorError> {
        context.remind(SampleMessage::Tick, EVERY);
        Ok(())
    }

    async fn handle(&mut self, _: SampleMessage, context: &mut Context<Self>) -> Result<(), ActorError> {
        context.remind(SampleMessage::Tick, EVERY);
        let values = self.sample();
        let at = self.deps.clock.now();
        metrics::gauge!("aimg_actors").set(context.tree().count() as f64);
        let mut points = Vec::with_capacity(values.len());
        for (name, value) in values {
            metrics::gauge!(format!("aimg_{}", name.replace('.', "_"))).set(value);
            points.push((
                SeriesKey {
                    scope: Scope::Platform,
                    name: format!("{name}:{}", self.deps.node),
                },
                Point { at, value },
            ));
        }
        if let Err(error) = self.deps.series.write(points).await {
            tracing::warn!(%error, "samples were not stored");
            context.note("not storing");
        }
        Ok(())
    }
}
