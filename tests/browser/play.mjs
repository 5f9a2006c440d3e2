// Plays a manifest in a real browser and says whether it is seamless.
//
// usage: node play.mjs MANIFEST [--joints 4,8,…] [--json]
//
// MANIFEST is the address or the path of a multivariant playlist. Joints are times in seconds; without them
// every segment boundary is one. Exit code: 0 seamless, 1 not (the reasons are printed), 2 could not be tried.

import { basename, dirname, resolve } from "node:path";
import { parseArgs } from "node:util";
import { withPage } from "./browser.mjs";
import { readRenditions } from "./playlists.mjs";
import { serve } from "./server.mjs";
import { frameStep, judgeLevel, judgeRendition } from "./verdict.mjs";

/** The whole test of one manifest; resolves to its report. */
export async function play(manifest, joints = null) {
  const remote = /^https?:/.test(manifest);
  const server = await serve(remote ? null : dirname(resolve(manifest)));
  const url = remote ? manifest : `${server.origin}/media/${encodeURIComponent(basename(manifest))}`;
  try {
    const renditions = await readRenditions(url);
    const report = await withPage(async (page, version) => {
      await page.goto(server.origin);
      await page.waitForFunction("globalThis.probe && globalThis.Hls");
      return {
        manifest,
        browser: version,
        hls: await page.evaluate("Hls.version"),
        renditions: await testRenditions(page, renditions),
        levels: await testLevels(page, url, renditions, joints),
      };
    });
    const reasons = [...report.renditions, ...report.levels].flatMap(({ name, reasons }) => reasons.map((reason) => `${name}: ${reason}`));
    return { ok: reasons.length === 0, reasons, ...report };
  } finally {
    await server.close();
  }
}

async function testRenditions(page, renditions) {
  const results = [];
  for (const rendition of renditions) {
    const measured = await page.evaluate((rendition) => probe.appendRendition(rendition), rendition);
    const { uri, kind, mime, duration, segments } = rendition;
    const name = `bare ${new URL(uri).pathname.split("/").slice(-2).join("/")}`;
    results.push({ name, kind, mime, duration, segments: segments.length, buffered: measured.steps.at(-1) ?? [], reasons: judgeRendition(rendition, measured) });
  }
  return results;
}

async function testLevels(page, url, renditions, joints) {
  const levels = await page.evaluate((url) => probe.listLevels(url), url);
  const duration = Math.max(...renditions.map((rendition) => rendition.duration));
  const places = joints ?? boundaries(renditions[0]);
  const results = [];
  for (const [index, { name, hasVideo, frameRate }] of levels.entries()) {
    const level = { index, name, hasVideo };
    const measured = await page.evaluate((args) => probe.playLevel(...args), [url, index, places, hasVideo]);
    const step = hasVideo ? frameStep(measured.passages) : null;
    const joint = ({ joint, attempt, frames, dropped, stalls }) => ({ at: joint, attempt, frames: frames.length, dropped, stalls });
    results.push({
      name: `level ${name}`,
      frame_rate: frameRate,
      frame_step_ms: step && step * 1000,
      picture: measured.picture,
      duration: measured.duration,
      buffered: measured.buffered,
      dropped: measured.dropped,
      joints: measured.passages.map(joint),
      slowest_seek_ms: Math.max(0, ...measured.seeks.map((seek) => seek.ms)),
      seeks: measured.seeks.length,
      errors: measured.errors,
      reasons: judgeLevel(level, measured, duration),
    });
  }
  return results;
}

/** The times at which one segment gives way to the next. */
function boundaries({ segments }) {
  let time = 0;
  return segments.slice(0, -1).map(({ duration }) => (time += duration));
}

function print(report) {
  for (const { name, kind, segments, buffered, reasons } of report.renditions) {
    console.log(`${reasons.length ? "FAIL" : "ok  "} ${name}: ${kind}, ${segments} segments, buffered ${JSON.stringify(buffered)}`);
  }
  for (const { name, joints, seeks, slowest_seek_ms, frame_step_ms, dropped, reasons } of report.levels) {
    const frames = frame_step_ms ? `, frame step ${frame_step_ms.toFixed(2)} ms, ${dropped} dropped` : "";
    console.log(`${reasons.length ? "FAIL" : "ok  "} ${name}: ${joints.length} joints, ${seeks} seeks up to ${slowest_seek_ms.toFixed(0)} ms${frames}`);
  }
  for (const reason of report.reasons) console.log(`     ${reason}`);
}

async function main() {
  const options = { joints: { type: "string" }, json: { type: "boolean", default: false } };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const joints = values.joints?.split(",").filter(Boolean).map(Number) ?? null;
  if (positionals.length !== 1 || joints?.some((joint) => !Number.isFinite(joint))) {
    throw new Error("usage: node play.mjs MANIFEST [--joints 4,8,…] [--json]");
  }
  const report = await play(positionals[0], joints);
  if (values.json) console.log(JSON.stringify(report, null, 2));
  else print(report);
  return report.ok ? 0 : 1;
}

if (import.meta.main ?? process.argv[1] === import.meta.filename) {
  main().then(
    (code) => (process.exitCode = code),
    (error) => {
      console.error(error.message);
      process.exitCode = 2;
    },
  );
}
