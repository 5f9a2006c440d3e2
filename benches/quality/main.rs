//! `make bench-quality`: the quality, size and processor time of the shipped ladders against those
//! of the system they replace, by VMAF, on named clips. Writes `docs/quality.md`. What was encoded
//! once is not encoded again: results are kept in `.tools/quality`. `-- --without-hevc` leaves out
//! the slowest part.

mod clips;
mod encode;
mod report;
mod run;

use anyhow::Result;
use clips::{MOVING, SLIDES};
use encode::{encode, old, per_title, plan};
use media::ladder::Profile;
use report::{Compared, Report, Title};
use run::Bench;

/// The rungs both systems have.
const SHARED: u32 = 480;

/// A sample needs a longer source than a clip.
const LOOPS: u32 = 12;

#[tokio::main]
async fn main() -> Result<()> {
    let bench = Bench::open()?;
    let mut report = Report::default();
    for clip in &MOVING {
        let file = clip.file(&bench).await?;
        let (old, standard) = (
            old(&bench, &file).await?,
            encode(
                &bench,
                &file,
                plan(&bench, &file, shared("standard")?).await?,
            )
            .await?,
        );
        eprintln!("{}: old {old}; standard {standard}", clip.name);
        report.compared.push(Compared {
            clip,
            hevc: None,
            old,
            standard,
        });
    }
    let standard = profile("standard")?;
    let files = [
        ("slides", SLIDES.file(&bench).await?),
        ("match", MOVING[5].looped(&bench, LOOPS).await?),
    ];
    for (name, file) in files {
        let without = plan(&bench, &file, standard.clone()).await?;
        let with = per_title(&bench, &file, without.clone()).await?;
        let unchanged = with.renditions == without.renditions;
        let estimate = without.cost.map_or(0.0, |cost| cost.cpu_seconds);
        let complexity = with.complexity.clone();
        // Equal plans make equal objects.
        let encoded = if unchanged {
            None
        } else {
            Some((
                encode(&bench, &file, without).await?,
                encode(&bench, &file, with).await?,
            ))
        };
        report.titles.push(Title {
            name,
            complexity,
            estimate,
            encoded,
        });
        eprintln!("{name} sampled");
    }
    if !std::env::args().any(|arg| arg == "--without-hevc") {
        for compared in &mut report.compared {
            let file = compared.clip.file(&bench).await?;
            let hevc = encode(&bench, &file, plan(&bench, &file, shared("hevc")?).await?).await?;
            eprintln!("{}: hevc {hevc}", compared.clip.name);
            compared.hevc = Some(hevc);
        }
    }
    let text = report.to_string();
    print!("{text}");
    Ok(std::fs::write(
        concat!(env!("CARGO_MANIFEST_DIR"), "/docs/quality.md"),
        text,
    )?)
}

fn profile(name: &str) -> Result<Profile> {
    Ok(media::ladder::profile::Profiles::shipped()
        .get(name)?
        .clone())
}

/// A shipped profile with the rungs that the old ladder has, too.
fn shared(name: &str) -> Result<Profile> {
    let mut profile = profile(name)?;
    profile.rungs.retain(|rung| rung.short_side >= SHARED);
    Ok(profile)
}
