// Runs in the browser: plays levels with hls.js and appends renditions to a bare MediaSource.
// It only measures; judging is done outside.

const video = document.getElementById("video");

/** Longer than any honest operation here takes, in ms. */
const PATIENCE_MS = 20_000;
/** How long hls.js may buffer nothing before we know that it stopped short of the end, in ms. */
const QUIET_MS = 5000;
/** How much is played on either side of a joint, in seconds. */
const MARGIN = 1.0;

function within(promise, what, patience = PATIENCE_MS) {
  const limit = new Promise((_, reject) => setTimeout(() => reject(new Error(`${what} took over ${patience} ms`)), patience));
  return Promise.race([promise, limit]);
}

const once = (target, event) => new Promise((resolve) => target.addEventListener(event, resolve, { once: true }));

const ranges = (buffered) => Array.from({ length: buffered.length }, (_, i) => [buffered.start(i), buffered.end(i)]);

// === with hls.js

/** The levels hls.js sees: `[{ name, hasVideo, frameRate }]`. */
async function listLevels(url) {
  const hls = new Hls({ autoStartLoad: false });
  try {
    const failed = new Promise((_, reject) => hls.on(Hls.Events.ERROR, (_event, { details }) => reject(new Error(`hls.js: ${details}`))));
    const parsed = new Promise((resolve) => hls.on(Hls.Events.MANIFEST_PARSED, resolve));
    hls.loadSource(url);
    await within(Promise.race([parsed, failed]), "reading the manifest");
    return hls.levels.map((level) => ({
      name: level.height ? `${level.width}x${level.height}` : `${level.bitrate} b/s`,
      hasVideo: Boolean(level.videoCodec),
      frameRate: level.frameRate || null,
    }));
  } finally {
    hls.destroy();
  }
}

/** Buffers one level wholly, then plays and seeks around every joint. */
async function playLevel(url, level, joints, hasVideo) {
  const errors = [];
  const hls = new Hls({ maxBufferLength: 3600, maxMaxBufferLength: 3600, maxBufferSize: 2 ** 30, enableWorker: false });
  hls.on(Hls.Events.ERROR, (_event, { type, details, fatal }) => errors.push({ type, details, fatal }));
  // Any later, and the buffer is flushed under the seeks.
  hls.on(Hls.Events.MANIFEST_PARSED, () => (hls.loadLevel = level));
  const report = { errors, passages: [], seeks: [], trouble: null };
  try {
    const complete = bufferAll(hls);
    hls.loadSource(url);
    hls.attachMedia(video);
    report.complete = await complete;
    report.duration = video.duration;
    const inside = joints.filter((joint) => joint > 0 && joint < video.duration);
    for (const joint of inside) report.passages.push(await passJoint(joint, hasVideo));
    for (const joint of inside) report.seeks.push(...(await seekAround(joint, hasVideo)));
    report.reachedEnd = await playToEnd();
    report.loadedLevel = hls.loadLevel;
    report.dropped = video.getVideoPlaybackQuality().droppedVideoFrames;
    report.picture = [video.videoWidth, video.videoHeight];
  } catch (error) {
    report.trouble = error.message;
  } finally {
    report.buffered = ranges(video.buffered);
    hls.destroy();
    video.removeAttribute("src");
  }
  return report;
}

/** Resolves to true when hls.js has buffered everything, to false when it makes no progress before that. */
function bufferAll(hls) {
  return new Promise((resolve) => {
    const giveUp = () => resolve(false);
    let quiet = setTimeout(giveUp, PATIENCE_MS);
    hls.on(Hls.Events.FRAG_BUFFERED, () => {
      clearTimeout(quiet);
      quiet = setTimeout(giveUp, QUIET_MS);
    });
    hls.on(Hls.Events.BUFFERED_TO_END, () => {
      clearTimeout(quiet);
      resolve(true);
    });
  });
}

async function seek(to) {
  const begin = performance.now();
  const done = once(video, "seeked");
  video.currentTime = to;
  await within(done, `the seek to ${to.toFixed(3)} s`);
  return performance.now() - begin;
}

/** Plays across a joint; frames the machine dropped say nothing about the joint, so it may try again. */
async function passJoint(joint, hasVideo) {
  let passage;
  for (let attempt = 1; attempt <= 4; attempt += 1) {
    passage = { joint, attempt, ...(await playAcross(joint, hasVideo)) };
    if (passage.dropped === 0 && passage.stalls === 0) break;
  }
  return passage;
}

async function playAcross(joint, hasVideo) {
  await seek(Math.max(0, joint - MARGIN));
  const until = Math.min(joint + MARGIN, video.duration - 0.1);
  const frames = [];
  let collecting = hasVideo;
  const collect = (_now, { mediaTime, presentedFrames }) => {
    if (!collecting) return;
    frames.push([mediaTime, presentedFrames]);
    video.requestVideoFrameCallback(collect);
  };
  if (hasVideo) video.requestVideoFrameCallback(collect);
  const droppedBefore = video.getVideoPlaybackQuality().droppedVideoFrames;
  let stalls = 0;
  const stalled = () => (stalls += 1);
  await video.play();
  video.addEventListener("waiting", stalled);
  await within(reach(until), `playing from ${joint - MARGIN} s to ${until} s`);
  video.removeEventListener("waiting", stalled);
  collecting = false;
  video.pause();
  return { frames, stalls, dropped: video.getVideoPlaybackQuality().droppedVideoFrames - droppedBefore };
}

/** Resolves when playback is at `time` or at the end. */
function reach(time) {
  return new Promise((resolve) => {
    const look = () => {
      if (video.currentTime < time && !video.ended) return requestAnimationFrame(look);
      resolve();
    };
    look();
  });
}

/** Seeks onto a joint and to either side of it, each time from somewhere else. */
async function seekAround(joint, hasVideo) {
  const seeks = [];
  for (const offset of [-0.5, 0, 0.5, -0.05, 0.05]) {
    const to = joint + offset;
    if (to <= 0 || to >= video.duration) continue;
    await seek(to > video.duration / 2 ? 0 : Math.max(0, video.duration - 0.5));
    const frame = hasVideo ? shownFrame() : null;
    const ms = await seek(to);
    seeks.push({ to, ms, at: video.currentTime, shown: frame && (await within(frame.at(to), `the picture at ${to.toFixed(3)} s`)) });
  }
  return seeks;
}

/** Remembers the pictures shown from now on; `at(to)` resolves to the time of the first one near `to`. */
function shownFrame() {
  let arrived;
  const near = [];
  const look = (_now, { mediaTime }) => {
    near.push(mediaTime);
    arrived?.();
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
  const at = async (to) => {
    for (;;) {
      const found = near.find((time) => Math.abs(time - to) < 1);
      if (found !== undefined) return found;
      await new Promise((resolve) => (arrived = resolve));
    }
  };
  return { at };
}

async function playToEnd() {
  await seek(Math.max(0, video.duration - MARGIN));
  const end = once(video, "ended");
  await video.play();
  await within(end, "playing to the end");
  return video.currentTime;
}

// === without hls.js

/**
 * Appends a rendition byte for byte to a bare MediaSource; returns the buffered ranges after each segment. hls.js
 * may move segments to where the playlist wants them and so hide a wrong decode time; nothing does so here.
 */
async function appendRendition({ mime, map, segments }) {
  const report = { supported: MediaSource.isTypeSupported(mime), steps: [], trouble: null };
  if (!report.supported) return report;
  const source = new MediaSource();
  const address = URL.createObjectURL(source);
  const player = document.createElement("video");
  try {
    const opened = once(source, "sourceopen");
    player.src = address;
    await within(opened, "opening the MediaSource");
    const buffer = source.addSourceBuffer(mime);
    await append(buffer, map);
    for (const segment of segments) {
      await append(buffer, segment);
      report.steps.push(ranges(buffer.buffered));
    }
  } catch (error) {
    report.trouble = `${error.message}${player.error ? ` (${player.error.message})` : ""}`;
  } finally {
    player.removeAttribute("src");
    URL.revokeObjectURL(address);
  }
  return report;
}

async function append(buffer, { uri, byterange }) {
  const headers = byterange ? { range: `bytes=${byterange.offset}-${byterange.offset + byterange.length - 1}` } : {};
  const response = await fetch(uri, { headers });
  if (!response.ok) throw new Error(`${uri} answered ${response.status}`);
  const bytes = await response.arrayBuffer();
  const failed = once(buffer, "error").then(() => Promise.reject(new Error(`${uri} was refused by the decoder`)));
  const updated = once(buffer, "updateend");
  buffer.appendBuffer(bytes);
  await within(Promise.race([updated, failed]), `appending ${uri}`);
}

globalThis.probe = { listLevels, playLevel, appendRendition };
