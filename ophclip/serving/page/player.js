/** The player: opens a hit at the second of its picture, with the video's timeline under the picture. */

import { clipAddress, clipFlaw } from "./api.js";
import { clock, spanText } from "./clock.js";
import { byId, say } from "./elements.js";
import { Timeline } from "./timeline.js";

/**
 * @typedef {import("./api.js").Hit} Hit
 * @typedef {{close: () => void, step: (by: number) => void, frame: (picture: Blob, name: string) => void}} Acts
 */

const JUMP_SECONDS = 5;
const CALM = matchMedia("(prefers-reduced-motion: reduce)");

export class Player {
  #dialog = byId("player", HTMLDialogElement);
  #video = byId("video", HTMLVideoElement);
  #flaw = byId("unplayable", HTMLElement);
  #frame = byId("frame-like", HTMLButtonElement);
  #timeline = new Timeline((second) => this.seek(second));
  /** @type {Hit | null} */
  hit = null;

  /** @param {Acts} acts */
  constructor(acts) {
    this.acts = acts;
    byId("player-close", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
    byId("previous-hit", HTMLButtonElement).addEventListener("click", () => acts.step(-1));
    byId("next-hit", HTMLButtonElement).addEventListener("click", () => acts.step(1));
    this.#frame.addEventListener("click", () => this.#takeFrame());
    this.#dialog.addEventListener("close", () => this.#closed());
    // Before the video's own controls, which have other ideas of arrows and of Space.
    this.#dialog.addEventListener("keydown", (event) => this.#key(event), { capture: true });
    this.#watch();
  }

  get isOpen() {
    return this.#dialog.open;
  }

  /** @param {Hit} hit @param {import("./api.js").Query} query @param {Hit[]} hits all of the search, best first */
  open(hit, query, hits) {
    const sameVideo = this.hit?.video_id === hit.video_id && this.#flaw.hidden;
    this.hit = hit;
    this.#describe(hit, hits);
    const own = hits.filter((other) => other.video_id === hit.video_id);
    this.#timeline.show(hit.video_id, query, own, hit.hit_id);
    if (!this.#dialog.open) {
      this.#dialog.showModal();
      this.#video.focus();
    }
    if (sameVideo) return this.seek(hit.peak_seconds);
    say(this.#flaw, "");
    this.#frame.disabled = true;
    this.#video.src = clipAddress(hit.video_id);
    this.#timeline.at(hit.peak_seconds);
  }

  close() {
    this.#dialog.close();
  }

  /** @param {number} second */
  seek(second) {
    const known = Number.isFinite(this.#video.duration);
    if (known) this.#video.currentTime = Math.min(Math.max(second, 0), this.#video.duration);
    this.#timeline.at(second);
  }

  /** @param {Hit} hit @param {Hit[]} hits */
  #describe(hit, hits) {
    const rank = hits.findIndex((other) => other.hit_id === hit.hit_id) + 1;
    const probability = hit.probability === null ? "" : `${Math.round(hit.probability * 100)}\u00a0% likely`;
    const facts = [`hit ${rank} of ${hits.length}`, spanText(hit), `score ${hit.score.toFixed(3)}`, probability, hit.license];
    byId("player-title", HTMLElement).textContent = hit.title || hit.video_id;
    byId("player-facts", HTMLElement).textContent = facts.filter(Boolean).join(" · ");
    say(byId("player-narration", HTMLElement), hit.narration);
    byId("previous-hit", HTMLButtonElement).disabled = rank <= 1;
    byId("next-hit", HTMLButtonElement).disabled = rank >= hits.length;
  }

  #watch() {
    const video = this.#video;
    video.addEventListener("loadedmetadata", () => {
      if (!video.videoWidth) return this.#unplayable();
      this.#frame.disabled = false;
      this.#timeline.lasts(video.duration);
      this.seek(this.hit?.peak_seconds ?? 0);
      // A refused start leaves the video paused, with its controls.
      if (!CALM.matches) video.play().catch(() => undefined);
    });
    video.addEventListener("error", () => video.getAttribute("src") && this.#unplayable());
    for (const name of ["timeupdate", "seeked"]) video.addEventListener(name, () => this.#timeline.at(video.currentTime));
    video.addEventListener("play", () => this.#follow());
  }

  /** Move the playhead with the pictures. */
  #follow() {
    if (this.#video.paused || CALM.matches) return;
    this.#timeline.at(this.#video.currentTime);
    requestAnimationFrame(() => this.#follow());
  }

  async #unplayable() {
    const videoId = this.hit?.video_id ?? "";
    const flaw = await clipFlaw(videoId);
    if (this.hit?.video_id !== videoId) return;
    say(this.#flaw, flaw || "This browser cannot play this video's format. H.264 in MP4 is played by all; the curve below still holds.");
  }

  #takeFrame() {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [this.#video.videoWidth, this.#video.videoHeight];
    canvas.getContext("2d")?.drawImage(this.#video, 0, 0);
    const name = `frame of ${this.hit?.video_id} at ${clock(this.#video.currentTime)}`;
    canvas.toBlob((picture) => picture && this.acts.frame(picture, name), "image/png");
  }

  #closed() {
    this.#video.pause();
    // The file is let go, so that the connection is free.
    this.#video.removeAttribute("src");
    this.#video.load();
    this.acts.close();
    this.hit = null;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = /** @type {Element} */ (event.target);
    // The ribbon and the curve walk by themselves, and a button is pressed by Space.
    if (target.closest("#timeline") && event.key !== "j" && event.key !== "l" && event.key !== " ") return;
    if (event.key === " " && target.closest("button")) return;
    const video = this.#video;
    /** @type {Record<string, () => void>} */
    const acts = {
      " ": () => (video.paused ? void video.play().catch(() => undefined) : video.pause()),
      j: () => this.seek(video.currentTime - JUMP_SECONDS),
      l: () => this.seek(video.currentTime + JUMP_SECONDS),
      ArrowLeft: () => this.acts.step(-1),
      ArrowRight: () => this.acts.step(1),
    };
    if (!acts[event.key]) return;
    [event.preventDefault(), event.stopPropagation()];
    acts[event.key]();
  }
}
