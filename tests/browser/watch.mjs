// Watches a manifest as a viewer does, with all players at once, again with each alone that found something wrong, and says what is.
//
// usage: node watch.mjs MANIFEST [--player hls.js,shaka] [--browser firefox] [--tones en=440,de=660] [--cues de=1.0:Hallo,en=2:Hello] [--channels 2,6] [--json]
//
// It plays the start, seeks ten times, shows every rung, switches to every track of sound and hears it, skims the I-frame playlist where
// the player can, plays everything from the beginning to the end, and shows every track of text. With --tones each language has to hum
// its tone, with --cues each has to show its cues, with --channels there have to be renditions of so many channels. Firefox is not
// listened to, and shown no sound alone. Exit code: 0 nothing is wrong, 1 something is, 2 could not be tried.

import { basename, dirname, resolve } from "node:path";
import { parseArgs } from "node:util";
import { withBrowser } from "./browser.mjs";
import { choosePlayers, withPlayers } from "./players.mjs";
import { serve } from "./server.mjs";
import { judgeViewing } from "./viewing.mjs";

/** The whole test of one manifest; resolves to its report. */
export async function watch(manifest, players, browserName, expected) {
  // Firefox plays no sound where there is no device for it: no one can hear there, and of sound alone there is nothing to watch.
  const hears = browserName !== "firefox";
  const remote = /^https?:/.test(manifest);
  const server = await serve(remote ? null : dirname(resolve(manifest)));
  const url = remote ? manifest : `${server.origin}/media/${encodeURIComponent(basename(manifest))}`;
  const reading = Math.max(0, ...expected.cues.map(({ at }) => at)) + 0.8;
  try {
    const hasPictures = (await (await fetch(url)).text()).includes("RESOLUTION=");
    return await withBrowser(async (browser) => {
      const viewed = async (names) => {
        const measured = await withPlayers(browser, server.origin, names, "watch", [url, reading, hears]);
        return measured.map((viewing) => ({ ...viewing, reasons: judgeViewing(viewing, hears ? expected : { ...expected, tones: new Map() }) }));
      };
      const viewings = await viewed(hears || hasPictures ? players : []);
      // All at once may be too much for the machine: what is wrong with the output is wrong when a player is alone, too.
      for (const [i, { player, reasons }] of viewings.entries()) if (reasons.length > 0) viewings[i] = { ...(await viewed([player]))[0], before: reasons };
      const reasons = viewings.flatMap(({ player, reasons }) => reasons.map((reason) => `${player}: ${reason}`));
      return { ok: reasons.length === 0, manifest, browser: await browser.version(), reasons, viewings };
    }, browserName);
  } finally {
    await server.close();
  }
}

/** `key=value` pairs, separated by commas. */
const pairs = (text) => (text ?? "").split(",").filter(Boolean).map((pair) => pair.split(/=(.*)/s).slice(0, 2));

function expectation({ tones, cues, channels }) {
  return {
    tones: new Map(pairs(tones).map(([language, tone]) => [language, Number(tone)])),
    cues: pairs(cues).map(([language, cue]) => {
      const [at, text] = cue.split(/:(.*)/s);
      return { language, at: Number(at), text };
    }),
    channels: (channels ?? "").split(",").filter(Boolean).map(Number),
  };
}

async function main() {
  const options = { player: { type: "string" }, browser: { type: "string" }, tones: { type: "string" }, cues: { type: "string" }, channels: { type: "string" }, json: { type: "boolean", default: false } };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  if (positionals.length !== 1) {
    throw new Error("usage: node watch.mjs MANIFEST [--player hls.js,shaka] [--browser firefox] [--tones en=440,…] [--cues en=1.5:text,…] [--channels 2,6] [--json]");
  }
  const report = await watch(positionals[0], choosePlayers(values.player), values.browser, expectation(values));
  if (values.json) console.log(JSON.stringify(report, null, 2));
  else console.log(report.ok ? `ok   ${report.viewings.map(({ player }) => player).join(", ")}` : report.reasons.map((reason) => `FAIL ${reason}`).join("\n"));
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
