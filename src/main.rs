//! The program. See `fluxhls --help`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use fluxhls::cli::{Cli, sentence};
use tikv_jemallocator::Jemalloc;

/// glibc keeps what was freed: once a part of an upload (8 MiB) has been freed, it takes blocks of
/// sources from the heaps of its threads (mallopt(3), `M_MMAP_THRESHOLD`), and what is left among
/// them keeps these heaps from shrinking.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// How long the end of what was cut off may take: a call into the system that hangs must not keep
/// the process.
const CUT_OFF_LIMIT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli = Cli::parse();

    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("fluxhls: cannot start its threads: {error}");
            return ExitCode::FAILURE;
        }
    };

    let code = runtime.block_on(cli.run()).unwrap_or_else(|error| {
        eprintln!("fluxhls: {}", sentence(&error));
        ExitCode::FAILURE
    });

    // What still runs is dropped here, and every ffmpeg dies with its task.
    runtime.shutdown_timeout(CUT_OFF_LIMIT);
    code
}
