//! Every check holds where it should, and fails where it should not.

use super::Check::{
    Bars, Captions, Chunks, Corners, InSync, Mixed, Moves, NoWarning, NotCombed, Pictures, Poster,
    Ramp, Rates, Segments, Sheets, Sizes, Sound, Subtitles, Surround, Tones, Warns,
};
use super::Output;
use crate::edges::input::{H264, beeps, flashes, made};
use crate::harness::database::Engine;
use crate::harness::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_check_takes_what_is_so_and_nothing_else() {
    let world = World::new(Engine::Sqlite).await;
    let _worker = world.worker("one").start();
    let (flash, beep) = (flashes("25", 4.0, &[0.48, 3.0]), beeps(4.0, &[0.48, 3.0]));
    let input = made(
        format!("{flash} {beep} {H264} -c:a aac -metadata:s:a:0 language=eng"),
        "mp4",
    );
    let clip = input.make(world.folder()).await;
    let job = world.submit(&clip).await;
    let (mut ended, planned) = (world.completed(&job).await, world.planned(&job).await);
    ended.warnings.push("made_up".to_owned());
    let output = Output::load(ended, planned, vec![("v0".to_owned(), 0.5)], &clip.path).await;
    let right = [
        Sizes(&[(128, 72)]),
        Rates(&["25/1"]),
        Bars(vec![[0; 3]; 2], 6),
        InSync(&[0.48, 3.0]),
        NotCombed,
        Tones(&[(Some("en"), 1000)]),
        Mixed(&[1000]),
        Pictures(Some(4.0)),
        Moves(4),
        Sound(Some(4.0)),
        Warns("made_up"),
        NoWarning("tone_mapped"),
        Captions(None),
        Segments(1),
        Chunks(1),
        Poster(-1.0),
    ];
    assert_eq!(output.faults(&right).await, Vec::<String>::new());
    let wrong = [
        Sizes(&[(72, 128)]),
        Rates(&["30/1"]),
        Corners([[255, 0, 0]; 4]),
        Bars(vec![[60; 3]; 2], 6),
        Ramp {
            bars: 4,
            grey: 2,
            range: (50, 170),
        },
        InSync(&[0.48, 3.1]),
        InSync(&[0.48]),
        Tones(&[(Some("de"), 1000)]),
        Tones(&[(Some("en"), 440)]),
        Surround([300, 400, 500, 60, 700, 800]),
        Mixed(&[300]),
        Pictures(None),
        Pictures(Some(4.2)),
        Moves(5),
        Sound(None),
        Sound(Some(4.2)),
        Warns("tone_mapped"),
        NoWarning("made_up"),
        Captions(Some("HELLO THERE")),
        Segments(2),
        Chunks(2),
        Poster(256.0),
        Sheets(99),
        Subtitles(&[(None, &[])]),
    ];
    for check in wrong {
        assert!(!check.faults(&output).await.is_empty(), "{check:?} holds");
    }
}
