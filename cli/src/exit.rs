//! How the program ends: 0 done, 1 failed, 2 wrong use (clap's), 3 the host cannot do it.

use std::error::Error;
use std::process::ExitCode;

use tierscope_tracer::TracerError;
use tierscope_tracer::recorder::RecordError;

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
            eprintln!("tierscope: {}", message(&error));
            ExitCode::from(if error.chain().any(is_hosts_fault) {
                3
            } else {
                1
            })
        }
    }
}

/// An error with its causes, each said once: many name their cause themselves.
fn message(error: &anyhow::Error) -> String {
    let mut causes = error.chain().map(ToString::to_string);
    let first = causes.next().unwrap_or_default();
    causes.fold(first, |said, cause| {
        if said.contains(&cause) {
            said
        } else {
            said + ": " + &cause
        }
    })
}

/// Whether an error says that this host cannot do it. Errors that stand for another one hide it from the
/// chain of causes, so these are looked into.
fn is_hosts_fault(cause: &(dyn Error + 'static)) -> bool {
    use tierscope_experiments::Error as RunError;
    use tierscope_stack::Error as LabError;

    if let Some(error) = cause.downcast_ref::<RunError>() {
        return match error {
            RunError::Record(error) => is_hosts_fault(error),
            RunError::Lab(error) => is_hosts_fault(error),
            _ => false,
        };
    }
    if let Some(RecordError::Tracer(error)) = cause.downcast_ref() {
        return is_hosts_fault(error);
    }
    let tracer = cause.downcast_ref().is_some_and(|error| {
        matches!(
            error,
            TracerError::NoBtf(_)
                | TracerError::Load(_)
                | TracerError::Hook { .. }
                | TracerError::Program { .. }
                | TracerError::UsdtProgram { .. }
        )
    });
    let lab = cause.downcast_ref().is_some_and(|error| {
        matches!(error, LabError::Missing { .. } | LabError::NoAccount { .. })
    });
    tracer || lab
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |io: &std::io::Error| io.kind() == std::io::ErrorKind::BrokenPipe;
    error
        .chain()
        .any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(broken))
}
