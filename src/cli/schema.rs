//! `fluxhls schema`: the contract for machines.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use streams::schema::{EVENTS, asyncapi};

/// What `schema` takes.
#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// A message; its JSON Schema is printed. Without one, the names of all.
    event: Option<String>,
    /// Print the AsyncAPI document over all messages instead.
    #[arg(long, conflicts_with = "event")]
    asyncapi: bool,
    /// Write everything into this folder: asyncapi.yaml, and events/<name>.schema.json for each
    /// message.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["event", "asyncapi"])]
    out: Option<PathBuf>,
}

/// Prints or writes schemas.
///
/// # Errors
/// When there is no such message, or the folder cannot be written.
pub(super) fn schema(args: &SchemaArgs) -> anyhow::Result<ExitCode> {
    if let Some(folder) = &args.out {
        for (name, text) in files()? {
            let file = folder.join(name);
            let unwritable = || format!("cannot write {}", file.display());
            std::fs::create_dir_all(file.parent().unwrap_or(folder)).with_context(unwritable)?;
            std::fs::write(&file, text).with_context(unwritable)?;
        }
    } else if args.asyncapi {
        print!("{}", yaml()?);
    } else if let Some(name) = &args.event {
        let event = EVENTS.iter().find(|event| event.name == *name);
        let event = event
            .with_context(|| format!("there is no message {name}; `fluxhls schema` lists them"))?;
        println!("{}", serde_json::to_string_pretty(&event.schema())?);
    } else {
        for event in EVENTS {
            println!("{:<16} {:<32} {}", event.name, event.subject, event.summary);
        }
    }

    Ok(ExitCode::SUCCESS)
}

/// Every file of the contract: its path, and what it holds.
///
/// # Errors
/// Never for the schemas there are.
pub fn files() -> anyhow::Result<Vec<(String, String)>> {
    let mut files = vec![("asyncapi.yaml".to_owned(), yaml()?)];
    for event in EVENTS {
        let text = serde_json::to_string_pretty(&event.schema())? + "\n";
        files.push((format!("events/{}.schema.json", event.name), text));
    }
    Ok(files)
}

fn yaml() -> anyhow::Result<String> {
    let text = serde_yaml_ng::to_string(&asyncapi())?;
    Ok(format!("# Made by `fluxhls schema --out docs`.\n{text}"))
}
