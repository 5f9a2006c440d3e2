//! What is uploaded, how the event is published, and how it has to end.

use std::path::Path;

use streams::Code;

use crate::harness::clip::{Clip, make_from, moving};

/// What lies in the bucket under the key that an event names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// A few silent seconds.
    Glimpse,
    /// A few seconds with audio.
    Voice,
    /// Two chunks, silent.
    Two,
    /// Three chunks with audio.
    Three,
    /// A transport stream, which is copied before it is encoded.
    Broadcast,
    /// No media at all.
    Rubbish,
    /// Half of what the event says there is.
    Half,
    /// Nothing.
    Nothing,
}

/// How the event is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Once, with a job id.
    Plain,
    /// Twice, with the same job id.
    Twice,
    /// Once, without a job id.
    Nameless,
    /// Twice, without a job id.
    NamelessTwice,
    /// A second job of the same file comes at once.
    Again,
    /// The job is canceled while it may be running.
    Canceled,
    /// The event names no file that could be.
    Malformed,
}

/// One upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    /// What is uploaded.
    pub(super) source: Source,
    /// How it is published.
    pub(super) manner: Manner,
}

/// How a job has to end, whatever happens to the fleet meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExpectedEnd {
    /// Completed.
    Completed,
    /// Failed, for this reason.
    Failed(Code),
    /// Completed or canceled, whichever is first.
    CompletedOrCanceled,
    /// It becomes a dead letter, not a job.
    Buried,
}

const fn card(source: Source, manner: Manner, weight: usize) -> (Order, usize) {
    (Order { source, manner }, weight)
}

/// Every order there is, with its weight.
pub(super) const DECK: &[(Order, usize)] = &[
    card(Source::Glimpse, Manner::Plain, 4),
    card(Source::Voice, Manner::Plain, 4),
    card(Source::Two, Manner::Plain, 4),
    card(Source::Three, Manner::Plain, 4),
    card(Source::Broadcast, Manner::Plain, 2),
    card(Source::Glimpse, Manner::Twice, 2),
    card(Source::Voice, Manner::Nameless, 2),
    card(Source::Two, Manner::NamelessTwice, 2),
    card(Source::Two, Manner::Again, 3),
    card(Source::Three, Manner::Canceled, 3),
    card(Source::Broadcast, Manner::Canceled, 1),
    card(Source::Rubbish, Manner::Plain, 1),
    card(Source::Half, Manner::Plain, 1),
    card(Source::Nothing, Manner::Plain, 1),
    card(Source::Glimpse, Manner::Malformed, 1),
];

impl Order {
    /// How many jobs come of it.
    pub(super) const fn jobs(self) -> usize {
        match self.manner {
            Manner::Malformed => 0,
            Manner::Again => 2,
            _ => 1,
        }
    }

    /// How they have to end.
    pub(super) const fn expected_end(self) -> ExpectedEnd {
        match (self.source, self.manner) {
            (_, Manner::Malformed) => ExpectedEnd::Buried,
            (Source::Rubbish, _) => ExpectedEnd::Failed(Code::NotMedia),
            (Source::Half, _) => ExpectedEnd::Failed(Code::TruncatedUpload),
            (Source::Nothing, _) => ExpectedEnd::Failed(Code::SourceNotFound),
            (_, Manner::Canceled) => ExpectedEnd::CompletedOrCanceled,
            _ => ExpectedEnd::Completed,
        }
    }
}

impl Source {
    /// Every kind.
    pub(super) const ALL: [Self; 8] = [
        Self::Glimpse,
        Self::Voice,
        Self::Two,
        Self::Three,
        Self::Broadcast,
        Self::Rubbish,
        Self::Half,
        Self::Nothing,
    ];

    /// The file as it was before it was uploaded.
    pub(super) async fn clip(self, folder: &Path) -> Clip {
        let moving = |seconds| moving("160x90", seconds).rate("12");
        match self {
            Self::Glimpse | Self::Nothing => moving(4.0).silent().make().await,
            Self::Voice | Self::Half => moving(5.0).make().await,
            Self::Two => moving(25.0).silent().make().await,
            Self::Three => moving(37.0).make().await,
            Self::Broadcast => {
                let arguments = "-f lavfi -i testsrc2=size=160x90:rate=12:duration=8 -c:v libx264 -preset ultrafast -g 12";
                make_from(arguments, "ts").await
            }
            Self::Rubbish => Clip::of_bytes(
                folder,
                "notes.mp4",
                "words, words, words\n".repeat(1000).as_bytes(),
            ),
        }
    }
}
