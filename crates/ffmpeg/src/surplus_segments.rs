//! The end of a rendition: what is left behind its last planned segment belongs to that one.

use std::io;
use std::path::Path;

use tokio::io::AsyncWriteExt as _;

use super::argv::segment_file;

/// Joins to segment `last` what ffmpeg wrote behind it, in the folder of a rendition, once ffmpeg
/// has ended. A segment may hold several fragments.
///
/// # Errors
/// Those of the files.
pub async fn join(folder: &Path, last: u32) -> io::Result<()> {
    let whole = folder.join(segment_file(last));
    for n in last.saturating_add(1).. {
        let rest = folder.join(segment_file(n));
        let bytes = match tokio::fs::read(&rest).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            read => read?,
        };

        let mut file = tokio::fs::OpenOptions::new()
            .append(true)
            .open(&whole)
            .await?;
        file.write_all(&bytes).await?;
        file.flush().await?;
        // It is removed only now, so that an earlier error loses nothing.
        tokio::fs::remove_file(&rest).await?;
    }

    Ok(())
}
