/** A picture or a clip as the question: picked, dropped anywhere on the page, or pasted. */

import { Refusal } from "./api.js";
import { byId } from "./elements.js";

const PREVIEW_PX = 96;

/** What a file is to the service. @param {Blob} file @returns {"image" | "video"} @throws {Refusal} neither */
export function kindOf(file) {
  const [kind] = file.type.split("/");
  if (kind === "image" || kind === "video") return kind;
  throw new Refusal(415, `This is ${file.type || "a file of unknown type"}; a picture or a clip was expected. Drop one of those.`);
}

/** Hear of every file that is given. @param {(file: File) => void} onFile */
export function takeFiles(onFile) {
  const input = byId("example", HTMLInputElement);
  input.addEventListener("change", () => {
    if (input.files?.[0]) onFile(input.files[0]);
    input.value = "";
  });
  document.addEventListener("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (file) [event.preventDefault(), onFile(file)];
  });
  takeDropped(onFile);
}

/** @param {(file: File) => void} onFile */
function takeDropped(onFile) {
  const cover = byId("drop", HTMLElement);
  const holdsFile = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files") ?? false;
  document.addEventListener("dragover", (event) => {
    if (!holdsFile(event)) return;
    event.preventDefault();
    cover.hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) cover.hidden = true;
  });
  document.addEventListener("drop", (event) => {
    if (!holdsFile(event)) return;
    event.preventDefault();
    cover.hidden = true;
    const file = event.dataTransfer?.files[0];
    if (file) onFile(file);
  });
}

/** Draw a small copy of a picture; other files have none. @param {Blob} file @param {HTMLCanvasElement} canvas */
export async function preview(file, canvas) {
  canvas.hidden = true;
  if (!file.type.startsWith("image/")) return;
  try {
    const picture = await createImageBitmap(file);
    const scale = PREVIEW_PX / Math.max(picture.width, picture.height);
    [canvas.width, canvas.height] = [picture.width * scale, picture.height * scale];
    canvas.getContext("2d")?.drawImage(picture, 0, 0, canvas.width, canvas.height);
    canvas.hidden = false;
  } catch {
    // The service reads more kinds of picture than this browser draws; it will say what it thinks of this one.
  }
}
