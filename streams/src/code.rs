//! Failure codes: one stable word, one class and one sentence each (design, section 6).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr, VariantArray};

/// How a failure is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Trying again may succeed.
    Transient,
    /// An operator must act first; the job waits and uses no attempt. If only this job is affected,
    /// it waits for a while and then ends: `error.class` is then `permanent`, whatever the class of
    /// its code.
    Operator,
    /// The input can never succeed.
    Permanent,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $text:literal $class:ident $sentence:literal;)*) => {
        /// Why a job or a task failed. The text form is stable: it is in `ended.error`,
        /// `error_message`, metric labels and logs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, Display, IntoStaticStr, VariantArray)]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $text)] #[strum(serialize = $text)] $variant,)*
        }

        impl Code {
            /// The stable `snake_case` word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                self.into()
            }

            /// The class of failures with this code; for one that needs an operator but still ends
            /// its job, `permanent` is reported.
            #[must_use]
            pub const fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class,)* }
            }

            /// One sentence for a person, without the particulars of a job.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }
    };
}

codes! {
    /// The object store did not answer as expected.
    StorageUnavailable "storage_unavailable" Transient "The storage did not answer; the work is tried again.";
    /// The disk of the work folder is full.
    DiskFull "disk_full" Transient "The worker's disk is full; the work is tried again.";
    /// The encoder ended with an error that does not point to the input.
    FfmpegCrashed "ffmpeg_crashed" Transient "The encoder stopped with an error.";
    /// The encoder made no progress within its deadline.
    FfmpegStalled "ffmpeg_stalled" Transient "The encoder made no progress and was stopped.";
    /// The output did not pass its check.
    VerificationFailed "verification_failed" Transient "The output did not pass its check.";
    /// The worker's machine is at fault: it cannot start a process, open a port or use a file.
    WorkerFault "worker_fault" Transient "The worker's machine is at fault; the work is tried again.";
    /// A bug in fluxhls: another attempt would have the same result.
    Internal "internal" Transient "This is a bug in fluxhls; please report it.";
    /// The storage denies access. While it denies access to the output bucket, jobs wait; if it
    /// denies only one source, its job ends after `SOURCE_WAIT`.
    StorageDenied "storage_denied" Operator "The storage denies this service access.";
    /// The clocks of this service and of the storage differ by more than signatures allow.
    ClockSkew "clock_skew" Operator "The clocks of this service and of the storage differ by more than the storage allows.";
    /// The object has no bytes.
    EmptyInput "empty_input" Permanent "The uploaded file is empty.";
    /// The object is not a media file.
    NotMedia "not_media" Permanent "The uploaded file is not a video or audio file.";
    /// The object is a still image.
    StillImage "still_image" Permanent "The uploaded file is a picture, not a video.";
    /// The container could make a decoder read other files or hosts.
    ForbiddenContainer "forbidden_container" Permanent "This kind of file is not accepted.";
    /// The URL is not in a bucket that this service may read.
    ForbiddenSource "forbidden_source" Permanent "The file's URL is not in a bucket this service may read.";
    /// The upload stopped before its end.
    TruncatedUpload "truncated_upload" Permanent "The upload is incomplete; please upload the file again.";
    /// Part of the media is missing.
    PartialInput "partial_input" Permanent "Part of the uploaded file is missing; please upload it again.";
    /// The picture is too small to encode.
    DimensionsTooSmall "dimensions_too_small" Permanent "The picture is too small to be a video.";
    /// The input exceeds a limit of this installation.
    ExceedsPolicy "exceeds_policy" Permanent "The file exceeds a limit of this service.";
    /// The codec of the video, or of all audio, cannot be decoded; the message names it.
    UnsupportedCodec "unsupported_codec" Permanent "The codec of the file cannot be decoded.";
    /// The media is encrypted.
    Protected "protected" Permanent "The file is protected (encrypted) and cannot be converted.";
    /// Dolby Vision profile 5 contains no standard picture.
    UnsupportedDolbyVision "unsupported_dolby_vision" Permanent "This Dolby Vision profile cannot be converted.";
    /// Too much of the media cannot be decoded.
    DecodeErrors "decode_errors" Permanent "Too much of the file is damaged.";
    /// There is neither video nor audio.
    NoTracks "no_tracks" Permanent "The file has neither video nor audio.";
    /// The object does not exist.
    SourceNotFound "source_not_found" Permanent "The uploaded file was not found in the storage.";
    /// The object changed while it was read.
    SourceChanged "source_changed" Permanent "The file was replaced while it was being converted.";
    /// The event breaks the contract.
    InvalidEvent "invalid_event" Permanent "The upload event is not valid.";
    /// The output prefix belongs to another file.
    PrefixInUse "prefix_in_use" Permanent "The output prefix already belongs to another file.";
    /// The job took longer than the limit for any job.
    DeadlineExceeded "deadline_exceeded" Permanent "The conversion did not end within its deadline.";
    /// Every attempt failed.
    TooManyAttempts "too_many_attempts" Permanent "The conversion failed too often.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_and_the_json_form_are_the_same_word() {
        for code in Code::VARIANTS {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert!(
                code.as_str()
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'_')
            );
            assert!(code.sentence().ends_with('.'));
        }
    }
}
