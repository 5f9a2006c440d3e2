//! Which output is public under a prefix: the owner the log names, else what master and the
//! receipts in the bucket say.

use media::playlist;
use storage::{Bucket, Digest, JobKeys, StorageError, revised, revision_of};
use streams::work::Current;
use streams::{FileId, JobId, OutputPrefix};

use super::damage::{Damage, DamageKind};
use crate::job::commit::SMALL_OBJECT;
use crate::job::receipt::{Receipt, ReceiptError};

/// A public output, as its receipt describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct PublicOutput {
    /// Where it is.
    pub prefix: OutputPrefix,
    /// Everything that is known of it.
    pub receipt: Receipt,
    /// The owner of the prefix with the sequence of the message that says so, where the log still
    /// has it.
    pub owner: Option<(Current, u64)>,
    /// What happened to its own receipt, where this is an older one or one made again from the log.
    pub lost_receipt: Option<Damage>,
}

/// Why nothing can be said of an output.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// There is none.
    #[error(
        "there is no finished output in {0}; see `fluxhls jobs list`, or name the prefix with --output-prefix"
    )]
    Nothing(OutputPrefix),
    /// It is another file's.
    #[error("{prefix} holds the output of file {owner}; give that file's id")]
    AnotherFile {
        /// The place.
        prefix: OutputPrefix,
        /// The file.
        owner: FileId,
    },
    /// There is an output, but nothing says what it should be.
    #[error(
        "{key}: {reason}, and neither an older receipt nor the log says what the output of job {job} should be; submit the file again"
    )]
    NoReceipt {
        /// The receipt.
        key: String,
        /// What is wrong with it.
        reason: String,
        /// The job.
        job: JobId,
    },
    /// The bucket does not answer.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl PublicOutput {
    /// The keys of the job.
    #[must_use]
    pub fn keys(&self) -> JobKeys {
        JobKeys::new(self.prefix.as_str(), self.receipt.job_id.as_str())
    }

    /// The key of the bytes that should be master.
    #[must_use]
    pub fn commit_key(&self) -> String {
        revised(&self.keys().commit(), self.receipt.revision)
    }
}

/// Finds the public output of a file. `receipt_from_log` makes a receipt again from what the log
/// still holds of a job.
///
/// # Errors
/// [`FindError`]: there is no output, it is another file's, no receipt of it is left, or the bucket does not
/// answer.
pub async fn find_public_output(
    bucket: &Bucket,
    prefix: &OutputPrefix,
    file: &FileId,
    owner: Option<(Current, u64)>,
    receipt_from_log: impl AsyncFn(&JobId) -> Option<Receipt>,
) -> Result<PublicOutput, FindError> {
    let search = Search { bucket, prefix };
    let found = match owner {
        // Nothing of a deleted file is public, whatever is still in the bucket.
        Some((current, _)) if current.deleted.is_some() => {
            return Err(FindError::Nothing(prefix.clone()));
        }
        Some((current, seq)) => search.of_owner(current, seq, receipt_from_log).await?,
        None => search.of_bucket().await?,
    };

    if found.receipt.file_id == *file {
        Ok(found)
    } else {
        Err(FindError::AnotherFile {
            prefix: prefix.clone(),
            owner: found.receipt.file_id,
        })
    }
}

/// What the bucket holds under the key of a receipt.
enum StoredReceipt {
    /// Nothing.
    Missing,
    /// Something that is no receipt, or one that this release cannot read.
    Unreadable(ReceiptError),
    /// A receipt.
    Readable(Box<Receipt>),
}

struct Search<'a> {
    bucket: &'a Bucket,
    prefix: &'a OutputPrefix,
}

impl Search<'_> {
    async fn of_owner(
        &self,
        current: Current,
        seq: u64,
        receipt_from_log: impl AsyncFn(&JobId) -> Option<Receipt>,
    ) -> Result<PublicOutput, FindError> {
        let keys = JobKeys::new(self.prefix.as_str(), current.job_id.as_str());
        let key = revised(&keys.receipt(), current.revision);
        let found = |receipt, lost_receipt| PublicOutput {
            prefix: self.prefix.clone(),
            receipt,
            owner: Some((current.clone(), seq)),
            lost_receipt,
        };

        let (harm, reason) = match self.read(&key).await? {
            StoredReceipt::Readable(receipt) => return Ok(found(*receipt, None)),
            StoredReceipt::Unreadable(error) => (DamageKind::Content, error.to_string()),
            StoredReceipt::Missing => (DamageKind::Missing, "it is missing".to_owned()),
        };

        let lost = Some(Damage {
            key: key.clone(),
            harm,
        });
        // An older one names objects that were repaired since: those are repaired again.
        for older in self.receipts(keys.folder()).await?.into_iter().rev() {
            if let StoredReceipt::Readable(receipt) = self.read(&older).await?
                && receipt.job_id == current.job_id
            {
                return Ok(found(*receipt, lost));
            }
        }

        // The last resort: the log holds the results of tasks for 14 days only.
        match receipt_from_log(&current.job_id).await {
            Some(receipt) => Ok(found(receipt, lost)),
            None => Err(FindError::NoReceipt {
                key,
                reason,
                job: current.job_id,
            }),
        }
    }

    /// Without a log: the receipt whose commit is master; without a master, the newest one of the
    /// newest job.
    async fn of_bucket(&self) -> Result<PublicOutput, FindError> {
        let master = self
            .bucket
            .get(&format!("{}master.m3u8", self.prefix), SMALL_OBJECT)
            .await?;

        // Every URI of a master begins with the folder of its job, which is named by the job's id.
        let job = master.as_deref().and_then(|bytes| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            let first = playlist::uris(&text).next()?.split('/').next()?.to_owned();
            Some(format!("{}{first}/", self.prefix))
        });

        let mut receipts: Vec<Receipt> = Vec::new();
        let mut keys = self
            .receipts(job.as_deref().unwrap_or(self.prefix.as_str()))
            .await?;
        if keys.is_empty() {
            keys = self.receipts(self.prefix.as_str()).await?;
        }

        for key in keys {
            if let StoredReceipt::Readable(receipt) = self.read(&key).await? {
                receipts.push(*receipt);
            }
        }

        // Several jobs may have receipts here. The bytes of master show which of them is public.
        receipts.sort_by_key(|receipt| (receipt.accepted_seq, receipt.revision));
        let public = master.map(|bytes| Digest::of(&bytes).sha256);
        let at = receipts
            .iter()
            .rposition(|receipt| public.is_some() && commit_of(receipt) == public);

        let receipt = match at {
            Some(at) => Some(receipts.swap_remove(at)),
            None => receipts.pop(),
        };

        Ok(PublicOutput {
            prefix: self.prefix.clone(),
            receipt: receipt.ok_or_else(|| FindError::Nothing(self.prefix.clone()))?,
            owner: None,
            lost_receipt: None,
        })
    }

    async fn read(&self, key: &str) -> Result<StoredReceipt, StorageError> {
        let Some(bytes) = self.bucket.get(key, SMALL_OBJECT).await? else {
            return Ok(StoredReceipt::Missing);
        };
        Ok(match Receipt::decode(&bytes) {
            Ok(receipt) => StoredReceipt::Readable(Box::new(receipt)),
            Err(error) => StoredReceipt::Unreadable(error),
        })
    }

    /// The receipts below a folder, in the order of their revisions.
    async fn receipts(&self, folder: &str) -> Result<Vec<String>, StorageError> {
        let listed = self.bucket.list(folder).await?;
        let revision = |key: &str| {
            let (folder, _) = key.rsplit_once('/')?;
            revision_of(&format!("{folder}/receipt.json"), key)
        };
        let receipts = listed.into_iter().map(|meta| meta.key);
        let mut receipts: Vec<(u64, String)> = receipts
            .filter_map(|key| Some((revision(&key)?, key)))
            .collect();
        receipts.sort();
        Ok(receipts.into_iter().map(|(_, key)| key).collect())
    }
}

/// The hash of the bytes a receipt's job wants as master.
fn commit_of(receipt: &Receipt) -> Option<String> {
    let keys = JobKeys::new(receipt.output_prefix.as_str(), receipt.job_id.as_str());
    let key = revised(&keys.commit(), receipt.revision);
    let commit = receipt.objects.iter().find(|object| object.key == key)?;
    Some(commit.sha256.clone())
}
