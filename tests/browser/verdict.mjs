// The verdict: what of the measurements is wrong, in sentences. Pure.

/** How exact things are, in seconds: frames and video are exact, audio comes in frames of 21 ms. */
export const TOLERANCE = { step: 0.0015, video: 0.005, audio: 0.025, end: 0.06 };

const seconds = (value) => `${value.toFixed(3)} s`;
const list = (ranges) => ranges.map(([from, to]) => `[${from.toFixed(3)}, ${to.toFixed(3)}]`).join(" ") || "nothing";

/** What is wrong with one rendition that was appended to a bare MediaSource. */
export function judgeRendition(rendition, measured) {
  const { kind, segments, mime } = rendition;
  if (!measured.supported) return [`the browser does not support ${mime}`];
  const reasons = [];
  if (rendition.discontinuous) reasons.push("the playlist has a discontinuity");
  if (!rendition.ended) reasons.push("the playlist has no EXT-X-ENDLIST");
  let end = 0;
  for (const [index, ranges] of measured.steps.entries()) {
    end += segments[index].duration;
    if (isOneRange(ranges, end, TOLERANCE[kind])) continue;
    reasons.push(`after segment ${index + 1} of ${segments.length} the bare buffer holds ${list(ranges)} instead of [0, ${end.toFixed(3)}]`);
    break;
  }
  if (measured.trouble) reasons.push(measured.trouble);
  return reasons;
}

/** What is wrong with one level that hls.js played; `duration` is what the playlists add up to. */
export function judgeLevel(level, measured, duration) {
  const reasons = measured.errors.map(({ details, fatal }) => `hls.js: ${fatal ? "fatal " : ""}${details}`);
  if (measured.complete === false) reasons.push("hls.js stopped buffering before the end");
  if (measured.trouble) return [...reasons, measured.trouble];
  if (measured.loadedLevel !== level.index) reasons.push(`level ${measured.loadedLevel} was played instead`);
  if (!isOneRange(measured.buffered, duration, TOLERANCE.end)) {
    reasons.push(`at the end the buffer holds ${list(measured.buffered)} instead of [0, ${duration.toFixed(3)}]`);
  }
  if (Math.abs(measured.reachedEnd - duration) > TOLERANCE.end) reasons.push(`it ended at ${seconds(measured.reachedEnd)}`);
  const step = level.hasVideo ? frameStep(measured.passages) : null;
  for (const passage of measured.passages) reasons.push(...judgePassage(passage, step));
  for (const seek of measured.seeks) reasons.push(...judgeSeek(seek, step));
  return reasons;
}

/** The usual time between two frames, in seconds: the median over everything that was played. */
export function frameStep(passages) {
  const steps = passages.flatMap(({ frames }) => stepsOf(frames)).map(({ step }) => step).sort((a, b) => a - b);
  return steps.length > 0 ? steps[Math.floor(steps.length / 2)] : null;
}

/** The time per frame between neighbouring callbacks; one callback may stand for several frames. */
function stepsOf(frames) {
  return frames.slice(1).map(([time, count], i) => ({ from: frames[i][0], to: time, step: (time - frames[i][0]) / (count - frames[i][1]) }));
}

function judgePassage({ joint, frames, stalls, dropped }, step) {
  const where = `at ${seconds(joint)}`;
  if (stalls > 0) return [`playback stalled ${where}`];
  if (step === null) return [];
  if (dropped > 0) return [`${dropped} frames were dropped ${where} at every try: too slow a machine, or the stream's fault`];
  const times = frames.map(([time]) => time);
  if (!times.some((time) => time < joint - step / 2) || !times.some((time) => time > joint + step / 2)) {
    return [`no frame was seen on both sides of ${seconds(joint)}`];
  }
  return stepsOf(frames)
    .filter((each) => Math.abs(each.step - step) > TOLERANCE.step)
    .map((each) => `frames step ${(each.step * 1000).toFixed(1)} ms instead of ${(step * 1000).toFixed(1)} ms from ${seconds(each.from)} to ${seconds(each.to)}`);
}

function judgeSeek({ to, at, shown }, step) {
  const reasons = [];
  if (Math.abs(at - to) > TOLERANCE.video) reasons.push(`a seek to ${seconds(to)} went to ${seconds(at)}`);
  // The picture at `to` began at most one frame earlier.
  const late = step === null ? 0 : to - shown;
  if (step !== null && (late < -TOLERANCE.step || late > step + TOLERANCE.step)) {
    reasons.push(`a seek to ${seconds(to)} shows the picture of ${seconds(shown)}`);
  }
  return reasons;
}

function isOneRange(ranges, end, tolerance) {
  if (ranges.length !== 1) return false;
  const [[from, to]] = ranges;
  return Math.abs(from) <= tolerance && Math.abs(to - end) <= tolerance;
}
