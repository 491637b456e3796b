/** The hits of a search as a grid of pictures that is walked by arrow keys. */

import { thumbnailAddress } from "./api.js";
import { spanText } from "./clock.js";
import { byId, inside, say } from "./elements.js";
import { whileRestedOn } from "./heat_maps.js";

/**
 * @typedef {import("./api.js").Hit} Hit
 * @typedef {import("./feedback.js").Verdict} Verdict
 * @typedef {{open: (hit: Hit) => void, like: (hit: Hit) => void, judge: (hit: Hit, verdict: Verdict | null) => void}} Acts
 */

export class Results {
  #list = byId("results", HTMLOListElement);
  #template = byId("hit-template", HTMLTemplateElement);
  /** @type {Hit[]} */
  hits = [];
  /** @type {import("./heat_maps.js").HeatMaps | null} */
  #heatMaps = null;

  /** @param {Acts} acts */
  constructor(acts) {
    this.acts = acts;
  }

  /** @param {Hit[]} hits @param {import("./heat_maps.js").HeatMaps | null} heatMaps
   * @param {(hit: Hit) => Verdict | null} verdictOf */
  show(hits, heatMaps, verdictOf) {
    this.hits = hits;
    this.#heatMaps = heatMaps;
    this.#list.replaceChildren(...hits.map((hit) => this.#card(hit, verdictOf(hit))));
  }

  /** Whether an answer is awaited. @param {boolean} awaited */
  await(awaited) {
    this.#list.setAttribute("aria-busy", String(awaited));
  }

  /** Show every heat map, or only that of the hit that is rested on. @param {boolean} always */
  showAllHeat(always) {
    if (this.#heatMaps) this.#heatMaps.always = always;
    for (const card of this.#list.children) always ? this.#paint(card) : this.#clear(card);
  }

  /** Move the focus among the hits. @param {string} key an arrow key @returns {boolean} whether it was one */
  walk(key) {
    const openers = this.#openers();
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.#columns(), ArrowUp: -this.#columns() }[key];
    if (!step || !openers.length) return false;
    const here = openers.findIndex((opener) => opener.closest("li")?.contains(document.activeElement));
    const there = here < 0 ? 0 : here + step;
    openers[there]?.focus();
    return true;
  }

  /** Focus the hit with an id, if it is shown. @param {string} hitId */
  focus(hitId) {
    this.#openers()[this.hits.findIndex((hit) => hit.hit_id === hitId)]?.focus();
  }

  #openers() {
    return /** @type {HTMLButtonElement[]} */ ([...this.#list.querySelectorAll(".open")]);
  }

  #columns() {
    return getComputedStyle(this.#list).gridTemplateColumns.split(" ").length;
  }

  /** @param {Hit} hit @param {Verdict | null} verdict */
  #card(hit, verdict) {
    const card = inside(document.importNode(this.#template.content, true), "li", HTMLLIElement);
    const part = (/** @type {string} */ selector) => inside(card, selector, HTMLElement);
    const title = hit.title || hit.video_id;
    card.dataset.hitId = hit.hit_id;
    part(".time").textContent = spanText(hit);
    part(".title").textContent = title;
    part(".score").textContent = `score ${hit.score.toFixed(3)}`;
    say(part(".probability"), hit.probability === null ? "" : `${Math.round(hit.probability * 100)}\u00a0% likely`);
    say(part(".license"), hit.license);
    say(part(".narration"), hit.narration);
    this.#picture(card, hit);
    const opener = part(".open");
    opener.setAttribute("aria-label", `${spanText(hit)} ${title}, score ${hit.score.toFixed(3)}`);
    opener.addEventListener("click", () => this.acts.open(hit));
    whileRestedOn(opener, () => this.#paint(card), () => this.#heatMaps?.always || this.#clear(card));
    part(".like").addEventListener("click", () => this.acts.like(hit));
    this.#verdicts(card, hit, verdict);
    return card;
  }

  /** @param {HTMLElement} card @param {Hit} hit */
  #picture(card, hit) {
    const image = inside(card, "img", HTMLImageElement);
    image.src = thumbnailAddress(hit.hit_id);
    image.addEventListener("load", () => {
      // All cards take the shape of the index's pictures, so that rows are even and nothing is cropped.
      this.#list.style.setProperty("--shape", String(image.naturalWidth / image.naturalHeight));
    }, { once: true });
    image.addEventListener("error", () => say(inside(card, ".flaw", HTMLElement), "no picture"));
  }

  /** @param {HTMLElement} card @param {Hit} hit @param {Verdict | null} held */
  #verdicts(card, hit, held) {
    const buttons = { up: inside(card, ".up", HTMLButtonElement), down: inside(card, ".down", HTMLButtonElement) };
    const press = (/** @type {Verdict | null} */ verdict) => {
      for (const [name, button] of Object.entries(buttons)) button.setAttribute("aria-pressed", String(name === verdict));
    };
    for (const [name, button] of Object.entries(buttons)) {
      button.addEventListener("click", () => {
        const verdict = button.getAttribute("aria-pressed") === "true" ? null : /** @type {Verdict} */ (name);
        press(verdict);
        this.acts.judge(hit, verdict);
      });
    }
    press(held);
  }

  /** @param {Element} card */
  async #paint(card) {
    const [canvas, flaw] = [inside(card, "canvas", HTMLCanvasElement), inside(card, ".flaw", HTMLElement)];
    const heatMaps = this.#heatMaps;
    if (!heatMaps || !(card instanceof HTMLElement)) return;
    try {
      const picture = await heatMaps.of(card.dataset.hitId ?? "");
      const wanted = heatMaps.always || card.querySelector(".open")?.matches(":hover, :focus-visible");
      if (!wanted) return;
      [canvas.width, canvas.height] = [picture.width, picture.height];
      canvas.getContext("2d")?.drawImage(picture, 0, 0);
      canvas.hidden = false;
    } catch (error) {
      say(flaw, "no heat map");
      flaw.title = error instanceof Error ? error.message : String(error);
    }
  }

  /** @param {Element} card */
  #clear(card) {
    inside(card, "canvas", HTMLCanvasElement).hidden = true;
  }
}
