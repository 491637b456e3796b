/** Seconds of a video, as people read and hear them. */

/** `m:ss`, or `h:mm:ss` from an hour on. @param {number} seconds */
export function clock(seconds) {
  const whole = Math.max(Math.floor(seconds), 0);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** @param {{start_seconds: number, end_seconds: number}} span */
export const spanText = (span) => `${clock(span.start_seconds)}–${clock(span.end_seconds)}`;
