//! One run: an arm's tracer starts, the load runs, the tracer ends.

use std::collections::BTreeMap;

use tierscope_stack::Lab;

use crate::{
    arm::Arm,
    cpu::{Snapshot, tree},
    load::Load,
    pipeline::Pipeline,
    recording::Recording,
    sample::{Sample, TracerCost},
    stand::Stand,
};

/// What traces during a run.
enum Session {
    Nothing,
    Recording(Recording),
    Pipeline(Pipeline),
    /// The collector, which always runs.
    Collector(u32, Snapshot),
}

impl Session {
    fn start(arm: Arm, stand: &Stand) -> anyhow::Result<Self> {
        let lab = match arm {
            Arm::Beside => stand.beside.dir(),
            _ => stand.plain.dir(),
        };
        Ok(match (arm, arm.recording()) {
            (_, Some(options)) => Self::Recording(Recording::of_lab(lab, options)?),
            (Arm::Pipeline, _) => Self::Pipeline(Pipeline::start(lab)?),
            (Arm::Otel, _) => Self::Collector(stand.sink(), Snapshot::of(&[stand.sink()])),
            _ => Self::Nothing,
        })
    }

    fn finish(self) -> anyhow::Result<Option<TracerCost>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Recording(recording) => recording.finish().map(Some),
            Self::Pipeline(pipeline) => pipeline.finish().map(Some),
            Self::Collector(pid, before) => Ok(Some(TracerCost {
                cpu_ns: Snapshot::of(&[pid]).since(&before),
                ..TracerCost::default()
            })),
        }
    }
}

/// Runs `load` under `arm`.
pub fn run(stand: &Stand, arm: Arm, load: &Load) -> anyhow::Result<Sample> {
    let lab = match arm {
        Arm::Otel => &stand.otel,
        _ => &stand.plain,
    };
    let session = Session::start(arm, stand)?;
    let before = Stack::of(lab);
    let summary = load.run(lab.nginx_addr()?)?;
    let stack_cpu_ns = Stack::of(lab).since(&before);
    Ok(Sample {
        requests: summary.total.sent,
        rate: summary.achieved_rate,
        p50_ns: summary.total.from_intended.p50_ns,
        p99_ns: summary.total.from_intended.p99_ns,
        errors: summary.errors,
        stack_cpu_ns,
        tracer: session.finish()?,
    })
}

/// CPU times of the lab's process trees at one moment.
struct Stack(Vec<(String, Snapshot)>);

impl Stack {
    fn of(lab: &Lab) -> Self {
        let tier = |process: &tierscope_stack::ProcessRecord| {
            let snapshot = Snapshot::of(&tree(process.pid));
            (process.role.to_string(), snapshot)
        };
        Self(lab.processes().iter().map(tier).collect())
    }

    fn since(&self, before: &Self) -> BTreeMap<String, u64> {
        let pairs = self.0.iter().zip(&before.0);
        pairs
            .map(|((tier, now), (_, then))| (tier.clone(), now.since(then)))
            .collect()
    }
}
