// Plays a manifest with the players outside browsers: mpv, VLC and GStreamer.
//
// usage: node native.mjs MANIFEST
//
// Each plays everything in real time to the end; mpv also seeks ten times. VLC is not shown sound alone. Exit code: 0 all did,
// 1 one did not (the reasons are printed), 2 could not be tried.

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { readRenditions } from "./playlists.mjs";

/** Seconds that starting, seeking and stopping may take in addition to playing. */
const GRACE = 30;
/** Seconds by which the time that a player reports may lag behind. */
const LAG = 1.5;
/** Seconds by which a paused player may differ from the target of a seek. */
const EXACT = 0.25;
/** Where mpv seeks, as shares of the length. */
const SEEKS = [0.93, 0.1, 0.5, 0.04, 0.7, 0.3, 0.85, 0.2, 0.6, 0];

/** Starts a program; `ended` resolves to `{ code, seconds, said }`, and it is killed when it takes longer than `limit` seconds. */
function start(program, args, limit) {
  const begin = performance.now();
  // VLC refuses to run as root.
  const user = program === "cvlc" && process.getuid() === 0 ? { uid: 65534, gid: 65534 } : {};
  const child = spawn(program, args, { ...user, env: { ...process.env, HOME: tmpdir() } });
  const timer = globalThis.setTimeout(() => child.kill("SIGKILL"), limit * 1000);
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (said += data));
  const ended = new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code, seconds: (performance.now() - begin) / 1000, said: said.slice(-2000) });
    });
  });
  return { child, ended };
}

/** What is wrong with a player that should have played this many seconds in real time. */
function judge({ code, seconds, said }, duration) {
  if (code !== 0) return [`it ended with ${code}: ${said}`];
  return seconds < duration * 0.9 ? [`it ended after ${seconds.toFixed(1)} of ${duration.toFixed(1)} s: ${said}`] : [];
}

/**
 * GStreamer plays in real time by its clock, and ends with 1 at the first error. By `playbin3`, whose HLS element took the place of the
 * one of `playbin`, which sometimes stalls when it changes the rung.
 */
async function playWithGstreamer(manifest, duration) {
  const sinks = ["video-sink=fakesink sync=true", "audio-sink=fakesink sync=true"];
  return judge(await start("gst-launch-1.0", ["-q", "playbin3", `uri=${manifest}`, ...sinks], duration + GRACE).ended, duration);
}

/** VLC is asked where it is while it plays. */
async function playWithVlc(manifest, duration) {
  const { child, ended } = start("cvlc", ["-I", "oldrc", "--rc-fake-tty", "--vout", "dummy", "--aout", "dummy", "--play-and-exit", manifest], duration + GRACE);
  let at = 0;
  createInterface({ input: child.stdout }).on("line", (line) => (at = Math.max(at, Number(line.match(/^(?:> )*(\d+)$/)?.[1] ?? 0))));
  const asking = setInterval(() => child.stdin.writable && child.stdin.write("get_time\n"), 200);
  child.stdin.on("error", () => {});
  const end = await ended;
  clearInterval(asking);
  const reasons = judge(end, duration);
  if (at < Math.floor(duration - LAG)) reasons.push(`it told ${at} of ${duration.toFixed(1)} s`);
  return reasons;
}

/** mpv plays everything, and then seeks in a second process. */
async function playWithMpv(manifest, duration) {
  const silent = ["--no-config", "--vo=null", "--ao=null"];
  const played = judge(await start("mpv", [...silent, manifest], duration + GRACE).ended, duration);
  return [...played, ...(await seekWithMpv([...silent, "--pause", manifest], duration))];
}

/**
 * Drives a paused mpv by its own protocol; resolves to what is wrong. It is asked for the next place once it reads no more: 0.35 with
 * ffmpeg 5.1 breaks off ("partial file") at seeks that interrupt its reading, also in what ffmpeg's own muxer made.
 */
async function seekWithMpv(args, duration) {
  const folder = await mkdtemp(join(tmpdir(), "fluxhls-mpv-"));
  const socket = join(folder, "mpv");
  const { child, ended } = start("mpv", [`--input-ipc-server=${socket}`, ...args], duration + SEEKS.length * 10 + GRACE);
  const reasons = [];
  try {
    let connection;
    while (!connection && child.exitCode === null) {
      await setTimeout(50);
      connection = await new Promise((resolve) => {
        const trying = connect(socket, () => resolve(trying)).on("error", () => resolve(null));
      });
    }
    const told = { "time-pos": null, "demuxer-cache-idle": false };
    let look = () => {};
    const until = (holds) => Promise.race([new Promise((resolve) => (look = () => holds() && resolve(true))()), ended, setTimeout(10_000)]);
    createInterface({ input: connection }).on("line", (line) => {
      const { event, name, data } = JSON.parse(line);
      if (event !== "property-change") return;
      told[name] = data ?? null;
      look();
    });
    connection.on("error", () => {});
    const say = (...command) => connection.write(`${JSON.stringify({ command })}\n`);
    for (const [id, name] of Object.keys(told).entries()) say("observe_property", id + 1, name);
    await until(() => told["time-pos"] !== null);

    for (const target of SEEKS.map((share) => share * duration)) {
      await until(() => told["demuxer-cache-idle"]);
      say("seek", target, "absolute+exact");
      const arrival = await until(() => told["time-pos"] !== null && Math.abs(told["time-pos"] - target) < EXACT);
      if (arrival !== true) reasons.push(`it is at ${told["time-pos"]} s after the seek to ${target} s`);
    }
    say("quit");
    const { code, said } = await ended;
    if (code !== 0) reasons.push(`it ended with ${code}: ${said}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return reasons;
}

async function main() {
  const [manifest] = process.argv.slice(2);
  const renditions = await readRenditions(manifest);
  const duration = Math.max(...renditions.map((rendition) => rendition.duration));
  // VLC 3.0 leaves sound alone a second before its end, also where ffmpeg's own muxer made it.
  const hasPictures = renditions.some(({ kind }) => kind === "video");
  const players = { mpv: playWithMpv, ...(hasPictures ? { VLC: playWithVlc } : {}), GStreamer: playWithGstreamer };
  const reasons = await Promise.all(Object.entries(players).map(async ([name, play]) => (await play(manifest, duration)).map((reason) => `${name}: ${reason}`)));
  console.log(JSON.stringify({ manifest, duration, reasons: reasons.flat() }, null, 1));
  return reasons.flat().length ? 1 : 0;
}

main().then(
  (code) => process.exit(code),
  (error) => {
    console.error(error.message);
    process.exit(2);
  },
);
