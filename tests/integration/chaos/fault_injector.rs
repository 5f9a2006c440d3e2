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
use super::schedule::{Away, Injection, ScheduledInjection};
use crate::harness::proxy::Fault;

/// How often processes that ended by themselves are started again.
const RESTART_INTERVAL: Duration = Duration::from_millis(500);

/// How long a frozen storage holds an answer back: until it is healed.
const FREEZE_DELAY: Duration = Duration::from_secs(3600);

/// How long an injection waits for a task that it can hit.
const TARGET_TIMEOUT: Duration = Duration::from_secs(8);

/// A fault as it was injected.
#[derive(Debug, Clone)]
pub(super) struct InjectedFault {
    /// What was done.
    pub(super) injection: Injection,
    /// When.
    pub(super) at: DateTime<Utc>,
    /// When it was undone.
    pub(super) until: DateTime<Utc>,
}

/// Carries the schedule out.
pub(super) struct FaultInjector {
    /// What is injected.
    pub(super) fleet: Fleet,
    /// How many jobs have ended.
    ended: watch::Receiver<usize>,
    /// Starts of tasks, as they are published.
    starts: Subscriber,
    /// What is to be undone, and when.
    active: Vec<(Instant, InjectedFault)>,
    injected: Vec<InjectedFault>,
}

impl FaultInjector {
    /// An injector for `fleet`.
    pub(super) async fn new(fleet: Fleet, ended: watch::Receiver<usize>) -> Self {
        let client = fleet.world.streams.js.client();
        let starts = client.subscribe("hls.v1.work.*.attempt.>").await.unwrap();
        Self {
            fleet,
            ended,
            starts,
            active: Vec::new(),
            injected: Vec::new(),
        }
    }

    /// Strikes every injection, then looks after the fleet until `quiet`.
    pub(super) async fn run(
        mut self,
        strikes: &[ScheduledInjection],
        quiet: impl Future,
    ) -> (Fleet, Vec<InjectedFault>) {
        for injector in strikes {
            let mut ended = self.ended.clone();
            self.tend_until(ended.wait_for(|ended| *ended >= injector.after))
                .await;
            while !self.is_whole_for(&injector.injection) {
                self.tend_until(tokio::time::sleep(RESTART_INTERVAL)).await;
            }
            self.aim(&injector.injection).await;
            self.tend_until(tokio::time::sleep(injector.pause)).await;
            self.injector(injector).await;
        }
        self.tend_until(quiet).await;
        while !self.active.is_empty() {
            self.tend_until(tokio::time::sleep(RESTART_INTERVAL)).await;
        }
        self.fleet.raise();
        (self.fleet, self.injected)
    }

    /// Waits until a task is started that the injection can hit; with a limit, because there may be
    /// none left.
    async fn aim(&mut self, injection: &Injection) {
        let target = match injection {
            Injection::Worker(n) | Injection::Freeze(n) | Injection::Drain(n, _) => {
                Some(format!("worker-{n}"))
            }
            Injection::Nats | Injection::Host | Injection::Storage(_) => None,
            Injection::Projector(_) | Injection::Postgresql => return,
        };
        let deadline = Instant::now() + TARGET_TIMEOUT;
        while self.starts.next().now_or_never().is_some() {}
        while Instant::now() < deadline {
            let found = tokio::time::timeout(RESTART_INTERVAL, self.starts.next()).await;
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
        let mut rounds = tokio::time::interval(RESTART_INTERVAL);
        loop {
            let next = self.active.iter().map(|(due, _)| *due).min();
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => self.heal().await,
                _ = rounds.tick() => self.fleet.raise(),
                _ = &mut done => return,
            }
        }
    }

    /// Whether what an injection hits is as it should be: the dead cannot be killed.
    fn is_whole_for(&self, injection: &Injection) -> bool {
        let parts = injection.parts();
        self.active.iter().all(|(_, injected)| {
            // What is frozen can be killed with everything else.
            let is_killed = matches!(
                (&injected.injection, injection),
                (Injection::Freeze(_), Injection::Host)
            );
            is_killed
                || injected
                    .injection
                    .parts()
                    .iter()
                    .all(|part| !parts.contains(part))
        })
    }

    async fn injector(&mut self, injector: &ScheduledInjection) {
        let at = Utc::now();
        match &injector.injection {
            Injection::Worker(n) => self.fleet.workers[*n].kill().await,
            Injection::Projector(n) => self.fleet.projectors[*n].kill().await,
            Injection::Nats => self.fleet.world.nats.kill().await,
            Injection::Postgresql => self.fleet.cluster.kill().await,
            Injection::Host => {
                self.forget_frozen(at);
                self.fleet.kill_host().await;
            }
            Injection::Freeze(n) => self.fleet.workers[*n].signal(Signal::SIGSTOP),
            Injection::Storage(fault) => self.fleet.storage(fault.clone()),
            Injection::Drain(n, away) => {
                match away {
                    Away::Nothing => {}
                    Away::Nats => self.fleet.world.nats.signal(Signal::SIGSTOP),
                    Away::Storage => self.fleet.storage(Fault::Delay(FREEZE_DELAY)),
                }
                self.fleet.workers[*n].drain();
            }
        }
        eprintln!("{at:?} {:?} for {:?}", injector.injection, injector.lasts);
        let injected = InjectedFault {
            injection: injector.injection.clone(),
            at,
            until: at,
        };
        self.active
            .push((Instant::now() + injector.lasts, injected));
    }

    /// What is dead does not wake.
    fn forget_frozen(&mut self, at: DateTime<Utc>) {
        let frozen = |injected: &InjectedFault| matches!(injected.injection, Injection::Freeze(_));
        let (frozen, others) = self
            .active
            .drain(..)
            .partition(|(_, injected)| frozen(injected));
        self.active = others;
        let frozen: Vec<(Instant, InjectedFault)> = frozen;
        let frozen = frozen.into_iter().map(|(_, injected)| InjectedFault {
            until: at,
            ..injected
        });
        self.injected.extend(frozen);
    }

    /// Undoes everything that is due.
    async fn heal(&mut self) {
        let now = Instant::now();
        let (due, later) = self.active.drain(..).partition(|(due, _)| *due <= now);
        self.active = later;
        let due: Vec<(Instant, InjectedFault)> = due;
        for (_, injected) in due {
            match &injected.injection {
                Injection::Worker(n) => self.fleet.workers[*n].may_rise(),
                Injection::Projector(n) => self.fleet.projectors[*n].may_rise(),
                Injection::Nats => self.fleet.world.nats.restart().await,
                Injection::Postgresql => self.fleet.cluster.restart().await,
                Injection::Host => self.fleet.raise_host().await,
                Injection::Freeze(n) => self.fleet.workers[*n].signal(Signal::SIGCONT),
                Injection::Storage(_) => self.fleet.storage(Fault::None),
                Injection::Drain(n, away) => {
                    // Before what was away is back: it has to leave without.
                    self.fleet.workers[*n].has_left().await;
                    match away {
                        Away::Nothing => {}
                        Away::Nats => self.fleet.world.nats.signal(Signal::SIGCONT),
                        Away::Storage => self.fleet.storage(Fault::None),
                    }
                }
            }
            self.injected.push(InjectedFault {
                until: Utc::now(),
                ..injected
            });
        }
        self.fleet.raise();
    }
}
