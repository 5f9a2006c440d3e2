//! System calls, by seccomp (<https://docs.kernel.org/userspace-api/seccomp_filter.html>).
//!
//! The filters name what is refused, not what is allowed: builds of ffmpeg, encoders and C
//! libraries differ too much in their system calls, and files and ports have their own layer.
//! Refused are calls that bypass that layer, calls that reach other processes, and parts of the
//! kernel with frequent vulnerabilities that no encoder needs.

use std::collections::BTreeMap;
use std::io;
use std::sync::LazyLock;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter,
};

/// Calls refused whatever they are given.
const REFUSED_CALLS: &[i64] = &[
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_semget,
    libc::SYS_msgget,
    libc::SYS_mq_open,
    libc::SYS_setsid,
    // Other views of the machine.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_personality,
    // The kernel itself.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_setup,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    // Sockets that wait for others, or that are no connection to the source.
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_socketpair,
];

/// Of old times, and still understood (linux/net.h).
const SOCK_PACKET: i32 = 10;

/// Kinds of sockets that are no stream (`SOCK_STREAM`, 1): datagrams, raw, and what else there is
/// (linux/net.h).
const REFUSED_SOCKET_KINDS: &[i32] = &[
    libc::SOCK_DGRAM,
    libc::SOCK_RAW,
    libc::SOCK_RDM,
    libc::SOCK_SEQPACKET,
    libc::SOCK_DCCP,
    SOCK_PACKET,
];

/// The bits of a socket's kind that are no flags (linux/net.h, `SOCK_TYPE_MASK`).
const SOCKET_KIND_MASK: u64 = 0xf;

/// Namespaces a new process could get.
const NAMESPACE_FLAGS: &[i32] = &[
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// Set in the numbers of the x32 calls of x86-64, which could bypass a filter: their numbers have
/// another meaning here.
const X32_SYSCALL_BIT: i64 = 0x4000_0000;

/// Those of x32 that have different numbers (`syscall_64.tbl` of the kernel): `ptrace`,
/// `kexec_load`, `process_vm_readv`, `process_vm_writev`, `io_setup`; and the sending calls, which
/// are not needed there.
const X32_CALLS: &[i64] = &[518, 521, 528, 538, 539, 540, 543];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Which sockets a run may open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AllowedSockets {
    /// None: its source is a file, or it has none.
    None,
    /// Those of TCP over IPv4, to connect to its source.
    Tcp,
}

static FILTERS_WITHOUT_SOCKETS: LazyLock<Result<[BpfProgram; 2], String>> =
    LazyLock::new(|| filters(AllowedSockets::None));
static FILTERS_WITH_TCP: LazyLock<Result<[BpfProgram; 2], String>> =
    LazyLock::new(|| filters(AllowedSockets::Tcp));

/// Filters the system calls of the calling thread, and with it of every process it starts from then
/// on.
///
/// # Errors
/// When this kernel or this kind of processor has no such filters.
pub(super) fn restrict(sockets: AllowedSockets) -> io::Result<()> {
    let filters = match sockets {
        AllowedSockets::None => &*FILTERS_WITHOUT_SOCKETS,
        AllowedSockets::Tcp => &*FILTERS_WITH_TCP,
    };
    for filter in filters
        .as_ref()
        .map_err(|error| io::Error::other(error.as_str()))?
    {
        apply_filter(filter).map_err(io::Error::other)?;
    }
    Ok(())
}

fn filters(sockets: AllowedSockets) -> Result<[BpfProgram; 2], String> {
    let refused = rules(sockets).map_err(|error| error.to_string())?;

    // The arguments of `clone3` are in memory, where a filter cannot check them: if it is missing,
    // libraries use `clone`.
    let missing = Rules::from([(libc::SYS_clone3, Vec::new())]);
    // A filter has one error for all that it refuses, so there are two of them.
    let filter = |rules: Rules, errno: i32| -> Result<BpfProgram, BackendError> {
        let action = SeccompAction::Errno(errno.unsigned_abs());
        let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
        SeccompFilter::new(rules, SeccompAction::Allow, action, architecture)?.try_into()
    };

    let both = filter(refused, libc::EPERM)
        .and_then(|refused| Ok([refused, filter(missing, libc::ENOSYS)?]));
    both.map_err(|error| error.to_string())
}

fn rules(sockets: AllowedSockets) -> Result<Rules, BackendError> {
    let mut rules: Rules = REFUSED_CALLS
        .iter()
        .map(|call| (*call, Vec::new()))
        .collect();
    rules.insert(
        libc::SYS_socket,
        match sockets {
            AllowedSockets::None => Vec::new(),
            AllowedSockets::Tcp => other_sockets()?,
        },
    );

    // Sending data with a connection's first packet connects without `connect`, which is what
    // Landlock looks at.
    for (call, flags) in [
        (libc::SYS_sendto, 3),
        (libc::SYS_sendmsg, 2),
        (libc::SYS_sendmmsg, 3),
    ] {
        rules.insert(call, vec![has_flag(flags, libc::MSG_FASTOPEN)?]);
    }

    // Its own limits a run may lower; those of others are not its.
    rules.insert(
        libc::SYS_prlimit64,
        vec![SeccompRule::new(vec![is_not(0, 0)?])?],
    );
    let namespaces: Result<_, _> = NAMESPACE_FLAGS
        .iter()
        .map(|flag| has_flag(0, *flag))
        .collect();
    rules.insert(libc::SYS_clone, namespaces?);

    if cfg!(target_arch = "x86_64") {
        let doubles: Vec<i64> = rules
            .keys()
            .copied()
            .chain(X32_CALLS.iter().copied())
            .collect();
        // A rule of x32 needs no conditions: no program that is started uses it.
        rules.extend(
            doubles
                .into_iter()
                .map(|call| (X32_SYSCALL_BIT | call, Vec::new())),
        );
    }
    Ok(rules)
}

/// Everything except TCP over IPv4, which the source server uses. Landlock restricts only TCP
/// ports, so other stream protocols (MPTCP, SCTP) are refused, too.
fn other_sockets() -> Result<Vec<SeccompRule>, BackendError> {
    let kind = |kind: &i32| {
        SeccompCondition::new(
            1,
            SeccompCmpArgLen::Dword,
            SeccompCmpOp::MaskedEq(SOCKET_KIND_MASK),
            int_mask(*kind),
        )
    };
    let mut rules = vec![
        SeccompRule::new(vec![is_not(0, libc::AF_INET)?])?,
        SeccompRule::new(vec![is_not(2, 0)?, is_not(2, libc::IPPROTO_TCP)?])?,
    ];

    for other in REFUSED_SOCKET_KINDS {
        rules.push(SeccompRule::new(vec![kind(other)?])?);
    }
    Ok(rules)
}

/// The argument has this flag.
fn has_flag(argument: u8, flag: i32) -> Result<SeccompRule, BackendError> {
    let flag = int_mask(flag);
    let condition = SeccompCondition::new(
        argument,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::MaskedEq(flag),
        flag,
    )?;
    SeccompRule::new(vec![condition])
}

/// The argument is not this value.
fn is_not(argument: u8, value: i32) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(
        argument,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::Ne,
        int_mask(value),
    )
}

/// The bits of a C `int`.
const fn int_mask(value: i32) -> u64 {
    value.cast_unsigned() as u64
}
