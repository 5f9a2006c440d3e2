//! The child server against the real program.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

use super::{ChildEnd, NatsServer, NatsServerError, Settings};
use crate::loopback;

fn settings(state: PathBuf, port: u16) -> Settings {
    Settings {
        binary: None,
        state,
        port,
    }
}

/// Returns when no server holds the store any more.
async fn wait_until_the_store_is_free(state: &std::path::Path) {
    let lock = File::open(state.join("nats-server.lock")).unwrap();
    tokio::task::spawn_blocking(move || lock.lock().unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_server_starts_answers_and_stops_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let server = NatsServer::start(&settings(folder.path().join("state"), 0))
        .await
        .unwrap();

    let server_info = super::server_info::ServerInfo::from_server(server.address())
        .await
        .unwrap();
    assert!(server_info.jetstream);
    assert_eq!(
        server.url(),
        format!("nats://127.0.0.1:{}", server.address().port())
    );
    assert!(
        std::fs::read_to_string(server.log())
            .unwrap()
            .contains("Server is ready")
    );

    let address = server.address();
    assert!(matches!(server.stop().await, ChildEnd::Exited(_)));
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_busy_port_moves_the_server_to_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let occupant = loopback::bind(0).await.unwrap();
    let busy = occupant.local_addr().unwrap().port();
    let server = NatsServer::start(&settings(folder.path().to_owned(), busy))
        .await
        .unwrap();
    assert_ne!(server.address().port(), busy);
    server.stop().await;
}

#[tokio::test]
async fn one_store_is_never_given_to_two_servers() {
    let folder = tempfile::tempdir().unwrap();
    let first = NatsServer::start(&settings(folder.path().to_owned(), 0))
        .await
        .unwrap();

    let refusal = NatsServer::start(&settings(folder.path().to_owned(), 0))
        .await
        .unwrap_err();
    assert!(
        matches!(refusal, NatsServerError::StoreInUse { .. }),
        "{refusal}"
    );

    first.stop().await;
    NatsServer::start(&settings(folder.path().to_owned(), 0))
        .await
        .unwrap()
        .stop()
        .await;
}

#[tokio::test]
async fn dropping_the_server_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = NatsServer::start(&settings(folder.path().to_owned(), 0))
        .await
        .unwrap();
    drop(server);
    wait_until_the_store_is_free(folder.path()).await;
}

#[tokio::test]
async fn a_server_that_dies_at_once_is_reported_with_the_end_of_its_log() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("nats-server");
    let script = "#!/bin/sh\n[ \"$1\" = --version ] && echo 'nats-server: v2.99.0' && exit\necho no disk left >&2; exit 1\n";
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();

    let settings = Settings {
        binary: Some(program),
        state: folder.path().join("state"),
        port: 0,
    };

    let error = NatsServer::start(&settings).await.unwrap_err().to_string();
    assert!(
        error.contains("no disk left") && error.contains("exit status: 1"),
        "{error}"
    );
}

/// Run as a separate process by the next test, which kills it.
#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "the next test runs it as a separate process, which never ends on its own"]
async fn a_process_with_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = NatsServer::start(&settings(folder.path().to_owned(), 0))
        .await
        .unwrap();
    println!("state {}", folder.path().display());
    std::future::pending::<()>().await;
    server.stop().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "the process to be killed is this test binary"
)]
async fn a_server_ends_when_its_parent_is_killed() {
    let mut parent = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "nats_server::tests::a_process_with_a_server",
            "--ignored",
            "--nocapture",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();

    let lines = BufReader::new(parent.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let state = lines
        .filter_map(|line| {
            line.split_once("state ")
                .map(|(_, path)| PathBuf::from(path))
        })
        .next();

    // The process is killed before its answer is checked, so that a failing test leaves none
    // behind.
    parent.kill().unwrap();
    parent.wait().unwrap();

    let state = state.expect("the parent started a server");
    wait_until_the_store_is_free(&state).await;
    std::fs::remove_dir_all(&state).unwrap();
}
