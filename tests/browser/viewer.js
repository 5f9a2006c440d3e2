// Runs in the browser: watches an output as a viewer does, with either player. It only measures; judging is done outside.
//
// The sound is not believed but heard: an analyser listens to what the element plays.

const video = document.getElementById("video");

/** Longer than any honest operation here takes, in ms. */
const PATIENCE_MS = 20_000;
/** How much is played at each place, in seconds. */
const STRETCH = 1.2;

function within(promise, what) {
  const limit = new Promise((_, reject) => setTimeout(() => reject(new Error(`${what} took over ${PATIENCE_MS} ms`)), PATIENCE_MS));
  return Promise.race([promise, limit]);
}

const once = (target, event) => new Promise((resolve) => target.addEventListener(event, resolve, { once: true }));

const ranges = (buffered) => Array.from({ length: buffered.length }, (_, i) => [buffered.start(i), buffered.end(i)]);

/** hls.js behind the few words that both players share. */
function withHlsJs() {
  const hls = new Hls({ maxBufferLength: 3600, maxMaxBufferLength: 3600, maxBufferSize: 2 ** 30, enableWorker: false });
  const errors = [];
  hls.on(Hls.Events.ERROR, (_event, { details, fatal }) => errors.push(`${fatal ? "fatal " : ""}${details}`));
  const placeOf = ({ url }) => hls.audioTracks.findIndex((track) => track.url === url);
  const isPlaying = (track) => placeOf(track) >= 0 && placeOf(track) === hls.audioTrack;
  return {
    version: `hls.js ${Hls.version}`,
    errors,
    async load(url) {
      const parsed = new Promise((resolve) => hls.on(Hls.Events.MANIFEST_PARSED, resolve));
      hls.attachMedia(video);
      hls.loadSource(url);
      await parsed;
    },
    // Those of all groups; but which group plays is up to the level, which hls.js chooses: only the tracks of that one can be chosen.
    audio: () => hls.allAudioTracks.map((track) => ({ name: track.name, language: track.lang ?? null, channels: Number(track.channels ?? 0) || null, active: isPlaying(track), here: placeOf(track) >= 0 })),
    async chooseAudio(index) {
      const wanted = hls.allAudioTracks[index];
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
    levels: () => hls.levels.map(({ width, height, frameRate }) => ({ width, height, frameRate })),
    destroy: () => hls.destroy(),
  };
}

/** Shaka Player behind the same words. */
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
    errors,
    async load(url) {
      await player.attach(video);
      await player.load(url);
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
    chooseText: (index) => player.selectTextTrack(player.getTextTracks()[index]),
    levels: () => player.getVariantTracks().map(({ width, height, frameRate }) => ({ width, height, frameRate })),
    destroy: () => player.destroy(),
  };
}

/** Hears what the element plays, in every place of the page's life: an element can be tapped only once. */
const ear = (() => {
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
})();

/** Plays on for a while; frames the machine dropped say nothing about the output, so it may try again from where it was. */
async function playSmoothly(seconds) {
  let stretch;
  for (let attempt = 1; attempt <= 4; attempt += 1) {
    stretch = { attempt, ...(await playOn(seconds)) };
    if (stretch.dropped * 10 <= stretch.frames + stretch.dropped) break;
    await seek(stretch.from);
  }
  return stretch;
}

/** Plays on for a while; resolves to what was seen, and to the tone that was heard last, in Hz. */
async function playOn(seconds, look = () => {}) {
  const from = video.currentTime;
  const dropped = video.getVideoPlaybackQuality().droppedVideoFrames;
  // Counted here: the element's own count begins anew when a player changes the level.
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
    dropped: Math.max(0, video.getVideoPlaybackQuality().droppedVideoFrames - dropped),
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

/** The tracks of text that are shown. */
const shownTracks = () => Array.from(video.textTracks).filter(({ mode }) => mode === "showing");

/**
 * Plays from the start with one track of text shown; resolves to every cue when it was first seen: `{ text, at, begin, end }`. The text is
 * chosen before all is buffered: Shaka Player 5.2 does not get what is chosen later.
 */
async function readAlong(player, url, index, until) {
  const seen = new Map();
  const note = () => {
    for (const cue of shownTracks().flatMap((track) => Array.from(track.activeCues ?? []))) {
      const key = `${cue.startTime} ${cue.text}`;
      if (!seen.has(key)) seen.set(key, { text: cue.text, at: video.currentTime, begin: cue.startTime, end: cue.endTime });
    }
  };
  try {
    await within(player.load(url), "loading");
    player.chooseText(index);
    await video.play();
    await within(frameWhere(() => shownTracks().some(({ cues }) => cues?.length > 0)), `showing track ${index} of text`);
    video.pause();
    await seek(0);
    await playOn(until, note);
    return [...seen.values()];
  } finally {
    await player.destroy();
  }
}

/** Watches an output: the start, every track of sound, the end, and every track of text for `reading` seconds. */
async function watch(kind, url, reading) {
  const report = { audio: [], text: [], trouble: null };
  const open = kind === "shaka" ? withShaka : withHlsJs;
  try {
    await watchThrough(open(), url, report);
    for (const [index, track] of report.offered.entries()) {
      const player = open();
      report.text.push({ ...track, cues: await readAlong(player, url, index, reading) });
      report.errors.push(...player.errors);
    }
  } catch (error) {
    report.trouble = error.message ?? String(error);
  }
  return report;
}

async function watchThrough(player, url, report) {
  Object.assign(report, { player: player.version, errors: player.errors });
  try {
    await within(player.load(url), "loading");
    if (video.readyState < 3) await within(once(video, "canplay"), "the first picture or sound");
    Object.assign(report, { levels: player.levels(), offered: player.text(), duration: video.duration });
    report.start = await playSmoothly(STRETCH);
    for (const index of player.audio().keys()) {
      if (!player.audio()[index].here) {
        report.audio.push({ ...player.audio()[index], played: null });
        continue;
      }
      await within(player.chooseAudio(index), `switching to track ${index}`);
      const played = await playSmoothly(STRETCH);
      report.audio.push({ ...player.audio()[index], played });
    }
    await seek(Math.max(0, video.duration - STRETCH));
    const ended = once(video, "ended");
    await video.play();
    await within(ended, "playing to the end");
    Object.assign(report, { end: video.currentTime, picture: [video.videoWidth, video.videoHeight] });
  } finally {
    report.buffered = ranges(video.buffered);
    await player.destroy();
  }
}

globalThis.viewer = { watch };
