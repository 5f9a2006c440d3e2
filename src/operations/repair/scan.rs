//! Every object of an output, read again.

use std::collections::BTreeSet;

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use media::playlist;
use storage::{Bucket, Digest, StorageError};
use streams::work::ObjectRef;

use super::damage::{Damage, DamageKind};
use super::find::PublicOutput;
use crate::job::commit::SMALL_OBJECT;

/// Reads at a time.
const PARALLEL: usize = 8;

/// Reads every object the receipt names, and master, and names each that is damaged: those of the
/// receipt in its order, then master.
///
/// # Errors
/// When the bucket does not answer. A missing object is not an error.
pub async fn scan(bucket: &Bucket, found: &PublicOutput) -> Result<Vec<Damage>, StorageError> {
    let mut damages: Vec<Damage> = found.lost_receipt.iter().cloned().collect();
    damages.extend(objects(bucket, &found.receipt.objects).await?);

    // Master is a copy of the commit, so the receipt has its size and hash under the key of the
    // commit.
    let commit = found.commit_key();
    if let Some(commit) = found
        .receipt
        .objects
        .iter()
        .find(|object| object.key == commit)
    {
        let master = ObjectRef {
            key: found.keys().master(),
            ..commit.clone()
        };
        damages.extend(one(bucket, master).await?);
    }

    damages.extend(dangling(bucket, found, &damages).await?);
    Ok(damages)
}

/// Reads objects and names each that is not what it should be, in their order.
pub(super) async fn objects(
    bucket: &Bucket,
    objects: &[ObjectRef],
) -> Result<Vec<Damage>, StorageError> {
    // Boxed and made one by one: a read takes kilobytes, and a film has thousands of objects.
    let reads =
        futures::stream::iter(objects.iter().cloned()).map(|object| one(bucket, object).boxed());
    let damages: Vec<Option<Damage>> = reads.buffered(PARALLEL).try_collect().await?;
    Ok(damages.into_iter().flatten().collect())
}

async fn one(bucket: &Bucket, object: ObjectRef) -> Result<Option<Damage>, StorageError> {
    let harm = match bucket.digest(&object.key).await? {
        None => DamageKind::Missing,
        Some(Digest { size, .. }) if size != object.size => DamageKind::Size {
            found: size,
            expected: object.size,
        },
        Some(Digest { sha256, .. }) if sha256 != object.sha256 => DamageKind::Content,
        Some(_) => return Ok(None),
    };
    Ok(Some(Damage {
        key: object.key,
        harm,
    }))
}

/// Playlists that are what they were written as, but lead to what the receipt does not name.
async fn dangling(
    bucket: &Bucket,
    found: &PublicOutput,
    damages: &[Damage],
) -> Result<Vec<Damage>, StorageError> {
    let named: BTreeSet<&str> = found
        .receipt
        .objects
        .iter()
        .map(|object| object.key.as_str())
        .collect();
    let damaged: BTreeSet<&str> = damages.iter().map(|damage| damage.key.as_str()).collect();
    let commit = found.commit_key();

    let playlists = named
        .iter()
        .filter(|key| key.ends_with(".m3u8") && !damaged.contains(*key));

    let mut dangling = Vec::new();
    for key in playlists {
        // Gone since it was read a moment ago: the next scan names it.
        let Some(bytes) = bucket.get(key, SMALL_OBJECT).await? else {
            continue;
        };
        // The URIs of the commit are resolved where master is (RFC 8216, section 4.1): players read
        // the same bytes there.
        let folder = if **key == *commit {
            found.prefix.as_str()
        } else {
            key.rsplit_once('/')
                .map_or("", |(folder, _)| &key[..=folder.len()])
        };

        let text = String::from_utf8_lossy(&bytes);
        let lost =
            playlist::uris(&text).find(|uri| !named.contains(format!("{folder}{uri}").as_str()));
        dangling.extend(lost.map(|uri| Damage {
            key: (*key).to_owned(),
            harm: DamageKind::Dangling {
                uri: uri.to_owned(),
            },
        }));
    }

    Ok(dangling)
}
