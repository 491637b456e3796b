/** The page's elements. Text goes in as text and never as markup. */

/** The element with an id, which index.html has. @template {Element} T
 * @param {string} id @param {new () => T} kind @returns {T} */
export function byId(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`index.html has no ${kind.name} #${id}`);
  return found;
}

/** The first element of a selector inside another, which is there. @template {Element} T
 * @param {ParentNode} within @param {string} selector @param {new () => T} kind @returns {T} */
export function inside(within, selector, kind) {
  const found = within.querySelector(selector);
  if (!(found instanceof kind)) throw new Error(`there is no ${kind.name} ${selector}`);
  return found;
}

/** A new element; children that are strings become text.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag @param {Record<string, string>} attributes @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]} */
export function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Show a text in an element, or hide the element if there is none. @param {HTMLElement} shown @param {string} text */
export function say(shown, text) {
  shown.textContent = text;
  shown.hidden = !text;
}
