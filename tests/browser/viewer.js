// Runs in the browser: watches an output as a viewer does, with whichever player the page brings. It only measures; judging is done
// outside. Audio is measured, not assumed: an analyser reads what the element plays.

/** The element that plays, again for each player. */
let video;

/** Longer than any honest operation here takes, also on a busy machine, in ms. */
const PATIENCE_MS = 45_000;
/** How much is played at each place, in seconds. */
const STRETCH = 1.2;
/** Where seeks go, as shares of the length: far and near, forwards and backwards, into what is buffered and what is not. */
const SEEKS = [0.93, 0.1, 0.5, 0.04, 0.7, 0.3, 0.85, 0.2, 0.6, 0];
/** How often a playing player is checked, in ms, and how long its time may stall, in seconds, before that counts. */
const LOOK_MS = 50;
const STAND = 3.0;
/** By how much time may go back, or forth beyond what was played, in seconds, before that is a jump. */
const JUMP = 0.4;

function within(promise, what, patience = PATIENCE_MS) {
  const limit = new Promise((_, reject) => setTimeout(() => reject(new Error(`${what} took over ${patience} ms`)), patience));
  return Promise.race([promise, limit]);
}

const once = (target, event) => new Promise((resolve) => target.addEventListener(event, resolve, { once: true }));

const ranges = (buffered) => Array.from({ length: buffered.length }, (_, i) => [buffered.start(i), buffered.end(i)]);

/** Tracks of text that are shown, of an element or of a player that has its own. */
const shown = (tracks) => Array.from(tracks).filter(({ mode }) => mode === "showing");

/** hls.js behind the few words that all players share. */
function withHlsJs() {
  const hls = new Hls();
  const errors = [];
  hls.on(Hls.Events.ERROR, (_event, { details, fatal }) => errors.push(`${fatal ? "fatal " : ""}${details}`));
  // Versions before 1.5 report only the tracks of the group that plays.
  const allTracks = () => hls.allAudioTracks ?? hls.audioTracks;
  const placeOf = ({ url }) => hls.audioTracks.findIndex((track) => track.url === url);
  const isPlaying = (track) => placeOf(track) >= 0 && placeOf(track) === hls.audioTrack;
  return {
    version: `hls.js ${Hls.version}`,
    shown: () => shown(video.textTracks),
    errors,
    async load(url) {
      const parsed = new Promise((resolve) => hls.on(Hls.Events.MANIFEST_PARSED, resolve));
      hls.attachMedia(video);
      hls.loadSource(url);
      await parsed;
    },
    // Those of all groups; but which group plays is up to the level, which hls.js chooses: only the tracks of that one can be chosen.
    audio: () => allTracks().map((track) => ({ name: track.name, language: track.lang ?? null, channels: Number(track.channels ?? 0) || null, active: isPlaying(track), here: placeOf(track) >= 0 })),
    async chooseAudio(index) {
      const wanted = allTracks()[index];
      if (isPlaying(wanted)) return;
      const switched = new Promise((resolve) => hls.on(Hls.Events.AUDIO_TRACK_SWITCHED, () => isPlaying(wanted) && resolve()));
      hls.audioTrack = placeOf(wanted);
      await switched;
    },
    text: () => hls.subtitleTracks.map(({ name, lang }) => ({ name, language: lang ?? null })),
    chooseText(index) {
      hls.subtitleDisplay = true;
      hls.subtitleTrack = index;
    },
    levels: () => hls.levels.map(({ height }) => height),
    chooseLevel: (height) => (hls.currentLevel = hls.levels.findIndex((level) => level.height === height)),
    destroy: () => hls.destroy(),
  };
}

/** Shaka Player behind the same words; it alone can play the I-frame playlist, by `skim`. */
function withShaka() {
  shaka.polyfill.installAll();
  const player = new shaka.Player();
  const errors = [];
  player.addEventListener("error", ({ detail }) => errors.push(`${detail.severity === 2 ? "fatal " : ""}${detail.code} ${detail.message}`));
  const sameAs = (one, other) => one.language === other.language && one.label === other.label && one.channelsCount === other.channelsCount;
  // Its order is its own: sorted, both players can be held against the same list.
  const audioTracks = () => player.getAudioTracks().sort((one, other) => `${one.label}${one.channelsCount}`.localeCompare(`${other.label}${other.channelsCount}`));
  return {
    version: `shaka ${shaka.Player.version}`,
    shown: () => shown(video.textTracks),
    errors,
    async load(url) {
      await player.attach(video);
      // Shaka Player 4 waits for a seek to the begin of a list that grows, a millisecond away, and at times misses it.
      await player.load(url, ...(shaka.Player.version.startsWith("v4.") ? [0] : []));
    },
    audio: () => audioTracks().map(({ label, language, channelsCount, active }) => ({ name: label, language, channels: channelsCount, active, here: true })),
    async chooseAudio(index) {
      const wanted = audioTracks()[index];
      const switched = once(player, "audiotrackschanged");
      if (wanted.active) return;
      player.selectAudioTrack(wanted);
      await Promise.race([switched, once(player, "variantchanged"), once(player, "adaptation")]);
      if (!audioTracks().some((track) => track.active && sameAs(track, wanted))) throw new Error("shaka chose another track");
    },
    text: () => player.getTextTracks().map(({ label, language }) => ({ name: label, language })),
    chooseText(index) {
      player.selectTextTrack(player.getTextTracks()[index]);
      player.setTextTrackVisibility?.(true);
    },
    levels: () => player.getVariantTracks().map(({ height }) => height),
    chooseLevel(height) {
      player.configure("abr.enabled", false);
      const { audioId } = player.getVariantTracks().find(({ active }) => active);
      player.selectVariantTrack(player.getVariantTracks().find((track) => track.height === height && track.audioId === audioId), true);
    },
    async skim() {
      player.trickPlay(4);
      const until = Math.min(6, video.duration - 1);
      await frameWhere(() => errors.length > 0 || video.currentTime >= until || video.ended);
      player.cancelTrickPlay();
    },
    destroy: () => player.destroy(),
  };
}

/** The address of a copy of a multivariant playlist that has only its first variant of this many lines. */
async function manifestOf(url, height) {
  const lines = (await (await fetch(url)).text()).split("\n");
  const wanted = lines.find((line) => line.startsWith("#EXT-X-STREAM-INF") && line.match(`RESOLUTION=\\d+x${height}\\b`));
  const isOther = (line) => line?.startsWith("#EXT-X-STREAM-INF") && line !== wanted;
  const kept = lines.filter((line, i) => !isOther(line) && !isOther(lines[i - 1]));
  const absolute = kept.map((line) => (line && !line.startsWith("#") ? new URL(line, url).href : line.replace(/URI="(.*?)"/, (_, uri) => `URI="${new URL(uri, url)}"`)));
  return URL.createObjectURL(new Blob([absolute.join("\n")], { type: "application/vnd.apple.mpegurl" }));
}

/** video.js behind the same words. */
function withVideoJs() {
  // It loads nothing of a growing playlist before it is asked to play. Where the machine is too slow to play, it seeks to where it is, and without
  // the second option takes that for a seek beyond what it may show, and goes back by up to three target durations.
  const vhs = { overrideNative: true, allowSeeksWithinUnsafeLiveWindow: true };
  const options = { html5: { vhs, nativeAudioTracks: false, nativeVideoTracks: false }, autoplay: true };
  const player = videojs(video, options);
  const errors = [];
  player.on("error", () => errors.push(`fatal ${player.error().code} ${player.error().message}`));
  const text = () => Array.from(player.textTracks()).filter(({ kind }) => kind === "subtitles");
  const qualities = () => Array.from(player.qualityLevels());
  let source;
  const load = async (url) => {
    source ??= url;
    const loaded = new Promise((resolve) => player.one("loadedmetadata", resolve));
    player.src({ src: url, type: "application/vnd.apple.mpegurl" });
    player.preload("auto");
    await loaded;
  };
  return {
    version: `video.js ${videojs.VERSION}`,
    errors,
    shown: () => shown(player.textTracks()),
    load,
    audio: () => Array.from(player.audioTracks()).map(({ label, language, enabled }) => ({ name: label, language, channels: null, active: enabled, here: true })),
    async chooseAudio(index) {
      const wanted = player.audioTracks()[index];
      if (wanted.enabled) return;
      const before = (await playOn(STRETCH)).heard;
      wanted.enabled = true;
      await video.play();
      // It says nothing when the new sound is there; what was buffered of the old one is played meanwhile. No one can wait for it deaf.
      if (before === null) return;
      const begin = performance.now();
      const isAsBefore = async () => Math.abs(((await ear()) ?? 0) - before) < 20;
      while (performance.now() - begin < 5000 && (await isAsBefore())) await new Promise(requestAnimationFrame);
    },
    text: () => text().map(({ label, language }) => ({ name: label, language })),
    chooseText: (index) => text().forEach((track, i) => (track.mode = i === index ? "showing" : "disabled")),
    levels: () => qualities().map(({ height }) => height),
    // It changes no rung where everything is buffered, so it is shown a manifest that has no other.
    chooseLevel: async (height) => load(await manifestOf(source, height)),
    destroy: () => player.dispose(),
  };
}

/** Opens a player on its own element. */
function open(kind, hears = false) {
  video?.remove();
  video = document.createElement("video");
  document.body.append(video);
  ear = hears ? hearing() : async () => null;
  return { "hls.js": withHlsJs, shaka: withShaka, "video.js": withVideoJs }[kind]();
}

let ear;

/** Hears what the element plays: its loudest tone in Hz, null where it is silent. An element can be tapped only once. */
function hearing() {
  let analyser = null;
  return async () => {
    if (!analyser) {
      const context = new AudioContext();
      analyser = context.createAnalyser();
      analyser.fftSize = 16_384;
      analyser.smoothingTimeConstant = 0;
      context.createMediaElementSource(video).connect(analyser).connect(context.destination);
      await within(context.resume(), "waking the ear");
    }
    const levels = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(levels);
    const loudest = levels.reduce((best, level, i) => (level > levels[best] ? i : best), 0);
    return levels[loudest] > -60 ? (loudest * analyser.context.sampleRate) / analyser.fftSize : null;
  };
}

/**
 * Plays on for a while; resolves to what was seen, and to the tone that was heard last, in Hz. Frames that were dropped are not counted:
 * they say how busy the machine is, and nothing of the output.
 */
async function playOn(seconds, look = () => {}) {
  const from = video.currentTime;
  // Counted here: the element's own count starts again when a player changes the level.
  let [frames, counting] = [0, true];
  const count = () => {
    frames += 1;
    if (counting) video.requestVideoFrameCallback(count);
  };
  video.requestVideoFrameCallback(count);
  await ear();
  await video.play();
  const until = Math.min(from + seconds, video.duration - 0.05);
  await within(frameWhere(() => look() || video.currentTime >= until || video.ended), `playing from ${from.toFixed(2)} s to ${until.toFixed(2)} s`);
  const heard = await ear();
  video.pause();
  counting = false;
  return {
    from,
    to: video.currentTime,
    frames,
    heard,
    ranges: ranges(video.buffered).length,
  };
}

/** Resolves with the first frame of the screen at which something holds. */
function frameWhere(holds) {
  return new Promise((resolve) => {
    const look = () => (holds() ? resolve() : requestAnimationFrame(look));
    look();
  });
}

async function seek(to) {
  const done = once(video, "seeked");
  video.currentTime = to;
  await within(done, `the seek to ${to.toFixed(3)} s`);
}

/** Plays a little at each of ten places; resolves to those at which time did not advance. */
async function seekAround() {
  const stuck = [];
  for (const share of SEEKS) {
    const to = share * video.duration;
    await seek(to);
    await video.play();
    const goesOn = frameWhere(() => video.currentTime > to + 0.1 || video.ended);
    await within(goesOn, `playing on from ${to.toFixed(2)} s`).catch(() => stuck.push(to));
    video.pause();
  }
  return stuck;
}

/**
 * Plays on until the element says that it ended, or for `limit` seconds. Resolves to what was seen of time:
 * `{ began, ended, at, duration, seconds, stands: [[at, seconds]], jumps: [[from, to]] }`.
 */
function playOut(limit) {
  const seen = { began: null, ended: false, stands: [], jumps: [] };
  const begin = performance.now();
  let [last, moved] = [video.currentTime, begin];
  video.play().catch(() => {});
  return new Promise((resolve) => {
    const look = () => {
      const now = performance.now();
      const at = video.currentTime;
      const stood = (now - moved) / 1000;
      if (seen.began === null && !video.paused && at > last) seen.began = last;
      if (at !== last) {
        if (seen.began !== null && stood > STAND) seen.stands.push([last, stood]);
        if (at < last - JUMP || at > last + stood + JUMP) seen.jumps.push([last, at]);
        [last, moved] = [at, now];
      }
      if (video.ended || now - begin > limit * 1000) {
        clearInterval(timer);
        resolve({ ...seen, ended: video.ended, at, duration: video.duration, seconds: (now - begin) / 1000 });
      }
    };
    const timer = setInterval(look, LOOK_MS);
  });
}

/**
 * Plays from the start with one track of text shown; resolves to every cue when it was first seen: `{ text, at, begin, end }`. The text is
 * chosen before all is buffered: Shaka Player 5.2 does not get what is chosen later.
 */
async function readAlong(player, url, index, until) {
  const seen = new Map();
  const note = () => {
    for (const cue of player.shown().flatMap((track) => Array.from(track.activeCues ?? []))) {
      const key = `${cue.startTime} ${cue.text}`;
      if (!seen.has(key)) seen.set(key, { text: cue.text, at: video.currentTime, begin: cue.startTime, end: cue.endTime });
    }
  };
  try {
    await within(player.load(url), "loading");
    player.chooseText(index);
    await video.play();
    await within(frameWhere(() => player.shown().some(({ cues }) => cues?.length > 0)), `showing track ${index} of text`);
    video.pause();
    await seek(0);
    await playOn(until, note);
    return [...seen.values()];
  } finally {
    await player.destroy();
  }
}

/**
 * Watches an output: the start, every rung, ten seeks, every track of sound, the I-frame playlist where the player can, everything from
 * the beginning to the end, and every track of text for `reading` seconds.
 */
async function watch(kind, url, reading, hears) {
  const report = { audio: [], rungs: [], text: [], errors: [], trouble: null };
  try {
    await watchThrough(open(kind, hears), url, report);
    for (const [index, track] of report.offered.entries()) {
      const player = open(kind);
      report.text.push({ ...track, cues: await readAlong(player, url, index, reading) });
      report.errors.push(...player.errors);
    }
  } catch (error) {
    report.trouble = error.message ?? String(error);
  }
  return report;
}

async function watchThrough(player, url, report) {
  Object.assign(report, { version: player.version, errors: player.errors });
  try {
    await within(player.load(url), "loading");
    if (video.readyState < 3) await within(once(video, "canplay"), "the first picture or sound");
    report.start = await playOn(STRETCH);
    Object.assign(report, { offered: player.text(), duration: video.duration });
    report.stuck = await seekAround();
    for (const height of new Set(player.levels().filter(Boolean))) {
      await seek(0);
      await player.chooseLevel(height);
      await video.play();
      await within(frameWhere(() => video.videoHeight === height || Math.min(video.videoWidth, video.videoHeight) === height), `the rung of ${height} lines`);
      report.rungs.push({ height, played: await playOn(STRETCH) });
    }
    for (const index of player.audio().keys()) {
      if (!player.audio()[index].here) {
        report.audio.push({ ...player.audio()[index], played: null });
        continue;
      }
      await seek(0);
      await within(player.chooseAudio(index), `switching to track ${index}`);
      const played = await playOn(STRETCH);
      report.audio.push({ ...player.audio()[index], played });
    }
    if (player.skim && video.videoHeight > 0) {
      await seek(0);
      await video.play();
      await within(player.skim(), "playing the I-frame playlist");
    }
    await seek(0);
    report.whole = await playOut(video.duration + PATIENCE_MS / 1000);
    report.picture = [video.videoWidth, video.videoHeight];
  } finally {
    report.buffered = ranges(video.buffered);
    await player.destroy();
  }
}

/** Follows a live output from where the player begins to its end, for at most `limit` seconds. */
async function follow(kind, url, limit) {
  const player = open(kind);
  // Audio is not needed; muted media may start in any browser.
  video.muted = true;
  const report = { version: player.version, errors: player.errors, trouble: null };
  try {
    await within(player.load(url), "loading");
    Object.assign(report, await playOut(limit));
  } catch (error) {
    report.trouble = error.message ?? String(error);
  } finally {
    await player.destroy();
  }
  return report;
}

globalThis.viewer = { watch, follow };
