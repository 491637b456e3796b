/** How much each moment of a video resembles the query, drawn over its duration, with the hits marked. */

import { element, inside } from "./elements.js";

/** @typedef {import("./api.js").Curve} Curve */

const [WIDTH, HEIGHT, MARGIN] = [1000, 100, 6];

export class SimilarityCurve {
  /** @type {Curve} */
  #curve = { start_seconds: [], end_seconds: [], scores: [] };

  /** @param {HTMLElement} place with an svg and a place for marks */
  constructor(place) {
    this.area = inside(place, ".area", SVGPathElement);
    this.stroke = inside(place, ".stroke", SVGPathElement);
    this.marks = inside(place, "#marks", HTMLElement);
  }

  /** @param {Curve} curve @param {number} durationSeconds @returns the lowest and the highest score, equal if there is none */
  show(curve, durationSeconds) {
    this.#curve = curve;
    const [low, high] = curve.scores.length ? [Math.min(...curve.scores), Math.max(...curve.scores)] : [0, 0];
    const middle = (/** @type {number} */ w) => (curve.start_seconds[w] + curve.end_seconds[w]) / 2;
    const points = curve.scores.map((score, w) => {
      const x = (WIDTH * middle(w)) / durationSeconds;
      const y = HEIGHT - MARGIN - ((HEIGHT - 2 * MARGIN) * (score - low)) / (high - low || 1);
      return `${x.toFixed(1)} ${y.toFixed(1)}`;
    });
    const line = points.length ? `M${points.join("L")}` : "";
    this.stroke.setAttribute("d", line);
    const [first, last] = [points[0]?.split(" ")[0], points.at(-1)?.split(" ")[0]];
    this.area.setAttribute("d", line && `${line}L${last} ${HEIGHT}L${first} ${HEIGHT}Z`);
    return { low, high };
  }

  /** Mark the hits. @param {import("./api.js").Hit[]} hits @param {string} opened the hit that is played
   * @param {number} durationSeconds */
  mark(hits, opened, durationSeconds) {
    this.marks.replaceChildren(...hits.map((hit) => {
      const mark = element("span", { class: hit.hit_id === opened ? "mark opened" : "mark" });
      mark.style.left = `${(100 * hit.start_seconds) / durationSeconds}%`;
      mark.style.width = `${(100 * (hit.end_seconds - hit.start_seconds)) / durationSeconds}%`;
      return mark;
    }));
  }

  /** The score of the window whose middle is nearest to a second, or null. @param {number} second */
  scoreAt(second) {
    const { start_seconds, end_seconds, scores } = this.#curve;
    let nearest = 0;
    const away = (/** @type {number} */ w) => Math.abs((start_seconds[w] + end_seconds[w]) / 2 - second);
    for (let w = 1; w < scores.length; w += 1) if (away(w) < away(nearest)) nearest = w;
    return scores[nearest] ?? null;
  }
}
