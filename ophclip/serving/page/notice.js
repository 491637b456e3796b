/** What the page says besides hits: the line above them, and a notice in their place. */

import { Refusal } from "./api.js";
import { byId } from "./elements.js";

const TITLES = { 0: "No answer", 401: "A token is needed", 404: "Not there any more", 413: "Too large", 415: "Not a picture or a clip",
  422: "This could not be understood", 429: "The service is busy", 503: "The service is not ready" };

export class Notice {
  #status = byId("status", HTMLElement);
  #place = byId("notice", HTMLElement);
  #again = byId("again", HTMLButtonElement);
  /** @type {() => void} */
  #retry = () => undefined;

  constructor() {
    this.#again.addEventListener("click", () => this.#retry());
  }

  /** The line above the hits. @param {string} text */
  status(text) {
    this.#status.textContent = text;
  }

  /** Show a notice in place of hits. @param {string} title @param {string} text @param {(() => void) | null} [retry] */
  show(title, text, retry = null) {
    byId("notice-title", HTMLElement).textContent = title;
    byId("notice-text", HTMLElement).textContent = text;
    this.#place.hidden = false;
    this.#again.hidden = retry === null;
    this.#retry = retry ?? this.#retry;
    this.status(title);
  }

  /** What went wrong, in the service's words. @param {Refusal} refusal @param {() => void} retry */
  refuse(refusal, retry) {
    const title = Object.entries(TITLES).find(([status]) => Number(status) === refusal.status)?.[1];
    const mayWork = [0, 401, 429].includes(refusal.status) || refusal.status >= 500;
    this.show(title ?? "This did not work", refusal.message, mayWork ? retry : null);
  }

  hide() {
    this.#place.hidden = true;
  }
}
