//! The program. See `fluxhls --help`.

use std::process::ExitCode;

use clap::Parser as _;
use fluxhls::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("fluxhls: {error:#}");
            ExitCode::FAILURE
        }
    }
}
