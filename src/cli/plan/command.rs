//! The command itself: probes the file, makes the plan and prints it.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use ffmpeg::{Input, ProbeLimits, Tool, sniff};
use media::ladder::{self, Pin, Profile, Refusal, per_title};
use serde_json::json;
use streams::Code;
use streams::fact::Head;
use streams::plan::Planned;
use streams::upload::Priority;

use super::report::report;
use crate::cli::JOB_NOT_COMPLETED;
use crate::config::{LadderArgs, LimitArgs, ToolArgs};

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub(in crate::cli) struct PlanArgs {
    /// The file.
    file: PathBuf,
    /// Ladder profile.
    #[arg(long, default_value = Profile::STANDARD)]
    profile: String,
    /// Print one JSON object: the body of the `planned` fact, or the error of a refused file.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    ladder: LadderArgs,
    #[command(flatten)]
    tool: ToolArgs,
    #[command(flatten)]
    limits: LimitArgs,
}

/// The ids of a plan that is never carried out.
const OFFLINE_ID: &str = "offline";

/// The decision about a file.
enum PlanOutcome {
    /// It can be encoded.
    Planned(Box<Planned>),
    /// It is refused, with a message for its uploader.
    Refused { code: Code, message: String },
}

impl From<Refusal> for PlanOutcome {
    fn from(refusal: Refusal) -> Self {
        Self::Refused {
            code: refusal.code,
            message: refusal.message,
        }
    }
}

/// Prints the plan of a file. A file that would be refused ends with exit code 3, its code and its
/// sentence.
///
/// # Errors
/// When the file, the ladder or ffmpeg cannot be read or found.
pub(in crate::cli) async fn plan(args: PlanArgs) -> anyhow::Result<ExitCode> {
    match decide(&args).await? {
        PlanOutcome::Planned(plan) if args.json => {
            println!("{}", serde_json::to_string_pretty(&plan)?);
        }
        PlanOutcome::Planned(plan) => print!("{}", report(&plan)),
        PlanOutcome::Refused { code, message } => {
            if args.json {
                println!(
                    "{}",
                    json!({ "error": { "code": code, "class": code.class(), "message": message } })
                );
            } else {
                eprintln!("{code}: {message}");
            }
            return Ok(ExitCode::from(JOB_NOT_COMPLETED));
        }
    }

    Ok(ExitCode::SUCCESS)
}

async fn decide(args: &PlanArgs) -> anyhow::Result<PlanOutcome> {
    let profiles = args.ladder.profiles()?;
    let profile = profiles.get(&args.profile)?.clone();
    let tool = args.tool.locate()?;
    let unread = || format!("cannot read {}", args.file.display());

    let (size, head) = read_part(&args.file, 0).with_context(unread)?;
    // The index of an MP4 may lie behind its media (`moov`, ISO/IEC 14496-12, section 8.2.1),
    // beyond the head.
    let index = match sniff::index_at(&head, size) {
        Some(at) => read_part(&args.file, at).with_context(unread)?.1,
        None => Vec::new(),
    };

    let protected = sniff::is_protected(&index).then_some(Code::Protected);
    let sniffed = sniff::sniff(&head, size);
    if let Some(code) = sniffed.code().or(protected) {
        let message = code.sentence().to_owned();
        return Ok(PlanOutcome::Refused { code, message });
    }

    let limits = args.limits.limits();
    if let Err(refusal) = limits.judge_size(size) {
        return Ok(refusal.into());
    }

    // The sample is taken in a separate folder, where a relative path would not resolve.
    let input = Input::file(&std::path::absolute(&args.file)?).decoding(limits.pixels);
    let probe = match ffmpeg::probe(&tool, &input, &ProbeLimits::of(limits)).await {
        Ok(probe) => probe,
        Err(error) => {
            if let Some(refusal) = sniffed.explain(error.code()) {
                return Ok(refusal.into());
            }
            return Ok(PlanOutcome::Refused {
                code: error.code(),
                message: error.to_string(),
            });
        }
    };

    let pin = Pin {
        bucket: OFFLINE_ID.to_owned(),
        key: args.file.display().to_string(),
        // Nothing reads the file again, so that no version of it has to be pinned.
        etag: String::new(),
        size,
    };

    let per_title = profile.per_title;
    let settings = ladder::Settings {
        profile,
        priority: Priority::Normal,
        limits,
        // How many workers there are is not known here.
        fleet: 1,
    };

    let head = Head::new(OFFLINE_ID.parse()?, OFFLINE_ID.parse()?);
    let plan = match ladder::plan(head, &probe, pin, &settings, &tool.version().await?) {
        Ok(plan) => plan,
        Err(refusal) => return Ok(refusal.into()),
    };

    let plan = if per_title {
        fitted(&tool, &input.looking(plan.source.deep), plan).await?
    } else {
        plan
    };
    Ok(PlanOutcome::Planned(Box::new(plan)))
}

/// The plan fitted to a sample of the video, as the service does it.
async fn fitted(tool: &Tool, input: &Input, plan: Planned) -> anyhow::Result<Planned> {
    let folder = tempfile::tempdir().context("no temporary folder can be made for a sample")?;
    Ok(
        match ffmpeg::sample(tool, input, folder.path(), &plan).await {
            Ok(samples) => per_title::refine(plan, &samples),
            Err(reason) => per_title::unsampled(plan, reason.to_string()),
        },
    )
}

/// The size of a file in bytes, and its first `HEAD_BYTES` bytes from `at` on.
fn read_part(file: &Path, at: u64) -> std::io::Result<(u64, Vec<u8>)> {
    let mut opened = std::fs::File::open(file)?;
    let size = opened.metadata()?.len();
    opened.seek(SeekFrom::Start(at))?;
    let mut head = Vec::new();
    opened
        .take(sniff::HEAD_BYTES as u64)
        .read_to_end(&mut head)?;
    Ok((size, head))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        plan: PlanArgs,
    }

    fn args(file: &Path, more: &[&str]) -> PlanArgs {
        let file = file.display().to_string();
        Only::parse_from([&["x", file.as_str()], more].concat()).plan
    }

    async fn decided(file: &Path, more: &[&str]) -> anyhow::Result<PlanOutcome> {
        decide(&args(file, more)).await
    }

    #[tokio::test]
    async fn a_file_is_planned_without_any_service_and_a_refused_one_has_its_code() {
        let folder = tempfile::tempdir().unwrap();
        let made = "-f lavfi -i testsrc2=s=640x360:r=25:d=2 -f lavfi -i sine=d=2 -c:v libx264 -preset ultrafast";
        let clip = ffmpeg::testing::make(folder.path(), "a.mp4", made).await;
        let outcome = decided(&clip, &["--profile", "mobile"]).await.unwrap();
        let PlanOutcome::Planned(planned) = outcome else {
            panic!("the clip is refused");
        };
        let names: Vec<&str> = planned.videos().map(|rung| rung.name.as_str()).collect();
        assert_eq!(
            (planned.profile.as_str(), names),
            ("mobile", vec!["360p", "240p"])
        );
        assert!(report(&planned).contains("540p"));

        let text = folder.path().join("notes.mp4");
        std::fs::write(&text, "no video at all").unwrap();
        let refused = decided(&text, &[]).await.unwrap();
        assert!(matches!(
            refused,
            PlanOutcome::Refused {
                code: Code::NotMedia,
                ..
            }
        ));
    }

    #[tokio::test]
    async fn a_profile_nobody_knows_and_a_ladder_file_that_is_not_there_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let message = decided(folder.path(), &["--profile", "apple"])
            .await
            .err()
            .unwrap();
        assert!(
            message
                .to_string()
                .contains("the profiles are classic, fast, hevc"),
            "{message}"
        );
        let message = decided(folder.path(), &["--ladder-file", "/nonexistent.toml"])
            .await
            .err()
            .unwrap();
        assert!(
            format!("{message:#}").contains("set LADDER_FILE"),
            "{message:#}"
        );
    }
}
