/** The video's time under the picture: phases, similarity, playhead; a press anywhere seeks. */

import { curve, phases } from "./api.js";
import { clock } from "./clock.js";
import { SimilarityCurve } from "./curve.js";
import { byId, say } from "./elements.js";
import { Ribbon } from "./ribbon.js";

/** @typedef {import("./api.js").Hit} Hit */

/** @type {Record<string, number>} */
const STEPS_SECONDS = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -10, PageUp: 10 };

const nothing = () => ({
  /** @type {import("./api.js").Span[]} */ spans: [],
  /** @type {string[]} */ names: [],
  /** @type {import("./api.js").Curve} */ curve: { start_seconds: [], end_seconds: [], scores: [] },
});

export class Timeline {
  #place = byId("timeline", HTMLElement);
  #slider = byId("curve", HTMLElement);
  #playhead = byId("playhead", HTMLElement);
  #curve = new SimilarityCurve(this.#slider);
  #drawn = nothing();
  /** @type {{hits: Hit[], opened: string}} */
  #marked = { hits: [], opened: "" };
  #durationSeconds = 1;
  #second = 0;
  /** What is shown; an answer that comes late, for another video, is dropped. */
  #asked = "";

  /** @param {(second: number) => void} onSeek */
  constructor(onSeek) {
    this.onSeek = onSeek;
    this.ribbon = new Ribbon(byId("ribbon", HTMLElement), byId("legend", HTMLElement), onSeek);
    this.#place.addEventListener("click", (event) => event.detail && onSeek(this.#secondUnder(event)));
    this.#place.addEventListener("pointermove", (event) => this.#tell(this.#secondUnder(event)));
    this.#place.addEventListener("pointerleave", () => this.#tell(this.#second));
    this.#slider.addEventListener("keydown", (event) => this.#step(event));
  }

  /** Show a video's phases and its likeness to a query, with the hits in it.
   * @param {string} videoId @param {import("./api.js").Query} query @param {Hit[]} hits @param {string} opened */
  async show(videoId, query, hits, opened) {
    this.#marked = { hits, opened };
    const asked = JSON.stringify([videoId, query]);
    if (asked === this.#asked) return this.#draw();
    [this.#asked, this.#drawn, this.#durationSeconds] = [asked, nothing(), hits.at(-1)?.end_seconds ?? 1];
    this.#draw();
    const [likeness, ribbon] = await Promise.allSettled([curve(videoId, query), phases(videoId)]);
    if (asked !== this.#asked) return;
    if (likeness.status === "fulfilled") this.#drawn.curve = likeness.value;
    if (ribbon.status === "fulfilled") [this.#drawn.spans, this.#drawn.names] = [ribbon.value.spans, ribbon.value.names];
    const flaws = [likeness, ribbon].flatMap((one) => (one.status === "rejected" ? [String(one.reason.message)] : []));
    say(byId("ribbon-flaw", HTMLElement), [...new Set(flaws)].join(" "));
    this.lasts(this.#drawn.curve.end_seconds.at(-1) ?? 0);
    this.#draw();
  }

  /** The video lasts at least so long. @param {number} seconds */
  lasts(seconds) {
    if (!(seconds > this.#durationSeconds && Number.isFinite(seconds))) return;
    this.#durationSeconds = seconds;
    this.#draw();
  }

  /** Put the playhead at a second. @param {number} second */
  at(second) {
    this.#second = second;
    this.#playhead.style.left = `${(100 * Math.min(second, this.#durationSeconds)) / this.#durationSeconds}%`;
    this.#slider.setAttribute("aria-valuenow", second.toFixed(1));
    this.#slider.setAttribute("aria-valuetext", this.#text(second));
    if (!this.#place.matches(":hover")) this.#tell(second);
  }

  #draw() {
    const { low, high } = this.#curve.show(this.#drawn.curve, this.#durationSeconds);
    this.#curve.mark(this.#marked.hits, this.#marked.opened, this.#durationSeconds);
    this.ribbon.show(this.#drawn.spans, this.#drawn.names, this.#durationSeconds);
    this.#slider.setAttribute("aria-valuemax", this.#durationSeconds.toFixed(1));
    byId("scale-text", HTMLElement).textContent = high > low ? `similarity ${low.toFixed(3)} to ${high.toFixed(3)}` : "";
    byId("scale-end", HTMLElement).textContent = clock(this.#durationSeconds);
    this.at(this.#second);
  }

  /** @param {number} second */
  #tell(second) {
    byId("readout", HTMLElement).textContent = this.#text(second);
  }

  /** @param {number} second */
  #text(second) {
    const score = this.#curve.scoreAt(second);
    const parts = [clock(second), this.ribbon.phaseAt(second), score === null ? "" : `similarity ${score.toFixed(3)}`];
    return parts.filter(Boolean).join(" · ");
  }

  /** @param {MouseEvent} event */
  #secondUnder(event) {
    const { left, width } = this.#place.getBoundingClientRect();
    return Math.min(Math.max((event.clientX - left) / width, 0), 1) * this.#durationSeconds;
  }

  /** @param {KeyboardEvent} event */
  #step(event) {
    const ends = { Home: 0, End: this.#durationSeconds }[event.key];
    const step = STEPS_SECONDS[event.key];
    if (ends === undefined && step === undefined) return;
    [event.preventDefault(), event.stopPropagation()];
    this.onSeek(ends ?? Math.min(Math.max(this.#second + step, 0), this.#durationSeconds));
  }
}
