// Drives the page of `fluxhls dev` as a user would: drops a file, or opens the job that the URL names, waits until it plays, tries another
// quality.
//
// usage: node page.mjs URL [FILE] [--screenshot PNG] [--timeout SECONDS] [--dark] [--width PIXELS] [--json]
//
// Exit code: 0 it plays, 1 it does not or the browser complained (the reasons are printed), 2 could not be tried.

import { basename, resolve } from "node:path";
import { parseArgs } from "node:util";
import { withPage } from "./browser.mjs";

/** The whole visit; resolves to its report. Without a file the URL names a job. */
export async function visit(page, url, file, patience) {
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(url);
  await page.waitForSelector("#connection[data-state=connected]", { timeout: patience });
  const name = file === undefined ? null : basename(file);
  await recordStates(page, name);
  const begin = performance.now();
  if (file !== undefined) await drop(page, file);
  const ended = await outcome(page, name, patience);
  const report = { url, file, complaints, states: await page.evaluate(() => globalThis.seenStates), ...ended };
  if (!ended.failure) {
    report.seconds_until_it_played = (performance.now() - begin) / 1000;
    report.qualities = await page.$$eval("#quality option", (options) => options.map(({ textContent }) => textContent));
    report.picture = await page.evaluate(() => [video.videoWidth, video.videoHeight]);
    report.lowest = await chooseLowest(page, patience);
    report.loaded = await page.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => name));
  }
  return report;
}

/** Drops the file in the middle of the page, by the browser's own drag and drop. */
async function drop(page, file) {
  const session = await page.createCDPSession();
  const { width, height } = await page.evaluate(() => ({ width: innerWidth, height: innerHeight }));
  const data = { items: [], files: [resolve(file)], dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"]) {
    await session.send("Input.dispatchDragEvent", { type, x: width / 2, y: height / 3, data });
  }
  await session.detach();
}

/** Has the page note every state that the file's card shows. */
function recordStates(page, name) {
  return page.evaluate((name) => {
    globalThis.seenStates = [];
    const look = () => {
      const card = [...document.querySelectorAll(".card")].find((card) => card.querySelector("h3").textContent === name);
      const state = card?.dataset.state;
      if (state && globalThis.seenStates.at(-1) !== state) globalThis.seenStates.push(state);
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true });
  }, name);
}

/** Waits until the video plays or the newest card of that name has failed. */
async function outcome(page, name, timeout) {
  const handle = await page.waitForFunction(
    (name) => {
      const video = document.getElementById("video");
      if (video.currentTime > 0.5 && !video.paused && video.readyState >= 3) return { failure: null, duration: video.duration };
      const card = [...document.querySelectorAll(".card")].find((card) => card.querySelector("h3").textContent === name);
      if (card?.dataset.state === "failed") return { failure: card.querySelector(".error").textContent };
      const fault = document.getElementById("fault");
      return fault.hidden ? null : { failure: fault.textContent };
    },
    { timeout, polling: 50 },
    name,
  );
  return handle.jsonValue();
}

/** Chooses the lowest quality and waits until its pictures are shown; null where there is no choice. */
async function chooseLowest(page, timeout) {
  const choice = await page.waitForSelector("#quality");
  if (!(await choice.isVisible())) return null;
  const { name, value } = await page.$$eval("#quality option", (options) => ({ name: options.at(-1).textContent, value: options.at(-1).value }));
  await page.select("#quality", value);
  const side = Number.parseInt(name, 10);
  await page.waitForFunction((side) => Math.min(video.videoWidth, video.videoHeight) === side, { timeout, polling: 50 }, side);
  return name;
}

async function main() {
  const options = {
    screenshot: { type: "string" },
    timeout: { type: "string", default: "120" },
    dark: { type: "boolean", default: false },
    width: { type: "string", default: "1280" },
    json: { type: "boolean", default: false },
  };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const [url, file] = positionals;
  if (positionals.length < 1 || positionals.length > 2) throw new Error("usage: node page.mjs URL [FILE] [--screenshot PNG] [--timeout SECONDS] [--dark] [--width PIXELS] [--json]");
  const report = await withPage(async (page) => {
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: values.dark ? "dark" : "light" }]);
    try {
      return await visit(page, url, file, Number(values.timeout) * 1000);
    } finally {
      if (values.screenshot) await page.screenshot({ path: values.screenshot });
    }
  }, { width: Number(values.width), height: 800 });
  const reasons = [report.failure, ...report.complaints].filter(Boolean);
  const states = report.states.length === 0 ? "" : `: ${report.states.join(", ")}`;
  if (values.json) console.log(JSON.stringify({ ok: reasons.length === 0, reasons, ...report }, null, 2));
  else console.log(reasons.length === 0 ? `ok   ${file ?? url} plays${states}` : `FAIL ${reasons.join("; ")}`);
  return reasons.length === 0 ? 0 : 1;
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
