/** Where in a hit's picture the query is answered. The service computes each once, one after the other. */

import { heatMap } from "./api.js";

const REST_MS = 250;

export class HeatMaps {
  /** @type {Map<string, Promise<ImageBitmap>>} */
  #made = new Map();
  /** @type {Promise<unknown>} */
  #last = Promise.resolve();

  /** @param {import("./api.js").Query} query */
  constructor(query) {
    this.query = query;
    /** Whether all hits show theirs. */
    this.always = false;
  }

  /** @param {string} hitId */
  of(hitId) {
    const known = this.#made.get(hitId);
    if (known) return known;
    const made = this.#last.then(() => heatMap(hitId, this.query));
    this.#last = made.catch(() => undefined);
    this.#made.set(hitId, made);
    return made;
  }
}

/** Show a hit's heat map while the pointer or the focus rests on it.
 * @param {HTMLElement} opener @param {() => void} show @param {() => void} hide */
export function whileRestedOn(opener, show, hide) {
  let timer = 0;
  const begin = () => {
    clearTimeout(timer);
    timer = setTimeout(show, REST_MS);
  };
  const end = () => {
    clearTimeout(timer);
    if (!opener.matches(":hover, :focus-visible")) hide();
  };
  for (const name of ["pointerenter", "focus"]) opener.addEventListener(name, begin);
  for (const name of ["pointerleave", "blur"]) opener.addEventListener(name, end);
}
