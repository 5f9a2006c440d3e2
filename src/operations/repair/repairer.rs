//! A repair, from its number to the new master.

use jetstream::{CreateOutcome, OutboundMessage};
use storage::ObjectKind;
use streams::task::TaskName;
use streams::work::{Attempt, Current, WorkKind};
use streams::{subject, topology, wire};

use super::damage::Damage;
use super::error::RepairError;
use super::find::PublicOutput;
use super::revision::{Repair, carries};
use crate::job::commit::write_master;
use crate::job::failure::Failure;
use crate::job::verdict::SettleError;
use crate::job::{WorkCounter, WorkerContext};

/// Repairs outputs.
#[derive(Debug, Clone)]
pub struct Repairer {
    /// What it works with.
    pub context: WorkerContext,
}

/// What a repair came to.
#[derive(Debug)]
pub struct RepairReport {
    /// The output as it is now.
    pub found: PublicOutput,
    /// Damaged objects that new ones took the place of, or that were written again.
    pub mended: Vec<Damage>,
    /// Damaged objects that nothing can be done about without the source, and why it cannot be
    /// used.
    pub given_up: Option<(Vec<Damage>, Failure)>,
}

impl RepairReport {
    /// The report of a repair that made `found` of an output with `damages`. Where the source could
    /// not be used, what its receipt still names is damaged as before.
    fn new(found: PublicOutput, damages: Vec<Damage>, source_failure: Option<Failure>) -> Self {
        let Some(failure) = source_failure else {
            return Self {
                found,
                mended: damages,
                given_up: None,
            };
        };

        let objects = &found.receipt.objects;
        let is_left = |damage: &Damage| objects.iter().any(|object| object.key == damage.key);
        let (left, mended) = damages.into_iter().partition(is_left);
        Self {
            found,
            mended,
            given_up: Some((left, failure)),
        }
    }
}

impl Repairer {
    /// Makes new objects for the damaged ones alone, checks them, and makes them public.
    ///
    /// # Errors
    /// [`RepairError`]; the output is then as it was.
    pub async fn repair(
        &self,
        found: PublicOutput,
        damages: Vec<Damage>,
    ) -> Result<RepairReport, RepairError> {
        let job = &found.receipt.job_id;
        let state = self
            .context
            .jobs
            .state(job)
            .await
            .map_err(SettleError::from)?;
        if state.is_some_and(|state| !state.ended) {
            return Err(RepairError::AtWork(job.clone()));
        }

        // Master is cached for seconds and a receipt by no one, so these two may be written again
        // under their old keys.
        let lost_receipt = found
            .lost_receipt
            .as_ref()
            .map(|damage| damage.key.as_str());
        let apart = [Some(found.keys().master()), lost_receipt.map(str::to_owned)];
        let inside = |damage: &&Damage| !apart.contains(&Some(damage.key.clone()));
        if !damages.iter().any(|damage| inside(&damage)) {
            return self.rewrite(found, damages).await;
        }

        let repair = Repair {
            context: &self.context,
            found: &found,
            revision: self.number(&found).await?,
            work_counter: WorkCounter::default(),
        };
        // Nothing of this is public yet: no playlist that players can reach names the new keys.
        let done = repair.publish_revision(&damages).await;
        let claimed = match &done {
            Ok(_) => self.claim(&found, repair.revision).await.map(Some),
            Err(_) => Ok(None),
        };

        // Once it is claimed, what it refers to is public, whatever happens next.
        let public = matches!(claimed, Ok(Some(_)));
        let named = done.as_ref().map(|(receipt, _)| receipt.objects.as_slice());
        repair.tidy(named.ok().filter(|_| public)).await;
        repair.remove_source_copy().await;

        // An error is returned only now: what was written in vain is removed first.
        let (receipt, source_failure) = done?;
        if let Some(current) = claimed? {
            write_master(&self.context.jobs, &found.prefix, current).await?;
        }

        let owner = self.context.jobs.owner(&found.prefix).await;
        let found = PublicOutput {
            owner: owner.map_err(SettleError::from)?,
            receipt,
            lost_receipt: None,
            ..found
        };
        Ok(RepairReport::new(found, damages, source_failure))
    }

    /// Master alone, and a receipt that no one caches, are written again as they were.
    async fn rewrite(
        &self,
        mut found: PublicOutput,
        damages: Vec<Damage>,
    ) -> Result<RepairReport, RepairError> {
        if let Some(lost) = found.lost_receipt.take() {
            let bytes = found.receipt.encode();
            self.context
                .jobs
                .output
                .put(&lost.key, bytes, ObjectKind::Receipt)
                .await?;
        }

        let owner = match found.owner.clone() {
            Some((owner, _)) => owner,
            None => self.claim(&found, found.receipt.revision).await?,
        };
        write_master(&self.context.jobs, &found.prefix, owner).await?;

        Ok(RepairReport {
            found,
            mended: damages,
            given_up: None,
        })
    }

    /// A number that no object of the job has yet: the log may have been lost, and then it counts
    /// from the start again.
    async fn number(&self, found: &PublicOutput) -> Result<u64, RepairError> {
        let listed = self.context.jobs.output.list(found.keys().folder()).await?;
        let job = &found.receipt.job_id;

        loop {
            let attempt = Attempt::new(
                job.clone(),
                TaskName::FINISH,
                &self.context.jobs.settings.worker,
            );
            let body = wire::encode(&attempt);
            let message = OutboundMessage::json(
                subject::work(job, WorkKind::Attempt, TaskName::FINISH),
                body,
            );
            let number = self
                .context
                .jobs
                .log
                .append(topology::WORK, message.with_id(attempt.id))
                .await?;

            if !listed.iter().any(|meta| carries(&meta.key, number)) {
                return Ok(number);
            }
        }
    }

    /// Makes a revision the public one, unless anything changed since the output was found.
    async fn claim(&self, found: &PublicOutput, revision: u64) -> Result<Current, RepairError> {
        let (accepted_seq, expected) = match &found.owner {
            Some((owner, seq)) => (owner.accepted_seq, *seq),
            // The log no longer has the owner, and may count from the start again: any later job is
            // newer.
            None => (0, 0),
        };

        let current = Current {
            file_id: found.receipt.file_id.clone(),
            job_id: found.receipt.job_id.clone(),
            accepted_seq,
            revision,
            deleted: None,
        };

        let subject = subject::current(self.context.jobs.output.name(), &found.prefix);
        let body = wire::encode(&current);
        let message = OutboundMessage::json(subject, body);
        match self
            .context
            .jobs
            .log
            .replace(topology::JOBS, message, expected)
            .await?
        {
            CreateOutcome::Created(_) => Ok(current),
            CreateOutcome::AlreadyExists(_) => Err(RepairError::Overtaken),
        }
    }
}
