"""The image, run with Podman: by compose.yaml, and as the pods of the chart. `make image` builds it and starts these tests."""

import base64
import copy
import itertools
import json
import os
import re
import subprocess
import sys
import threading
import time
import unittest
import urllib.request
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/helm"))
import engine  # noqa: E402

STATE = ROOT / ".tools/containers"
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
# The project's name, which begins the names of its containers and of its network.
PROJECT = "image"
IMAGE = "localhost/fluxhls:latest"
PREVIOUS = "localhost/fluxhls:previous"


def call(*command, timeout=900, **options):
    """What a command prints. Raises AssertionError with all of it where it fails."""
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, **options)
    assert ended.returncode == 0, f"{' '.join(map(str, command))}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def podman(*arguments, **options):
    return call("podman", *arguments, **options)


def compose(*arguments):
    return call(ROOT / ".tools/venv/bin/podman-compose", "--project-name", PROJECT, *arguments)


def clean():
    """Removes every container, and what they had."""
    for things in (["pod", "rm", "--force"], ["rm", "--force"], ["volume", "rm", "--force"], ["secret", "rm"]):
        podman(*things, "--all")
    podman("network", "prune", "--force")


def setUpModule():
    """A run that was interrupted may have left something. Only the containers of this test are removed, never those of the machine."""
    assert os.environ.get("CONTAINERS_STORAGE_CONF") == str(STATE / "storage.conf"), "run `make image`, which keeps its containers apart"
    clean()
    unittest.addModuleCleanup(clean)


def has_image(name):
    return subprocess.run(["podman", "image", "exists", name]).returncode == 0


def logs(name):
    """Everything a container has written."""
    return subprocess.run(["podman", "logs", name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout


def until(what, is_so, seconds=300):
    """The first answer that is not false."""
    deadline = time.monotonic() + seconds
    while not (answer := is_so()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.5)
    return answer


def report(text):
    print(f"\n  {text}", end=" ", flush=True)


def clip(name, size, seconds):
    """A file of moving pictures and a tone."""
    file = STATE / f"clips/{name}.mp4"
    file.parent.mkdir(exist_ok=True)
    if not file.exists():
        call("ffmpeg", "-nostdin", "-loglevel", "error", "-y", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=30:duration={seconds}",
             "-f", "lavfi", "-i", f"sine=frequency=440:duration={seconds}", "-c:v", "libx264", "-preset", "ultrafast",
             "-pix_fmt", "yuv420p", "-c:a", "aac", str(file))
    return file


def conditions(name):
    """What a service waits for, by the service."""
    needed = COMPOSE[name].get("depends_on", {})
    return needed if isinstance(needed, dict) else dict.fromkeys(needed, {"condition": "service_started"})


# Services that end, and others wait for that.
ONCE = {name for service in COMPOSE for name, needed in conditions(service).items() if needed["condition"] == "service_completed_successfully"}


def is_up(name):
    """Whether what depends on a service may start."""
    state = json.loads(podman("inspect", container(name)))[0]["State"]
    if "healthcheck" in COMPOSE[name]:
        return subprocess.run(["podman", "healthcheck", "run", container(name)], capture_output=True).returncode == 0
    return (state["Status"], state["ExitCode"]) == ("exited", 0) if name in ONCE else state["Running"]


def start(*services):
    """Starts services of compose.yaml, each after those it depends on. Podman 4.3 cannot wait for health, which it leaves to systemd, and starts no
    container after one that has ended."""
    started = set()
    while ready := {name for name in services if name not in started and conditions(name).keys() <= started}:
        compose("up", "--detach", "--no-recreate", "--no-deps", *ready)
        for name in ready:
            until(f"{name} is up", lambda: is_up(name))
        started |= ready


def container(service):
    return f"{PROJECT}_{service}_1"


def cli(*arguments):
    """A command of the program, in a container of its own beside the servers."""
    return compose("--profile", "cli", "run", "--rm", "-T", "--no-deps", "--volume", f"{STATE}/clips:/clips:ro", "cli", *arguments)


def submit(file):
    """Sends a clip. The job's id."""
    printed = cli("submit", f"/clips/{file.name}", "--json")
    return next(json.loads(line)["job_id"] for line in printed.splitlines() if line.startswith("{"))


def jobs():
    """The rows of all jobs, by id."""
    return {job["job_id"]: job for job in json.loads(cli("jobs", "list", "--json"))}


def completed(job_id):
    """The row of a job, once it has completed. Raises AssertionError where it ends otherwise."""
    cli("jobs", "watch", job_id)
    return until(f"the row of job {job_id} is completed", lambda: (row := jobs().get(job_id)) and row["status"] == "completed" and row)


def plays(url):
    """Plays every rung in Chromium, through every joint of its segments."""
    played = json.loads(call("node", "tests/browser/play.mjs", url, "--json"))
    return len(played["levels"]), len(played["renditions"])


class Confined(unittest.TestCase):
    def assert_confined(self, name):
        """What the kernel says of the process, whatever was asked for."""
        status = dict(line.split(":\t", 1) for line in podman("exec", name, "cat", "/proc/1/status").splitlines())
        self.assertEqual(set(status["Uid"].split() + status["Gid"].split()), {"65532"})
        for capabilities in ("CapEff", "CapPrm", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[capabilities], 16), 0, capabilities)
        self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
        for folder in ("/", "/usr/local/bin"):
            with self.assertRaisesRegex(AssertionError, "Read-only file system"):
                podman("exec", name, "touch", f"{folder}/file")
        podman("exec", name, "touch", "/tmp/file")

    def doctor(self, name):
        """What each check found, by its name. `public` cannot be right in here: the addresses of players are this machine's loopback."""
        printed = subprocess.run(["podman", "exec", name, "fluxhls", "doctor", "--json"], capture_output=True, text=True, timeout=120).stdout
        return {finding["check"]: finding for finding in map(json.loads, printed.splitlines())}


class Compose(Confined):
    """compose.yaml as it is, but for what no image could be had of."""

    @classmethod
    def setUpClass(cls):
        cls.addClassCleanup(compose, "down", "--volumes", "--timeout", "5")
        wanted = [name for name, service in COMPOSE.items() if "profiles" not in service and has_image(service["image"])]
        start(*wanted)
        report(f"up: {', '.join(wanted)}; left out: {', '.join(set(COMPOSE) - set(wanted) - {'cli'}) or 'nothing'}")

    def test_a_clip_completes_and_plays(self):
        for name in ("worker", "projector"):
            self.assert_confined(container(name))
        podman("exec", container("worker"), "touch", f"{COMPOSE['worker']['environment']['WORK_DIR']}/file")
        checks = self.doctor(container("worker"))
        for check, finding in checks.items():
            report(f"doctor: {finding['state']:8}{check}: {finding['text']}")
        self.assertEqual([check for check, finding in checks.items() if finding["state"] == "fix"], ["public"])
        self.assertEqual(checks["sandbox"]["state"], "ok")

        job = completed(submit(clip("short", "1280x720", 10)))
        levels, renditions = plays(job["manifest_url"])
        report(f"{levels} levels and {renditions} renditions play in Chromium")

    def test_prometheus_sees_every_process_and_reads_every_rule(self):
        def query(path):
            with urllib.request.urlopen(f"http://127.0.0.1:9090/api/v1/{path}") as answer:
                return json.load(answer)["data"]

        def up():
            targets = query("targets")["activeTargets"]
            return sum(target["health"] == "up" for target in targets) == 2
        until("both processes are scraped", up)
        rules = [rule for group in query("rules")["groups"] for rule in group["rules"]]
        self.assertGreater(len(rules), 10)
        report(f"Prometheus scrapes the worker and the projector, and has {len(rules)} alert rules")
        self.assertEqual({rule["health"] for rule in rules} - {"unknown"}, {"ok"})

    def test_sigterm_drains(self):
        worker = container("worker")
        job_id = submit(clip("long", "1280x720", 30))
        until("a chunk is encoded", lambda: re.search(r"started v\d", logs(worker)))
        since = time.monotonic()
        podman("stop", "--time", "60", worker)
        seconds = time.monotonic() - since
        state = json.loads(podman("inspect", worker))[0]["State"]
        self.assertEqual((state["ExitCode"], state["OOMKilled"]), (0, False))
        self.assertIn("stopping; tasks in work may finish", logs(worker))
        podman("start", worker)
        completed(job_id)
        report(f"told to stop amid a chunk, the worker left after {seconds:.1f} s with 0; the job completed")


# What the pods are given; everything else is the chart's default.
VALUES = {
    "image": {"repository": "localhost/fluxhls"},
    "nats": {"url": COMPOSE["worker"]["environment"]["NATS_URL"]},
    "streams": {"replicas": 1},
    "storage": {
        "endpoint": COMPOSE["worker"]["environment"]["S3_ENDPOINT"],
        "publicBaseUrl": COMPOSE["worker"]["environment"]["PUBLIC_BASE_URL"],
        "existingSecret": "fluxhls-storage",
    },
    "worker": {"replicas": 1},
}


# The ports of pods on the loopback interface.
PORTS = itertools.count(18080)


def create_secret(name, values):
    """A secret as `podman kube play` reads it (4.3)."""
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    podman("secret", "create", name, "-", input=json.dumps(encoded))


class Release:
    """The chart, rendered for one image. Its Deployments get a suffix, as Kubernetes gives one to the replica set of each version."""

    def __init__(self, image, suffix, **values):
        repository, tag = image.split(":")
        rendered, _ = engine.render(ROOT / "helm/fluxhls", VALUES | {"image": {"repository": repository, "tag": tag}} | values)
        self.suffix = suffix
        self.manifests = {manifest["metadata"]["name"].rsplit("-", 1)[1]: manifest for manifest in rendered}

    def play(self, component):
        """Starts a component's pod. The name of its container."""
        manifest = copy.deepcopy(self.manifests[component])
        name = manifest["metadata"]["name"] = f"{manifest['metadata']['name']}-{self.suffix}"
        if manifest["kind"] == "Job":
            # Podman knows no jobs: this is the pod of one.
            template = manifest["spec"]["template"]
            template["metadata"]["name"] = name
            manifest = {"apiVersion": "v1", "kind": "Pod", **template}
        spec = manifest["spec"] if manifest["kind"] == "Pod" else manifest["spec"]["template"]["spec"]
        for port in spec["containers"][0].get("ports", []):
            # Podman 4.3 publishes every port of a container under its own number, so that no other pod could have it.
            port["hostPort"] = next(PORTS)
        podman("kube", "play", "--network", f"{PROJECT}_default", "-", input=yaml.safe_dump(manifest))
        return Pod(name if manifest["kind"] == "Pod" else f"{name}-pod-0", spec)

    def set_up(self):
        """The chart's hook before an install or upgrade: tables, then streams and consumers."""
        pod = self.play("setup")
        until("the setup has ended", lambda: pod.state()["Status"] == "exited")
        assert pod.state()["ExitCode"] == 0, logs(pod.container)
        pod.remove()


class Pod:
    def __init__(self, name, spec):
        self.name, self.spec = name, spec
        self.container = f"{name}-{spec['containers'][0]['name']}"

    def state(self):
        return json.loads(podman("inspect", self.container))[0]["State"]

    def is_ready(self):
        """The readiness probe, which Podman has no word for."""
        [port], probe = self.spec["containers"][0]["ports"], self.spec["containers"][0]["readinessProbe"]["httpGet"]
        assert port["name"] == probe["port"], probe
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port['hostPort']}{probe['path']}", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def stop(self):
        """SIGTERM, with the time the chart gives it. Not to the pod: Podman takes its network away first, which Kubernetes keeps. The exit code."""
        podman("stop", "--time", str(self.spec["terminationGracePeriodSeconds"]), self.container)
        return self.state()["ExitCode"]

    def remove(self):
        podman("pod", "rm", "--force", "--time", "5", self.name)


class Pods(Confined):
    """The manifests of the chart."""

    @classmethod
    def setUpClass(cls):
        cls.addClassCleanup(compose, "down", "--volumes", "--timeout", "5")
        start("nats", "postgres", "s3", "bucket")
        environment = COMPOSE["worker"]["environment"]
        create_secret("fluxhls-database", {"url": environment["DATABASE_URL"]})
        create_secret("fluxhls-storage", {
            "access-key-id": environment["AWS_ACCESS_KEY_ID"], "secret-access-key": environment["AWS_SECRET_ACCESS_KEY"],
        })

    def played(self, release, component):
        pod = release.play(component)
        self.addCleanup(pod.remove)
        until(f"{pod.name} is ready", pod.is_ready)
        self.assert_confined(pod.container)
        return pod

    def test_rolling_to_the_next_version_loses_nothing(self):
        before = Release(PREVIOUS if has_image(PREVIOUS) else IMAGE, "before")
        before.set_up()
        old = [self.played(before, component) for component in ("projector", "worker")]
        submitted = [submit(clip("long", "1280x720", 30)) for _ in range(3)]
        until("a chunk is encoded", lambda: re.search(r"started v\d", logs(old[1].container)))

        after = Release(IMAGE, "after")
        after.set_up()
        new = []
        for component, pod in zip(("projector", "worker"), old):
            new.append(self.played(after, component))
            self.assertEqual(pod.stop(), 0, pod.name)

        rows = [completed(job_id) for job_id in submitted]
        plays(rows[0]["manifest_url"])
        self.assertEqual(len(jobs()), len(submitted))
        self.assertEqual(json.loads(cli("dead", "list", "--json")), [])
        for row in rows:
            cli("verify", row["file_id"])
        share = [len(re.findall(r"finished (?:v|tracks)", logs(pod.container))) for pod in (old[1], new[1])]
        report(f"{len(rows)} jobs completed; tasks with media by the worker before: {share[0]}, after: {share[1]}")

    def test_half_a_gigabyte_is_enough_for_1080_lines(self):
        release = Release(IMAGE, "small", worker={"replicas": 1, "resources": {"limits": {"memory": "512Mi"}}})
        release.set_up()
        self.played(release, "projector")
        worker = self.played(release, "worker")
        watch = Memory(worker.container)
        job = completed(submit(clip("large", "1920x1080", 10)))
        plays(job["manifest_url"])
        self.assertEqual(watch.kills(), 0)
        self.assertEqual(worker.state()["Status"], "running")
        report(f"1080 lines within {watch.limit >> 20} MiB: at most {watch.stop() >> 20} MiB of processes, none killed")


class Memory:
    """What the processes of a container have in memory, looked at all the time: the pages of files they read come on top, and give way."""

    def __init__(self, name):
        self.group = Path("/sys/fs/cgroup/memory" + json.loads(podman("inspect", name))[0]["State"]["CgroupPath"])
        self.limit = int((self.group / "memory.limit_in_bytes").read_text())
        self.most, self.ended = 0, threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        while not self.ended.wait(0.1):
            now = re.search(r"^total_rss (\d+)$", (self.group / "memory.stat").read_text(), re.M)
            self.most = max(self.most, int(now[1]))

    def kills(self):
        return int(re.search(r"^oom_kill (\d+)$", (self.group / "memory.oom_control").read_text(), re.M)[1])

    def stop(self):
        self.ended.set()
        self.thread.join()
        return self.most


class Sizes(unittest.TestCase):
    def test_sizes(self):
        size = int(podman("image", "inspect", "--format", "{{.Size}}", IMAGE))
        program = int(podman("run", "--rm", "--network", "none", "--entrypoint", "stat", IMAGE, "--format", "%s", "/usr/local/bin/fluxhls"))
        report(f"the image has {size / 1e6:.0f} MB, the program in it {program / 1e6:.1f} MB")


if __name__ == "__main__":
    unittest.main()
