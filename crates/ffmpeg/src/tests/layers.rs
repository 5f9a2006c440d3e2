//! Files, ports and system calls.

use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::sandbox::Support;
use crate::testing::{Server, make, tool};
use crate::{Input, ProbeLimits, probe};

#[test]
fn every_layer_holds_where_the_tests_run() {
    assert_eq!(Support::here().gaps(), Vec::<&str>::new());
}

#[tokio::test]
async fn a_run_reads_and_writes_in_its_own_folder() {
    let yard = Yard::new();
    let script = "mkdir a && echo hello > a/b.tmp && mv a/b.tmp c && cat c && rm c && rmdir a";
    let output = sh(script, yard.policy()).await;
    assert!(output.ending.success(), "{}", output.stderr_tail);
    assert_eq!(text(&output), "hello");
}

#[tokio::test]
async fn a_run_reads_no_file_that_was_not_given_to_it() {
    let yard = Yard::new();
    let theirs = yard.theirs();
    let (secret, environment) = (
        theirs.join("secret"),
        format!("/proc/{}/environ", std::process::id()),
    );
    let secret_file = secret.display().to_string();

    for (command, path) in [
        ("cat", "/etc/passwd"),
        ("cat", "/proc/self/environ"),
        ("cat", &environment),
        ("cat", &secret_file),
        ("ls", "/root"),
        ("ls", "/etc"),
        ("ls", ".."),
    ] {
        let output = sh(&format!("{command} {path}"), yard.policy()).await;
        assert!(!output.ending.success(), "{path} was read");
        assert!(
            output.stderr_tail.contains("Permission denied"),
            "{path}: {}",
            output.stderr_tail
        );
        assert_eq!(text(&output), "", "{path}");
    }

    let given = sh(
        &format!("cat {}", secret.display()),
        yard.policy().allow_read(&secret),
    )
    .await;
    assert_eq!(text(&given), "secret");
}

#[tokio::test]
async fn a_run_writes_nothing_outside_its_folder_and_what_it_is_given_to_read() {
    let yard = Yard::new();
    let secret = yard.theirs().join("secret");
    let beside = yard.root.path().join("new");
    let may_read = || yard.policy().allow_read(&secret);

    for script in [
        format!("echo x > {}", beside.display()),
        format!("echo x > {}", secret.display()),
        format!(": > {}", secret.display()),
        format!("rm {}", secret.display()),
        format!("mv {} .", secret.display()),
        format!("ln {} link", secret.display()),
        "echo x > /tmp/fluxhls-sandbox-test".to_owned(),
        "echo x > /dev/shm/fluxhls-sandbox-test".to_owned(),
    ] {
        let output = sh(&script, may_read()).await;
        assert!(!output.ending.success(), "{script} succeeded");
    }

    assert_eq!(std::fs::read_to_string(secret).unwrap(), "secret");
    assert!(!beside.exists());
}

#[tokio::test]
async fn a_run_leaves_no_links_and_no_pipes_for_us_to_follow() {
    let yard = Yard::new();
    for script in ["ln -s /etc/passwd 1.m4s", "mkfifo 1.m4s", "mknod 1.m4s p"] {
        assert!(
            !sh(script, yard.policy()).await.ending.success(),
            "{script}"
        );
    }

    // And executes nothing it wrote.
    let output = sh("cp /bin/true here && ./here", yard.policy()).await;
    assert!(
        output.stderr_tail.contains("Permission denied"),
        "{}",
        output.stderr_tail
    );
    assert_eq!(std::fs::read_dir(yard.ours()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_run_signals_nobody_else() {
    let yard = Yard::new();
    let output = sh(&format!("kill -0 {}", std::process::id()), yard.policy()).await;
    assert!(!output.ending.success());
}

/// How a Perl expression that makes a system call ends in the sandbox: 0, or the error. Every
/// Debian has Perl.
async fn perl(expression: &str, policy: SandboxPolicy) -> i32 {
    let script = format!(
        "use Socket; my $done = {expression}; print defined($done) && $done != -1 ? 0 : $! + 0"
    );
    let output = run("/usr/bin/perl", &["-e", &script], policy).await;
    assert!(
        output.ending.success(),
        "{expression}: {}",
        output.stderr_tail
    );
    text(&output).parse().unwrap()
}

#[tokio::test]
async fn a_run_connects_to_the_port_of_its_source_and_to_no_other() {
    let yard = Yard::new();
    let [source, other] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let reading = || {
        let input = Input::http(&format!("http://127.0.0.1:{}/x", port(&source)));
        yard.policy().allow_input(&input)
    };

    let socket = "socket(S, PF_INET, SOCK_STREAM, 0)";
    let address =
        |listener: &TcpListener| format!("pack_sockaddr_in({}, INADDR_LOOPBACK)", port(listener));
    let connect =
        |listener: &TcpListener| format!("{socket} && connect(S, {}) || undef", address(listener));

    // Landlock refuses with EACCES, the filters of system calls with EPERM.
    assert_eq!(perl(&connect(&source), reading()).await, 0);
    assert_eq!(perl(&connect(&other), reading()).await, libc::EACCES);
    let file = yard
        .policy()
        .allow_input(&Input::file(&yard.theirs().join("secret")));
    assert_eq!(perl(&connect(&source), file).await, libc::EPERM);

    // A way to connect that no connecting call is made for.
    let fast = format!(
        "{socket} && send(S, 'x', {}, {}) || undef",
        libc::MSG_FASTOPEN,
        address(&other)
    );
    assert_eq!(perl(&fast, reading()).await, libc::EPERM);

    let listen = format!("{socket} && bind(S, pack_sockaddr_in(0, INADDR_LOOPBACK)) || undef");
    assert_eq!(perl(&listen, reading()).await, libc::EPERM);
}

#[tokio::test]
async fn a_run_opens_no_other_kind_of_socket() {
    let yard = Yard::new();
    let reading = yard
        .policy()
        .allow_input(&Input::http("http://127.0.0.1:9/x"));
    let socket = |what: &str| format!("syscall({}, {what})", libc::SYS_socket);
    for (what, name) in [
        ("2, 2, 0", "UDP"),
        ("2, 3, 1", "ICMP"),
        ("2, 1, 262", "MPTCP"),
        ("2, 1, 132", "SCTP"),
        ("2, 10, 0", "packets, the old way"),
        ("10, 1, 0", "TCP over IPv6"),
        ("1, 1, 0", "UNIX"),
        ("1, 2, 0", "UNIX datagrams"),
        ("16, 3, 0", "netlink"),
        ("17, 3, 0", "packets"),
        ("40, 1, 0", "a virtual machine's host"),
    ] {
        assert_eq!(
            perl(&socket(what), reading.clone()).await,
            libc::EPERM,
            "{name}"
        );
    }

    let pair = "socketpair(A, B, 1, 1, 0) || undef";
    assert_eq!(perl(pair, reading.clone()).await, libc::EPERM);
    assert_eq!(perl(&socket("2, 1, 0"), reading.clone()).await, 0);
    assert_eq!(perl(&socket("2, 1 | 02000000, 6"), reading).await, 0);
    assert_eq!(perl(&socket("2, 1, 0"), yard.policy()).await, libc::EPERM);
}

#[tokio::test]
async fn a_run_makes_no_call_that_no_encoder_needs() {
    let yard = Yard::new();
    let parent = std::process::id();
    let call = |number: i64, args: &str| format!("syscall({number}, {args})");
    for (number, args) in [
        (libc::SYS_ptrace, format!("16, {parent}, 0, 0")),
        (
            libc::SYS_process_vm_readv,
            format!("{parent}, 0, 0, 0, 0, 0"),
        ),
        (libc::SYS_mount, "0, 0, 0, 0, 0".to_owned()),
        (libc::SYS_bpf, "0, 0, 0".to_owned()),
        (libc::SYS_keyctl, "0, 0, 0, 0, 0".to_owned()),
        (libc::SYS_add_key, "0, 0, 0, 0, 0".to_owned()),
        (libc::SYS_perf_event_open, "0, 0, 0, 0, 0".to_owned()),
        (libc::SYS_userfaultfd, "0".to_owned()),
        (libc::SYS_io_uring_setup, "1, 0".to_owned()),
        (libc::SYS_kexec_load, "0, 0, 0, 0".to_owned()),
        (libc::SYS_init_module, "0, 0, 0".to_owned()),
        (libc::SYS_setns, "0, 0".to_owned()),
        (libc::SYS_unshare, "0x10000000".to_owned()),
        (libc::SYS_personality, "0x0040000".to_owned()),
        (libc::SYS_prlimit64, format!("{parent}, 7, 0, 0")),
        // A process in its own namespace.
        (libc::SYS_clone, "0x10000000 | 17, 0, 0, 0, 0".to_owned()),
    ] {
        let told = perl(&call(number, &args), yard.policy()).await;
        assert_eq!(told, libc::EPERM, "call {number}");
    }

    // Libraries use `clone` where this error says that there is no `clone3`.
    let told = perl(&call(libc::SYS_clone3, "0, 0"), yard.policy()).await;
    assert_eq!(told, libc::ENOSYS);

    if cfg!(target_arch = "x86_64") {
        let told = perl(
            &call(0x4000_0000 | libc::SYS_socket, "2, 1, 0"),
            yard.policy(),
        )
        .await;
        assert_eq!(told, libc::EPERM, "by its number of x32");
    }

    assert_eq!(
        perl(&call(libc::SYS_memfd_create, "\"$$\", 0"), yard.policy()).await,
        0
    );
}

#[tokio::test]
async fn ffmpeg_itself_opens_neither_files_nor_hosts_that_are_not_its() {
    let yard = Yard::new();
    let clip = make(
        &yard.theirs(),
        "clip.mp4",
        "-f lavfi -i testsrc=s=64x64:r=25:d=1",
    )
    .await;
    let (own, other) = (Server::of(&clip).await, Server::of(&clip).await);
    let ffmpeg = tool().ffmpeg.display().to_string();

    let decode = async |input: &str, policy: SandboxPolicy| {
        run(
            &ffmpeg,
            &["-v", "error", "-nostdin", "-i", input, "-f", "null", "-"],
            policy,
        )
        .await
    };

    let file = clip.display().to_string();
    let allowed = [
        (own.input.url(), yard.policy().allow_input(&own.input)),
        (&file, yard.policy().allow_input(&Input::file(&clip))),
    ];
    for (input, policy) in allowed {
        let output = decode(input, policy).await;
        assert!(output.ending.success(), "{input}: {}", output.stderr_tail);
    }

    let udp = format!("udp://{}", other.input.url().trim_start_matches("http://"));
    for input in [other.input.url(), &file, &udp, "file:/etc/passwd"] {
        let output = decode(input, yard.policy().allow_input(&own.input)).await;
        assert!(!output.ending.success(), "{input} was opened");
        let refused = ["Permission denied", "Operation not permitted"];
        assert!(
            refused.iter().any(|text| output.stderr_tail.contains(text)),
            "{input}: {}",
            output.stderr_tail
        );
    }
}

#[tokio::test]
async fn a_build_in_a_folder_of_its_own_runs_and_sees_nothing_else_of_that_folder() {
    let yard = Yard::new();

    // As packages of Python bring it: an executable somewhere, and a link to it.
    let (package, venv) = (
        yard.theirs().join("site-packages"),
        yard.theirs().join("bin"),
    );
    std::fs::create_dir(&package).unwrap();
    std::fs::create_dir(&venv).unwrap();
    std::fs::copy("/bin/cat", package.join("ffmpeg-v7")).unwrap();
    std::fs::set_permissions(
        package.join("ffmpeg-v7"),
        std::fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    std::fs::write(package.join("notes"), "notes").unwrap();
    symlink("../site-packages/ffmpeg-v7", venv.join("ffmpeg")).unwrap();
    std::fs::write(yard.ours().join("a"), "hello").unwrap();

    let program = venv.join("ffmpeg").display().to_string();
    assert_eq!(text(&run(&program, &["a"], yard.policy()).await), "hello");

    let notes = package.join("notes").display().to_string();
    assert_eq!(text(&run(&program, &[&notes], yard.policy()).await), "");
}

#[tokio::test]
async fn what_is_not_there_is_an_error_before_anything_starts() {
    let yard = Yard::new();
    let start = |program: &str, policy| Spawn::new(Path::new(program), [""; 0], policy).start();
    let told = async |program: &str, policy| start(program, policy).await.err().unwrap();

    assert_eq!(
        told("/nowhere/ffmpeg", yard.policy()).await.kind(),
        std::io::ErrorKind::NotFound
    );

    let gone = SandboxPolicy::new(ResourceLimits::extract_samples())
        .workdir(&yard.root.path().join("gone"));
    let error = told("/bin/true", gone).await.to_string();
    assert!(
        error.contains("the sandbox cannot be set up") && error.contains("gone"),
        "{error}"
    );
}

#[tokio::test]
async fn a_file_is_probed_offline_and_nothing_beside_it() {
    let yard = Yard::new();
    let clip = make(
        &yard.theirs(),
        "clip.mkv",
        "-f lavfi -i testsrc=s=64x64:r=25:d=1",
    )
    .await;
    let found = probe(&tool(), &Input::file(&clip), &ProbeLimits::default())
        .await
        .unwrap();
    assert!(found.main_video().is_some());
}
