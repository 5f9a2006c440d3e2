//! The closed captions within pictures.

use crate::harness::process::{command, output_of};

/// What the closed captions of a rendition say; nothing where no picture carries any.
pub(crate) async fn captions_of(input: &str) -> Option<String> {
    let entries = [
        "-v",
        "error",
        "-select_streams",
        "v:0",
        "-show_entries",
        "frame_side_data=side_data_type",
        "-of",
        "csv=p=0",
        input,
    ];
    let beside = String::from_utf8(output_of(command("ffprobe").args(entries)).await).unwrap();
    if !beside.contains("ATSC A53 Part 4 Closed Captions") {
        return None;
    }
    // Only this filter's source hands them out; a colon ends an option there, and a backslash
    // before it is taken off twice.
    let source = format!("movie={}[out0+subcc]", input.replace(':', "\\\\:"));
    let arguments = [
        "-nostdin", "-v", "error", "-f", "lavfi", "-i", &source, "-map", "0:s:0", "-f", "srt", "-",
    ];
    Some(String::from_utf8(output_of(command("ffmpeg").args(arguments)).await).unwrap())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edges::captions::write_captions;
    use crate::edges::input::made;

    #[tokio::test]
    async fn captions_are_read_where_there_are_any() {
        let folder = tempfile::tempdir().unwrap();
        let picture = "-f lavfi -i testsrc2=s=128x72:r=30:d=2 -c:v libx264 -preset ultrafast -bf 0";
        let captioned =
            made(picture, "h264").changed(|bytes| write_captions(bytes, "GOOD EVENING"));
        let with = captioned
            .remade("-f h264 -framerate 30", "-c copy", "mp4")
            .make(folder.path())
            .await;
        let said = captions_of(with.path.to_str().unwrap()).await.unwrap();
        assert!(said.contains("GOOD EVENING"), "{said}");
        let without = made(picture, "mp4").make(folder.path()).await;
        assert_eq!(captions_of(without.path.to_str().unwrap()).await, None);
    }
}
