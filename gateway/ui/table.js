// Many pictures, or many pairs: rows that fill as scores come, a summary, a histogram that filters.

import { ask, Refusal, refusalOf } from "./api.js";
import { metrics } from "./catalogue.js";
import { bytes, element, find, save } from "./format.js";
import { thumbnails } from "./thumbnails.js";

const CHUNK = { files: 8, bytes: 16 << 20 };
const AT_ONCE = 2; // chunks on their way
const BINS = 20;

let rows = [];
let metric = null;
let shownBin = null;
let onOpen = () => {};

// Fills the table. `items` are `[file]` or `[original, copy]`; one that lacks its partner has an
// `error`. `open` is called with the files of a row or of two selected ones.
export async function table(items, open, signal) {
  onOpen = open;
  const all = await metrics(signal);
  const pairs = items.some((item) => item.files.length === 2 || item.error);
  metric = all.find((each) => each.ofPairs === pairs);
  if (!metric) throw new Refusal("", `This service has no metric of ${pairs ? "pairs" : "single pictures"}.`);
  rows = items.map(rowOf);
  shownBin = null;
  find("many").hidden = false;
  find("many-title").textContent = `${metric.name} of each ${pairs ? "pair" : "picture"}`;
  find("score-heading").textContent = metric.name;
  find("meaning").textContent = `${metric.summary} ${metric.direction === "lower is better" ? "Lower" : "Higher"} is better.`;
  find("rows").replaceChildren(...rows.map((row) => row.line));
  for (const heading of document.querySelectorAll("th")) heading.removeAttribute("aria-sort");
  find("csv").disabled = find("compare").disabled = true;
  find("summary").textContent = "";
  find("histogram").replaceChildren();
  const progress = find("progress");
  [progress.max, progress.value] = [rows.length, 0];
  find("progress-part").hidden = false;
  thumbnails(rows, signal);

  const chunks = chunked(rows.filter((row) => !row.error));
  progress.value = rows.filter((row) => row.error).length;
  const work = async () => {
    for (let chunk = chunks.shift(); chunk; chunk = chunks.shift()) {
      await score(chunk, signal);
      progress.value += chunk.length;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  find("progress-part").hidden = true;
  find("csv").disabled = false;
  summarise();
  const failed = rows.filter((row) => row.error).length;
  return `${rows.length - failed} of ${rows.length} ${pairs ? "pairs" : "pictures"} scored.`
    + (failed ? ` ${failed} could not be: see the table.` : "");
}

// What the report shows of the table.
export const tableSeen = () => ({ metric, rows, summary: find("summary").textContent });

function chunked(waiting) {
  const made = [];
  let room = 0;
  for (const row of waiting) {
    if (made.length === 0 || made.at(-1).length === CHUNK.files || row.bytes > room) {
      made.push([]);
      room = CHUNK.bytes;
    }
    made.at(-1).push(row);
    room -= row.bytes;
  }
  return made;
}

async function score(chunk, signal) {
  const fields = chunk.flatMap((row) => metric.fields.map((field, i) => [`${field}s`, row.files[i]]));
  let results;
  try {
    results = (await (await ask(`${metric.route}batch/`, { fields, signal })).json()).results;
    results = results.map((result) => ({ score: result.score ?? null, error: result.error && refusalOf(result.error).message }));
  } catch (refusal) {
    if (signal.aborted) throw refusal;
    results = chunk.map(() => ({ score: null, error: refusal.message }));
  }
  chunk.forEach((row, i) => fill(row, results[i]));
}

function rowOf({ files, name, error = null }) {
  const file = files.at(-1);
  const box = element("input", { type: "checkbox" });
  box.setAttribute("aria-label", `Select ${name}`);
  const canvas = element("canvas", { width: 1, height: 1 });
  canvas.setAttribute("aria-hidden", "true");
  const open = element("button", { type: "button", className: "open", textContent: name });
  const [size, value] = [element("td"), element("td", { textContent: "…" })];
  const line = element("tr", {}, element("td", {}, box), element("td", {}, canvas), element("td", {}, open),
    size, element("td", { textContent: bytes(file.size) }), value);
  const row = { files, file, name, bytes: file.size, pixels: null, score: null, error, line, box, canvas, size, value };
  open.addEventListener("click", () => onOpen(files));
  box.addEventListener("change", () => { find("compare").disabled = selected().length !== 2; });
  if (error) fill(row, { error });
  return row;
}

function fill(row, { score = null, error = null }) {
  row.score = score;
  row.error = error || null;
  if (row.error) {
    row.value.replaceChildren(element("span", { className: "error", textContent: row.error }));
    return;
  }
  const bar = element("span", { className: `fill ${metric.shade(metric.band(score))}` });
  bar.style.width = `${100 * metric.place(score)}%`;
  const track = element("span", { className: "track" }, bar);
  track.setAttribute("aria-hidden", "true");
  row.value.replaceChildren(element("span", { className: "number", textContent: metric.shown(score) }), track);
  row.value.title = metric.wordsFor(score);
}

const selected = () => rows.filter((row) => row.box.checked);

function summarise() {
  const scores = rows.map((row) => row.score).filter((score) => score !== null).sort((a, b) => a - b);
  const failed = rows.filter((row) => row.error).length;
  const parts = [];
  if (scores.length) {
    const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
    const half = scores.length / 2;
    const median = (scores[Math.ceil(half) - 1] + scores[Math.floor(half)]) / 2;
    const worst = metric.rises ? scores[0] : scores.at(-1);
    parts.push(`Mean ${metric.shown(mean)}`, `median ${metric.shown(median)}`, `worst ${metric.shown(worst)}`);
  }
  parts.push(`${failed} ${failed === 1 ? "error" : "errors"}`);
  find("summary").textContent = parts.join(" · ");
  histogram(scores);
}

function histogram(scores) {
  const [low, high] = [scores[0], scores.at(-1)];
  if (scores.length < 3 || low === high) {
    find("histogram").replaceChildren();
    return;
  }
  const width = (high - low) / BINS;
  const binOf = (score) => Math.min(Math.floor((score - low) / width), BINS - 1);
  const counts = Array(BINS).fill(0);
  for (const score of scores) counts[binOf(score)] += 1;
  const most = Math.max(...counts);
  const buttons = counts.map((count, bin) => {
    const [from, to] = [low + bin * width, low + (bin + 1) * width].map((each) => metric.shown(each));
    const fill = element("span", { className: `fill ${metric.shade(metric.band(low + (bin + 0.5) * width))}` });
    fill.style.height = `${(100 * count) / most}%`;
    const button = element("button", { type: "button", disabled: count === 0 }, fill);
    button.setAttribute("aria-label", `${count} from ${from} to ${to}`);
    button.setAttribute("aria-pressed", "false");
    button.title = button.ariaLabel;
    button.addEventListener("click", () => {
      shownBin = shownBin === bin ? null : bin;
      buttons.forEach((each, i) => each.setAttribute("aria-pressed", String(i === shownBin)));
      for (const row of rows) {
        row.line.hidden = shownBin !== null && (row.score === null || binOf(row.score) !== shownBin);
      }
    });
    return button;
  });
  find("histogram").replaceChildren(...buttons);
}

function sort(button) {
  const heading = button.closest("th");
  const direction = heading.ariaSort === "ascending" ? "descending" : "ascending";
  for (const other of document.querySelectorAll("th")) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1;
  const key = button.dataset.key;
  const order = (a, b) => {
    if (a[key] === null || b[key] === null) return (a[key] === null) - (b[key] === null);
    return sign * (key === "name" ? a.name.localeCompare(b.name) : a[key] - b[key]);
  };
  find("rows").append(...rows.toSorted(order).map((row) => row.line));
}

function csv() {
  const quoted = (value) => `"${String(value ?? "").replaceAll('"', '""')}"`;
  const lines = rows.map((row) =>
    [row.name, row.width, row.height, row.bytes, row.score, row.error].map(quoted).join(","));
  const text = [`filename,width,height,bytes,${metric.id},error`, ...lines, ""].join("\r\n");
  save(`${metric.id}.csv`, "text/csv", text);
}

find("csv").addEventListener("click", csv);
find("compare").addEventListener("click", () => onOpen(selected().map((row) => row.file)));
for (const button of document.querySelectorAll("th button")) button.addEventListener("click", () => sort(button));
