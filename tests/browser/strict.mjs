// Reads a multivariant playlist and everything below it strictly, with two independent parsers.
//
// usage: node strict.mjs MANIFEST…
//
// Exit code: 0 both read everything without a word, 1 not (the reasons are printed), 2 could not be tried.

import HLS from "hls-parser";
import { Parser } from "m3u8-parser";

HLS.setOptions({ strictMode: true });

/** What is wrong with a playlist and those it leads to, in sentences. */
export async function complaints(url) {
  const found = [];
  const waiting = [url];
  for (let next = 0; next < waiting.length; next += 1) {
    const address = waiting[next];
    const { reasons, uris } = judge(await load(address));
    found.push(...reasons.map((reason) => `${address}: ${reason}`));
    for (const uri of uris) {
      const below = new URL(uri, address).href;
      if (!waiting.includes(below)) waiting.push(below);
    }
  }
  return found;
}

/** What is wrong with the text of a playlist, and the playlists it names. */
export function judge(text) {
  const reasons = [];
  let uris = [];
  try {
    const playlist = HLS.parse(text);
    if (playlist.isMasterPlaylist) uris = below(playlist);
    else reasons.push(...judgeSegments(playlist));
  } catch (error) {
    reasons.push(`hls-parser: ${error.message}`);
  }
  const parser = new Parser();
  parser.on("warn", ({ message }) => reasons.push(`m3u8-parser: ${message}`));
  parser.push(text);
  parser.end();
  return { reasons, uris };
}

function below({ variants }) {
  const own = variants.map((variant) => variant.uri);
  const beside = variants.flatMap((variant) => [...variant.audio, ...variant.subtitles, ...variant.video].map((rendition) => rendition.uri));
  return [...own, ...beside].filter(Boolean);
}

/** What the parser lets pass although the RFC does not (section 4.4.3.1). */
function judgeSegments({ segments, targetDuration, endlist }) {
  const reasons = endlist ? [] : ["it has no end"];
  const long = segments.filter(({ duration }) => Math.round(duration) > targetDuration);
  if (segments.length === 0) reasons.push("it has no segments");
  if (long.length > 0) reasons.push(`${long.length} segments last longer than the target duration of ${targetDuration} s`);
  return reasons;
}

async function load(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return response.text();
}

async function main(manifests) {
  if (manifests.length === 0) throw new Error("usage: node strict.mjs MANIFEST…");
  const reasons = (await Promise.all(manifests.map(complaints))).flat();
  for (const reason of reasons) console.log(`FAIL ${reason}`);
  if (reasons.length === 0) console.log(`ok   ${manifests.length} manifests`);
  return reasons.length === 0 ? 0 : 1;
}

if (import.meta.main ?? process.argv[1] === import.meta.filename) {
  main(process.argv.slice(2)).then(
    (code) => (process.exitCode = code),
    (error) => {
      console.error(error.message);
      process.exitCode = 2;
    },
  );
}
