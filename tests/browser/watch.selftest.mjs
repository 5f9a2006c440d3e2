// The viewers and the strict parsers, tested: they must pass what is right and fail what is wrong.
//
// usage: node --test watch.selftest.mjs

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { addChoices, makeGood } from "./samples.mjs";
import { judge } from "./strict.mjs";

/** One of each kind: this distinguishes right from wrong, not one version from another. */
const KINDS = ["hls.js", "shaka", "video.js"];

let folder;
let manifest;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "fluxhls-samples-"));
  await makeGood(join(folder, "good"));
  manifest = await addChoices(join(folder, "good"));
});
after(() => rm(folder, { recursive: true, force: true }));

/** Runs watch.mjs as a user would; resolves to its exit code and report. */
function run(file, ...options) {
  const script = join(import.meta.dirname, "watch.mjs");
  return new Promise((resolve) => {
    execFile(process.execPath, [script, file, "--json", "--player", KINDS.join(","), ...options], { maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      resolve({ code: error?.code ?? 0, report: stdout ? JSON.parse(stdout) : null, stderr });
    });
  });
}

/** A copy of the manifest with one thing changed. */
async function changed(name, from, to) {
  const text = await readFile(manifest, "utf8");
  assert.ok(text.includes(from), from);
  const path = join(folder, "good", name);
  await writeFile(path, text.replaceAll(from, to));
  return path;
}

const right = ["--tones", "en=440,de=660", "--cues", "de=2:Guten Tag"];

test("all players switch languages, hear each, and show subtitles at their time", async () => {
  const { code, report, stderr } = await run(manifest, ...right);
  assert.deepEqual([code, report?.reasons], [0, []], stderr);
  assert.equal(report.viewings.length, KINDS.length);
});

test("swapped languages are heard", async () => {
  const swapped = await changed("swapped.m3u8", 'URI="english/index.m3u8"', 'URI="german/index.m3u8"');
  const { code, report } = await run(swapped, ...right);
  assert.equal(code, 1);
  for (const player of KINDS) {
    assert.ok(report.reasons.some((reason) => reason.startsWith(`${player}:`) && reason.includes("en sounds of")), report.reasons.join("\n"));
  }
});

test("a cue at another time and a missing language are noticed", async () => {
  const { code, report } = await run(manifest, "--cues", "de=3:Guten Tag", "--tones", "fr=440");
  assert.equal(code, 1);
  for (const words of ["de shows", "no track in fr"]) assert.ok(report.reasons.filter((reason) => reason.includes(words)).length === KINDS.length, report.reasons.join("\n"));
});

test("strict parsers pass what is right and fail what is not", async () => {
  for (const file of ["choices.m3u8", "360/index.m3u8", "german.m3u8"]) {
    assert.deepEqual(judge(await readFile(join(folder, "good", file), "utf8")).reasons, [], file);
  }
  const media = await readFile(join(folder, "good", "360", "index.m3u8"), "utf8");
  for (const [from, to] of [["#EXT-X-TARGETDURATION:4\n", ""], ["#EXT-X-TARGETDURATION:4", "#EXT-X-TARGETDURATION:3"], ["#EXT-X-ENDLIST", ""], ["#EXTM3U\n", ""]]) {
    assert.notDeepEqual(judge(media.replace(from, to)).reasons, [], `${from} became ${to}`);
  }
  const multivariant = await readFile(manifest, "utf8");
  for (const [from, to] of [["BANDWIDTH=2000000,", ""], ['AUDIO="stereo"', 'AUDIO="other"'], ['NAME="German",', ""]]) {
    assert.notDeepEqual(judge(multivariant.replace(from, to)).reasons, [], `${from} became ${to}`);
  }
});
