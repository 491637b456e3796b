/** Suggestions under the search box: an editable combobox with a list, after WAI-ARIA's authoring practices. */

import { Refusal, suggestions } from "./api.js";
import { element } from "./elements.js";

const WAIT_MS = 120;

export class Suggestions {
  #active = -1;
  #timer = 0;
  #asking = new AbortController();

  /** @param {HTMLInputElement} input @param {HTMLUListElement} list @param {(text: string) => void} onChosen */
  constructor(input, list, onChosen) {
    this.input = input;
    this.list = list;
    this.onChosen = onChosen;
    input.addEventListener("input", () => this.#later());
    input.addEventListener("keydown", (event) => this.#key(event));
    input.addEventListener("blur", () => this.close());
    // A press must not take the focus before its click arrives.
    list.addEventListener("pointerdown", (event) => event.preventDefault());
    list.addEventListener("click", (event) => {
      const option = event.target instanceof Element ? event.target.closest("[role=option]") : null;
      if (option) this.#choose(option.textContent ?? "");
    });
  }

  get isOpen() {
    return !this.list.hidden;
  }

  /** Hide the list and forget what was on its way. */
  close() {
    clearTimeout(this.#timer);
    this.#asking.abort();
    this.#show([]);
  }

  #later() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), WAIT_MS);
  }

  async #ask() {
    this.#asking.abort();
    this.#asking = new AbortController();
    const prefix = this.input.value.trim();
    try {
      this.#show(prefix ? await suggestions(prefix, this.#asking.signal) : []);
    } catch (error) {
      // Typing goes on without suggestions; a service that is gone is told by the search itself.
      if (!(error instanceof Refusal) && !(error instanceof DOMException && error.name === "AbortError")) throw error;
    }
  }

  /** @param {string[]} texts */
  #show(texts) {
    const options = texts.map((text, number) => element("li", { role: "option", id: `suggestion-${number}` }, text));
    this.list.replaceChildren(...options);
    this.list.hidden = !texts.length;
    this.input.setAttribute("aria-expanded", String(Boolean(texts.length)));
    this.#activate(-1);
  }

  /** @param {number} number */
  #activate(number) {
    this.#active = number;
    [...this.list.children].forEach((option, place) => option.setAttribute("aria-selected", String(place === number)));
    if (number < 0) return this.input.removeAttribute("aria-activedescendant");
    this.input.setAttribute("aria-activedescendant", `suggestion-${number}`);
    this.list.children[number].scrollIntoView({ block: "nearest" });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (!this.isOpen || event.isComposing) return;
    const count = this.list.children.length;
    if (event.key === "ArrowDown") this.#activate((this.#active + 1) % count);
    else if (event.key === "ArrowUp") this.#activate(this.#active <= 0 ? count - 1 : this.#active - 1);
    else if (event.key === "Escape") this.close();
    else if (event.key === "Enter" && this.#active >= 0) this.#choose(this.list.children[this.#active].textContent ?? "");
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {string} text */
  #choose(text) {
    this.close();
    this.onChosen(text);
  }
}
