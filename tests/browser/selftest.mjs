// The player test, tested: it must pass what is right and fail what is wrong.
//
// usage: node --test selftest.mjs

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { JOINTS, makeGood, makeLostFrames, makeShiftedJoint, makeWrongDecodeTime } from "./samples.mjs";

let folder;
let good;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "fluxhls-samples-"));
  good = await makeGood(join(folder, "good"));
});
after(() => rm(folder, { recursive: true, force: true }));

/** Runs play.mjs as a user would; resolves to its exit code and report. */
function run(manifest, ...options) {
  const script = join(import.meta.dirname, "play.mjs");
  return new Promise((resolve) => {
    execFile(process.execPath, [script, manifest, "--json", ...options], { maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      resolve({ code: error?.code ?? 0, report: stdout ? JSON.parse(stdout) : null, stderr });
    });
  });
}

test("chunks that fit play seamlessly", async () => {
  const { code, report, stderr } = await run(good);
  assert.deepEqual([code, report?.reasons], [0, []], stderr);
  assert.equal(report.levels.length, 2);
  assert.equal(report.renditions.length, 3);
  assert.ok(report.levels.every((level) => level.joints.length === 4 && level.seeks >= 18));
});

test("a manifest without pictures plays too", async () => {
  const { code, report, stderr } = await run(join(folder, "good", "audio_only.m3u8"));
  assert.deepEqual([code, report?.reasons], [0, []], stderr);
  assert.deepEqual([report.renditions[0].kind, report.levels.length], ["audio", 1]);
});

const joints = ["--joints", JOINTS.join(",")];

test("a segment with a wrong decode time fails where no player corrects it", async () => {
  const { code, report } = await run(await makeWrongDecodeTime(join(folder, "good"), join(folder, "tfdt")), ...joints);
  assert.equal(code, 1);
  assert.ok(report.reasons.some((reason) => reason.startsWith("bare ") && reason.includes("after segment 4 of 5")), report.reasons.join("\n"));
});

test("two frames of delay at a joint fail", async () => {
  const { code, report } = await run(await makeShiftedJoint(join(folder, "good"), join(folder, "shift")), ...joints);
  assert.equal(code, 1);
  assert.ok(report.reasons.some((reason) => reason.startsWith("bare ")), report.reasons.join("\n"));
});

test("two lost frames at a joint fail", async () => {
  const { code, report } = await run(await makeLostFrames(join(folder, "good"), join(folder, "lost")), ...joints);
  assert.equal(code, 1);
  assert.ok(report.reasons.length > 0);
});

test("what cannot be tried is neither passed nor failed", async () => {
  assert.equal((await run(join(folder, "nothing.m3u8"))).code, 2);
  assert.equal((await run(join(folder, "good", "360", "index.m3u8"))).code, 2);
});
