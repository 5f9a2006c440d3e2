//! What is submitted and what is broken, when, and whom it hits: a pure function of the seed.
//!
//! Times are relative to progress, in ended jobs and started tasks, so that the same seed does the
//! same on a slow machine.

use std::time::Duration;

use streams::topology::ACK_WAIT;

use super::dice::Dice;
use super::order::{DECK, Order};
use crate::harness::proxy::Fault;

/// Workers: processes with all roles but `project`.
pub(super) const WORKERS: usize = 3;
/// Projectors: processes with the role `project` alone.
pub(super) const PROJECTORS: usize = 2;
/// Jobs that are open at a time, so that something is always in flight.
pub(super) const OPEN: usize = 6;

/// The grace period of every process, in seconds.
pub(super) const GRACE_PERIOD: u64 = 2;
/// How long a process that was asked to stop may run: its grace period, five seconds to release its
/// tasks, one to end what was interrupted, and the same again for a busy machine.
const LEAVES_WITHIN: Duration = ms(2 * (GRACE_PERIOD + 5 + 1) * 1000);

/// Approximate number of faults injected while a worker is frozen.
const FROZEN_FAULTS: usize = 5;

/// How large a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// What everything is drawn from.
    pub(super) seed: u64,
    /// Upload events of different meaning.
    pub(super) orders: usize,
    /// Processes or machines killed.
    pub(super) kills: usize,
}

/// Something that is done to the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Injection {
    /// `kill -9` of a worker.
    Worker(usize),
    /// `kill -9` of a projector.
    Projector(usize),
    /// `kill -9` of nats-server.
    Nats,
    /// `kill -9` of PostgreSQL.
    Postgresql,
    /// All of these and every ffmpeg at once; the folders stay.
    Host,
    /// A worker is frozen and continues later.
    Freeze(usize),
    /// The storage misbehaves.
    Storage(Fault),
    /// A worker is asked to stop (SIGTERM) while this does not respond: it still exits by its
    /// deadline.
    Drain(usize, Away),
}

/// What does not answer while a worker leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Away {
    /// All answers.
    Nothing,
    /// nats-server is frozen.
    Nats,
    /// The storage is frozen.
    Storage,
}

/// A part of the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Worker(usize),
    Projector(usize),
    Nats,
    Postgresql,
    Storage,
}

impl Injection {
    /// What it hits, and no one else may hit until it is undone.
    pub(super) fn parts(&self) -> Vec<Part> {
        match self {
            Self::Worker(n) | Self::Freeze(n) | Self::Drain(n, Away::Nothing) => {
                vec![Part::Worker(*n)]
            }
            Self::Drain(n, Away::Nats) => vec![Part::Worker(*n), Part::Nats],
            Self::Drain(n, Away::Storage) => vec![Part::Worker(*n), Part::Storage],
            Self::Projector(n) => vec![Part::Projector(*n)],
            Self::Nats => vec![Part::Nats],
            Self::Postgresql => vec![Part::Postgresql],
            Self::Storage(_) => vec![Part::Storage],
            Self::Host => {
                let processes = (0..WORKERS)
                    .map(Part::Worker)
                    .chain((0..PROJECTORS).map(Part::Projector));
                processes.chain([Part::Nats, Part::Postgresql]).collect()
            }
        }
    }
}

/// One injection and its place in the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ScheduledInjection {
    /// It is injected when this many jobs have ended,
    pub(super) after: usize,
    /// and then this long after the next start of a task that it can hit.
    pub(super) pause: Duration,
    /// What is done.
    pub(super) injection: Injection,
    /// How long it is until that is undone: started again, woken, healed.
    pub(super) lasts: Duration,
}

/// A whole run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schedule {
    /// What is submitted, in this order.
    pub(super) orders: Vec<Order>,
    /// What is broken, in this order.
    pub(super) strikes: Vec<ScheduledInjection>,
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

impl Schedule {
    /// The run of this size, in which a worker that does not respond loses its task after
    /// `ack_wait`. For every five kills there are one freeze and two storage faults, and for every
    /// three kills one drain.
    pub(super) fn new(size: Size, ack_wait: Duration) -> Self {
        let mut dice = Dice::new(size.seed);
        let orders = dice.deal(DECK, size.orders);
        let mut injections = kills(&mut dice, size.kills);
        injections
            .extend((0..size.kills.div_ceil(5)).map(|_| Injection::Freeze(dice.below(WORKERS))));
        injections.extend((0..size.kills.div_ceil(5) * 2).map(|n| fault(&mut dice, n)));
        injections.extend((0..size.kills.div_ceil(3)).map(|n| drain(&mut dice, n)));
        dice.shuffle(&mut injections);
        spare_the_frozen(&mut injections);
        let mut freezes = 0;
        let ended: usize = orders.iter().map(|order| order.jobs()).sum();
        let last = ended.saturating_sub(OPEN);
        let number = injections.len();
        let strikes = injections.into_iter().enumerate().map(|(n, injection)| {
            freezes += usize::from(matches!(injection, Injection::Freeze(_)));
            // Every third freeze is longer than even the contract's patience.
            let silence = if freezes.is_multiple_of(3) {
                ACK_WAIT
            } else {
                ack_wait
            };
            ScheduledInjection {
                after: n * last / number,
                pause: dice.between(ms(0), ms(900)),
                lasts: lasts(&mut dice, &injection, silence),
                injection,
            }
        });
        let strikes = strikes.collect();
        Self { orders, strikes }
    }
}

/// Has the next few injections at a worker that is frozen hit another one: it is to wake.
fn spare_the_frozen(injections: &mut [Injection]) {
    for place in 0..injections.len() {
        let Injection::Freeze(frozen) = injections[place] else {
            continue;
        };
        for injection in injections.iter_mut().skip(place + 1).take(FROZEN_FAULTS) {
            match injection {
                Injection::Worker(n) | Injection::Freeze(n) | Injection::Drain(n, _)
                    if *n == frozen =>
                {
                    *n = (*n + 1) % WORKERS
                }
                _ => {}
            }
        }
    }
}

fn kills(dice: &mut Dice, number: usize) -> Vec<Injection> {
    let deck = [
        (Injection::Worker as fn(usize) -> Injection, 10),
        (Injection::Projector, 3),
        (|_| Injection::Nats, 4),
        (|_| Injection::Postgresql, 4),
        (|_| Injection::Host, 3),
    ];
    let dealt = dice.deal(&deck, number);
    let injections = dealt.into_iter().map(|make| match make(0) {
        Injection::Projector(_) => make(dice.below(PROJECTORS)),
        _ => make(dice.below(WORKERS)),
    });
    injections.collect()
}

/// Each kind in turn.
fn fault(dice: &mut Dice, n: usize) -> Injection {
    Injection::Storage(match n % 3 {
        0 => Fault::Refuse,
        1 => Fault::Delay(dice.between(ms(50), ms(600))),
        // Of every object, since every path ends with nothing.
        _ => Fault::CutReads {
            path: String::new(),
            at: 500 + dice.below(40_000) as u64,
        },
    })
}

/// With each part away in turn.
fn drain(dice: &mut Dice, n: usize) -> Injection {
    let away = [Away::Nats, Away::Storage, Away::Nothing][n % 3];
    Injection::Drain(dice.below(WORKERS), away)
}

fn lasts(dice: &mut Dice, injection: &Injection, silence: Duration) -> Duration {
    match injection {
        Injection::Worker(_) | Injection::Projector(_) => dice.between(ms(100), ms(8_000)),
        Injection::Nats | Injection::Postgresql => dice.between(ms(100), ms(6_000)),
        Injection::Host => dice.between(ms(500), ms(4_000)),
        // Long enough for the task to be given to another worker, and for that one to begin.
        Injection::Freeze(_) => silence + dice.between(ms(3_000), ms(15_000)),
        Injection::Storage(_) => dice.between(ms(1_000), ms(8_000)),
        Injection::Drain(..) => LEAVES_WITHIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(seed: u64) -> Schedule {
        let size = Size {
            seed,
            orders: 30,
            kills: 20,
        };
        Schedule::new(size, ms(20_000))
    }

    #[test]
    fn the_same_seed_gives_the_same_schedule_and_another_seed_another() {
        assert_eq!(schedule(1), schedule(1));
        assert_ne!(schedule(1).orders, schedule(2).orders);
        assert_ne!(schedule(1).strikes, schedule(2).strikes);
    }

    #[test]
    fn everything_there_is_happens_while_jobs_are_still_to_come() {
        let Schedule { orders, strikes } = schedule(3);
        assert!(DECK.iter().all(|(order, _)| orders.contains(order)));
        let happens = |wanted: fn(&Injection) -> bool| {
            strikes.iter().any(|injector| wanted(&injector.injection))
        };
        assert!(
            happens(|injection| matches!(injection, Injection::Worker(_)))
                && happens(|injection| matches!(injection, Injection::Projector(_)))
        );
        assert!(
            happens(|injection| *injection == Injection::Nats)
                && happens(|injection| *injection == Injection::Postgresql)
        );
        assert!(
            happens(|injection| *injection == Injection::Host)
                && happens(|injection| *injection == Injection::Storage(Fault::Refuse))
        );
        assert!(happens(|injection| matches!(
            injection,
            Injection::Storage(Fault::Delay(_))
        )));
        assert!(happens(|injection| matches!(
            injection,
            Injection::Storage(Fault::CutReads { .. })
        )));
        for away in [Away::Nothing, Away::Nats, Away::Storage] {
            let drains = |injector: &ScheduledInjection| matches!(injector.injection, Injection::Drain(_, found) if found == away);
            assert!(strikes.iter().any(drains), "{away:?}");
        }
        let frozen = strikes
            .iter()
            .filter(|injector| matches!(injector.injection, Injection::Freeze(_)));
        assert!(
            frozen.clone().count() == 4
                && frozen.clone().all(|injector| injector.lasts > ms(20_000))
        );
        assert!(frozen.into_iter().any(|injector| injector.lasts > ACK_WAIT));
        let jobs: usize = orders.iter().map(|order| order.jobs()).sum();
        assert!(strikes.iter().all(|injector| injector.after <= jobs - OPEN));
        assert!(strikes.is_sorted_by_key(|injector| injector.after));
    }
}
