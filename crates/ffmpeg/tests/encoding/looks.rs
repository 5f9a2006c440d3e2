//! What pictures look like when they come out: colours by patches, orientation by a marked corner,
//! fields, sizes that change, damage.

use std::path::Path;

use ffmpeg::argv::reference::{self, Excerpt, Extraction};
use ffmpeg::testing::{ask, bytes, make, tool};
use media::ladder::Profile;
use streams::Code;
use streams::plan::{FieldOrder, Matrix, Primaries};

use crate::whole::Bench;

/// A decoded picture, as RGB.
struct Image {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Image {
    /// The first picture of a file whose samples are BT.709 in limited range.
    async fn first(file: &Path, (width, height): (u32, u32)) -> Self {
        let args = format!(
            "-v error -nostdin -i {} -frames:v 1 -vf scale=in_color_matrix=bt709:in_range=tv:out_range=pc,format=rgb24 -f rawvideo -",
            file.display()
        );
        let rgb = bytes(&tool().ffmpeg, file.parent().unwrap(), &args).await;

        let (width, height) = (width as usize, height as usize);
        assert_eq!(rgb.len(), width * height * 3);
        Self { width, height, rgb }
    }

    /// The colour at shares of width and height.
    fn at(&self, x: f64, y: f64) -> [i32; 3] {
        let (x, y) = (
            (x * self.width as f64) as usize,
            (y * self.height as f64) as usize,
        );
        let at = (y * self.width + x) * 3;
        [0, 1, 2].map(|channel| i32::from(self.rgb[at + channel]))
    }
}

fn near(found: [i32; 3], wanted: [i32; 3], off: i32) -> bool {
    found
        .iter()
        .zip(wanted)
        .all(|(found, wanted)| (found - wanted).abs() <= off)
}

/// Encodes everything and looks at the first picture of the top rung.
async fn shown(bench: &mut Bench) -> Image {
    bench.encode_video().await;
    let top = bench.planned.videos().next().unwrap();
    let size = (top.width, top.height);
    let file = bench.join(top.name.as_str());

    let entries = format!(
        "-v error -show_entries stream=pix_fmt,color_range,color_space,profile -of csv=p=0 {}",
        file.display()
    );
    let said = ask(&tool().ffprobe, bench.folder.path(), &entries).await;
    assert_eq!(said.trim(), "High,yuv420p,tv,bt709");

    Image::first(&file, size).await
}

/// One second of one colour, encoded as `encode` says.
async fn patch(color: &str, name: &str, encode: &str) -> ([i32; 3], Bench) {
    // A colour may end in a filter.
    let (color, filter) = color.split_once(',').unwrap_or((color, "null"));
    let source = format!("-f lavfi -i color={color}:s=192x144:r=25:d=1,{filter}");
    let mut bench = Bench::of(name, &format!("{source} {encode}")).await;
    let image = shown(&mut bench).await;
    (image.at(0.5, 0.5), bench)
}

#[tokio::test]
async fn all_eight_orientations_and_odd_angles_come_out_upright() {
    let folder = tempfile::tempdir().unwrap();
    let marked = "-f lavfi -i color=gray:s=192x160:r=25:d=0.4,drawbox=x=0:y=0:w=64:h=48:c=red:t=fill -c:v libx264 -qp 10";
    let flat = std::fs::read(make(folder.path(), "flat.mp4", marked).await).unwrap();
    let header = flat.windows(4).position(|kind| kind == b"tkhd").unwrap();

    for (a, b, c, d) in [
        (1.0, 0.0, 0.0, 1.0),
        (0.0, 1.0, -1.0, 0.0),
        (-1.0, 0.0, 0.0, -1.0),
        (0.0, -1.0, 1.0, 0.0),
        (-1.0, 0.0, 0.0, 1.0),
        (1.0, 0.0, 0.0, -1.0),
        (0.0, 1.0, 1.0, 0.0),
        (0.0, -1.0, -1.0, 0.0),
        // A quarter turn clockwise, ten degrees short of it.
        (0.1736, 0.9848, -0.9848, 0.1736),
    ] {
        // The matrix of a track header (ISO/IEC 14496-12 section 8.3.2).
        let mut bytes = flat.clone();
        for (i, value) in [a, b, 0.0, c, d, 0.0, 0.0, 0.0].into_iter().enumerate() {
            let at = header + 44 + 4 * i;
            bytes[at..at + 4].copy_from_slice(&((value * 65536.0) as i32).to_be_bytes());
        }

        let own = tempfile::tempdir().unwrap();
        let source = own.path().join("turned.mp4");
        std::fs::write(&source, bytes).unwrap();
        let mut bench = Bench::plan(own, &source, Profile::standard()).await;
        let image = shown(&mut bench).await;
        let across = f64::abs(b) > 0.5;
        assert_eq!(image.width < image.height, across, "{a} {b} {c} {d}");

        // Where the upper left corner goes, from the middle of the picture.
        let (x, y) = (f64::round(-a - c), f64::round(-b - d));
        for (right, down) in [(-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0)] {
            let color = image.at(0.5 + 0.4 * right, 0.5 + 0.4 * down);
            let red = color[0] > 200 && color[1] < 60;
            assert_eq!(
                red,
                (right, down) == (x, y),
                "{a} {b} {c} {d}: {color:?} at {right} {down}"
            );
        }
    }
}

#[tokio::test]
async fn what_is_transparent_is_laid_on_black() {
    for (name, encode) in [
        ("a.mov", "-c:v qtrle -pix_fmt argb"),
        (
            "a.mov",
            "-c:v prores_ks -profile:v 4444 -pix_fmt yuva444p10le",
        ),
        ("a.mov", "-c:v png -pix_fmt rgba"),
        (
            "a.webm",
            "-c:v libvpx-vp9 -pix_fmt yuva420p -auto-alt-ref 0 -deadline realtime -cpu-used 8 -b:v 4M",
        ),
        (
            "a.webm",
            "-c:v libvpx -pix_fmt yuva420p -auto-alt-ref 0 -deadline realtime -cpu-used 8 -b:v 4M",
        ),
    ] {
        let (color, bench) = patch("red@0.5,format=rgba", name, encode).await;
        assert!(near(color, [128, 0, 0], 8), "{encode}: {color:?}");
        assert!(
            bench
                .planned
                .warnings
                .contains(&"alpha_flattened".to_owned()),
            "{encode}"
        );
    }

    let gif = "-vf split[a][b];[a]palettegen[p];[b][p]paletteuse -c:v gif";
    let (color, _) = patch("red@0.0,format=rgba", "a.gif", gif).await;
    assert!(near(color, [0, 0, 0], 4), "{color:?}");
}

#[tokio::test]
async fn deep_full_range_and_rgb_pictures_keep_their_colours() {
    for (name, encode) in [
        ("a.mov", "-c:v prores_ks -pix_fmt yuv422p10le"),
        ("a.mp4", "-c:v libx264 -pix_fmt yuv444p"),
        ("a.mp4", "-c:v libx264 -pix_fmt yuv422p10le"),
        ("a.mp4", "-c:v libx264 -pix_fmt yuvj420p -color_range pc"),
        (
            "a.mp4",
            "-vf scale=out_color_matrix=bt709:out_range=pc,format=yuv420p -c:v libx264 -color_range pc -colorspace bt709",
        ),
        ("a.mov", "-c:v qtrle -pix_fmt rgb24"),
        ("a.mkv", "-c:v ffv1 -pix_fmt bgr0"),
        ("a.mkv", "-c:v libx264rgb -qp 4"),
    ] {
        for (source, wanted) in [
            ("0x3060c0", [0x30, 0x60, 0xc0]),
            ("white", [255, 255, 255]),
            ("0x101010", [16, 16, 16]),
        ] {
            let (color, _) = patch(source, name, encode).await;
            assert!(near(color, wanted, 7), "{source} {encode}: {color:?}");
        }
    }
}

#[tokio::test]
async fn foreign_primaries_are_converted_and_come_back_as_they_were() {
    let convert = |primaries: &str, matrix: &str, tags: &str| {
        format!(
            "-vf format=gbrp,zscale=pin=709:tin=709:min=gbr:rin=pc:p={primaries}:t=709:m={matrix}:r=tv,format=yuv420p {tags} -c:v libx264 -qp 4"
        )
    };

    for (primaries, matrix, tags, planned) in [
        (
            "2020",
            "2020_ncl",
            "-color_primaries bt2020 -color_trc bt709 -colorspace bt2020nc",
            (Matrix::Bt2020nc, Primaries::Bt2020),
        ),
        (
            "bt470bg",
            "470bg",
            "-color_primaries bt470bg -color_trc bt709 -colorspace bt470bg",
            (Matrix::Bt601, Primaries::Bt470bg),
        ),
        (
            "170m",
            "170m",
            "-color_primaries smpte170m -color_trc smpte170m -colorspace smpte170m",
            (Matrix::Bt601, Primaries::Smpte170m),
        ),
    ] {
        let (color, bench) = patch("0xa05030", "a.mp4", &convert(primaries, matrix, tags)).await;
        let found = bench.planned.video.as_ref().unwrap().picture.color;
        assert_eq!((found.matrix, found.primaries), planned);
        assert!(near(color, [0xa0, 0x50, 0x30], 6), "{primaries}: {color:?}");
    }
}

/// One second of one luma value of ten bits without colour, tagged as `tags` say.
async fn luma(value: u32, tags: &str) -> ([i32; 3], Bench) {
    let encode = format!(
        "-vf format=yuv420p10le,lutyuv=y={value}:u=512:v=512 -c:v libx265 -pix_fmt yuv420p10le \
         -x265-params log-level=error:{tags}"
    );
    patch("gray", "a.mp4", &encode).await
}

#[tokio::test]
async fn high_dynamic_range_is_mapped_to_what_a_screen_shows() {
    // A hundred candelas, by SMPTE ST 2084, are 0.508 of full signal. Hable's curve makes 0.312 of
    // full light of them, which is 0.616 of signal on a screen of BT.1886.
    let pq = "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc";
    let (grey, bench) = luma(509, pq).await;
    assert!(bench.planned.warnings.contains(&"tone_mapped".to_owned()));
    assert!(near(grey, [157; 3], 5), "{grey:?}");

    // A header that gives only the transfer is no reason to fail.
    let (bare, _) = luma(509, "transfer=smpte2084").await;
    assert!(near(bare, grey, 1), "{bare:?}");

    let (black, _) = luma(64, pq).await;
    assert!(near(black, [0; 3], 3), "{black:?}");

    // A thousand candelas are as bright as it gets; reference white of hybrid log-gamma lies well
    // below.
    let (bright, _) = luma(723, pq).await;
    assert!(bright[0] > 245, "{bright:?}");
    let (white, _) = luma(
        721,
        "colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc",
    )
    .await;
    assert!(
        (150..235).contains(&white[0]) && near(white, [white[0]; 3], 2),
        "{white:?}"
    );
}

/// Whether frames of the output look like pairs of fields.
async fn combed(bench: &Bench) -> bool {
    let top = bench.planned.videos().next().unwrap().name.to_string();
    let look = format!(
        "-hide_banner -nostdin -v error -i {} -vf idet=intl_thres=1.4,metadata=print:key=lavfi.idet.multiple.current_frame:file=- -f null -",
        bench.join(&top).display()
    );
    let said = ask(&tool().ffmpeg, bench.folder.path(), &look).await;

    let count = |word: &str| said.matches(&format!("current_frame={word}")).count();
    2 * (count("tff") + count("bff")) > count("progressive")
}

#[tokio::test]
async fn fields_are_found_by_their_looks_whatever_the_flags_say() {
    let fields = "-f lavfi -i testsrc2=s=352x288:r=50:d=8 -vf";
    let woven = |parity: &str| format!("{fields} tinterlace=interleave_{parity}");
    let x264 = "-c:v libx264 -preset ultrafast -qp 20";

    for (args, deinterlace, order) in [
        (
            format!("{} {x264} -flags +ildct+ilme", woven("top")),
            true,
            FieldOrder::Top,
        ),
        (
            format!("{},setfield=prog {x264}", woven("top")),
            true,
            FieldOrder::Top,
        ),
        (
            format!("{},setfield=prog {x264}", woven("bottom")),
            true,
            FieldOrder::Bottom,
        ),
        (
            format!("{fields} fps=25,setfield=tff {x264} -x264-params tff=1"),
            false,
            FieldOrder::Flagged,
        ),
        (
            format!("{fields} fps=25 {x264}"),
            false,
            FieldOrder::Flagged,
        ),
    ] {
        let mut bench = Bench::of("a.mp4", &args).await;
        let picture = bench.planned.video.as_ref().unwrap().picture;
        assert_eq!(
            (picture.deinterlace, picture.field_order),
            (deinterlace, order),
            "{args}"
        );

        bench.encode_video().await;
        assert!(!combed(&bench).await, "{args}");
    }
}

#[tokio::test]
async fn every_field_becomes_a_frame_where_the_profile_asks() {
    let args = "-f lavfi -i testsrc2=s=1280x720:r=50:d=1.2 -vf tinterlace=interleave_top -c:v mpeg2video -q:v 3 -flags +ildct+ilme";
    let profile = Profile {
        field_rate: true,
        ..Profile::standard()
    };
    let mut bench = Bench::by(profile, "a.ts", args).await;
    let rates: Vec<String> = bench
        .planned
        .videos()
        .map(|rung| rung.frame_rate.to_string())
        .collect();
    assert_eq!(rates, ["50/1", "25/1", "25/1"]);

    bench.encode_video().await;
    assert!(!combed(&bench).await);
}

#[tokio::test]
async fn a_source_that_changes_its_size_keeps_every_frame_in_one_size() {
    let folder = tempfile::tempdir().unwrap();
    let part = |size: &str, offset: u32| {
        format!(
            "-f lavfi -i testsrc2=s={size}:r=25:d=5 -c:v libx264 -preset ultrafast -g 25 -output_ts_offset {offset} -muxdelay 0"
        )
    };

    let mut bytes = std::fs::read(make(folder.path(), "1.ts", &part("320x240", 0)).await).unwrap();
    bytes.extend(std::fs::read(make(folder.path(), "2.ts", &part("480x272", 5)).await).unwrap());
    let stream = folder.path().join("both.ts");
    std::fs::write(&stream, bytes).unwrap();
    let matroska = make(
        folder.path(),
        "both.mkv",
        &format!("-i {} -c copy", stream.display()),
    )
    .await;

    for source in [stream, matroska] {
        let mut bench =
            Bench::plan(tempfile::tempdir().unwrap(), &source, Profile::standard()).await;
        let video = bench.planned.video.as_ref().unwrap();
        assert!(
            (248..=251).contains(&video.frames),
            "{}: {}",
            source.display(),
            video.frames
        );

        let top = bench.planned.videos().next().unwrap();
        assert_eq!((top.width, top.height), (480, 272));
        bench.whole().await;
    }
}

#[tokio::test]
async fn some_damage_is_concealed_and_much_is_an_error_of_its_own() {
    let args = "-f lavfi -i testsrc2=s=320x240:r=25:d=10 -c:v libx264 -preset ultrafast -g 50 -movflags +faststart";
    for (share, code) in [(0.02, None), (0.4, Some(Code::DecodeErrors))] {
        let folder = tempfile::tempdir().unwrap();
        let source = make(folder.path(), "a.mp4", args).await;

        let mut bytes = std::fs::read(&source).unwrap();
        let middle = bytes.len() / 2;
        let damaged = (bytes.len() as f64 * share) as usize;
        bytes[middle - damaged / 2..middle + damaged / 2].fill(0);
        std::fs::write(&source, bytes).unwrap();

        let bench = Bench::plan(folder, &source, Profile::standard()).await;
        let (exit, _) = bench.try_run(&bench.chunk_args(0)).await;
        assert_eq!(
            exit.code(),
            code,
            "{share}: {:?} {}",
            exit.end,
            exit.stderr_tail
        );
    }
}

#[tokio::test]
async fn a_still_picture_with_sound_is_a_slow_video() {
    for (name, args) in [
        (
            "a.mp4",
            "-f lavfi -i testsrc2=s=320x240:r=1:d=9 -f lavfi -i sine=d=9 -c:v libx264 -tune stillimage",
        ),
        (
            "a.mkv",
            "-f lavfi -i testsrc2=s=320x240:r=25:d=0.04 -f lavfi -i sine=d=9 -c:v libx264 -tune stillimage",
        ),
        (
            "a.mp4",
            "-f lavfi -i testsrc2=s=320x240:r=1/9:d=9 -f lavfi -i sine=d=9 -c:v libx264 -tune stillimage",
        ),
    ] {
        let mut bench = Bench::of(name, args).await;
        let video = bench.planned.video.as_ref().unwrap();
        assert!(video.frame_rate.as_f64() >= 1.0, "{args}");
        bench.whole().await;
    }
}

/// The mean of this many luma pictures of equal size.
fn means(bytes: &[u8], pictures: usize) -> Vec<f64> {
    let mean = |picture: &[u8]| {
        picture.iter().map(|sample| f64::from(*sample)).sum::<f64>() / picture.len() as f64
    };
    bytes.chunks(bytes.len() / pictures).map(mean).collect()
}

#[tokio::test]
async fn dark_pictures_come_out_as_dark_as_they_went_in() {
    let black = "color=black:s=192x144:r=25:d=8";
    for (film, source) in [
        ("noise", format!("{black},noise=alls=9:allf=t")),
        (
            "a night",
            "testsrc2=s=192x144:r=25:d=8,lutyuv=y=16+(val-16)*0.05".to_owned(),
        ),
        (
            "a fade",
            "testsrc2=s=192x144:r=25:d=8,fade=in:0:90,fade=out:110:90".to_owned(),
        ),
        (
            "flashes",
            format!("{black},drawbox=w=iw/3:h=ih/3:c=white:t=fill:enable=eq(mod(n\\,3)\\,1)"),
        ),
    ] {
        let mut bench = Bench::of(
            "a.mkv",
            &format!("-f lavfi -i {source} -pix_fmt yuv420p -c:v ffv1"),
        )
        .await;
        bench.encode_video().await;

        let rung = bench.planned.videos().next().unwrap().clone();
        let samples = reference::frames(&bench.planned, &rung, 0);
        let file = bench.join(rung.name.as_str());

        // All in one file, so that they are numbered through.
        let excerpt = Excerpt {
            file: file
                .strip_prefix(bench.folder.path())
                .unwrap()
                .display()
                .to_string(),
            output: "made.gray".to_owned(),
            look: Extraction::Frames(samples.iter().map(|sample| sample.frame).collect()),
        };
        bench.run(&reference::extract_samples(&[excerpt])).await;

        let given = std::fs::read(
            bench
                .path(rung.name.as_str())
                .join(reference::REFERENCE_FILE),
        )
        .unwrap();
        let made = std::fs::read(bench.folder.path().join("made.gray")).unwrap();
        let (given, made) = (means(&given, samples.len()), means(&made, samples.len()));
        let worst = made
            .iter()
            .zip(&given)
            .map(|(made, given)| (made - given).abs())
            .fold(0.0, f64::max);
        assert!(worst < 0.5, "{film}: {made:?} of {given:?}");
    }
}
