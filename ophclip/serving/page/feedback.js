/**
 * Verdicts on hits, kept in this browser by index and query, and written as CSV for annotation.
 *
 * @typedef {"up" | "down"} Verdict
 * @typedef {{query: string, instrument: string, video_id: string, start_seconds: number, end_seconds: number,
 *   score: number, verdict: Verdict}} Judged
 */

const COLUMNS = /** @type {const} */ (["query", "instrument", "video_id", "start_seconds", "end_seconds", "score", "verdict"]);

export class Feedback {
  /** @type {Record<string, Record<string, Judged>>} */
  #byQuery;

  /** @param {string} index what tells one index from another */
  constructor(index) {
    this.key = `ophclip.feedback.${index}`;
    this.#byQuery = JSON.parse(localStorage.getItem(this.key) ?? "{}");
  }

  /** @param {string} query @param {import("./api.js").Hit} hit @returns {Verdict | null} */
  verdictOf(query, hit) {
    return this.#byQuery[query]?.[hit.hit_id]?.verdict ?? null;
  }

  /** Keep a verdict, or take it back. @param {string} query @param {string | null} instrument
   * @param {import("./api.js").Hit} hit @param {Verdict | null} verdict */
  judge(query, instrument, hit, verdict) {
    const held = (this.#byQuery[query] ??= {});
    if (verdict === null) delete held[hit.hit_id];
    else {
      const { video_id, start_seconds, end_seconds, score } = hit;
      held[hit.hit_id] = { query, instrument: instrument ?? "", video_id, start_seconds, end_seconds, score, verdict };
    }
    localStorage.setItem(this.key, JSON.stringify(this.#byQuery));
  }

  /** @returns {Judged[]} */
  rows() {
    return Object.values(this.#byQuery).flatMap((held) => Object.values(held));
  }

  /** Hand the verdicts over as a file. */
  download() {
    const url = URL.createObjectURL(new Blob([csv(this.rows())], { type: "text/csv;charset=utf-8" }));
    const link = document.createElement("a");
    [link.href, link.download] = [url, "ophclip-verdicts.csv"];
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }
}

/** Comma-separated values after RFC 4180. @param {Judged[]} rows */
export function csv(rows) {
  const lines = rows.map((row) => COLUMNS.map((column) => cell(row[column])).join(","));
  return [COLUMNS.join(","), ...lines, ""].join("\r\n");
}

/** @param {string | number} value */
function cell(value) {
  if (typeof value === "number") return String(value);
  // A spreadsheet would run a text that begins like a formula; as in ophclip.evaluation.tables.
  const safe = /^'*[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
