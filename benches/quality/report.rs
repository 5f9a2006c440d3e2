//! The report, as Markdown.

use std::fmt;

use streams::plan::Complexity;

use super::clips::{Clip, MOVING, SLIDES};
use super::encode::Encoded;

/// One clip in all ladders.
pub(crate) struct Compared {
    pub(crate) clip: &'static Clip,
    pub(crate) old: Encoded,
    pub(crate) standard: Encoded,
    /// Left out in a short run.
    pub(crate) hevc: Option<Encoded>,
}

/// One clip with and without sampling.
pub(crate) struct Title {
    pub(crate) name: &'static str,
    pub(crate) complexity: Option<Complexity>,
    /// Processor seconds the plan estimates for the job.
    pub(crate) estimate: f64,
    /// Without and with the sample; nothing where both have the same renditions.
    pub(crate) encoded: Option<(Encoded, Encoded)>,
}

/// Everything that was measured.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) compared: Vec<Compared>,
    pub(crate) titles: Vec<Title>,
}

type Pick = fn(&Compared) -> Option<&Encoded>;

const LADDERS: [(&str, Pick); 3] = [
    ("old", |compared| Some(&compared.old)),
    ("`standard`", |compared| Some(&compared.standard)),
    ("`hevc`", |compared| compared.hevc.as_ref()),
];

const HEAD: &str = "\
# Quality

Written by `make bench-quality`. VMAF is the mean of libvmaf's default model over every fourth frame; lower rungs are scaled up to 1080 lines
with a bicubic filter, as players do. Bytes are those of the video alone. Processor time is the user and system time of ffmpeg, including
decoding and scaling.

- **old**: the worker that fluxhls replaces, with libx264 `medium` at 5000, 3000 and 1500 kb/s for 1080, 720 and 480 lines, without caps or a key frame grid.
- **`standard`** and **`hevc`** (`hevc` unless it was left out): the shipped profiles with the same three rungs, encoded with the plans and command lines of workers.

";

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEAD)?;
        self.summary(f)?;
        self.by_clip(f)?;
        self.per_title(f)?;
        writeln!(
            f,
            "## Clips\n\n| clip | what it shows | from |\n|---|---|---|"
        )?;
        for clip in MOVING.iter().chain([&SLIDES]) {
            writeln!(f, "| {} | {} | {} |", clip.name, clip.shows, clip.from)?;
        }
        Ok(())
    }
}

impl Report {
    fn rung(&self, pick: Pick, rung: usize) -> (f64, u64) {
        let rungs = self
            .compared
            .iter()
            .filter_map(|compared| pick(compared)?.rungs.get(rung));
        let (vmaf, bytes) = rungs.fold((0.0, 0), |(vmaf, bytes), rung| {
            (vmaf + rung.vmaf, bytes + rung.bytes)
        });
        (vmaf / self.compared.len() as f64, bytes)
    }

    fn total(&self, pick: Pick) -> (f64, f64) {
        let all = || self.compared.iter().filter_map(pick);
        let bytes = all()
            .flat_map(|encoded| &encoded.rungs)
            .map(|rung| rung.bytes)
            .sum::<u64>();
        (bytes as f64, all().map(|encoded| encoded.cpu).sum())
    }

    fn summary(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (old_bytes, old_cpu) = self.total(LADDERS[0].1);
        writeln!(f, "## Means over {} moving clips\n", self.compared.len())?;
        writeln!(
            f,
            "| ladder | VMAF 1080 | 720 | 480 | bytes, all three | relative to old | CPU s | relative to old |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|")?;
        for (name, pick) in LADDERS {
            let (bytes, cpu) = self.total(pick);
            if bytes == 0.0 {
                continue;
            }
            write!(f, "| {name} |")?;
            for rung in 0..3 {
                write!(f, " {:.2} |", self.rung(pick, rung).0)?;
            }
            writeln!(
                f,
                " {:.2} MB | {:+.1} % | {cpu:.1} | {:.0} % |",
                bytes / 1e6,
                (bytes / old_bytes - 1.0) * 100.0,
                cpu / old_cpu * 100.0
            )?;
        }
        writeln!(f)
    }

    fn by_clip(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## By clip: VMAF and bytes of each rung\n")?;
        writeln!(
            f,
            "| clip | ladder | 1080 | 720 | 480 | CPU s |\n|---|---|---|---|---|---|"
        )?;
        for compared in &self.compared {
            for (name, pick) in LADDERS {
                let Some(encoded) = pick(compared) else {
                    continue;
                };
                write!(f, "| {} | {name} |", compared.clip.name)?;
                for rung in &encoded.rungs {
                    write!(f, " {:.1}, {:.2} MB |", rung.vmaf, rung.bytes as f64 / 1e6)?;
                }
                writeln!(f, " {:.1} |", encoded.cpu)?;
            }
        }
        writeln!(f)
    }

    fn per_title(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "## Per title: `standard` with its four rungs, with and without sampling\n"
        )?;
        writeln!(
            f,
            "| clip | without | with | bytes | cost of sampling | decisions |\n|---|---|---|---|---|---|"
        )?;
        for title in &self.titles {
            let complexity = title.complexity.as_ref();
            let cpu = complexity.map_or(0.0, |complexity| complexity.cpu_seconds);
            let decisions = complexity
                .map_or(&[][..], |complexity| &complexity.rungs)
                .iter();
            let decisions: Vec<String> = decisions
                .map(|rung| {
                    format!(
                        "{} ({} kb/s): {}",
                        rung.name,
                        rung.bitrate / 1000,
                        rung.decision
                    )
                })
                .collect();
            writeln!(
                f,
                "| {} | {} | {cpu:.1} CPU s, {:.1} % of the job's estimate | {} |",
                title.name,
                effect(title),
                cpu / title.estimate * 100.0,
                decisions.join("<br>")
            )?;
        }
        writeln!(f)
    }
}

/// The columns of the result.
fn effect(title: &Title) -> String {
    let Some((without, with)) = &title.encoded else {
        return "the profile's ladder | the same ladder and caps | equal".to_owned();
    };
    let bytes = |encoded: &Encoded| encoded.rungs.iter().map(|rung| rung.bytes).sum::<u64>() as f64;
    let change = (bytes(with) / bytes(without) - 1.0) * 100.0;
    format!("{} | {} | {change:+.1} %", rungs(without), rungs(with))
}

/// Lines, bytes and VMAF of every rung.
fn rungs(encoded: &Encoded) -> String {
    let rungs = encoded.rungs.iter();
    let rungs: Vec<String> = rungs
        .map(|rung| {
            format!(
                "{}: {:.2} MB, VMAF {:.1}",
                rung.height,
                rung.bytes as f64 / 1e6,
                rung.vmaf
            )
        })
        .collect();
    rungs.join("<br>")
}
