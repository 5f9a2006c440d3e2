// The player: one manifest at a time, with a choice of its qualities.

import { bitRate } from "./format.js";

const AUTO = -1;
const RETRY_AFTER_MS = 2000;

/** Plays manifests in `video` and lists their qualities in `quality`, a `<select>`. */
export class Player {
  #video;
  #quality;
  #onFault;
  #onQualities;
  #hls = null;
  #url = null;
  #mediaErrors = 0;

  constructor({ video, quality, onFault, onQualities }) {
    this.#video = video;
    this.#quality = quality;
    this.#onFault = onFault;
    this.#onQualities = onQualities;
    quality.addEventListener("change", () => {
      if (this.#hls) this.#hls.nextLevel = Number(quality.value);
      this.#nameAuto();
    });
  }

  /** What is loaded, or null. */
  get url() {
    return this.#url;
  }

  /** Whether someone is watching right now. */
  get busy() {
    return this.#url !== null && !this.#video.paused && !this.#video.ended;
  }

  /** Loads a manifest from `at` seconds on (-1: where it says) and plays if `play`. */
  load(url, { poster = null, play = true, at = -1 } = {}) {
    this.#unload();
    this.#url = url;
    if (poster) this.#video.poster = poster;
    else this.#video.removeAttribute("poster");
    if (globalThis.Hls?.isSupported()) this.#loadByScript(url, at);
    else this.#loadNatively(url, at);
    if (play) this.#play();
  }

  /** Goes over to another manifest of the same video, at the same place. */
  replace(url, poster) {
    const { paused, ended, currentTime } = this.#video;
    this.load(url, { poster, play: !paused && !ended, at: ended ? 0 : currentTime });
  }

  #unload() {
    this.#hls?.destroy();
    this.#hls = null;
    this.#mediaErrors = 0;
    this.#onFault(null);
    this.#onQualities(false);
  }

  #loadByScript(url, startPosition) {
    // Fragmented MP4 needs no conversion, hence no worker.
    const hls = new Hls({ enableWorker: false, startPosition });
    this.#hls = hls;
    hls.on(Hls.Events.MANIFEST_PARSED, () => {
      if (!playsSurround()) dropSurround(hls);
      this.#listQualities();
    });
    hls.on(Hls.Events.LEVEL_SWITCHED, () => this.#nameAuto());
    hls.on(Hls.Events.ERROR, (_, error) => this.#recover(hls, error));
    hls.loadSource(url);
    hls.attachMedia(this.#video);
  }

  /** Safari on a phone plays HLS itself and chooses the quality itself. */
  #loadNatively(url, at) {
    if (!this.#video.canPlayType("application/vnd.apple.mpegurl")) {
      this.#onFault("This browser can play neither HLS nor Media Source Extensions.");
      return;
    }
    this.#video.src = url;
    this.#video.onerror = () => this.#onFault("The browser could not play this.");
    if (at > 0) this.#video.addEventListener("loadedmetadata", () => (this.#video.currentTime = at), { once: true });
  }

  /** Plays; without sound where the browser wants a click before it makes noise. */
  #play() {
    this.#video.play().catch((error) => {
      if (error.name !== "NotAllowedError") return;
      this.#video.muted = true;
      this.#video.play().catch(() => {});
    });
  }

  #recover(hls, { fatal, type, details }) {
    if (!fatal) return;
    if (type === Hls.ErrorTypes.MEDIA_ERROR && this.#mediaErrors < 2) {
      this.#mediaErrors += 1;
      hls.recoverMediaError();
      return;
    }
    this.#onFault(`Playback stopped (${details}).`);
    if (type !== Hls.ErrorTypes.NETWORK_ERROR) return;
    setTimeout(() => {
      // Someone may have loaded something else in the meantime.
      if (this.#hls !== hls) return;
      this.load(this.#url, { poster: this.#video.poster, play: !this.#video.paused, at: this.#video.currentTime });
    }, RETRY_AFTER_MS);
  }

  #listQualities() {
    const seen = new Set();
    const levels = this.#hls.levels.map((level, index) => ({ index, level, name: levelName(level) }));
    const distinct = levels.filter(({ name }) => !seen.has(name) && seen.add(name));
    distinct.sort((a, b) => b.level.height - a.level.height || b.level.bitrate - a.level.bitrate);
    const options = distinct.map(({ index, level, name }) => new Option(`${name} · ${bitRate(level.averageBitrate)}`, index));
    this.#quality.replaceChildren(new Option("Auto", AUTO), ...options);
    this.#quality.value = AUTO;
    this.#onQualities(distinct.length > 1);
  }

  /** The first choice says which quality "auto" is showing now. */
  #nameAuto() {
    const auto = this.#quality.options[0];
    const level = this.#hls?.levels[this.#hls.currentLevel];
    if (auto) auto.textContent = level && this.#hls.autoLevelEnabled ? `Auto · ${levelName(level)}` : "Auto";
  }
}

/** Whether six channels would be audible. */
function playsSurround() {
  const audio = new AudioContext();
  const { maxChannelCount } = audio.destination;
  audio.close();
  return maxChannelCount >= 6;
}

/** hls.js selects a variant with 5.1 only for its higher rate; with two channels, a viewer would load more than is audible. */
function dropSurround(hls) {
  const surround = new Set(hls.allAudioTracks.filter(({ channels }) => Number.parseInt(channels, 10) > 2).map(({ groupId }) => groupId));
  const isStereo = ({ audioGroups }) => !audioGroups?.some((group) => surround.has(group));
  for (const [index, level] of [...hls.levels.entries()].reverse()) if (!isStereo(level)) hls.removeLevel(index);
}

/** A level's name by its short side, such as `1080p` or `1080p60`. */
function levelName(level) {
  if (!level.width || !level.height) return bitRate(level.averageBitrate);
  const rate = level.frameRate > 30.5 ? Math.round(level.frameRate) : "";
  return `${Math.min(level.width, level.height)}p${rate}`;
}
