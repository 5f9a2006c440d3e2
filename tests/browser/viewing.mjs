// The verdict on a viewing: what of the measurements is wrong, in sentences. Pure.

/** How exact things are: seconds for times, Hz for tones. */
const TOLERANCE = { end: 0.1, cue: 0.35, tone: 12 };

/** What is wrong with what was watched; `expected` is `{ tones: Map(language → Hz), cues: [{ language, at, text }], channels: [n] }`. */
export function judgeViewing(measured, expected) {
  // Players recover from the others on their own, as when hls.js switches between audio groups; play.mjs accepts none.
  const reasons = measured.errors.filter((error) => error.startsWith("fatal ")).map((error) => `error ${error}`);
  if (measured.trouble) return [...reasons, measured.trouble];
  const stretches = [["the start", measured.start], ...measured.rungs.map(({ height, played }) => [`the rung of ${height} lines`, played]), ...measured.audio.filter(({ played }) => played).map((track) => [`track ${track.name}`, track.played])];
  for (const [where, stretch] of stretches) reasons.push(...judgeStretch(where, stretch, measured));
  if (measured.buffered.length !== 1) reasons.push(`at the end the buffer holds ${JSON.stringify(measured.buffered)}`);
  reasons.push(...measured.stuck.map((at) => `time does not go on after the seek to ${at.toFixed(2)} s`), ...judgeTime(measured.whole));
  reasons.push(...judgeTones(measured, expected.tones), ...judgeCues(measured, expected.cues));
  // video.js does not report channels.
  for (const channels of measured.audio.some((track) => track.channels) ? expected.channels : []) {
    if (!measured.audio.some((track) => track.channels === channels)) reasons.push(`no track of ${channels} channels is offered`);
  }
  return reasons;
}

/** What is wrong with how time went while something was played out; `stands` that are the encoder's own are for the caller to judge. */
export function judgeTime({ ended, at, duration, stands, jumps }, mayStand = false) {
  const reasons = jumps.map(([from, to]) => `it jumps from ${from.toFixed(2)} to ${to.toFixed(2)} s`);
  if (!mayStand) reasons.push(...stands.map(([at, seconds]) => `it stands at ${at.toFixed(2)} s for ${seconds.toFixed(1)} s`));
  if (!ended) reasons.push(`it never ends, and stands at ${at.toFixed(2)} of ${duration ?? "unknown"} s`);
  else if (Math.abs(at - duration) > TOLERANCE.end) reasons.push(`it ended at ${at} of ${duration} s`);
  return reasons;
}

function judgeStretch(where, { from, to, frames, ranges }, { picture }) {
  const reasons = [];
  if (to <= from) reasons.push(`playback stands still at ${where}`);
  // None while a player empties it for another rung.
  if (ranges > 1) reasons.push(`the buffer has ${ranges} ranges at ${where}`);
  if (picture[0] > 0 && frames === 0) reasons.push(`no frame is shown at ${where}`);
  return reasons;
}

function judgeTones({ audio }, tones) {
  const reasons = [];
  for (const [language, tone] of tones) {
    const track = audio.find((track) => track.language === language && track.played) ?? audio.find((track) => track.language === language);
    if (!track) reasons.push(`no track in ${language} is offered, but ${audio.map((track) => track.language).join(", ") || "none"}`);
    else if (!track.played) reasons.push(`the track in ${language} cannot be chosen`);
    else if (!track.active) reasons.push(`the track in ${language} is not active after it was chosen`);
    else if (track.played.heard === null || Math.abs(track.played.heard - tone) > TOLERANCE.tone) {
      reasons.push(`${language} sounds of ${track.played.heard?.toFixed(0) ?? "nothing"} and not of ${tone} Hz`);
    }
  }
  return reasons;
}

function judgeCues({ text }, cues) {
  return cues.flatMap(({ language, at, text: words }) => {
    const track = text.find((track) => track.language === language);
    if (!track) return [`no text in ${language} is offered`];
    const shown = track.cues.filter((cue) => cue.text === words).map((cue) => cue.at);
    if (shown.length === 0) return [`${language} never shows "${words}", but ${JSON.stringify(track.cues.map((cue) => cue.text))}`];
    return Math.abs(shown[0] - at) <= TOLERANCE.cue ? [] : [`${language} shows "${words}" at ${shown[0].toFixed(2)} s and not at ${at} s`];
  });
}
