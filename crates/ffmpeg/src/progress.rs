//! The `key=value` lines ffmpeg writes for `-progress pipe:1`: made by ffmpeg alone, unlike its
//! log, which repeats what sources say.

use std::time::Duration;

/// How far a run is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProgressUpdate {
    /// Frames given to the first video encoder; 0 where there is none.
    pub frames: u64,
    /// Time of the last packet written, on the output's clock: for a chunk that is the source's
    /// timeline, not the time since its start.
    pub out_time: Duration,
    /// Media seconds per second of wall time; 0 while unknown.
    pub speed: f64,
    /// Whether this is the last tick, which only a run that ends on its own has.
    pub done: bool,
}

/// Collects lines into ticks.
#[derive(Debug, Default)]
pub(super) struct ProgressParser {
    tick: ProgressUpdate,
}

impl ProgressParser {
    /// Takes one line; gives a tick when the line ends a block. Lines it does not know change
    /// nothing.
    pub(super) fn line(&mut self, line: &str) -> Option<ProgressUpdate> {
        let (key, value) = line.split_once('=')?;
        let value = value.trim();

        match key {
            "frame" => self.tick.frames = value.parse().unwrap_or(self.tick.frames),
            // Negative or `N/A` before the first packet.
            "out_time_us" => {
                self.tick.out_time = value
                    .parse()
                    .map_or(self.tick.out_time, Duration::from_micros);
            }
            "speed" => self.tick.speed = speed(value).unwrap_or(self.tick.speed),
            "progress" => {
                self.tick.done = value == "end";
                return Some(self.tick);
            }
            _ => {}
        }

        None
    }
}

fn speed(value: &str) -> Option<f64> {
    let speed: f64 = value.strip_suffix('x')?.trim().parse().ok()?;
    (speed.is_finite() && speed >= 0.0).then_some(speed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_block_of_lines_is_one_tick() {
        let mut progress = ProgressParser::default();
        for line in [
            "frame=48",
            "fps=24.5",
            "stream_0_0_q=23.0",
            "out_time_us=1920000",
            "out_time=00:00:01.92",
            "speed=2.04x",
        ] {
            assert_eq!(progress.line(line), None);
        }

        let tick = ProgressUpdate {
            frames: 48,
            out_time: Duration::from_micros(1_920_000),
            speed: 2.04,
            done: false,
        };
        assert_eq!(progress.line("progress=continue"), Some(tick));
        assert_eq!(
            progress.line("progress=end"),
            Some(ProgressUpdate { done: true, ..tick })
        );
    }

    #[test]
    fn unknown_values_leave_what_was_known() {
        let mut progress = ProgressParser::default();
        progress.line("frame=7");

        for line in [
            "frame=N/A",
            "frame=",
            "out_time_us=-23",
            "out_time_us=N/A",
            "speed=N/A",
            "speed=-1x",
            "speed=infx",
            "speed=nanx",
        ] {
            progress.line(line);
        }

        let tick = progress.line("progress=continue").unwrap();
        assert_eq!(
            (tick.frames, tick.out_time, tick.speed),
            (7, Duration::ZERO, 0.0)
        );
    }

    proptest! {
        #[test]
        fn no_line_makes_the_parser_panic(lines in prop::collection::vec("(frame|out_time_us|speed|progress|\\PC{0,9})?=?\\PC{0,30}", 0..20)) {
            let mut progress = ProgressParser::default();
            for line in lines {
                if let Some(tick) = progress.line(&line) {
                    prop_assert!(tick.speed.is_finite());
                }
            }
        }
    }
}
