/** The search page: what is asked stands in the address; every change of it is asked of the service anew. */

import * as api from "./api.js";
import { isAsked, nameOf, nothingAsked, queryOf, readAsked, sameSearch, writeAsked } from "./asked.js";
import { clock } from "./clock.js";
import { byId, element } from "./elements.js";
import { kindOf, preview, takeFiles } from "./example.js";
import { Feedback } from "./feedback.js";
import { Filters, narrowed } from "./filters.js";
import { HeatMaps } from "./heat_maps.js";
import { onKeys } from "./keys.js";
import { Notice } from "./notice.js";
import { Player } from "./player.js";
import { Results } from "./results.js";
import { Suggestions } from "./suggestions.js";
import { switchWith } from "./theme.js";
import { askWhenWanted } from "./token.js";

/** @typedef {import("./asked.js").Asked} Asked @typedef {import("./api.js").Hit} Hit */

const PAGE_OF_HITS = 24;
const MOST_HITS = 192;

class Page {
  #input = byId("query", HTMLInputElement);
  #heat = byId("heat-maps", HTMLButtonElement);
  #more = byId("more", HTMLButtonElement);
  #notice = new Notice();
  #filters = new Filters((part) => this.ask(part));
  #results = new Results({
    open: (hit) => this.ask({ opened: hit.hit_id }),
    like: (hit) => this.ask({ text: "", vector: null, like: hit.hit_id, name: `like ${hit.video_id} at ${clock(hit.peak_seconds)}` }),
    judge: (hit, verdict) => this.#judge(hit, verdict),
  });
  #player = new Player({
    close: () => this.#playerClosed(),
    step: (by) => this.#step(by),
    frame: (picture, name) => this.#askBy(picture, name),
  });
  #suggestions = new Suggestions(this.#input, byId("suggestions", HTMLUListElement), (text) => this.#askText(text));
  #feedback = new Feedback("");
  #searching = new AbortController();
  /** @type {import("./api.js").Index | null} */
  #index = null;
  /** What the shown hits answer. @type {Asked | null} */
  #answered = null;
  /** @type {string | null} */
  #instrument = null;
  #asked = readAsked();
  #k = PAGE_OF_HITS;

  constructor() {
    byId("search", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.#suggestions.close();
      this.#askText(this.#input.value.trim());
    });
    byId("example-off", HTMLButtonElement).addEventListener("click", () => this.ask({ vector: null, like: "", name: "" }));
    byId("export", HTMLButtonElement).addEventListener("click", () => this.#feedback.download());
    this.#heat.addEventListener("click", () => this.#switchHeat());
    this.#more.addEventListener("click", () => this.#search(this.#k + PAGE_OF_HITS));
    addEventListener("popstate", () => {
      this.#input.value = readAsked().text;
      this.#follow(readAsked());
    });
    this.#input.value = this.#asked.text;
    takeFiles((file) => this.#askBy(file, file.name || "pasted picture"));
    switchWith(byId("theme", HTMLButtonElement));
    askWhenWanted();
    onKeys({ results: this.#results, suggestions: this.#suggestions, heat: () => this.#switchHeat() });
  }

  /** Read what the index is, then what the address asks. */
  async begin() {
    try {
      this.#notice.status("Loading");
      const index = (this.#index = await api.readIndex());
      byId("about", HTMLElement).textContent =
        `${index.videos.toLocaleString("en")} videos, ${index.windows.toLocaleString("en")} moments, model ${index.model}`;
      this.#feedback = new Feedback(index.weights_sha256.slice(0, 16));
      this.#filters.offer(index);
      this.#countVerdicts();
      this.#notice.status("");
      this.#notice.hide();
      // What was dropped or typed meanwhile goes on.
      byId("welcome", HTMLElement).hidden = isAsked(this.#asked);
      if (isAsked(this.#asked)) this.#follow(this.#asked);
      this.#offer(await api.suggestions(""));
    } catch (error) {
      this.#refuse(error, () => this.begin());
    }
  }

  /** @param {string[]} ideas */
  #offer(ideas) {
    byId("ideas", HTMLElement).replaceChildren(...ideas.map((idea) => {
      const button = element("button", { type: "button" }, idea);
      button.addEventListener("click", () => this.#askText(idea));
      return button;
    }));
  }

  /** Ask for something else: a new step of the history. @param {Partial<Asked>} part */
  ask(part) {
    const asked = { ...this.#asked, opened: "", ...part };
    this.#input.value = asked.text;
    writeAsked(asked, "push");
    this.#follow(asked);
  }

  /** @param {string} text */
  #askText(text) {
    if (!text) this.ask(nothingAsked());
    else if (text === this.#answered?.text) this.#search(this.#k);
    else this.ask({ text, like: "", vector: null, name: "" });
  }

  /** Ask by a picture or a clip. @param {Blob} file @param {string} name */
  async #askBy(file, name) {
    const manner = this.#await("Looking at the picture");
    try {
      const vector = await api.embed(kindOf(file), file, manner);
      await preview(file, byId("example-picture", HTMLCanvasElement));
      this.#asked = { ...this.#asked, opened: "" };
      if (this.#player.isOpen) this.#player.close();
      this.ask({ text: "", like: "", vector, name });
    } catch (error) {
      this.#refuse(error, () => this.#askBy(file, name));
    }
  }

  /** Show what is asked; search only if it is another question than the one answered. @param {Asked} asked */
  #follow(asked) {
    this.#asked = asked;
    if (!this.#index) return;
    document.title = isAsked(asked) ? `${nameOf(asked)} - ophclip` : "ophclip search";
    this.#filters.show(asked);
    this.#showExample(asked);
    byId("welcome", HTMLElement).hidden = isAsked(asked);
    if (!isAsked(asked)) this.#clear();
    else if (this.#answered && sameSearch(asked, this.#answered)) this.#openAsked();
    else this.#search(PAGE_OF_HITS);
  }

  /** @param {number} k */
  async #search(k) {
    const asked = this.#asked;
    const manner = this.#await("Searching");
    const { minScore: min_score, grouped: group_by_video, videoIds: video_ids, narrated, attributes } = asked;
    const options = { k, min_score, group_by_video, filters: { video_ids, narrated, attributes } };
    try {
      const found = await api.search(queryOf(asked), options, manner);
      [this.#k, this.#answered, this.#instrument] = [k, asked, found.instrument];
      this.#show(found);
      this.#openAsked();
    } catch (error) {
      if (isRefusal(error)) this.#clear();
      this.#refuse(error, () => this.#search(k));
    }
  }

  /** An answer is awaited; what was awaited before is not wanted any more. @param {string} what
   * @returns {import("./api.js").Manner} */
  #await(what) {
    this.#searching.abort();
    this.#searching = new AbortController();
    this.#results.await(true);
    this.#notice.status(`${what} …`);
    const onBusy = (/** @type {number} */ seconds) => this.#notice.status(`The service is busy; again in ${seconds} s …`);
    return { signal: this.#searching.signal, onBusy };
  }

  /** @param {import("./api.js").Found} found */
  #show({ hits, instrument }) {
    const asked = /** @type {Asked} */ (this.#answered);
    const heatMaps = new HeatMaps(queryOf(asked));
    const name = nameOf(asked);
    this.#results.await(false);
    this.#results.show(hits, heatMaps, (hit) => this.#feedback.verdictOf(name, hit));
    this.#notice.hide();
    if (!hits.length) this.#notice.show("No hits", narrowed(asked)
      ? "Nothing in the index passes these filters. Clear some of them, or lower the score."
      : "Nothing in the index answers this.");
    const videos = new Set(hits.map((hit) => hit.video_id)).size;
    const meant = instrument && instrument !== asked.text ? `, understood as ${instrument}` : "";
    const best = hits.length < this.#k ? "" : "The best ";
    const count = `${best}${hits.length} ${hits.length === 1 ? "hit" : "hits"} in ${videos} ${videos === 1 ? "video" : "videos"}`;
    if (hits.length) this.#notice.status(count + meant);
    this.#heat.hidden = !hits.length;
    this.#heat.setAttribute("aria-pressed", "false");
    this.#more.hidden = hits.length < this.#k || this.#k >= MOST_HITS;
  }

  #clear() {
    this.#searching.abort();
    this.#answered = null;
    this.#results.await(false);
    this.#results.show([], null, () => null);
    this.#notice.hide();
    this.#notice.status("");
    [this.#heat.hidden, this.#more.hidden] = [true, true];
    if (this.#player.isOpen) this.#player.close();
  }

  /** Open the hit that the address names, or close the player. */
  #openAsked() {
    const hit = this.#results.hits.find((one) => one.hit_id === this.#asked.opened);
    if (hit && this.#answered) this.#player.open(hit, queryOf(this.#answered), this.#results.hits);
    else if (this.#player.isOpen) this.#player.close();
  }

  #playerClosed() {
    const closed = this.#player.hit?.hit_id ?? "";
    this.#results.focus(closed);
    if (this.#asked.opened !== closed) return;
    this.#asked = { ...this.#asked, opened: "" };
    if (history.state?.pushed) history.back();
    else writeAsked(this.#asked, "replace");
  }

  /** @param {number} by */
  #step(by) {
    const { hits } = this.#results;
    const next = hits[hits.findIndex((hit) => hit.hit_id === this.#player.hit?.hit_id) + by];
    if (!next) return;
    this.#asked = { ...this.#asked, opened: next.hit_id };
    writeAsked(this.#asked, "replace");
    this.#openAsked();
  }

  /** @param {Asked} asked */
  #showExample(asked) {
    byId("by-example", HTMLElement).hidden = !asked.vector && !asked.like;
    byId("example-name", HTMLElement).textContent = nameOf(asked);
    if (!asked.vector) byId("example-picture", HTMLCanvasElement).hidden = true;
  }

  #switchHeat() {
    if (this.#heat.hidden) return;
    const always = this.#heat.getAttribute("aria-pressed") !== "true";
    this.#heat.setAttribute("aria-pressed", String(always));
    this.#results.showAllHeat(always);
  }

  /** @param {Hit} hit @param {import("./feedback.js").Verdict | null} verdict */
  #judge(hit, verdict) {
    if (this.#answered) this.#feedback.judge(nameOf(this.#answered), this.#instrument, hit, verdict);
    this.#countVerdicts();
  }

  #countVerdicts() {
    const count = this.#feedback.rows().length;
    byId("verdicts", HTMLElement).textContent = String(count);
    byId("export", HTMLButtonElement).hidden = !count;
  }

  /** Say why there is no answer; what is no longer wanted is not answered either. @param {unknown} error
   * @param {() => void} retry */
  #refuse(error, retry) {
    if (error instanceof DOMException && error.name === "AbortError") return;
    if (!isRefusal(error)) throw error;
    this.#results.await(false);
    byId("welcome", HTMLElement).hidden = true;
    this.#notice.refuse(error, retry);
  }
}

/** @param {unknown} error @returns {error is api.Refusal} */
const isRefusal = (error) => error instanceof api.Refusal;

new Page().begin();
