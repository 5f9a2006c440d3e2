//! The bucket against the log: every object is there, with the size and version it was written
//! with, and inits read back well.

use std::collections::BTreeMap;

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use media::cmaf::InitInfo;
use storage::{Digest, JobKeys, ObjectMeta};
use streams::plan::Planned;
use streams::task::TaskName;
use streams::work::ObjectRef;

use super::assembly::{AssembledRendition, find_task_of_segment};
use super::extras::list_extras;
use super::outputs::OutputFault;
use super::publication::Publication;
use crate::job::Jobs;
use crate::job::classify::classify_output_error;
use crate::job::commit::SMALL_OBJECT;
use crate::job::receipt::TaskResult;

/// Checks every object of the renditions, and the objects that were made in addition to them.
///
/// # Errors
/// The tasks to repeat, or why the check was not possible.
pub(super) async fn inspect_bucket(
    publication: &Publication<'_>,
    keys: &JobKeys,
    renditions: &[AssembledRendition],
) -> Result<(), OutputFault> {
    let Publication { jobs, plan, .. } = publication;
    let listed = list_objects(jobs, keys).await?;
    publication
        .work_counter
        .add(u64::try_from(listed.len()).unwrap_or(1));
    let listed: BTreeMap<&str, &ObjectMeta> = listed
        .iter()
        .map(|meta| (meta.key.as_str(), meta))
        .collect();

    let mut faults = Vec::new();
    for (task, object) in find_objects_by_task(plan, keys, renditions, publication.made) {
        if publication.given_up.contains(&object.key) {
            continue;
        }
        let found = listed.get(object.key.as_str());
        if let Some(what) = find_difference(found.copied(), object.size, object.etag.as_deref()) {
            faults.push((task, format!("{} {what}.", object.key)));
        }
    }

    for rendition in renditions {
        if !publication.given_up.contains(&rendition.init.key)
            && let Some(reason) = find_init_fault(jobs, rendition).await?
        {
            faults.push((find_task_of_segment(plan, &rendition.rendition, 0), reason));
        }
    }

    // A task is done again as a whole, so one fault of each is enough.
    faults.sort_by_key(|(task, _)| *task);
    faults.dedup_by_key(|(task, _)| *task);
    if faults.is_empty() {
        Ok(())
    } else {
        Err(OutputFault::Tasks(faults))
    }
}

/// Every object that tasks made, with the task that makes it.
fn find_objects_by_task(
    plan: &Planned,
    keys: &JobKeys,
    renditions: &[AssembledRendition],
    made: &[TaskResult],
) -> Vec<(TaskName, ObjectRef)> {
    let mut all = list_extras(made);
    for rendition in renditions {
        // `objects` begins with the init segment, which the task of segment 0 makes.
        let numbers = rendition.segments.iter().map(|(_, segment)| segment.n);
        let tasks = std::iter::once(0)
            .chain(numbers)
            .map(|n| find_task_of_segment(plan, &rendition.rendition, n));
        all.extend(tasks.zip(rendition.objects(keys)));
    }

    all
}

/// The objects in a job's folder. Some servers list no entity tags; there each object is asked for
/// its own.
async fn list_objects(jobs: &Jobs, keys: &JobKeys) -> Result<Vec<ObjectMeta>, OutputFault> {
    let listed = match jobs.output.list(keys.folder()).await {
        Ok(listed) => listed,
        Err(error) => return Err(classify_output_error(jobs, &error).await.into()),
    };
    // Boxed and made one by one: a question takes kilobytes, and a film has thousands of objects.
    let asked = futures::stream::iter(listed).map(|meta| ask_etag(jobs, meta).boxed());
    asked.buffer_unordered(8).try_collect().await
}

async fn ask_etag(jobs: &Jobs, meta: ObjectMeta) -> Result<ObjectMeta, OutputFault> {
    if meta.etag.is_some() {
        return Ok(meta);
    }

    match jobs.output.head(&meta.key).await {
        Ok(Some(head)) => Ok(ObjectMeta {
            etag: head.etag,
            ..meta
        }),
        Ok(None) => Ok(meta),
        Err(error) => Err(classify_output_error(jobs, &error).await.into()),
    }
}

fn find_difference(found: Option<&ObjectMeta>, size: u64, etag: Option<&str>) -> Option<String> {
    let Some(found) = found else {
        return Some("is not in the bucket".to_owned());
    };
    if found.size != size {
        return Some(format!(
            "has {} bytes in the bucket, but {size} were written",
            found.size
        ));
    }

    // An entity tag is quoted (RFC 9110, section 8.8.3), but not every answer of every service has
    // the quotes.
    let bare = |etag: &str| etag.trim_matches('"').to_owned();
    match (found.etag.as_deref(), etag) {
        (Some(now), Some(then)) if bare(now) != bare(then) => {
            Some("was replaced after it was written".to_owned())
        }
        _ => None,
    }
}

/// What is wrong with an init segment as it reads back; none if it is as it was written.
async fn find_init_fault(
    jobs: &Jobs,
    rendition: &AssembledRendition,
) -> Result<Option<String>, OutputFault> {
    let key = &rendition.init.key;
    let bytes = match jobs.output.get(key, SMALL_OBJECT).await {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(Some(format!("{key} is not in the bucket."))),
        Err(error) => return Err(classify_output_error(jobs, &error).await.into()),
    };

    if Digest::of(&bytes).sha256 != rendition.init.sha256 {
        return Ok(Some(format!(
            "{key} has another content than it was written with."
        )));
    }

    Ok(match InitInfo::parse(&bytes) {
        Ok(init) if init.codec.text == rendition.codecs => None,
        Ok(init) => Some(format!(
            "{key} says {}, its task said {}.",
            init.codec.text, rendition.codecs
        )),
        Err(error) => Some(format!("{key} is not valid: {error}.")),
    })
}

/// Reads small objects back that were just written and compares them byte for byte.
pub(super) async fn check_read_back(
    jobs: &Jobs,
    written: &[(String, bytes::Bytes)],
) -> Result<(), OutputFault> {
    let reads: Vec<_> = written
        .iter()
        .map(|(key, bytes)| read_back_one(jobs, key, bytes))
        .collect();
    let mut reads = futures::stream::iter(reads).buffer_unordered(4);
    while let Some(read) = reads.next().await {
        read?;
    }
    Ok(())
}

async fn read_back_one(jobs: &Jobs, key: &str, written: &bytes::Bytes) -> Result<(), OutputFault> {
    match jobs.output.get(key, SMALL_OBJECT).await {
        Ok(Some(found)) if found == *written => Ok(()),
        Ok(_) => {
            let text = format!("{key} was written but does not read back as written.");
            Err(crate::job::failure::Failure::new(streams::Code::StorageUnavailable, text).into())
        }
        Err(error) => Err(classify_output_error(jobs, &error).await.into()),
    }
}
