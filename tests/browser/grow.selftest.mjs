// The followers of live outputs, tested: they must pass what is right and fail what is wrong.
//
// usage: node --test grow.selftest.mjs

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { makeGood } from "./samples.mjs";

/** Seconds after which another segment of the sample, four seconds long, is listed. */
const PACE = 3;

let folder;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "fluxhls-samples-"));
  await makeGood(join(folder, "good"));
});
after(() => rm(folder, { recursive: true, force: true }));

/** The playlist of a rendition, this many seconds after it began to grow, with an end that is published `late` seconds after the last segment. */
function grown(whole, seconds, late) {
  const segments = whole.match(/#EXTINF.*\n.*\n/g);
  const listed = Math.min(segments.length, 2 + Math.floor(seconds / PACE));
  const ended = seconds >= (segments.length - 2) * PACE + late;
  const head = whole.slice(0, whole.indexOf("#EXTINF")).replace("TYPE:VOD", "TYPE:EVENT\n#EXT-X-START:TIME-OFFSET=0.001");
  return `${head}${segments.slice(0, listed).join("")}${ended ? "#EXT-X-ENDLIST\n" : ""}`;
}

/** Serves the sample as if it were being made, follows it, and resolves to the exit code and report of grow.mjs. */
async function follow(late, ...options) {
  const begin = performance.now();
  const server = createServer(async (request, response) => {
    const path = new URL(request.url, "http://h").pathname;
    const body = await readFile(join(folder, "good", path)).catch(() => null);
    const isGrowing = path.endsWith("/index.m3u8");
    const told = isGrowing ? grown(body.toString(), (performance.now() - begin) / 1000, late) : body;
    response.writeHead(body ? 200 : 404, { "access-control-allow-origin": "*", "cache-control": "no-store" }).end(told);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const manifest = `http://127.0.0.1:${server.address().port}/master.m3u8`;
  try {
    return await new Promise((resolve) => {
      execFile(process.execPath, [join(import.meta.dirname, "grow.mjs"), manifest, ...options], (error, stdout, stderr) => {
        resolve({ code: error?.code ?? 0, report: stdout ? JSON.parse(stdout) : null, stderr });
      });
    });
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

test("players follow what grows to its end", async () => {
  // The sample's sound is a hundredth of a second longer than its pictures: Shaka Player waits at times for pictures to go with it.
  const { code, report, stderr } = await follow(0, "--player", "hls.js,hls.js-1.6,video.js", "--late", "4");
  assert.equal(code, 0, `${stderr}${JSON.stringify(report)}`);
  assert.equal(report.viewings.length, 6);
});

test("an end that is published long after the last segment is noticed: video.js never ends", async () => {
  const { code, report } = await follow(15, "--player", "video.js", "--limit", "45");
  assert.equal(code, 1);
  assert.match(report.viewings[0].reasons.join("\n"), /^it never ends/);
});

test("what does not grow is not taken for growing", async () => {
  const { code, stderr } = await follow(-60, "--player", "hls.js");
  assert.equal(code, 2);
  assert.match(stderr, /it was finished before it was watched/);
});
