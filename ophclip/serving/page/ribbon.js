/** The phases of a video as a ribbon. Colours differ in lightness as well, and every stretch tells its name. */

import { spanText } from "./clock.js";
import { element } from "./elements.js";

/** @typedef {import("./api.js").Span} Span */

// Viridis: told apart by colour-blind people and in grey.
const STOPS = [[68, 1, 84], [65, 68, 135], [42, 120, 142], [34, 168, 132], [122, 209, 81], [253, 231, 37]];

/** The colour of a phase; phases that follow one another are far apart. @param {number} number @param {number} count */
export function colourOf(number, count) {
  const half = Math.ceil(count / 2);
  const place = number % 2 ? half + (number - 1) / 2 : number / 2;
  const along = (count > 1 ? place / (count - 1) : 0.5) * (STOPS.length - 1);
  const first = Math.min(Math.floor(along), STOPS.length - 2);
  const rgb = STOPS[first].map((value, channel) => value + (STOPS[first + 1][channel] - value) * (along - first));
  const [red, green, blue] = rgb.map((value) => (value / 255) ** 2.2);
  const light = 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18;
  return { paper: `rgb(${rgb.map(Math.round).join(" ")})`, ink: light ? "#000" : "#fff" };
}

export class Ribbon {
  /** @type {Span[]} */
  spans = [];

  /** @param {HTMLElement} place @param {HTMLElement} legend @param {(second: number) => void} onSeek */
  constructor(place, legend, onSeek) {
    this.place = place;
    this.legend = legend;
    this.onSeek = onSeek;
    place.addEventListener("keydown", (event) => this.#walk(event));
  }

  /** A phase has one colour and one number in all videos.
   * @param {Span[]} spans in order @param {string[]} names of all phases there can be @param {number} durationSeconds */
  show(spans, names, durationSeconds) {
    this.spans = spans;
    const colours = new Map(names.map((name, number) => [name, { ...colourOf(number, names.length), number: number + 1 }]));
    const paint = (/** @type {HTMLElement} */ painted, /** @type {string} */ phase) => {
      const colour = colours.get(phase);
      [painted.style.background, painted.style.color] = [colour?.paper ?? "", colour?.ink ?? ""];
      return String(colour?.number);
    };
    this.place.replaceChildren(...spans.map((span, order) => {
      const made = element("button", { type: "button", tabindex: order ? "-1" : "0", title: `${span.phase}, ${spanText(span)}` });
      const number = paint(made, span.phase);
      made.setAttribute("aria-label", `${number} ${span.phase}, ${spanText(span)}`);
      made.style.left = `${(100 * span.start_seconds) / durationSeconds}%`;
      made.style.width = `${(100 * (span.end_seconds - span.start_seconds)) / durationSeconds}%`;
      made.append(element("span", {}, number), element("span", { class: "word" }, span.phase));
      // By keyboard there is no second under the pointer; the timeline hears of the others.
      made.addEventListener("click", (event) => event.detail || this.onSeek(span.start_seconds));
      return made;
    }));
    const seen = new Set(spans.map((span) => span.phase));
    this.legend.replaceChildren(...names.filter((name) => seen.has(name)).map((name) => {
      const key = element("span", { class: "key" });
      key.textContent = paint(key, name);
      return element("li", {}, key, name);
    }));
  }

  /** The phase at a second, or an empty text. @param {number} second */
  phaseAt(second) {
    return this.spans.find((span) => second >= span.start_seconds && second < span.end_seconds)?.phase ?? "";
  }

  /** @param {KeyboardEvent} event */
  #walk(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const buttons = [...this.place.querySelectorAll("button")];
    const next = buttons[buttons.findIndex((button) => button === document.activeElement) + (step ?? NaN)];
    if (!step) return;
    [event.preventDefault(), event.stopPropagation()];
    if (!next) return;
    for (const button of buttons) button.tabIndex = button === next ? 0 : -1;
    next.focus();
  }
}
