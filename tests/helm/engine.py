"""The real Helm engine (helm.sh/helm/v4, as PyPI's helm-sdkpy has it), without a cluster.

An install first stores its release, with every manifest and hook rendered, as a secret. A server that only knows the kinds there are takes that
secret, and answers nothing else: so what is checked is exactly what Helm would have applied.
"""

import asyncio
import base64
import gzip
import json
import logging
import re
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import helm_sdkpy
import yaml

# What the chart may make: API version, kinds.
KINDS = {
    "v1": ["ConfigMap", "Secret", "ServiceAccount", "Service", "Namespace", "Pod"],
    "apps/v1": ["Deployment"],
    "batch/v1": ["Job", "CronJob"],
    "policy/v1": ["PodDisruptionBudget"],
    "networking.k8s.io/v1": ["NetworkPolicy"],
    "monitoring.coreos.com/v1": ["PodMonitor", "PrometheusRule"],
    "keda.sh/v1alpha1": ["ScaledObject"],
    "jetstream.nats.io/v1beta2": ["Stream", "Consumer"],
}


def plural(kind):
    return re.sub(r"y$", "ie", kind.lower()) + "s"


class Api(BaseHTTPRequestHandler):
    """As much of a Kubernetes API as an install needs until its release is stored."""

    def log_message(self, *_):
        pass

    def answer(self, code, body):
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        path = self.path.split("?")[0].strip("/")
        groups = [name for name in KINDS if "/" in name]
        if path == "version":
            return self.answer(200, {"major": "1", "minor": "34", "gitVersion": "v1.34.0"})
        if path == "api":
            return self.answer(200, {"kind": "APIVersions", "versions": ["v1"]})
        if path == "apis":
            described = []
            for name in groups:
                group, version = name.split("/")
                one = {"groupVersion": name, "version": version}
                described.append({"name": group, "versions": [one], "preferredVersion": one})
            return self.answer(200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": described})
        version = path.removeprefix("apis/").removeprefix("api/")
        if version in KINDS:
            resources = [
                {"name": plural(kind), "singularName": kind.lower(), "kind": kind, "namespaced": kind != "Namespace",
                 "verbs": ["create", "get", "list", "patch", "delete", "watch"]}
                for kind in KINDS[version]
            ]
            return self.answer(200, {"kind": "APIResourceList", "groupVersion": version, "resources": resources})
        if path.endswith("/secrets"):
            return self.answer(200, {"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": []})
        return self.answer(404, {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        # The secret comes as a protocol buffer, which contains the packed release unchanged: base64 of gzip.
        release = re.search(rb"H4sI[A-Za-z0-9+/=]+", body)
        if release and self.server.release is None:
            self.server.release = json.loads(gzip.decompress(base64.b64decode(release[0])))
            return self.answer(201, {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "release"}})
        return self.answer(403, {"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403})

    do_PUT = do_PATCH = do_DELETE = do_POST


def run(action):
    logging.disable(logging.CRITICAL)
    return asyncio.run(action)


def render(chart, values, namespace="video"):
    """Every manifest, hooks included. Raises helm_sdkpy.InstallError for values that the schema refuses."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.release = None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    cluster = {
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "users": [{"name": "me", "user": {}}],
    }
    try:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(cluster, file)
            file.flush()
            configuration = helm_sdkpy.Configuration(namespace=namespace, kubeconfig=file.name)
            install = helm_sdkpy.Install(configuration)
            try:
                run(install.run("media", str(chart), values, wait=False, timeout=5))
            except helm_sdkpy.HelmError:
                if server.release is None:
                    raise
    finally:
        server.shutdown()
        server.server_close()
    texts = [server.release["manifest"]] + [hook["manifest"] for hook in server.release.get("hooks") or []]
    manifests = [one for text in texts for one in yaml.safe_load_all(text) if one]
    return manifests, server.release["info"].get("notes", "")


def lint(chart):
    """What `helm lint` says."""
    configuration = helm_sdkpy.Configuration(namespace="video")
    return run(helm_sdkpy.Lint(configuration).run(str(chart)))
