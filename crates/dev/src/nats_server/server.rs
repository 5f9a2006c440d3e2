//! The running server, from its start to its end.

use std::fs::{File, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::binary::Binary;
use super::child::{Child, ChildEnd, Launch};
use super::configuration;
use super::error::NatsServerError;
use super::server_info::ServerInfo;
use super::version::Version;
use crate::loopback;

/// How long a server may take to answer; recovering a large store is the slow part.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a starting server is asked.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How long a server may take to end after SIGTERM.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// How much of the log an error quotes, in bytes.
const LOG_TAIL_BYTES: usize = 600;

/// What to start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program; without it PATH and then `./.tools/venv/bin` are searched.
    pub binary: Option<PathBuf>,
    /// The folder for configuration, log and store; made when missing.
    pub state: PathBuf,
    /// The preferred port on 127.0.0.1; if it is in use, the next one is taken; 0 takes any.
    pub port: u16,
}

/// A child `nats-server` that answers; it is killed when dropped.
#[derive(Debug)]
pub struct NatsServer {
    child: Child,
    binary: Binary,
    address: SocketAddr,
    log: PathBuf,
}

impl NatsServer {
    /// Finds, checks, configures and starts a server, and waits until it answers with JetStream.
    ///
    /// # Errors
    /// See [`NatsServerError`]; after an error no server runs.
    pub async fn start(settings: &Settings) -> Result<Self, NatsServerError> {
        let binary = Binary::find(settings.binary.as_deref()).await?;
        let files = Files::create(&settings.state)?;
        // The lock comes before all writing: until it is held, the files may be another server's.
        let held = files.lock_store()?;

        let address = free_address(settings.port).await?;
        // The name distinguishes this server from another one that took the port in between.
        let name = format!("fluxhls-dev-{}-{}", std::process::id(), address.port());
        write(
            &files.configuration,
            &configuration::render(&name, address, &files.store),
        )?;

        let log = File::create(&files.log).map_err(at(&files.log))?;
        let arguments = binary.arguments(&files.configuration).await;
        let child = Child::start(Launch {
            arguments,
            held,
            log,
        })
        .await
        .map_err(|source| NatsServerError::Spawn {
            path: binary.path.clone(),
            source,
        })?;

        // From here on every way out drops `server`, which ends the child.
        let mut server = Self {
            child,
            binary,
            address,
            log: files.log,
        };
        server.wait_until_it_answers(&name).await?;
        Ok(server)
    }

    /// Where clients connect, such as `nats://127.0.0.1:4222`.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// The address it listens on; another port than the wanted one means that one was busy.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The version of the program.
    pub fn version(&self) -> Version {
        self.binary.version
    }

    /// The program, as it was found.
    pub fn binary(&self) -> &Path {
        &self.binary.path
    }

    /// The file that takes what the server says, one run at a time.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The process id of the server.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the server has ended, which it should not do before [`stop`](Self::stop).
    pub async fn ended(&mut self) -> ChildEnd {
        self.child.ended().await
    }

    /// Ends the server: SIGTERM, and SIGKILL after ten seconds.
    pub async fn stop(self) -> ChildEnd {
        self.child.stop(STOP_GRACE).await
    }

    async fn wait_until_it_answers(&mut self, name: &str) -> Result<(), NatsServerError> {
        let address = self.address;
        let deadline = Instant::now() + START_TIMEOUT;
        let mut rounds = interval(POLL_INTERVAL);
        // A slow answer must not be followed by a burst of questions.
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);

        loop {
            tokio::select! {
                ending = self.child.ended() => {
                    let tail = tail(&self.log);
                    return Err(NatsServerError::Ended { ending, log: self.log.clone(), tail });
                }
                _ = rounds.tick() => {}
            }

            let last = match timeout(deadline - Instant::now(), ServerInfo::from_server(address))
                .await
            {
                Ok(Ok(server_info)) if server_info.server_name == name && server_info.jetstream => {
                    return Ok(());
                }
                Ok(Ok(server_info)) if server_info.server_name != name => {
                    format!("`{}` answers there", server_info.server_name)
                }
                Ok(Ok(_)) => "JetStream is not up".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "the connection stayed silent".to_owned(),
            };

            if Instant::now() >= deadline {
                let seconds = START_TIMEOUT.as_secs();
                return Err(NatsServerError::Silent {
                    address,
                    seconds,
                    last,
                    log: self.log.clone(),
                });
            }
        }
    }
}

/// The files of one server, all under its state folder.
#[derive(Debug)]
struct Files {
    configuration: PathBuf,
    log: PathBuf,
    store: PathBuf,
    lock: PathBuf,
}

impl Files {
    /// Makes the folders.
    fn create(state: &Path) -> Result<Self, NatsServerError> {
        std::fs::create_dir_all(state).map_err(at(state))?;

        // The server resolves a relative path from its own working directory.
        let state = state.canonicalize().map_err(at(state))?;
        let store = state.join("nats");
        std::fs::create_dir_all(&store).map_err(at(&store))?;

        Ok(Self {
            configuration: state.join("nats-server.conf"),
            log: state.join("nats-server.log"),
            lock: state.join("nats-server.lock"),
            store,
        })
    }

    /// Locks the store against a second server.
    ///
    /// nats-server itself does not, and two servers corrupt a store. The child inherits the open
    /// file, so the lock is held exactly as long as the server lives, whatever happens to this
    /// process.
    fn lock_store(&self) -> Result<File, NatsServerError> {
        let lock = File::create(&self.lock).map_err(at(&self.lock))?;
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(TryLockError::WouldBlock) => Err(NatsServerError::StoreInUse {
                folder: self.store.clone(),
            }),
            Err(TryLockError::Error(source)) => Err(at(&self.lock)(source)),
        }
    }
}

/// The first free address; the server itself binds it a moment later, and says so when it cannot.
async fn free_address(wanted: u16) -> Result<SocketAddr, NatsServerError> {
    let listener = loopback::bind(wanted).await;
    listener
        .and_then(|listener| listener.local_addr())
        .map_err(|source| NatsServerError::NoFreePort { wanted, source })
}

fn write(path: &Path, text: &str) -> Result<(), NatsServerError> {
    std::fs::write(path, text).map_err(at(path))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> NatsServerError {
    let path = path.to_owned();
    move |source| NatsServerError::State { path, source }
}

/// The end of the log, for an error text.
fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let start = text.len().saturating_sub(LOG_TAIL_BYTES);
    String::from_utf8_lossy(&text[start..]).trim().to_owned()
}
