/**
 * What is asked, as it stands in the page's address, so that back, forward, reload and a sent link find it again.
 *
 * @typedef {{text: string, like: string, vector: number[] | null, name: string, minScore: number | null,
 *   grouped: boolean, narrated: boolean | null, videoIds: string[], attributes: Record<string, string[]>,
 *   opened: string}} Asked
 *   One of `text`, `like` (the id of a hit) and `vector` (of a picture or a clip) is the question; the latter two have
 *   a `name`. A vector is too long for an address: it and the name stand in the history. `opened` is the id of a hit.
 */

const ATTRIBUTE = "is.";

/** @returns {Asked} */
export const nothingAsked = () => ({
  text: "", like: "", vector: null, name: "", minScore: null, grouped: false, narrated: null, videoIds: [], attributes: {}, opened: "",
});

/** @returns {Asked} */
export function readAsked() {
  const query = new URLSearchParams(location.search);
  const score = query.get("score");
  const keys = new Set([...query.keys()].filter((key) => key.startsWith(ATTRIBUTE)));
  return {
    text: query.get("q") ?? "",
    like: query.get("like") ?? "",
    vector: history.state?.vector ?? null,
    name: history.state?.name ?? "",
    minScore: score === null || Number.isNaN(Number(score)) ? null : Number(score),
    grouped: query.has("grouped"),
    narrated: query.has("narrated") ? query.get("narrated") === "true" : null,
    videoIds: query.getAll("video"),
    attributes: Object.fromEntries([...keys].map((key) => [key.slice(ATTRIBUTE.length), query.getAll(key)])),
    opened: query.get("hit") ?? "",
  };
}

/** Make it the page's address: a new step of the history, or in place of the present one.
 * @param {Asked} asked @param {"push" | "replace"} how */
export function writeAsked(asked, how) {
  const state = { vector: asked.vector, name: asked.name, pushed: how === "push" };
  const query = new URLSearchParams(pairs(asked)).toString();
  const url = query ? `?${query}` : location.pathname;
  if (how === "push") history.pushState(state, "", url);
  else history.replaceState({ ...state, pushed: history.state?.pushed ?? false }, "", url);
}

/** Whether two questions have the same answer: all but the opened hit is equal. @param {Asked} one @param {Asked} other */
export function sameSearch(one, other) {
  const key = (/** @type {Asked} */ asked) => JSON.stringify([pairs({ ...asked, opened: "" }), asked.vector]);
  return key(one) === key(other);
}

/** Whether there is a question at all. @param {Asked} asked */
export const isAsked = (asked) => Boolean(asked.text || asked.like || asked.vector);

/** @param {Asked} asked @returns {import("./api.js").Query} */
export function queryOf(asked) {
  if (asked.vector) return { vector: asked.vector };
  return asked.like ? { hit_id: asked.like } : { text: asked.text };
}

/** What the question is called in lists. @param {Asked} asked */
export const nameOf = (asked) => asked.text || asked.name || "like one moment";

/** @param {Asked} asked @returns {[string, string][]} */
function pairs(asked) {
  /** @type {[string, string][]} */
  const found = [];
  if (asked.text) found.push(["q", asked.text]);
  if (asked.like) found.push(["like", asked.like]);
  if (asked.minScore !== null) found.push(["score", String(asked.minScore)]);
  if (asked.grouped) found.push(["grouped", ""]);
  if (asked.narrated !== null) found.push(["narrated", String(asked.narrated)]);
  for (const id of asked.videoIds) found.push(["video", id]);
  for (const [key, values] of Object.entries(asked.attributes)) {
    for (const value of values) found.push([ATTRIBUTE + key, value]);
  }
  if (asked.opened) found.push(["hit", asked.opened]);
  return found;
}
