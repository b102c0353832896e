//! How the program ends: 0 done, 1 failed, 2 wrong use (clap's), 3 the host cannot do it.

use std::process::ExitCode;

use tierscope_tracer::TracerError;

/// What a verb came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// All well.
    Well,
    /// A check that the verb promises failed.
    Failed,
    /// This host cannot do it.
    Unable,
}

/// Prints an error with its causes and turns the outcome into an exit code.
pub fn code(outcome: anyhow::Result<Done>) -> ExitCode {
    match outcome {
        Ok(Done::Well) => ExitCode::SUCCESS,
        Ok(Done::Failed) => ExitCode::from(1),
        Ok(Done::Unable) => ExitCode::from(3),
        // Whoever read our output has gone: `tierscope show | head` is no failure.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tierscope: {error:#}");
            let unable = error.chain().any(|cause| {
                cause
                    .downcast_ref::<TracerError>()
                    .is_some_and(is_hosts_fault)
            });
            ExitCode::from(if unable { 3 } else { 1 })
        }
    }
}

fn is_hosts_fault(error: &TracerError) -> bool {
    matches!(
        error,
        TracerError::NoBtf(_)
            | TracerError::Load(_)
            | TracerError::Hook { .. }
            | TracerError::Program { .. }
    )
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |io: &std::io::Error| io.kind() == std::io::ErrorKind::BrokenPipe;
    error
        .chain()
        .any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(broken))
}
