// Numbers and words for people.

const decimal = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** A count of bytes, such as `12.5 MB`. */
export function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = count > 0 ? Math.min(Math.floor(Math.log10(count) / 3), units.length - 1) : 0;
  return `${decimal.format(count / 1000 ** power)} ${units[power]}`;
}

/** A share of 1, rounded down so that only what is done says 100 %. */
export function percent(share) {
  return `${Math.floor(Math.min(Math.max(share, 0), 1) * 100 + 1e-9)} %`;
}

/** A stretch of time in its two largest units, such as `3 min 20 s`. */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${rest} s` : `${rest} s`;
}

/** Seconds of video per second, such as `6.1×`. */
export function speed(ratio) {
  return `${decimal.format(ratio)}×`;
}

/** A bit rate, such as `5.1 Mb/s`. */
export function bitRate(perSecond) {
  return perSecond >= 1e6 ? `${decimal.format(perSecond / 1e6)} Mb/s` : `${Math.round(perSecond / 1e3)} kb/s`;
}

/** A code such as `no_audio` as words. */
export function words(code) {
  return code.replaceAll("_", " ");
}
