// Sample outputs, made by ffmpeg at run time: one that is right, and ones that are wrong in ways a player may hide.
// They are cut into chunks the way the service does it, so that the joints are real ones.

import { execFile } from "node:child_process";
import { cp, mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const RATE = { num: 30000, den: 1001 };
const SEGMENT_FRAMES = 120;
const CHUNK_FRAMES = 240;
const TOTAL_FRAMES = 600;
const RUNGS = [{ name: "360", size: "640x360" }, { name: "180", size: "320x180" }];

const seconds = (frames) => (frames * RATE.den) / RATE.num;
const ffmpeg = (args) => promisify(execFile)("ffmpeg", ["-hide_banner", "-nostdin", "-v", "error", "-y", ...args]);
const anonymous = (kind) => ["-map_metadata", "-1", "-fflags", "+bitexact", `-flags:${kind}`, "+bitexact", "-avoid_negative_ts", "disabled"];
const hls = (folder, fragment) => [
  ...["-f", "hls", "-hls_time", seconds(SEGMENT_FRAMES).toFixed(6), "-hls_segment_type", "fmp4", "-hls_playlist_type", "vod"],
  ...["-hls_flags", "independent_segments+temp_file", "-hls_fmp4_init_filename", "init.mp4"],
  ...["-hls_segment_options", `movflags=+frag_discont+skip_sidx${fragment}`],
  ...["-hls_segment_filename", `${folder}/%05d.m4s`, `${folder}/local.m3u8`],
];

/** The times at which one chunk gives way to the next. */
export const JOINTS = [1, 2].map((chunk) => seconds(chunk * CHUNK_FRAMES));

/** Makes the right output in `folder`; resolves to its manifest. */
export async function makeGood(folder) {
  const source = join(folder, "source.mp4");
  await mkdir(folder, { recursive: true });
  const picture = `testsrc2=size=640x360:rate=${RATE.num}/${RATE.den}:duration=${seconds(TOTAL_FRAMES)}`;
  const sound = `sine=frequency=440:sample_rate=48000:duration=${seconds(TOTAL_FRAMES)}`;
  const inputs = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound];
  await ffmpeg([...inputs, "-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-c:a", "aac", source]);
  for (const { name } of RUNGS) await mkdir(join(folder, name));
  for (let first = 0; first < TOTAL_FRAMES; first += CHUNK_FRAMES) await encodeChunk(source, folder, first);
  await encodeAudio(source, folder);
  await writePlaylists(folder);
  return join(folder, "master.m3u8");
}

async function encodeChunk(source, folder, first) {
  const last = first + CHUNK_FRAMES;
  const begin = first > 0 ? ["-noaccurate_seek", "-ss", `${seconds(first) - 0.5}`] : [];
  const split = RUNGS.map((_, i) => `[s${i}]`).join("");
  const scale = RUNGS.map(({ size }, i) => `[s${i}]scale=${size.replace("x", ":")},setsar=1,format=yuv420p[v${i}]`).join(";");
  const end = last < TOTAL_FRAMES ? `:end_pts=${last - first}` : "";
  const graph = `[0:v:0]setpts=PTS-(${first * RATE.den}/${RATE.num})/TB,fps=${RATE.num}/${RATE.den},trim=start_pts=0${end},split=${RUNGS.length}${split};${scale}`;
  const outputs = RUNGS.flatMap(({ name }, i) => [
    ...["-map", `[v${i}]`, "-fps_mode", "passthrough", "-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-crf", "23"],
    ...["-g", `${SEGMENT_FRAMES}`, "-keyint_min", `${SEGMENT_FRAMES}`, "-sc_threshold", "0", "-map_chapters", "-1", ...anonymous("v")],
    ...["-output_ts_offset", seconds(first).toFixed(6), "-start_number", `${first / SEGMENT_FRAMES}`],
    ...hls(join(folder, name), `:fragment_index=${1 + first / SEGMENT_FRAMES}`),
  ]);
  await ffmpeg(["-copyts", ...begin, "-i", source, "-filter_complex", graph, ...outputs]);
}

async function encodeAudio(source, folder) {
  await mkdir(join(folder, "audio"));
  const filter = "aresample=48000:async=1000:first_pts=0,aformat=sample_fmts=fltp:channel_layouts=stereo,atrim=start_sample=1024";
  await ffmpeg(["-copyts", "-vn", "-i", source, "-map", "0:a:0", "-af", filter, "-c:a", "aac", "-b:a", "96k", ...anonymous("a"), ...hls(join(folder, "audio"), "")]);
}

async function writePlaylists(folder) {
  const count = Math.ceil(TOTAL_FRAMES / SEGMENT_FRAMES);
  const video = Array.from({ length: count }, (_, i) => seconds(Math.min(SEGMENT_FRAMES, TOTAL_FRAMES - i * SEGMENT_FRAMES)));
  for (const { name } of RUNGS) await writePlaylist(join(folder, name), video);
  const local = await readFile(join(folder, "audio", "local.m3u8"), "utf8");
  await writePlaylist(join(folder, "audio"), [...local.matchAll(/#EXTINF:([\d.]+)/g)].map(([, duration]) => Number(duration)));
  const sound = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="stereo",NAME="main",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="audio/index.m3u8"';
  const variants = RUNGS.map(({ name, size }, i) => `#EXT-X-STREAM-INF:BANDWIDTH=${2000000 / (i + 1)},CODECS="avc1.64001e,mp4a.40.2",RESOLUTION=${size},FRAME-RATE=29.970,AUDIO="stereo"\n${name}/index.m3u8`);
  await writeFile(join(folder, "master.m3u8"), ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS", sound, ...variants, ""].join("\n"));
  const audioOnly = '#EXT-X-STREAM-INF:BANDWIDTH=110000,CODECS="mp4a.40.2"\naudio/index.m3u8';
  await writeFile(join(folder, "audio_only.m3u8"), ["#EXTM3U", "#EXT-X-VERSION:7", audioOnly, ""].join("\n"));
}

/**
 * Adds to a right output what viewers choose among: German in addition to English, each with its own tone, 5.1 as a second group, and German
 * subtitles. Resolves to the manifest, `choices.m3u8`.
 */
export async function addChoices(folder) {
  const tracks = { english: ["440", "2"], german: ["660", "2"], surround: ["440", "6"] };
  for (const [name, [tone, channels]] of Object.entries(tracks)) await encodeTone(folder, name, tone, channels);
  await writeFile(join(folder, "german.vtt"), "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n00:02.000 --> 00:03.500\nGuten Tag\n");
  const length = seconds(TOTAL_FRAMES);
  const subtitles = ["#EXTM3U", "#EXT-X-VERSION:7", `#EXT-X-TARGETDURATION:${Math.ceil(length)}`, "#EXT-X-PLAYLIST-TYPE:VOD", `#EXTINF:${length.toFixed(3)},`, "german.vtt", "#EXT-X-ENDLIST", ""];
  await writeFile(join(folder, "german.m3u8"), subtitles.join("\n"));
  const audio = (group, name, language, channels, uri, first) =>
    `#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="${group}",NAME="${name}",LANGUAGE="${language}",DEFAULT=${first ? "YES" : "NO"},AUTOSELECT=YES,CHANNELS="${channels}",URI="${uri}/index.m3u8"`;
  const media = [
    audio("stereo", "English", "en", 2, "english", true),
    audio("stereo", "German", "de", 2, "german", false),
    audio("surround", "English", "en", 6, "surround", true),
    '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subs",NAME="German",LANGUAGE="de",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,URI="german.m3u8"',
  ];
  const variants = ["stereo", "surround"].flatMap((group) =>
    RUNGS.map(({ name, size }, i) => `#EXT-X-STREAM-INF:BANDWIDTH=${2000000 / (i + 1)},CODECS="avc1.64001e,mp4a.40.2",RESOLUTION=${size},FRAME-RATE=29.970,AUDIO="${group}",SUBTITLES="subs"\n${name}/index.m3u8`),
  );
  await writeFile(join(folder, "choices.m3u8"), ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS", ...media, ...variants, ""].join("\n"));
  return join(folder, "choices.m3u8");
}

/** One track of sound with one tone. */
async function encodeTone(folder, name, tone, channels) {
  await mkdir(join(folder, name));
  const layout = channels === "6" ? "5.1" : "stereo";
  const input = `sine=frequency=${tone}:sample_rate=48000:duration=${seconds(TOTAL_FRAMES)},volume=4,pan=${layout}|${Array.from({ length: Number(channels) }, (_, i) => `c${i}=c0`).join("|")}`;
  await ffmpeg(["-f", "lavfi", "-i", input, "-af", "atrim=start_sample=1024", "-c:a", "aac", "-b:a", "96k", ...anonymous("a"), ...hls(join(folder, name), "")]);
  const local = await readFile(join(folder, name, "local.m3u8"), "utf8");
  await writePlaylist(join(folder, name), [...local.matchAll(/#EXTINF:([\d.]+)/g)].map(([, duration]) => Number(duration)));
}

async function writePlaylist(folder, durations) {
  const head = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:4", "#EXT-X-PLAYLIST-TYPE:VOD", '#EXT-X-MAP:URI="init.mp4"'];
  const segments = durations.map((duration, i) => `#EXTINF:${duration.toFixed(6)},\n${String(i).padStart(5, "0")}.m4s`);
  await writeFile(join(folder, "index.m3u8"), [...head, ...segments, "#EXT-X-ENDLIST", ""].join("\n"));
}

/** A copy in which one segment in the middle claims to begin half a second late. */
export async function makeWrongDecodeTime(good, folder) {
  return spoil(good, folder, (index, time) => (index === 3 ? time + 15 : time));
}

/** A copy in which everything from the first joint on is two frames late. */
export async function makeShiftedJoint(good, folder) {
  return spoil(good, folder, (index, time) => (index >= CHUNK_FRAMES / SEGMENT_FRAMES ? time + 2 : time));
}

/** A copy in which the last two frames before the first joint are missing and all times are right. */
export async function makeLostFrames(good, folder) {
  await cp(good, folder, { recursive: true });
  for (const { name } of RUNGS) {
    const path = join(folder, name, `${String(CHUNK_FRAMES / SEGMENT_FRAMES - 1).padStart(5, "0")}.m4s`);
    await writeFile(path, withoutLastSamples(await readFile(path), 2));
  }
  return join(folder, "master.m3u8");
}

/** Copies an output with every video segment's time, in frames, sent through `change(index, time)`. */
async function spoil(good, folder, change) {
  await cp(good, folder, { recursive: true });
  for (const { name } of RUNGS) {
    const names = (await readdir(join(folder, name))).filter((file) => file.endsWith(".m4s")).sort();
    const second = await readFile(join(folder, name, names[1]));
    const ticks = Number(second.readBigUInt64BE(decodeTimeOffset(second))) / SEGMENT_FRAMES;
    for (const [index, file] of names.entries()) {
      const bytes = await readFile(join(folder, name, file));
      bytes.writeBigUInt64BE(BigInt(Math.round(change(index, index * SEGMENT_FRAMES) * ticks)), decodeTimeOffset(bytes));
      await writeFile(join(folder, name, file), bytes);
    }
  }
  return join(folder, "master.m3u8");
}

/** Where the decode time of a segment is written: after the type, version and flags of its `tfdt` box. */
function decodeTimeOffset(bytes) {
  const type = bytes.indexOf("tfdt");
  if (type < 0 || bytes[type + 4] !== 1) throw new Error("no 64-bit tfdt");
  return type + 8;
}

/** The segment with a smaller sample count in its `trun` box; the samples' table and bytes stay where they are. */
function withoutLastSamples(bytes, count) {
  const type = bytes.indexOf("trun");
  bytes.writeUInt32BE(bytes.readUInt32BE(type + 8) - count, type + 8);
  return bytes;
}
