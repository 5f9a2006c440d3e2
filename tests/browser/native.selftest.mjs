// The players outside browsers, tested: they must fail what is wrong, and pass what is right.
//
// usage: node --test native.selftest.mjs

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { makeGood } from "./samples.mjs";
import { serve } from "./server.mjs";

let folder;
let good;
let server;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "fluxhls-samples-"));
  good = dirname(await makeGood(join(folder, "good")));
  server = await serve(folder);
});
after(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

/** Runs native.mjs as a user would, on an output in `folder`; resolves to its exit code and report. */
function run(name) {
  const args = [join(import.meta.dirname, "native.mjs"), `${server.origin}/media/${name}/master.m3u8`];
  return new Promise((resolve) => {
    execFile(process.execPath, args, (error, stdout, stderr) => resolve({ code: error?.code ?? 0, report: stdout ? JSON.parse(stdout) : null, stderr }));
  });
}

test("segments that are listed and not there are noticed outside browsers", async () => {
  await cp(good, join(folder, "short"), { recursive: true });
  for (const rendition of ["360", "180", "audio"]) for (const n of [3, 4]) await rm(join(folder, "short", rendition, `0000${n}.m4s`));
  const { code, report } = await run("short");
  assert.equal(code, 1);
  for (const player of ["mpv", "VLC", "GStreamer"]) assert.ok(report.reasons.some((reason) => reason.startsWith(`${player}: `)), report.reasons.join("\n"));
});

test("what is right is passed outside browsers", async () => {
  const { code, report, stderr } = await run("good");
  assert.equal(code, 0, report ? report.reasons.join("\n") : stderr);
});
