"""The chart, rendered by the real Helm engine and validated strictly."""

import copy
import json
import re
import unittest
from pathlib import Path

import helm_sdkpy
import kubernetes_validate
import yaml
from jsonschema import Draft7Validator

import engine

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm/fluxhls"
CRDS = Path(__file__).parent / "crds"
# The version of the API whose schemas manifests are held against.
KUBERNETES = "1.34.0"


def values(name):
    return {} if name == "default" else yaml.safe_load((CHART / f"ci/{name}-values.yaml").read_text())


RENDERED = {name: engine.render(CHART, values(name)) for name in ("default", "minimal", "everything")}


def manifests(name):
    return RENDERED[name][0]


def one(name, kind, suffix=""):
    found = [m for m in manifests(name) if m["kind"] == kind and m["metadata"]["name"].endswith(suffix)]
    assert len(found) == 1, (kind, suffix, [m["metadata"]["name"] for m in found])
    return found[0]


def pods(manifest):
    """The pod specification in a manifest, if there is one."""
    spec = manifest.get("spec", {})
    if manifest["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return [spec["template"]["spec"]] if "template" in spec else []


def all_pods(name):
    return [(m["metadata"]["name"], pod) for m in manifests(name) for pod in pods(m)]


def containers(pod):
    return pod["containers"] + pod.get("initContainers", [])


def validate(manifest):
    """Strictly: unknown fields are errors. Custom resources are checked against a schema of this project."""
    own = CRDS / f"{manifest['kind'].lower()}.json"
    if own.exists():
        Draft7Validator(json.loads(own.read_text())).validate(manifest)
    else:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


class Chart(unittest.TestCase):
    def test_lint_finds_nothing(self):
        found = engine.lint(CHART)
        self.assertFalse(found.get("errors"), found)

    def test_every_manifest_of_every_set_of_values_is_valid(self):
        for name in RENDERED:
            self.assertGreater(len(manifests(name)), 1)
            for manifest in manifests(name):
                with self.subTest(values=name, manifest=f"{manifest['kind']}/{manifest['metadata']['name']}"):
                    validate(manifest)

    def test_the_validation_itself_finds_unknown_fields(self):
        for name, kind in (("default", "Deployment"), ("everything", "ScaledObject"), ("everything", "Stream")):
            manifest = next(m for m in manifests(name) if m["kind"] == kind)
            spoilt = copy.deepcopy(manifest)
            spoilt["spec"]["replcas"] = 1
            with self.assertRaises(Exception, msg=kind):
                validate(spoilt)

    def test_names_are_unique_and_everything_renders_every_kind(self):
        for name in RENDERED:
            names = [(m["kind"], m["metadata"]["name"]) for m in manifests(name)]
            self.assertEqual(len(names), len(set(names)))
        kinds = {m["kind"] for m in manifests("everything")}
        self.assertLessEqual({"Deployment", "Job", "CronJob", "ScaledObject", "PodDisruptionBudget", "NetworkPolicy", "PodMonitor",
                              "PrometheusRule", "ConfigMap", "ServiceAccount", "Stream", "Consumer"}, kinds)

    def test_bad_values_are_refused_with_their_name(self):
        bad = [
            ({"workr": {}}, "workr"),
            ({"worker": {"replicas": "two"}}, "replicas"),
            ({"worker": {"terminationGracePeriodSeconds": 5}}, "terminationGracePeriodSeconds"),
            ({"nats": {"url": "nats://user:secret@nats:4222"}}, "url"),
            ({"nats": {"url": "nats:4222"}}, "url"),
            ({"storage": {"endpoint": "nyc3.digitaloceanspaces.com"}}, "endpoint"),
            ({"storage": {"outputRoot": "/hls"}}, "outputRoot"),
            ({"streams": {"manage": "yes"}}, "manage"),
            ({"streams": {"replicas": 2}}, "replicas"),
            ({"config": {"log-level": "info"}}, "log-level"),
            ({"config": {"LOG": {"level": "info"}}}, "LOG"),
            ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
            ({"autoscaling": {"natsMonitoringEndpoint": "http://nats:8222"}}, "natsMonitoringEndpoint"),
            ({"database": {"existingSecret": ""}}, "existingSecret"),
        ]
        for spoilt, name in bad:
            with self.subTest(values=spoilt), self.assertRaises(helm_sdkpy.HelmError) as raised:
                engine.render(CHART, spoilt)
            self.assertIn(name, str(raised.exception))

    def test_every_pod_is_shut_in(self):
        for name in RENDERED:
            self.assertGreater(len(all_pods(name)), 1)
            for owner, pod in all_pods(name):
                with self.subTest(values=name, pod=owner):
                    self.assertFalse(pod["automountServiceAccountToken"])
                    self.assertTrue(pod["securityContext"]["runAsNonRoot"])
                    for container in containers(pod):
                        security = container["securityContext"]
                        self.assertTrue(security["readOnlyRootFilesystem"])
                        self.assertFalse(security["allowPrivilegeEscalation"])
                        self.assertEqual(security["capabilities"], {"drop": ["ALL"]})
                        self.assertEqual(security["seccompProfile"], {"type": "RuntimeDefault"})
                        self.assertIn("memory", container["resources"]["limits"])

    def test_every_setting_is_one_the_program_knows(self):
        known = set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.M))
        for name in RENDERED:
            for owner, pod in all_pods(name):
                for container in containers(pod):
                    names = [variable["name"] for variable in container["env"]]
                    self.assertEqual(len(names), len(set(names)), f"{owner}: a setting twice")
                    self.assertLessEqual(set(names), known, owner)

    def test_secrets_come_by_reference_alone(self):
        secret = {"DATABASE_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
        seen = set()
        for owner, pod in all_pods("everything"):
            for container in containers(pod):
                for variable in container["env"]:
                    if variable["name"] in secret:
                        self.assertIn("secretKeyRef", variable["valueFrom"], owner)
                        seen.add(variable["name"])
        self.assertEqual(seen, secret)

    def leaves_before_it_is_killed(self, pod):
        """A process exits on its own five seconds after its grace period; ten more are for a busy machine."""
        variables = {v["name"]: v.get("value") for v in pod["containers"][0]["env"]}
        self.assertEqual(pod["terminationGracePeriodSeconds"], int(variables["GRACE_PERIOD"]) + 15)

    def test_a_projector_leaves_before_it_is_killed(self):
        for name in RENDERED:
            self.leaves_before_it_is_killed(one(name, "Deployment", "-projector")["spec"]["template"]["spec"])

    def test_a_worker_has_time_to_finish_and_no_database(self):
        worker = one("everything", "Deployment", "-worker")
        pod = worker["spec"]["template"]["spec"]
        variables = {v["name"]: v.get("value") for v in pod["containers"][0]["env"]}
        self.leaves_before_it_is_killed(pod)
        self.assertNotIn("DATABASE_URL", variables)
        self.assertEqual(pod["priorityClassName"], "batch", "podTemplate is merged")
        self.assertNotIn("replicas", worker["spec"], "the autoscaler has the word")
        mounts = {m["name"] for m in pod["containers"][0]["volumeMounts"]}
        self.assertEqual(mounts, {v["name"] for v in pod["volumes"]})

    def test_the_setup_job_needs_nothing_that_the_release_makes(self):
        job = one("default", "Job", "-setup")
        hooks = job["metadata"]["annotations"]["helm.sh/hook"].split(",")
        self.assertEqual(hooks, ["pre-install", "pre-upgrade", "pre-rollback"])
        pod = job["spec"]["template"]["spec"]
        self.assertEqual(pod["serviceAccountName"], "default")
        self.assertEqual([c["args"] for c in pod["initContainers"] + pod["containers"]], [["migrate", "up"], ["provision"]])
        self.assertFalse([m for m in manifests("minimal") if m["kind"] == "Job"])
        only = one("everything", "Job", "-setup")["spec"]["template"]["spec"]
        self.assertEqual([c["args"] for c in containers(only)], [["migrate", "up"]], "NACK makes the streams")

    def test_scaling_asks_for_consumers_there_are(self):
        topology = json.loads((CHART / "files/topology.json").read_text())
        known = {(c["streamName"], c["durableName"]) for c in topology["consumers"]}
        triggers = one("everything", "ScaledObject")["spec"]["triggers"]
        asked = {(t["metadata"]["stream"], t["metadata"]["consumer"]) for t in triggers}
        self.assertLessEqual(asked, known)
        self.assertLessEqual({("HLS_TASKS", "encode-hi"), ("HLS_TASKS", "encode-lo")}, asked)
        self.assertTrue(all(isinstance(x, str) for t in triggers for x in t["metadata"].values()), "KEDA wants texts")

    def test_nack_manifests_are_the_programs_streams(self):
        topology = json.loads((CHART / "files/topology.json").read_text())
        streams = [m["spec"] for m in manifests("everything") if m["kind"] == "Stream"]
        wanted = [{**s, "maxBytes": 21474836480} if s["name"] == "HLS_JOBS" else s for s in topology["streams"]]
        self.assertEqual([{k: v for k, v in s.items() if k != "replicas"} for s in streams], wanted)
        self.assertTrue(all(stream["replicas"] == 3 for stream in streams))
        consumers = [m["spec"] for m in manifests("everything") if m["kind"] == "Consumer"]
        self.assertEqual(consumers, [{**c, "maxAckPending": 20000} for c in topology["consumers"]])

    def test_streams_and_jetstream_are_set_as_the_values_say(self):
        for name, wanted in (
            ("everything", {
                "STREAM_MAX_BYTES": "HLS_JOBS=21474836480",
                "CONSUMER_MAX_ACK_PENDING": "20000",
                "NATS_JETSTREAM_DOMAIN": "hub",
            }),
            ("default", {"CONSUMER_MAX_ACK_PENDING": "10000"}),
        ):
            for container in containers(one(name, "Deployment", "-worker")["spec"]["template"]["spec"]):
                found = {e["name"]: e.get("value") for e in container["env"]}
                self.assertEqual({k: found.get(k) for k in wanted}, wanted)

    def test_secrets_for_nats_are_folders_so_that_a_changed_one_reaches_the_process(self):
        pod = one("everything", "Deployment", "-worker")["spec"]["template"]["spec"]
        volumes = {v["name"]: v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v}
        for container in containers(pod):
            mounts = {m["mountPath"]: m for m in container["volumeMounts"]}
            env = {e["name"]: e.get("value") for e in container["env"]}
            for setting, secret in (("NATS_CREDENTIALS", "fluxhls-nats"), ("NATS_CA", "nats-ca")):
                mount = mounts[env[setting].rsplit("/", 1)[0]]
                self.assertNotIn("subPath", mount, "Kubernetes never updates those")
                self.assertEqual(volumes[mount["name"]], secret)

    def test_rules_and_dashboards_reach_the_cluster_unchanged(self):
        rule = one("everything", "PrometheusRule")["spec"]
        self.assertEqual(rule, yaml.safe_load((CHART / "rules/fluxhls.yaml").read_text()))
        boards = one("everything", "ConfigMap", "-dashboards")["data"]
        files = {f"fluxhls-{path.name}": path.read_text() for path in (CHART / "dashboards").glob("*.json")}
        self.assertEqual(boards, files)
        self.assertEqual(len(files), 2)

    def test_notes_name_what_was_installed(self):
        self.assertIn("deploy/media-fluxhls-projector", RENDERED["default"][1])
        self.assertIn("provision --check", RENDERED["minimal"][1])


if __name__ == "__main__":
    unittest.main()
