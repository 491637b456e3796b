/**
 * Calls of the service. Every address is relative to where this file came from, so nothing leaves the origin.
 *
 * @typedef {{hit_id: string, video_id: string, title: string, license: string, narration: string,
 *   start_seconds: number, end_seconds: number, peak_seconds: number, score: number, probability: number | null,
 *   level: string}} Hit
 * @typedef {{text: string} | {vector: number[]} | {hit_id: string}} Query one of the three
 * @typedef {{video_ids: string[], narrated: boolean | null, attributes: Record<string, string[]>}} Filters
 * @typedef {{k: number, min_score: number | null, group_by_video: boolean, filters: Filters}} Options
 * @typedef {{instrument: string | null, hits: Hit[]}} Found
 * @typedef {{model: string, weights_sha256: string, videos: number, windows: number, window_seconds: number,
 *   facets: Record<string, Record<string, number>>, calibrated: boolean}} Index
 * @typedef {{video_id: string, title: string, license: string, narrated: boolean, duration_seconds: number}} Video
 * @typedef {{phase: string, start_seconds: number, end_seconds: number}} Span
 * @typedef {{start_seconds: number[], end_seconds: number[], scores: number[]}} Curve of every window of a video
 * @typedef {{signal?: AbortSignal, onBusy?: (seconds: number) => void}} Manner `onBusy` hears of each wait
 * @typedef {{method?: string, json?: unknown, body?: Blob} & Manner} Call
 */

const ROOT = new URL("../", import.meta.url);
const TOKEN_KEY = "ophclip.token";
const TRIES_WHEN_BUSY = 4;

/** What the service answered instead of a result, in its own words. Status 0: it did not answer. */
export class Refusal extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** @type {() => Promise<void>} */
let askForToken = () => Promise.reject(new Refusal(401, "A token is needed."));

/** Say who asks for a token when the service wants one; the promise ends when `beginSession` has taken it.
 * @param {() => Promise<void>} ask */
export function whenTokenIsWanted(ask) {
  /** @type {Promise<void> | null} */
  let asking = null;
  askForToken = () => (asking ??= ask().finally(() => (asking = null)));
}

/** Keep a token for this tab, with a cookie for pictures and videos, which cannot send it.
 * @param {string} token @throws {Refusal} it is not accepted */
export async function beginSession(token) {
  const response = await fetch(address("v1", "session"), request({ method: "POST", json: { token } })).catch(unreachable);
  if (!response.ok) throw await refusalOf(response);
  sessionStorage.setItem(TOKEN_KEY, token);
}

/** The address of a path of the service; its parts are escaped. @param {...string} parts */
export function address(...parts) {
  return new URL(parts.map(encodeURIComponent).join("/"), ROOT).href;
}

/** @param {string} hitId */
export const thumbnailAddress = (hitId) => address("v1", "hits", hitId, "thumbnail");

/** @param {string} videoId */
export const clipAddress = (videoId) => address("v1", "videos", videoId, "clip");

/** @returns {Promise<Index>} */
export const readIndex = () => read(address("v1", "index"));

/** @returns {Promise<Video[]>} */
export const readVideos = async () => (await read(address("v1", "videos"))).videos;

/** Names that begin with a text; of an empty one what the index' field looks for most.
 * @param {string} prefix @param {AbortSignal} [signal] @returns {Promise<string[]>} */
export async function suggestions(prefix, signal) {
  const query = new URLSearchParams({ prefix, limit: "8" });
  return (await read(`${address("v1", "suggestions")}?${query}`, { signal })).suggestions;
}

/** @param {Query} query @param {Options} options @param {Manner} manner @returns {Promise<Found>} */
export const search = (query, options, manner) =>
  read(address("v1", "search"), { method: "POST", json: { ...query, ...options }, ...manner });

/** The vector of a picture or a clip. @param {"image" | "video"} kind @param {Blob} file @param {Manner} manner
 * @returns {Promise<number[]>} */
export async function embed(kind, file, manner) {
  return (await read(address("v1", "embed", kind), { method: "POST", body: file, ...manner })).vectors[0];
}

/** @param {string} videoId @returns {Promise<{names: string[], spans: Span[]}>} */
export const phases = (videoId) => read(address("v1", "videos", videoId, "phases"));

/** @param {string} videoId @param {Query} query @returns {Promise<Curve>} */
export const curve = (videoId, query) => read(address("v1", "videos", videoId, "curve"), { method: "POST", json: query });

/** A hit's picture with what answers the query laid over it. @param {string} hitId @param {Query} query
 * @returns {Promise<ImageBitmap>} */
export async function heatMap(hitId, query) {
  const response = await call(address("v1", "hits", hitId, "heat_map"), { method: "POST", json: query });
  return createImageBitmap(await response.blob().catch(unreachable));
}

/** Why a video's file cannot be had, or an empty text if it can. @param {string} videoId */
export async function clipFlaw(videoId) {
  try {
    const response = await call(clipAddress(videoId), {}, { Range: "bytes=0-0" });
    await response.body?.cancel();
    return "";
  } catch (error) {
    return error instanceof Refusal ? error.message : String(error);
  }
}

/** @param {string} url @param {Call} [given] @returns {Promise<any>} */
const read = async (url, given) => (await call(url, given)).json().catch(unreachable);

/** One call: a token is asked for when it is wanted, a busy service is tried again.
 * @param {string} url @param {Call} [given] @param {Record<string, string>} [headers]
 * @throws {Refusal} @returns {Promise<Response>} */
async function call(url, given = {}, headers = {}) {
  for (let tries = 1; ; tries += 1) {
    const response = await fetch(url, request(given, headers)).catch(unreachable);
    if (response.ok) return response;
    const refusal = await refusalOf(response);
    if (refusal.status === 401) await askForToken();
    else if (refusal.status === 429 && tries < TRIES_WHEN_BUSY) {
      const seconds = Number(response.headers.get("Retry-After")) || 2 ** (tries - 1);
      given.onBusy?.(seconds);
      await pause(seconds, given.signal);
    } else throw refusal;
  }
}

/** @param {Call} given @param {Record<string, string>} [headers] @returns {RequestInit} */
function request({ method = "GET", json, body, signal }, headers = {}) {
  const token = sessionStorage.getItem(TOKEN_KEY);
  const sent = new Headers(headers);
  if (token) sent.set("Authorization", `Bearer ${token}`);
  if (json !== undefined) sent.set("Content-Type", "application/json");
  if (body) sent.set("Content-Type", "application/octet-stream");
  return { method, headers: sent, body: json === undefined ? body : JSON.stringify(json), signal, credentials: "same-origin" };
}

/** @param {Error} error @returns {never} */
function unreachable(error) {
  if (error.name === "AbortError") throw error;
  throw new Refusal(0, "The service does not answer. Is it still running, and is this machine still connected to it?");
}

/** @param {Response} response */
async function refusalOf(response) {
  const said = await response.json().catch(() => null);
  return new Refusal(response.status, said?.error ?? `The service answered ${response.status} ${response.statusText}.`);
}

/** @param {number} seconds @param {AbortSignal} [signal] @returns {Promise<void>} */
function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });
}
