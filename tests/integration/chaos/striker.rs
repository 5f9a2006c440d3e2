//! Carries the schedule out, and looks after the fleet meanwhile: what was killed is started again,
//! what was frozen wakes.

use std::time::Duration;

use async_nats::Subscriber;
use chrono::{DateTime, Utc};
use futures::{FutureExt as _, StreamExt as _};
use nix::sys::signal::Signal;
use streams::work::Attempt;
use tokio::sync::watch;
use tokio::time::Instant;

use super::fleet::Fleet;
use super::schedule::{Away, Blow, Strike};
use crate::harness::proxy::Fault;

/// How often processes that ended by themselves are started again.
const ROUND: Duration = Duration::from_millis(500);

/// How long a frozen storage holds an answer back: until it is healed.
const FROZEN: Duration = Duration::from_secs(3600);

/// How long a blow waits for a task that it can hit.
const AIM: Duration = Duration::from_secs(8);

/// A blow as it was struck.
#[derive(Debug, Clone)]
pub(super) struct Struck {
    /// What was done.
    pub(super) blow: Blow,
    /// When.
    pub(super) at: DateTime<Utc>,
    /// When it was undone.
    pub(super) until: DateTime<Utc>,
}

/// Carries the schedule out.
pub(super) struct Striker {
    /// What is struck.
    pub(super) fleet: Fleet,
    /// How many jobs have ended.
    ended: watch::Receiver<usize>,
    /// Starts of tasks, as they are told.
    starts: Subscriber,
    /// What is to be undone, and when.
    wounds: Vec<(Instant, Struck)>,
    struck: Vec<Struck>,
}

impl Striker {
    /// A striker of `fleet`.
    pub(super) async fn new(fleet: Fleet, ended: watch::Receiver<usize>) -> Self {
        let client = fleet.world.streams.js.client();
        let starts = client.subscribe("hls.v1.work.*.attempt.>").await.unwrap();
        Self {
            fleet,
            ended,
            starts,
            wounds: Vec::new(),
            struck: Vec::new(),
        }
    }

    /// Strikes every blow, then looks after the fleet until `quiet`.
    pub(super) async fn run(
        mut self,
        strikes: &[Strike],
        quiet: impl Future,
    ) -> (Fleet, Vec<Struck>) {
        for strike in strikes {
            let mut ended = self.ended.clone();
            self.tend_until(ended.wait_for(|ended| *ended >= strike.after))
                .await;
            while !self.is_whole_for(&strike.blow) {
                self.tend_until(tokio::time::sleep(ROUND)).await;
            }
            self.aim(&strike.blow).await;
            self.tend_until(tokio::time::sleep(strike.pause)).await;
            self.strike(strike).await;
        }
        self.tend_until(quiet).await;
        while !self.wounds.is_empty() {
            self.tend_until(tokio::time::sleep(ROUND)).await;
        }
        self.fleet.raise();
        (self.fleet, self.struck)
    }

    /// Waits until a task is started that the blow can hit; not for ever, since there may be none
    /// any more.
    async fn aim(&mut self, blow: &Blow) {
        let target = match blow {
            Blow::Worker(n) | Blow::Freeze(n) | Blow::Drain(n, _) => Some(format!("worker-{n}")),
            Blow::Nats | Blow::Host | Blow::Storage(_) => None,
            Blow::Projector(_) | Blow::Postgresql => return,
        };
        let deadline = Instant::now() + AIM;
        while self.starts.next().now_or_never().is_some() {}
        while Instant::now() < deadline {
            let found = tokio::time::timeout(ROUND, self.starts.next()).await;
            let worker = found.ok().flatten().and_then(|message| {
                let attempt: Attempt = serde_json::from_slice(&message.payload).ok()?;
                Some(attempt.worker)
            });
            if worker.is_some_and(|worker| target.as_ref().is_none_or(|target| *target == worker)) {
                return;
            }
            self.tend_until(std::future::ready(())).await;
        }
    }

    /// Undoes what is due and starts what is gone, until `done`.
    async fn tend_until(&mut self, done: impl Future) {
        let mut done = std::pin::pin!(done);
        let mut rounds = tokio::time::interval(ROUND);
        loop {
            let next = self.wounds.iter().map(|(due, _)| *due).min();
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => self.heal().await,
                _ = rounds.tick() => self.fleet.raise(),
                _ = &mut done => return,
            }
        }
    }

    /// Whether what a blow hits is as it should be: the dead cannot be killed.
    fn is_whole_for(&self, blow: &Blow) -> bool {
        let parts = blow.parts();
        self.wounds.iter().all(|(_, struck)| {
            // What is frozen can be killed with everything else.
            let is_killed = matches!((&struck.blow, blow), (Blow::Freeze(_), Blow::Host));
            is_killed || struck.blow.parts().iter().all(|part| !parts.contains(part))
        })
    }

    async fn strike(&mut self, strike: &Strike) {
        let at = Utc::now();
        match &strike.blow {
            Blow::Worker(n) => self.fleet.workers[*n].kill().await,
            Blow::Projector(n) => self.fleet.projectors[*n].kill().await,
            Blow::Nats => self.fleet.world.nats.kill().await,
            Blow::Postgresql => self.fleet.cluster.kill().await,
            Blow::Host => {
                self.forget_frozen(at);
                self.fleet.kill_host().await;
            }
            Blow::Freeze(n) => self.fleet.workers[*n].signal(Signal::SIGSTOP),
            Blow::Storage(fault) => self.fleet.storage(fault.clone()),
            Blow::Drain(n, away) => {
                match away {
                    Away::Nothing => {}
                    Away::Nats => self.fleet.world.nats.signal(Signal::SIGSTOP),
                    Away::Storage => self.fleet.storage(Fault::Delay(FROZEN)),
                }
                self.fleet.workers[*n].drain();
            }
        }
        eprintln!("{at:?} {:?} for {:?}", strike.blow, strike.lasts);
        let struck = Struck {
            blow: strike.blow.clone(),
            at,
            until: at,
        };
        self.wounds.push((Instant::now() + strike.lasts, struck));
    }

    /// What is dead does not wake.
    fn forget_frozen(&mut self, at: DateTime<Utc>) {
        let frozen = |struck: &Struck| matches!(struck.blow, Blow::Freeze(_));
        let (frozen, others) = self
            .wounds
            .drain(..)
            .partition(|(_, struck)| frozen(struck));
        self.wounds = others;
        let frozen: Vec<(Instant, Struck)> = frozen;
        let frozen = frozen.into_iter().map(|(_, struck)| Struck {
            until: at,
            ..struck
        });
        self.struck.extend(frozen);
    }

    /// Undoes everything that is due.
    async fn heal(&mut self) {
        let now = Instant::now();
        let (due, later) = self.wounds.drain(..).partition(|(due, _)| *due <= now);
        self.wounds = later;
        let due: Vec<(Instant, Struck)> = due;
        for (_, struck) in due {
            match &struck.blow {
                Blow::Worker(n) => self.fleet.workers[*n].may_rise(),
                Blow::Projector(n) => self.fleet.projectors[*n].may_rise(),
                Blow::Nats => self.fleet.world.nats.restart().await,
                Blow::Postgresql => self.fleet.cluster.restart().await,
                Blow::Host => self.fleet.raise_host().await,
                Blow::Freeze(n) => self.fleet.workers[*n].signal(Signal::SIGCONT),
                Blow::Storage(_) => self.fleet.storage(Fault::None),
                Blow::Drain(n, away) => {
                    // Before what was away is back: it has to leave without.
                    self.fleet.workers[*n].has_left().await;
                    match away {
                        Away::Nothing => {}
                        Away::Nats => self.fleet.world.nats.signal(Signal::SIGCONT),
                        Away::Storage => self.fleet.storage(Fault::None),
                    }
                }
            }
            self.struck.push(Struck {
                until: Utc::now(),
                ..struck
            });
        }
        self.fleet.raise();
    }
}
