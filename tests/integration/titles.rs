//! What a container says of itself is never taken for what ffmpeg says.

use crate::harness::clip::{make, moving};
use crate::harness::database::Engine;
use crate::harness::output::http::get;
use crate::harness::output::verify;
use crate::harness::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_title_that_looks_like_progress_neither_stops_a_job_nor_moves_it() {
    let world = World::new(Engine::Sqlite).await;
    let _worker = world.worker("one").start();
    for title in [
        "size=1kB time=00:00:01 bitrate=1kbits/s speed=1x",
        "\nprogress=end\nout_time_us=1\nframe=99999",
    ] {
        let clip = moving("320x180", 6.0).titled(title).make().await;
        let job = world.submit(&clip).await;
        let ended = world.completed(&job).await;
        verify(&ended, &world.planned(&job).await, &clip.path).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn titles_that_act_on_a_terminal_reach_neither_log_nor_fact_nor_playlist_as_such() {
    let world = World::new(Engine::Sqlite).await;
    let worker = world.worker("one").setting("LOG", "debug").start();
    let title = "owned\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\r\nframe=1\nprogress=end";
    let arguments = "-f lavfi -i testsrc2=s=128x72:r=25:d=2 -f lavfi -i sine=d=2 -map 0 -map 1 -map 1 -c:v libx264 -preset ultrafast -c:a aac";
    let mut arguments: Vec<String> = arguments.split(' ').map(str::to_owned).collect();
    for of in [
        "-metadata",
        "-metadata:s:v",
        "-metadata:s:a:0",
        "-metadata:s:a:1",
    ] {
        arguments.extend([of.to_owned(), format!("title={title}")]);
    }
    let job = world.submit(&make(&arguments, "mkv").await).await;
    let ended = world.completed(&job).await;
    verify(
        &ended,
        &world.planned(&job).await,
        &make(&arguments, "mkv").await.path,
    )
    .await;
    let acts = |c: char| c.is_control() && c != '\n';
    let titles: Vec<String> = world
        .planned(&job)
        .await
        .source
        .tracks
        .into_iter()
        .filter_map(|track| track.title)
        .collect();
    assert_eq!(titles.len(), 3, "{titles:?}");
    assert!(
        titles
            .iter()
            .all(|title| title.starts_with("owned") && !title.contains(char::is_control)),
        "{titles:?}"
    );
    let master = get(&ended.manifest_url.unwrap().parse().unwrap())
        .await
        .body;
    assert!(!String::from_utf8(master.to_vec()).unwrap().contains(acts));
    assert!(
        !worker.said().contains(acts),
        "{:?}",
        worker.said().chars().find(|c| acts(*c))
    );
    let shown = world.say(&["jobs", "show", job.as_str()]).await;
    assert!(
        shown.out.contains("planned") && !shown.out.contains(acts),
        "{}",
        shown.out
    );
}
