//! Distinguishes a slow run from a stalled one: a run is alive as long as its frames, its reads or
//! its processor time increase.

use std::time::Duration;

use tokio::time::Instant;

/// Everything that moves while a run does something.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Work {
    /// Frames encoded.
    pub(super) frames: u64,
    /// Time of the last packet written.
    pub(super) out_time: Duration,
    /// What the caller counts, e.g. bytes read.
    pub(super) external: u64,
    /// Clock ticks of processor time, as [`cpu_ticks`] reads them.
    pub(super) cpu: u64,
}

/// Ends when `work` has returned equal values for `stall`. It checks often enough to be late by at
/// most an eighth of that.
pub(super) async fn stalled(stall: Duration, mut work: impl FnMut() -> Work) {
    let period = (stall / 8).clamp(Duration::from_millis(10), Duration::from_secs(5));
    let (mut last, mut moved) = (work(), Instant::now());

    loop {
        tokio::time::sleep(period).await;
        let now = work();
        if now != last {
            (last, moved) = (now, Instant::now());
        } else if moved.elapsed() >= stall {
            return;
        }
    }
}

/// Processor time of a process in clock ticks (proc(5), `utime` and `stime`); none if there is no
/// such file.
pub(super) fn cpu_ticks(pid: u32) -> Option<u64> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Processor time of a process and of all its threads; none if the system does not report it.
pub(super) fn processor_time(pid: u32) -> Option<Duration> {
    let ticks = cpu_ticks(pid)?;
    let milliseconds = ticks.checked_mul(1000)? / rustix::param::clock_ticks_per_second().max(1);
    Some(Duration::from_millis(milliseconds))
}

fn parse_stat(stat: &str) -> Option<u64> {
    // The second field is the program's name in brackets and may hold spaces and brackets itself.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    user.checked_add(system)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[tokio::test(start_paused = true)]
    async fn a_run_is_stalled_only_after_nothing_moved_for_the_whole_time() {
        let began = Instant::now();
        // It moves for its first hundred seconds, each time in another way.
        stalled(Duration::from_secs(120), || {
            let seconds = began.elapsed().as_secs().min(100);
            Work {
                frames: seconds / 3,
                external: seconds / 5,
                cpu: seconds / 7,
                ..Work::default()
            }
        })
        .await;

        let took = began.elapsed().as_secs();
        assert!((220..=235).contains(&took), "{took}");
    }

    #[test]
    fn the_name_of_a_program_cannot_shift_the_fields() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194304 1 2 3 4 150 50 0 0 20 0 1 0 100 1 1";
        assert_eq!(parse_stat(stat), Some(200));
        assert!(cpu_ticks(std::process::id()).is_some());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,200}") {
            parse_stat(&text);
        }
    }
}
