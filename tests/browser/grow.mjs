// Watches a growing output from its beginning to its end, as a viewer who begins while it is encoded.
//
// usage: node grow.mjs MANIFEST
//
// Prints what was seen as JSON. Exit code: 0 it played to its end without a stall or an error, 1 it did not (the reasons are printed).

import { withPage } from "./browser.mjs";
import { serve } from "./server.mjs";

/** Runs in the page: plays with hls.js as it comes, until the element says that it ended. */
const watch = (url) =>
  new Promise((resolve) => {
    const video = document.getElementById("video");
    const hls = new Hls();
    const seen = { errors: [], stalls: [], began: null, ended: false, live: null };
    let playing = false;
    hls.on(Hls.Events.ERROR, (_event, { details, fatal }) => seen.errors.push(`${fatal ? "fatal " : ""}${details}`));
    hls.on(Hls.Events.LEVEL_LOADED, (_event, { details }) => (seen.live ??= details.live));
    video.addEventListener("playing", () => {
      seen.began ??= video.currentTime;
      playing = true;
    });
    video.addEventListener("waiting", () => playing && !video.ended && seen.stalls.push(video.currentTime));
    video.addEventListener("ended", () => {
      hls.destroy();
      resolve({ ...seen, ended: true, at: video.currentTime, duration: video.duration, dropped: video.getVideoPlaybackQuality().droppedVideoFrames });
    });
    setTimeout(() => resolve({ ...seen, at: video.currentTime, duration: video.duration }), 240_000);
    hls.attachMedia(video);
    hls.loadSource(url);
    video.play();
  });

const [manifest] = process.argv.slice(2);
const server = await serve(null);
try {
  const seen = await withPage(async (page) => {
    await page.goto(server.origin);
    await page.waitForFunction("globalThis.Hls");
    return page.evaluate(watch, manifest);
  });
  const reasons = [];
  if (!seen.live) reasons.push("it was finished before it was watched");
  if (!seen.ended) reasons.push(`it stood at ${seen.at} of ${seen.duration} s`);
  if (seen.began > 0.5) reasons.push(`it began at ${seen.began} s`);
  if (seen.errors.length) reasons.push(`errors: ${seen.errors.join(", ")}`);
  if (seen.stalls.length) reasons.push(`stalls at ${seen.stalls.join(", ")} s`);
  console.log(JSON.stringify({ ...seen, reasons }));
  process.exitCode = reasons.length ? 1 : 0;
} finally {
  await server.close();
}
