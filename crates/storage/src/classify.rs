//! From an answer of the S3 service to what the caller does about it.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use chrono::{TimeDelta, Utc};

use super::clock::{MAX_SIGNATURE_SKEW, difference};
use super::error::{At, DenialCause, StorageError};

/// The header by which S3 names the region of a bucket, also in answers to HEAD.
const BUCKET_REGION: &str = "x-amz-bucket-region";

/// What an answer says of a request that failed.
#[derive(Debug, Default)]
struct Answer<'a> {
    /// None if there was no answer.
    status: Option<u16>,
    /// S3's own word; empty in answers to HEAD.
    code: &'a str,
    /// All of it in one line, for people.
    reason: String,
    /// Where the bucket is, where the answer says so.
    region: Option<String>,
    /// The clock of this machine minus the one that dated the answer.
    clock: Option<TimeDelta>,
}

/// Judges a failure of the SDK.
pub(super) fn from_sdk<E>(at: At, error: &SdkError<E>) -> StorageError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let response = error.raw_response();
    let header = |name: &str| response.and_then(|response| response.headers().get(name));
    let answer = Answer {
        status: response.map(|response| response.status().as_u16()),
        region: header(BUCKET_REGION).map(str::to_owned),
        clock: difference(header("date"), Utc::now()),
        ..Answer::default()
    };

    match error {
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or_default();
            let words = service.err().message().unwrap_or_default();
            let status = answer
                .status
                .map(|status| status.to_string())
                .unwrap_or_default();
            let reason = [status.as_str(), code, words]
                .into_iter()
                .filter(|word| !word.is_empty());
            let reason = reason.collect::<Vec<_>>().join(" ");

            classify(
                at,
                Answer {
                    code,
                    reason,
                    ..answer
                },
            )
        }
        other if lacks_credentials(other) => StorageError::Denied {
            at,
            reason: cause_chain(other),
            cause: DenialCause::Missing,
        },
        other => classify(
            at,
            Answer {
                reason: cause_chain(other),
                ..answer
            },
        ),
    }
}

/// Decides by S3's error code where there is one (HEAD answers have none), else by the status; no
/// status is no answer.
fn classify(at: At, answer: Answer<'_>) -> StorageError {
    let Answer {
        status,
        code,
        reason,
        region,
        clock,
    } = answer;

    match (code, status) {
        ("NoSuchBucket", _) => StorageError::NoBucket { at },
        // A completed upload no longer exists either, so a repeated request gets this; only a new
        // start helps.
        (
            "NoSuchUpload" | "SlowDown" | "RequestTimeout" | "InternalError" | "ServiceUnavailable",
            _,
        ) => StorageError::Unavailable { at, reason },
        ("RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture", _) => {
            StorageError::ClockSkew {
                at,
                reason,
                by: clock,
            }
        }
        // An answer to HEAD has no word for it; its date has.
        ("", Some(400 | 403)) if clock.is_some_and(|by| by.abs() > MAX_SIGNATURE_SKEW) => {
            StorageError::ClockSkew {
                at,
                reason,
                by: clock,
            }
        }
        (
            "ExpiredToken"
            | "ExpiredTokenException"
            | "InvalidToken"
            | "InvalidClientTokenId"
            | "TokenRefreshRequired",
            _,
        ) => StorageError::Denied {
            at,
            reason,
            cause: DenialCause::Token,
        },
        ("InvalidAccessKeyId" | "SignatureDoesNotMatch", _) => StorageError::Denied {
            at,
            reason,
            cause: DenialCause::Keys,
        },
        (
            "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException"
            | "IncorrectEndpoint",
            _,
        )
        | (_, Some(301 | 302 | 307 | 308)) => StorageError::Misdirected { at, reason, region },
        (_, Some(401 | 403)) => StorageError::Denied {
            at,
            reason,
            cause: DenialCause::Rights,
        },
        (_, Some(404)) => StorageError::NotFound { at },
        (_, Some(412)) => StorageError::Changed { at },
        (_, Some(416)) => StorageError::OutOfRange { at },
        // Before the other 5xx: what a server does not implement it will not do later, either (RFC
        // 9110, section 15.6.2).
        (_, Some(501)) => StorageError::Refused { at, reason },
        // A failure with 2xx is an error document in the body of a 200 (S3 API reference,
        // `CompleteMultipartUpload`), or a body that cannot be read.
        (_, None | Some(408 | 409 | 425 | 429 | 200..=299 | 500..)) => {
            StorageError::Unavailable { at, reason }
        }
        _ => StorageError::Refused { at, reason },
    }
}

/// Whether there were no credentials to sign with, which the SDK reports like a connection that
/// could not be opened. If they come from a service of the machine or of its cluster, that service
/// may be down for a while; nothing can be done without them meanwhile.
fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |cause| (*cause).source())
        .any(|cause| cause.is::<CredentialsError>())
}

/// The messages of an error and its causes. The SDK's own full report would print raw requests and
/// answers.
fn cause_chain(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    for cause in std::iter::successors(Some(error), |cause| (*cause).source()) {
        let text = cause.to_string();
        if texts.last() != Some(&text) {
            texts.push(text);
        }
    }
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use std::io;

    use strum::VariantNames as _;

    use super::super::operation::Op;
    use super::*;

    fn judged_by(answer: Answer<'_>) -> StorageError {
        let at = At {
            op: Op::Get,
            bucket: "media".into(),
            key: "a/b.mp4".to_owned(),
        };
        classify(
            at,
            Answer {
                reason: "words".to_owned(),
                ..answer
            },
        )
    }

    fn judged(code: &str, status: Option<u16>) -> StorageError {
        judged_by(Answer {
            code,
            status,
            ..Answer::default()
        })
    }

    #[test]
    fn every_answer_has_one_kind() {
        let table = [
            ("NoSuchKey", Some(404), "not_found"),
            ("", Some(404), "not_found"),
            ("NoSuchBucket", Some(404), "no_bucket"),
            ("NoSuchUpload", Some(404), "unavailable"),
            ("AccessDenied", Some(403), "denied"),
            ("SignatureDoesNotMatch", Some(403), "denied"),
            ("", Some(403), "denied"),
            ("ExpiredToken", Some(400), "denied"),
            ("RequestTimeTooSkewed", Some(403), "clock_skew"),
            ("AuthorizationHeaderMalformed", Some(400), "misdirected"),
            ("PermanentRedirect", Some(301), "misdirected"),
            ("", Some(307), "misdirected"),
            ("PreconditionFailed", Some(412), "changed"),
            ("InvalidRange", Some(416), "out_of_range"),
            ("SlowDown", Some(503), "unavailable"),
            ("", Some(500), "unavailable"),
            ("OperationAborted", Some(409), "unavailable"),
            ("", None, "unavailable"),
            ("NotImplemented", Some(501), "refused"),
            ("InvalidRequest", Some(400), "refused"),
            ("", Some(400), "refused"),
        ];

        for (code, status, kind) in table {
            assert_eq!(judged(code, status).kind(), kind, "{code} {status:?}");
            assert!(StorageError::VARIANTS.contains(&kind));
        }
    }

    #[test]
    fn only_what_may_pass_by_itself_is_transient_and_only_credentials_address_and_clock_need_an_operator()
     {
        assert!(judged("", None).is_transient() && judged("SlowDown", Some(503)).is_transient());
        for error in [
            judged("", Some(403)),
            judged("NoSuchBucket", Some(404)),
            judged("", Some(301)),
            judged("RequestTimeTooSkewed", Some(403)),
        ] {
            assert!(error.needs_operator() && !error.is_transient(), "{error}");
        }

        for error in [
            judged("", Some(404)),
            judged("", Some(412)),
            judged("", Some(400)),
        ] {
            assert!(!error.is_transient() && !error.needs_operator(), "{error}");
        }
    }

    #[test]
    fn a_refusal_without_a_word_dated_far_from_our_clock_is_told_as_the_clock() {
        let dated = |minutes| {
            let clock = Some(TimeDelta::minutes(minutes));
            judged_by(Answer {
                status: Some(403),
                clock,
                ..Answer::default()
            })
        };

        for (minutes, kind) in [
            (-60, "clock_skew"),
            (60, "clock_skew"),
            (14, "denied"),
            (0, "denied"),
        ] {
            assert_eq!(dated(minutes).kind(), kind, "{minutes}");
        }

        assert!(
            dated(60).to_string().contains("differ by 60 min"),
            "{}",
            dated(60)
        );
        assert!(
            dated(60).to_string().contains("time server"),
            "{}",
            dated(60)
        );
    }

    #[test]
    fn each_denial_names_its_own_fix() {
        for (code, status, fix) in [
            ("InvalidAccessKeyId", 403, "AWS_ACCESS_KEY_ID"),
            ("SignatureDoesNotMatch", 403, "AWS_SECRET_ACCESS_KEY"),
            ("ExpiredToken", 400, "session token"),
            ("AccessDenied", 403, "what they may do in this bucket"),
            ("NoSuchBucket", 404, "S3_BUCKET"),
            ("PermanentRedirect", 301, "S3_REGION and S3_ENDPOINT"),
        ] {
            let text = judged(code, Some(status)).to_string();
            assert!(text.contains(fix), "{text}");
        }

        let region = Some("eu-west-1".to_owned());
        let moved = judged_by(Answer {
            status: Some(301),
            region,
            ..Answer::default()
        });
        assert!(
            moved.to_string().contains("set S3_REGION to eu-west-1"),
            "{moved}"
        );
    }

    #[test]
    fn credentials_that_cannot_be_had_are_told_apart_from_a_connection_that_does_not_open() {
        for error in [
            CredentialsError::not_loaded_no_source(),
            CredentialsError::provider_error("the metadata service answers 403"),
        ] {
            assert!(lacks_credentials(&error));
        }
        assert!(!lacks_credentials(&io::Error::other("connection reset")));
    }

    #[test]
    fn the_text_names_operation_bucket_key_and_fix() {
        let text = judged("AccessDenied", Some(403)).to_string();
        assert_eq!(
            text,
            "get of s3://media/a/b.mp4 was denied (words): check the credentials and what they may do in this bucket"
        );
    }
}
