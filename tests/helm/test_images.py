"""Dockerfile and compose.yaml as text; `make image` runs them."""

import re
import unittest
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def services(image):
    return {name: service for name, service in COMPOSE["services"].items() if service["image"].split(":")[0] == image}


class Images(unittest.TestCase):
    def test_every_setting_is_one_the_program_knows(self):
        known = set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.M))
        ours = services("fluxhls")
        self.assertEqual(set(ours), {"migrate", "provision", "worker", "projector", "cli"})
        for name, service in ours.items():
            self.assertLessEqual(set(service["environment"]), known, name)

    def test_every_file_that_is_mounted_is_there(self):
        mounted = 0
        for name, service in COMPOSE["services"].items():
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                if source.startswith("."):
                    self.assertTrue((ROOT / source).exists(), f"{name}: {source}")
                    mounted += 1
                else:
                    self.assertIn(source, COMPOSE["volumes"])
        self.assertGreater(mounted, 5)

    def test_every_dependency_is_a_service_and_every_port_is_on_loopback(self):
        for name, service in COMPOSE["services"].items():
            self.assertLessEqual(set(service.get("depends_on", [])), set(COMPOSE["services"]), name)
            for port in service.get("ports", []):
                self.assertTrue(port.startswith("127.0.0.1:"), f"{name}: {port}")

    def test_images_of_others_are_pinned(self):
        for name, service in COMPOSE["services"].items():
            if service["image"] != "fluxhls":
                self.assertRegex(service["image"], r":v?\d+\.?\d*", name)
                self.assertNotIn("latest", service["image"])

    def test_the_nats_server_writes_before_it_acknowledges(self):
        self.assertRegex((ROOT / "compose/nats.conf").read_text(), r"sync_interval: always")

    def test_the_image_is_built_in_stages_that_there_are_and_runs_as_nobody(self):
        stages = re.findall(r"^FROM (?:--platform=\S+ )?(\S+)(?: AS (\S+))?$", DOCKERFILE, re.M)
        names = {name for _, name in stages if name}
        copied = set(re.findall(r"COPY --from=(\S+)", DOCKERFILE))
        self.assertLessEqual(copied, names)
        last = DOCKERFILE.rsplit("\nFROM ", 1)[1]
        self.assertIn("USER 65532:65532", last)
        self.assertIn("ffmpeg", last)
        self.assertIn('ENTRYPOINT ["fluxhls"]', last)
        needed = re.search(r'^rust-version = "(\d+)\.(\d+)', (ROOT / "Cargo.toml").read_text(), re.M)
        taken = re.match(r"rust:(\d+)\.(\d+)-", stages[0][0])
        self.assertGreaterEqual(tuple(map(int, taken.groups())), tuple(map(int, needed.groups())))

    def test_every_folder_of_the_build_reaches_it(self):
        ignored = (ROOT / ".dockerignore").read_text()
        for needed in ("Cargo.toml", "Cargo.lock", "src", "crates", "entity", "migration", "streams"):
            self.assertIn(f"!{needed}\n", ignored)


if __name__ == "__main__":
    unittest.main()
