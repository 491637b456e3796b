/** The filters: what the index offers of each attribute, and what of it is asked for. */

import { readVideos } from "./api.js";
import { byId, element } from "./elements.js";

/** @typedef {import("./asked.js").Asked} Asked */

const VIDEOS_SHOWN = 50;
/** @type {Record<string, string>} */
const WORDS = { license: "Licence" };

export class Filters {
  #facets = byId("facets", HTMLElement);
  #narrated = byId("narrated", HTMLSelectElement);
  #minScore = byId("min-score", HTMLInputElement);
  #grouped = byId("grouped", HTMLInputElement);
  #off = byId("filters-off", HTMLButtonElement);
  #videos = byId("videos-filter", HTMLDetailsElement);
  #find = byId("videos-find", HTMLInputElement);
  #videoChoices = byId("videos-choices", HTMLElement);
  /** @type {Promise<import("./api.js").Video[]> | null} */
  #known = null;
  /** @type {string[]} */
  #videoIds = [];

  /** @param {(part: Partial<Asked>) => void} onChange hears what is asked for anew */
  constructor(onChange) {
    this.onChange = onChange;
    this.#narrated.addEventListener("change", () => onChange({ narrated: JSON.parse(this.#narrated.value || "null") }));
    this.#minScore.addEventListener("change", () => onChange({ minScore: this.#score() }));
    this.#grouped.addEventListener("change", () => onChange({ grouped: this.#grouped.checked }));
    this.#off.addEventListener("click", () => onChange(cleared()));
    this.#videos.addEventListener("toggle", () => this.#videos.open && this.#listVideos());
    this.#find.addEventListener("input", () => this.#listVideos());
    document.addEventListener("click", (event) => closeAll(event.target));
    const button = byId("filters-button", HTMLButtonElement);
    button.addEventListener("click", () => {
      button.setAttribute("aria-expanded", String(byId("filters", HTMLElement).classList.toggle("unfolded")));
    });
    byId("filters", HTMLElement).addEventListener("keydown", (event) => event.key === "Escape" && closeAll(null));
  }

  /** Show what the index can be filtered by. @param {import("./api.js").Index} index */
  offer(index) {
    const worthAsking = Object.entries(index.facets).filter(([key]) => key !== "narrated");
    this.#facets.replaceChildren(...worthAsking.map(([key, values]) => this.#facet(key, values)));
    byId("filters", HTMLElement).hidden = false;
  }

  /** Show what is asked for. @param {Asked} asked */
  show(asked) {
    this.#narrated.value = asked.narrated === null ? "" : String(asked.narrated);
    this.#minScore.value = asked.minScore === null ? "" : String(asked.minScore);
    this.#grouped.checked = asked.grouped;
    this.#videoIds = asked.videoIds;
    for (const box of this.#boxes()) box.checked = (asked.attributes[box.name] ?? []).includes(box.value);
    for (const facet of this.#facets.querySelectorAll("details")) count(facet, facet.querySelectorAll(":checked").length);
    count(this.#videos, asked.videoIds.length);
    if (this.#videos.open) this.#listVideos();
    this.#off.hidden = !narrowed(asked);
  }

  /** @param {string} key @param {Record<string, number>} values */
  #facet(key, values) {
    const choices = Object.entries(values).map(([value, videos]) =>
      this.#choice(key, value, value || "not given", String(videos), () => this.onChange({ attributes: this.#attributes() })),
    );
    return element("details", { class: "filter" }, element("summary", {}, words(key)),
      element("div", { class: "choices" }, ...choices));
  }

  /** @param {string} name @param {string} value @param {string} text @param {string} note @param {() => void} onPick */
  #choice(name, value, text, note, onPick) {
    const box = element("input", { type: "checkbox", name, value });
    box.addEventListener("change", onPick);
    return element("label", {}, box, element("span", {}, text), element("small", {}, note));
  }

  async #listVideos() {
    try {
      const known = await (this.#known ??= readVideos());
      const wanted = this.#find.value.trim().toLowerCase();
      const found = known.filter((video) => `${video.title} ${video.video_id}`.toLowerCase().includes(wanted));
      const rows = found.slice(0, VIDEOS_SHOWN).map((video) => this.#videoChoice(video));
      const rest = found.length - rows.length;
      this.#videoChoices.replaceChildren(...rows, rest > 0 ? `and ${rest} more; type a part of the title` : "");
    } catch (error) {
      this.#known = null;
      this.#videoChoices.textContent = error instanceof Error ? error.message : String(error);
    }
  }

  /** @param {import("./api.js").Video} video */
  #videoChoice(video) {
    const made = this.#choice("", video.video_id, video.title || video.video_id, video.title ? video.video_id : "", () => {
      const others = this.#videoIds.filter((id) => id !== video.video_id);
      this.onChange({ videoIds: others.length < this.#videoIds.length ? others : [...others, video.video_id] });
    });
    made.querySelector("input")?.toggleAttribute("checked", this.#videoIds.includes(video.video_id));
    return made;
  }

  #boxes() {
    return [...this.#facets.querySelectorAll("input")];
  }

  #attributes() {
    /** @type {Record<string, string[]>} */
    const chosen = {};
    for (const box of this.#boxes()) if (box.checked) (chosen[box.name] ??= []).push(box.value);
    return chosen;
  }

  #score() {
    return this.#minScore.value && this.#minScore.checkValidity() ? this.#minScore.valueAsNumber : null;
  }
}

/** @returns {Partial<Asked>} */
const cleared = () => ({ narrated: null, minScore: null, grouped: false, videoIds: [], attributes: {} });

/** Whether a filter keeps hits back; one hit a video is an order, not a filter. @param {Asked} asked */
export const narrowed = (asked) =>
  asked.narrated !== null || asked.minScore !== null || asked.videoIds.length > 0 || Object.keys(asked.attributes).length > 0;

/** @param {string} key */
const words = (key) => WORDS[key] ?? (key.charAt(0).toUpperCase() + key.slice(1)).replaceAll("_", " ");

/** @param {HTMLDetailsElement} filter @param {number} chosen */
function count(filter, chosen) {
  filter.dataset.chosen = chosen ? String(chosen) : "";
  filter.classList.toggle("active", chosen > 0);
}

/** Close the open lists, but the one that holds what was clicked. @param {EventTarget | null} clicked */
function closeAll(clicked) {
  for (const filter of document.querySelectorAll("details.filter[open]")) {
    if (!(clicked instanceof Node && filter.contains(clicked))) filter.removeAttribute("open");
  }
}
