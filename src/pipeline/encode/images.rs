//! The images of a chunk: its picture for the poster and its tiles of the storyboard. If something
//! fails here, the chunk has none; `finish` then uses those of other chunks, or adds a warning.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use ffmpeg::argv;
use media::image::{MIN_POSTER_SCORE, Picture};
use media::ladder::size::Size;
use storage::ObjectKind;
use streams::plan::Planned;
use streams::task::Duty;
use streams::work::TaskOutput;

use super::task::EncodeTask;
use crate::job::failure::Failure;

/// JPEG quality of posters: no flaws show at their own size.
const JPEG_QUALITY: u8 = 85;

/// Uploads what ffmpeg left of both in the directory of the task, and names it in `output`.
///
/// # Errors
/// Only what the storage says. Images that are missing or cannot be used are left out.
pub(super) async fn upload_images(
    task: &EncodeTask<'_>,
    task_dir: &Path,
    output: &mut TaskOutput,
) -> Result<(), Failure> {
    let Duty::Video(chunk) = task.task_context.task.duty else {
        return Ok(());
    };
    let attempt = task.task_context.attempt;
    if argv::has_poster(chunk)
        && let Some((jpeg, score)) = make_poster(task_dir, task.plan).await
    {
        let key = task.keys.poster(attempt);
        output.poster = Some(task.upload_object(&key, jpeg, ObjectKind::Jpeg).await?);
        output.poster_score = Some(score);
    }

    if let Some(tiles) = read_tiles(task_dir, task.plan, chunk).await {
        let key = task
            .keys
            .tiles(&task.task_context.task.to_string(), attempt);
        let kind = ObjectKind::private("application/octet-stream");
        output.tiles = Some(task.upload_object(&key, tiles, kind).await?);
    }
    Ok(())
}

/// The best of the pictures that were offered, as JPEG, and how much there is to see in it.
async fn make_poster(task_dir: &Path, plan: &Planned) -> Option<(Bytes, f64)> {
    let size = argv::poster_size(plan)?;
    let file = task_dir.join(argv::POSTER_FILE);
    let made =
        tokio::task::spawn_blocking(move || choose_best(file, size).and_then(encode_jpeg)).await;
    match made.unwrap_or_else(|error| Err(error.into())) {
        Ok(poster) => Some(poster),
        Err(error) => {
            tracing::warn!(%error, "no poster was made from this chunk");
            None
        }
    }
}

/// Looks at one picture after the other: at the first few for the best of them, and on from there
/// only until one is good.
fn choose_best(file: PathBuf, size: Size) -> io::Result<(Picture, f64)> {
    let mut file = File::open(file)?;
    let (width, height) = (size.width as usize, size.height as usize);
    let mut best: Option<(Picture, f64)> = None;
    for seen in 0.. {
        let mut pixels = vec![0; width * height * 3];
        let is_good = best
            .as_ref()
            .is_some_and(|(_, score)| *score >= MIN_POSTER_SCORE);
        if is_good && seen >= argv::POSTER_CHOICE || !read_picture(&mut file, &mut pixels)? {
            break;
        }

        let picture = Picture::of(width, height, pixels).ok_or(io::ErrorKind::InvalidData)?;
        let score = picture.score();
        if best.as_ref().is_none_or(|(_, most)| score > *most) {
            best = Some((picture, score));
        }
    }
    best.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Fills `pixels` with the next picture. False where the file ends before it, or in the middle of
/// it.
fn read_picture(file: &mut File, pixels: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(pixels) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn encode_jpeg((picture, score): (Picture, f64)) -> io::Result<(Bytes, f64)> {
    let bytes = picture.jpeg(JPEG_QUALITY).map_err(io::Error::other)?;
    Ok((bytes.into(), score))
}

/// The tiles of a chunk, if they are all there; none if it has none.
async fn read_tiles(task_dir: &Path, plan: &Planned, chunk: u32) -> Option<Bytes> {
    let storyboard = plan.storyboard?;
    let (first, end) = plan.video.as_ref()?.chunk_frames(chunk)?;
    let wanted = storyboard.tiles_in(first, end).len() * storyboard.tile_bytes();
    if wanted == 0 {
        return None;
    }

    match tokio::fs::read(task_dir.join(argv::TILES_FILE)).await {
        Ok(bytes) if bytes.len() == wanted => Some(bytes.into()),
        Ok(bytes) => {
            tracing::warn!(
                found = bytes.len(),
                wanted,
                "not all tiles of this chunk were made"
            );
            None
        }
        Err(error) => {
            tracing::warn!(%error, "no tiles were made from this chunk");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size {
        width: 8,
        height: 4,
    };

    /// Consecutive pictures: each is a gradient up to this value.
    fn choice(most: &[usize]) -> io::Result<(Picture, f64)> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(argv::POSTER_FILE);
        let pixels = most
            .iter()
            .flat_map(|most| (0..32).flat_map(move |i| [(i * most / 31) as u8; 3]));
        std::fs::write(&file, pixels.collect::<Vec<u8>>()).unwrap();
        choose_best(file, SIZE)
    }

    fn gradient(most: usize) -> Picture {
        let pixels = (0..32).flat_map(|i| [(i * most / 31) as u8; 3]).collect();
        Picture::of(8, 4, pixels).unwrap()
    }

    #[test]
    fn the_best_of_the_first_eight_is_taken_and_later_ones_only_where_those_are_dark() {
        let (best, score) = choice(&[0, 90, 200, 120, 0, 0, 0, 0, 255]).unwrap();
        assert_eq!(best, gradient(200));
        assert!(score > MIN_POSTER_SCORE);
        let (best, _) = choice(&[0, 0, 0, 5, 0, 0, 0, 0, 9, 220, 255]).unwrap();
        assert_eq!(best, gradient(220));
        let (best, score) = choice(&[0, 3, 0]).unwrap();
        assert_eq!(best, gradient(3));
        assert!(score < MIN_POSTER_SCORE);
    }

    #[test]
    fn nothing_and_half_a_picture_make_no_poster() {
        assert!(choice(&[]).is_err());
        let folder = tempfile::tempdir().unwrap();
        assert!(choose_best(folder.path().join("missing"), SIZE).is_err());
        let half = folder.path().join("half");
        std::fs::write(&half, [0; 50]).unwrap();
        assert!(choose_best(half, SIZE).is_err());
    }
}
