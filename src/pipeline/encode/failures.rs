//! Why a run of ffmpeg, or an operation on its directory, failed.

use std::io;
use std::path::Path;

use streams::Code;

use crate::job::failure::Failure;
use crate::worker::admission::is_full;

/// Why a run of ffmpeg made nothing, or not all.
#[derive(Debug)]
pub(super) enum RunError {
    /// The run failed.
    Failed(Failure),
    /// The source was entered too late: its first pictures lie behind the beginning of the chunk.
    /// An earlier entry may help.
    EnteredLate,
}

impl From<Failure> for RunError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Failed(failure) => failure,
            RunError::EnteredLate => Self::new(
                Code::VerificationFailed,
                "The first picture that could be decoded is after the beginning of the chunk.",
            ),
        }
    }
}

/// The failure of a task for which the plan gives no command line.
pub(super) fn no_command_line() -> Failure {
    Failure::new(
        Code::VerificationFailed,
        "The plan does not say how to do this task.",
    )
}

/// The failure of a file operation in the work folder.
pub(super) fn work_dir_failure(path: &Path, error: &io::Error) -> Failure {
    let name = path.file_name().unwrap_or_default().display();
    Failure::of_host(&format!("The work folder's {name} cannot be used"), error)
}

/// The same failure, or that of a full disk. What ffmpeg could not write whole is found unsound
/// before ffmpeg says why, so the disk is asked as well.
pub(super) fn or_disk_full(dir: &Path, failure: Failure) -> Failure {
    match failure.code {
        Code::VerificationFailed | Code::FfmpegCrashed | Code::WorkerFault if is_full(dir) => {
            Failure::from_code(Code::DiskFull).with_evidence(*failure.evidence)
        }
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_troubles_with_files() {
        // A device that is always full.
        let full = std::fs::File::create("/dev/full")
            .unwrap()
            .write_all(b"x")
            .unwrap_err();
        let failure = work_dir_failure(Path::new("task/0.m4s"), &full);
        assert_eq!(failure.code, Code::DiskFull);
        assert!(failure.message.contains("0.m4s"), "{failure}");
        let missing = std::fs::File::open("/nowhere").unwrap_err();
        assert_eq!(
            work_dir_failure(Path::new("task"), &missing).code,
            Code::WorkerFault
        );
    }
}
