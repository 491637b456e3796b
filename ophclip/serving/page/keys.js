/** Keys of the page itself; the player and the search box have their own. */

import { byId } from "./elements.js";

/**
 * @typedef {{walk: (key: string) => boolean}} Walked
 * @param {{results: Walked, suggestions: {isOpen: boolean}, heat: () => void}} parts
 */
export function onKeys({ results, suggestions, heat }) {
  const [query, help] = [byId("query", HTMLInputElement), byId("help", HTMLDialogElement)];
  byId("help-button", HTMLButtonElement).addEventListener("click", () => help.showModal());
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const target = /** @type {Element} */ (event.target);
    const writing = target.matches("input:not([type=checkbox]), select, textarea");
    const inDialog = Boolean(target.closest("dialog"));
    if (event.key === "?" && !writing && !help.open) help.showModal();
    else if (target === query && event.key === "ArrowDown" && !suggestions.isOpen) results.walk(event.key);
    else if (writing || inDialog) return;
    else if (event.key === "/") query.focus(), query.select();
    else if (event.key === "h") heat();
    else if (!results.walk(event.key)) return;
    event.preventDefault();
  });
}
