// Follows a live output from its beginning to its end with all players at once: those that join now, and those that join late.
//
// usage: node grow.mjs MANIFEST [--late SECONDS] [--player hls.js,shaka] [--browser firefox] [--limit SECONDS]
//
// A player may stand, since the encoder may have made no more and the machine may be busy, but it may not jump, it has to begin at the
// beginning, and it has to end: one that has not within --limit seconds (180) waits for what never comes. Prints what was seen as JSON,
// `{ encoded_in, viewings: [{ player, late, reasons, … }] }`. Exit code: 0 all of them did, 1 one did not, 2 could not be tried.

import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Parser } from "m3u8-parser";
import { withBrowser } from "./browser.mjs";
import { choosePlayers, withPlayers } from "./players.mjs";
import { serve } from "./server.mjs";
import { judgeTime } from "./viewing.mjs";

/** Seconds for which a player is watched at most. */
const LIMIT = 180;
/** Where a player has to begin, in seconds. */
const BEGIN = 0.5;

async function parse(url) {
  const parser = new Parser();
  parser.push(await (await fetch(url, { cache: "no-store" })).text());
  parser.end();
  return parser.manifest;
}

/** Reads the playlist of the lowest rung until it ends; resolves to `{ grew, sealed }`: whether it grew, and when it ended, in ms. */
async function readToTheEnd(manifest) {
  const { playlists } = await parse(manifest);
  const lowest = new URL(playlists.at(-1).uri, manifest);
  for (let looks = 0; ; looks += 1) {
    if ((await parse(lowest)).endList) return { grew: looks > 0, sealed: performance.now() };
    await setTimeout(250);
  }
}

/** What is wrong with how a player followed. */
function judgeFollowing(seen) {
  const reasons = seen.errors.filter((error) => error.startsWith("fatal ")).map((error) => `error ${error}`);
  if (seen.trouble) return [...reasons, seen.trouble];
  if (seen.began === null || seen.began > BEGIN) reasons.push(`it began at ${seen.began} s`);
  return [...reasons, ...judgeTime(seen, true)];
}

async function main() {
  const options = { late: { type: "string" }, player: { type: "string" }, browser: { type: "string" }, limit: { type: "string" } };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  if (positionals.length !== 1) throw new Error("usage: node grow.mjs MANIFEST [--late SECONDS] [--player hls.js,shaka] [--browser firefox] [--limit SECONDS]");
  const [manifest] = positionals;
  const players = choosePlayers(values.player);
  const server = await serve(null);
  try {
    const begin = performance.now();
    const follow = async (late) => {
      await setTimeout(late * 1000);
      const play = (browser) => withPlayers(browser, server.origin, players, "follow", [manifest, Number(values.limit ?? LIMIT)]);
      const seen = await withBrowser(play, values.browser);
      return seen.map((one) => ({ ...one, late, reasons: judgeFollowing(one) }));
    };
    const joins = new Set([0, Number(values.late ?? 0)]);
    const [{ grew, sealed }, ...seen] = await Promise.all([readToTheEnd(manifest), ...[...joins].map(follow)]);
    const viewings = seen.flat();
    if (!grew) throw new Error("it was finished before it was watched");
    console.log(JSON.stringify({ encoded_in: (sealed - begin) / 1000, viewings }));
    return viewings.some(({ reasons }) => reasons.length > 0) ? 1 : 0;
  } finally {
    await server.close();
  }
}

main().then(
  (code) => (process.exitCode = code),
  (error) => {
    console.error(error.message);
    process.exitCode = 2;
  },
);
