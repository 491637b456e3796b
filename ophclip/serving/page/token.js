/** The question for a token, when the service wants one. */

import { Refusal, beginSession, whenTokenIsWanted } from "./api.js";
import { byId } from "./elements.js";

/** Ask whenever the service wants a token; a cancelled question is a refusal. */
export function askWhenWanted() {
  const dialog = byId("token", HTMLDialogElement);
  const [text, flaw] = [byId("token-text", HTMLInputElement), byId("token-flaw", HTMLElement)];
  byId("token-off", HTMLButtonElement).addEventListener("click", () => dialog.close());
  whenTokenIsWanted(() => new Promise((resolve, reject) => {
    const asked = new AbortController();
    byId("token-form", HTMLFormElement).addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        await beginSession(text.value.trim());
        resolve();
        dialog.close();
      } catch (error) {
        flaw.textContent = error instanceof Refusal && error.status === 401 ? "This token is not accepted." : String(error);
        text.select();
      }
    }, { signal: asked.signal });
    dialog.addEventListener("close", () => {
      asked.abort();
      reject(new Refusal(401, "This service answers only with a token."));
    }, { once: true });
    [text.value, flaw.textContent] = ["", ""];
    dialog.showModal();
  }));
}
