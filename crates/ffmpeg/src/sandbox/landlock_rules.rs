//! Files and ports, by Landlock (<https://docs.kernel.org/userspace-api/landlock.html>).

use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, Scope, make_bitflags,
    path_beneath_rules,
};

use super::policy::SandboxPolicy;

/// The newest interface this was tested with. Older kernels enforce what they know of it.
const NEWEST_TESTED_ABI: ABI = ABI::V7;

/// The folders of programs and their libraries. Missing ones are skipped.
const PROGRAM_DIRS: &[&str] = &["/usr", "/bin", "/lib", "/lib64", "/nix/store", "/gnu/store"];

/// What the loader, the C library and encoders read of the system: nothing of it is of this service
/// or of a person.
const SYSTEM_PATHS: &[&str] = &[
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/dev/urandom",
    "/dev/random",
    "/dev/zero",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/filesystems",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
];

/// Restricts the calling thread, and with it every process it starts from then on. What the kernel
/// does not know it does not enforce; the result says what it knows.
///
/// # Errors
/// When a path of the policy cannot be opened, or the kernel refuses a rule it knows.
pub(super) fn restrict(policy: &SandboxPolicy, program: &Path) -> io::Result<LandlockStatus> {
    let read = AccessFs::from_read(NEWEST_TESTED_ABI);
    let only_read = read & !BitFlags::from(AccessFs::Execute);
    let mut rules = rules()?
        .add_rules(path_beneath_rules(PROGRAM_DIRS, read))
        .and_then(|rules| rules.add_rules(path_beneath_rules(parts_of(program), read)))
        .and_then(|rules| rules.add_rules(path_beneath_rules(SYSTEM_PATHS, only_read)))
        .and_then(|rules| {
            rules.add_rules(path_beneath_rules(
                ["/dev/null"],
                only_read | AccessFs::WriteFile,
            ))
        })
        .map_err(restriction_error)?;

    if policy.devices {
        let whole = only_read | AccessFs::WriteFile | AccessFs::IoctlDev;
        rules = rules
            .add_rules(path_beneath_rules(devices(), whole))
            .and_then(|rules| {
                rules.add_rules(path_beneath_rules(["/sys", "/proc/driver"], only_read))
            })
            .map_err(restriction_error)?;
    }

    for path in &policy.seen {
        // `path_beneath_rules` would pass over a path that cannot be opened, which is an error
        // here.
        let opened = PathFd::new(path).map_err(|error| open_error(path, &error))?;
        rules = rules
            .add_rule(PathBeneath::new(opened, only_read))
            .map_err(restriction_error)?;
    }

    if let Some(folder) = &policy.folder {
        let opened = PathFd::new(folder).map_err(|error| open_error(folder, &error))?;
        rules = rules
            .add_rule(PathBeneath::new(opened, work_dir_access()))
            .map_err(restriction_error)?;
    }
    // Without a port no TCP connection is allowed at all.
    if let Some(port) = policy.port {
        rules = rules
            .add_rule(NetPort::new(port, AccessNet::ConnectTcp))
            .map_err(restriction_error)?;
    }

    Ok(rules.restrict_self().map_err(restriction_error)?.landlock)
}

/// A ruleset that allows nothing.
fn rules() -> io::Result<landlock::RulesetCreated> {
    Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST_TESTED_ABI))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(NEWEST_TESTED_ABI)))
        .and_then(|rules| rules.scope(Scope::from_all(NEWEST_TESTED_ABI)))
        .and_then(Ruleset::create)
        .map_err(restriction_error)
}

/// What a run may do in its folder. It creates no links and no pipes: this process reads what the
/// run leaves behind, and would follow a link and publish a file that the run itself could not
/// access.
fn work_dir_access() -> BitFlags<AccessFs> {
    make_bitflags!(AccessFs::{
        ReadFile | ReadDir | WriteFile | Truncate | MakeReg | MakeDir | RemoveFile | RemoveDir | Refer
    })
}

/// The program itself, wherever links lead to, and the libraries that builds keep next to it. Not
/// its whole folder, which may belong to anyone.
fn parts_of(program: &Path) -> Vec<PathBuf> {
    let file = program
        .canonicalize()
        .unwrap_or_else(|_| program.to_owned());
    let mut parts = Vec::new();

    // Most programs are in folders that can be read completely; the thousands of other files there
    // need no rules.
    if PROGRAM_DIRS.iter().any(|place| file.starts_with(place)) {
        return parts;
    }

    if let Some(folder) = file.parent() {
        if folder.ends_with("bin") {
            parts.extend(["lib", "lib64"].map(|name| folder.with_file_name(name)));
        }
        let beside = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let is_library = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("lib") && (name.ends_with(".so") || name.contains(".so."))
        };
        parts.extend(beside.map(|entry| entry.path()).filter(is_library));
    }

    parts.push(file);
    parts
}

/// The devices encoders run on.
fn devices() -> Vec<PathBuf> {
    let all = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    let is_encoder = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name == "dri" || name.starts_with("nvidia")
    };
    all.map(|entry| entry.path()).filter(is_encoder).collect()
}

fn restriction_error(error: RulesetError) -> io::Error {
    io::Error::other(format!("the sandbox cannot be set up: {error}"))
}

fn open_error(path: &Path, error: &landlock::PathFdError) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("the sandbox cannot be set up: {}: {error}", path.display()),
    )
}
