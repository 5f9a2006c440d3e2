//! The storyboard: the tiles of all chunks joined into sheets, and the WebVTT index that maps times
//! to tiles.
//!
//! A storyboard that cannot be made is a warning. Keys follow from contents and contents from what
//! the chunks made, so that two finishers write equal bytes.

use std::fmt::Write as _;

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use media::image::Picture;
use storage::{Digest, JobKeys, ObjectKind};
use streams::Rational;
use streams::plan::{Planned, Rendition, Storyboard};
use streams::task::TaskName;
use streams::work::ObjectRef;

use super::assembly::AssembledRendition;
use super::extras::latest_tiles;
use super::outputs::OutputFault;
use crate::job::classify::classify_output_error;
use crate::job::commit::SMALL_OBJECT;
use crate::job::failure::Failure;
use crate::job::receipt::TaskResult;
use crate::job::{Jobs, WorkCounter};

/// JPEG quality of sheets: tiles are looked at for a moment.
const SHEET_JPEG_QUALITY: u8 = 75;

/// Objects with tiles that are read ahead.
const MAX_READ_AHEAD: usize = 2;

/// Makes the sheets of the storyboard of the plan; none if it has none, or if tiles are missing or
/// differ from the output of their tasks.
///
/// # Errors
/// Only what the storage says: it may be asked again.
pub(super) async fn draw_sheets(
    jobs: &Jobs,
    plan: &Planned,
    made: &[TaskResult],
    work_counter: &WorkCounter,
) -> Result<Option<Vec<Bytes>>, OutputFault> {
    let Some(storyboard) = plan.storyboard else {
        return Ok(None);
    };
    let Some(parts) = find_tile_objects(plan, storyboard, made) else {
        tracing::warn!(job = %plan.head.job_id, "a chunk made no tiles, so there is no storyboard");
        return Ok(None);
    };

    let reads = futures::stream::iter(parts).map(|part| read_tiles(jobs, part).boxed());
    let mut reads = reads.buffered(MAX_READ_AHEAD);
    let mut sheets = Sheets::new(storyboard);

    while let Some(tiles) = reads.next().await {
        let Some(tiles) = tiles? else {
            return Ok(None);
        };
        // Drawing and compressing would hold up every other task of the runtime.
        sheets = run_blocking(move || sheets.place_tiles(&tiles)).await?;
        work_counter.add(1);
    }

    run_blocking(move || sheets.finished()).await
}

/// The objects of a storyboard: the sheets, and last the index, each with its key. `place` gets the
/// key that follows from the content, and returns the key under which it is written.
pub(super) fn name_objects(
    keys: &JobKeys,
    plan: &Planned,
    renditions: &[AssembledRendition],
    sheets: &[Bytes],
    place: impl Fn(String, &Bytes) -> String,
) -> Option<Vec<(String, Bytes, ObjectKind)>> {
    let mut objects: Vec<(String, Bytes, ObjectKind)> = (0..)
        .zip(sheets)
        .map(|(n, jpeg)| {
            let key = keys.storyboard_sheet(n, &Digest::of(jpeg).sha256);
            (place(key, jpeg), jpeg.clone(), ObjectKind::Jpeg)
        })
        .collect();

    let files: Vec<&str> = objects
        .iter()
        .filter_map(|(key, ..)| key.rsplit('/').next())
        .collect();
    let text: Bytes = index(
        plan.storyboard?,
        plan.video.as_ref()?.frame_rate,
        end(renditions)?,
        &files,
    )?
    .into();

    let key = keys.storyboard_index(&Digest::of(&text).sha256);
    objects.push((place(key, &text), text, ObjectKind::Vtt));
    Some(objects)
}

/// A private object with tiles, and how many bytes of them there must be.
struct TileObject {
    object: ObjectRef,
    bytes: usize,
}

/// The objects with tiles, in the order of the video; none if one is missing.
fn find_tile_objects(
    plan: &Planned,
    storyboard: Storyboard,
    made: &[TaskResult],
) -> Option<Vec<TileObject>> {
    let video = plan.video.as_ref()?;
    let (mut parts, made) = (Vec::new(), latest_tiles(made));

    for k in 0..u32::try_from(video.chunks.len()).ok()? {
        let (first, end) = video.chunk_frames(k)?;
        let tiles = storyboard.tiles_in(first, end).len();
        // A chunk that is shorter than the interval may hold no tile, and then makes no object.
        if tiles > 0 {
            parts.push(TileObject {
                object: (*made.get(&TaskName::video(k))?).clone(),
                bytes: tiles * storyboard.tile_bytes(),
            });
        }
    }

    Some(parts)
}

async fn read_tiles(jobs: &Jobs, part: TileObject) -> Result<Option<Bytes>, OutputFault> {
    let key = &part.object.key;
    match jobs.output.get(key, SMALL_OBJECT).await {
        Ok(Some(bytes))
            if bytes.len() == part.bytes && Digest::of(&bytes).sha256 == part.object.sha256 =>
        {
            Ok(Some(bytes))
        }
        Ok(_) => {
            tracing::warn!(%key, "these tiles differ from the ones that were made, so there is no storyboard");
            Ok(None)
        }
        Err(error) => Err(classify_output_error(jobs, &error).await.into()),
    }
}

async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, OutputFault> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| {
        Failure::internal(&format!("The storyboard was interrupted: {error}")).into()
    })
}

/// Sheets in the making: one of them as pixels, those before it as JPEG.
struct Sheets {
    storyboard: Storyboard,
    /// Tiles that are placed already.
    tiles: u32,
    open: Option<Picture>,
    /// Full ones; nothing as soon as one could not be made.
    full: Option<Vec<Bytes>>,
}

impl Sheets {
    const fn new(storyboard: Storyboard) -> Self {
        Self {
            storyboard,
            tiles: 0,
            open: None,
            full: Some(Vec::new()),
        }
    }

    /// Places the next tiles, one after the other.
    fn place_tiles(mut self, tiles: &[u8]) -> Self {
        let storyboard = self.storyboard;
        for tile in tiles.chunks_exact(storyboard.tile_bytes().max(1)) {
            let (_, corner) = place(storyboard, self.tiles);
            let (x, y) = (corner.0 as usize, corner.1 as usize);
            let sheet = self.open.get_or_insert_with(|| {
                let (width, height) = sheet_size(storyboard, self.tiles);
                Picture::black(width, height)
            });
            sheet.draw((x, y), storyboard.width as usize, tile);

            self.tiles += 1;
            if self
                .tiles
                .is_multiple_of(storyboard.tiles_per_sheet().max(1))
            {
                self.close();
            }
        }
        self
    }

    fn close(&mut self) {
        let Some(sheet) = self.open.take() else {
            return;
        };
        let jpeg = sheet.jpeg(SHEET_JPEG_QUALITY);
        if let Err(error) = &jpeg {
            tracing::warn!(%error, "a sheet of the storyboard could not be made");
        }

        self.full = self.full.take().zip(jpeg.ok()).map(|(mut full, jpeg)| {
            full.push(jpeg.into());
            full
        });
    }

    /// All sheets, if every tile is placed.
    fn finished(mut self) -> Option<Vec<Bytes>> {
        self.close();
        self.full.filter(|_| self.tiles == self.storyboard.tiles)
    }
}

/// The sheet of a tile, and where its upper left corner lies in it, in pixels.
fn place(storyboard: Storyboard, tile: u32) -> (u32, (u32, u32)) {
    let per_sheet = storyboard.tiles_per_sheet().max(1);
    let (sheet, place) = (tile / per_sheet, tile % per_sheet);
    let (column, row) = (
        place % storyboard.columns.max(1),
        place / storyboard.columns.max(1),
    );
    (sheet, (column * storyboard.width, row * storyboard.height))
}

/// Width and height of the sheet that begins with tile `first`: the last one has only the rows it
/// needs.
fn sheet_size(storyboard: Storyboard, first: u32) -> (usize, usize) {
    let left = storyboard.tiles.saturating_sub(first);
    let rows = left
        .div_ceil(storyboard.columns.max(1))
        .clamp(1, storyboard.rows.max(1));
    let (width, height) = (
        storyboard.columns * storyboard.width,
        rows * storyboard.height,
    );
    (width as usize, height as usize)
}

/// The end of the video in milliseconds, as its top rung has it.
fn end(renditions: &[AssembledRendition]) -> Option<u128> {
    let top = renditions
        .iter()
        .find(|made| matches!(made.rendition, Rendition::Video(_)))?;
    let ticks: u64 = top
        .segments
        .iter()
        .map(|(_, segment)| segment.duration)
        .sum();
    millis(u128::from(ticks), u128::from(top.timescale))
}

/// The index: one cue for each tile, from its frame to the next one's; the last one ends with the
/// video, `end` milliseconds from zero. Its links are relative and name a part of a sheet (W3C
/// Media Fragments URI section 4.2.2).
fn index(storyboard: Storyboard, rate: Rational, end: u128, sheets: &[&str]) -> Option<String> {
    let start = |tile: u32| {
        let frame = u128::from(tile) * u128::from(storyboard.interval_frames);
        let (num, den) = (
            u128::try_from(rate.num()).ok()?,
            u128::try_from(rate.den()).ok()?,
        );
        millis(frame * den, num)
    };

    let mut text = "WEBVTT\n".to_owned();
    for tile in 0..storyboard.tiles {
        let (sheet, (x, y)) = place(storyboard, tile);
        let until = if tile + 1 == storyboard.tiles {
            end
        } else {
            start(tile + 1)?
        };
        let sheet = sheets.get(sheet as usize)?;
        let Storyboard { width, height, .. } = storyboard;
        let (from, until) = (clock(start(tile)?), clock(until));
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n{from} --> {until}\n{sheet}#xywh={x},{y},{width},{height}\n"
        );
    }

    Some(text)
}

/// `units` at `per_second` units per second, in milliseconds, rounded to the nearest one.
const fn millis(units: u128, per_second: u128) -> Option<u128> {
    (units * 2000 + per_second).checked_div(2 * per_second)
}

/// A time as WebVTT writes it.
fn clock(millis: u128) -> String {
    let seconds = millis / 1000;
    format!(
        "{:02}:{:02}:{:02}.{:03}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        millis % 1000
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn storyboard(tiles: u32, columns: u32, rows: u32) -> Storyboard {
        Storyboard {
            interval_frames: 60,
            tiles,
            width: 4,
            height: 2,
            columns,
            rows,
        }
    }

    #[test]
    fn the_index_of_two_sheets_is_this_text() {
        let rate = Rational::new(30_000, 1001).unwrap();
        let text = index(
            storyboard(5, 2, 2),
            rate,
            9_876,
            &["storyboard-0-a.jpg", "storyboard-1-b.jpg"],
        )
        .unwrap();

        assert_eq!(
            text,
            include_str!("../../../tests/golden/storyboard.vtt"),
            "the index is now\n{text}"
        );
    }

    #[test]
    fn times_go_beyond_an_hour_and_ten() {
        assert_eq!(clock(3_599_999), "00:59:59.999");
        assert_eq!(clock(36_000_001), "10:00:00.001");
        assert_eq!(millis(1001, 30_000), Some(33));
        assert_eq!(millis(1, 0), None);
    }

    #[test]
    fn a_sheet_too_few_or_a_tile_too_few_is_no_storyboard() {
        assert_eq!(
            index(
                storyboard(5, 2, 2),
                Rational::whole(25),
                1,
                &["storyboard-0-a.jpg"]
            ),
            None
        );
        let sheets = Sheets::new(storyboard(5, 2, 2)).place_tiles(&[7; 4 * 24]);
        assert_eq!(sheets.finished(), None);
    }

    #[test]
    fn the_last_sheet_has_only_the_rows_it_needs() {
        let storyboard = storyboard(23, 4, 4);
        assert_eq!(
            (sheet_size(storyboard, 0), sheet_size(storyboard, 16)),
            ((16, 8), (16, 4))
        );

        let whole = Sheets::new(storyboard)
            .place_tiles(&[7; 20 * 24])
            .place_tiles(&[9; 3 * 24])
            .finished();
        assert_eq!(whole.map(|sheets| sheets.len()), Some(2));
    }

    proptest! {
        #[test]
        fn every_tile_has_a_place_of_its_own_inside_its_sheet(tiles in 1u32..700, columns in 1u32..11, rows in 1u32..11) {
            let storyboard = storyboard(tiles, columns, rows);
            let mut places = std::collections::BTreeSet::new();
            for tile in 0..tiles {
                let (sheet, (x, y)) = place(storyboard, tile);
                let (width, height) = sheet_size(storyboard, sheet * columns * rows);
                prop_assert!(x as usize + 4 <= width && y as usize + 2 <= height);
                prop_assert!(places.insert((sheet, x, y)));
            }
        }
    }
}
