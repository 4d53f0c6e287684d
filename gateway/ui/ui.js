// What is chosen, dropped or taken from the samples decides what is shown.

import { metrics } from "./catalogue.js";
import { element, find } from "./format.js";
import { look } from "./look.js";
import { chosen, dropped, matched } from "./pairs.js";
import "./report.js";
import { table } from "./table.js";

let work = new AbortController();
let pictures = [];
let scrolled = 0; // how far down the table was when a row was opened

function say(sentence) {
  find("status").textContent = sentence;
}

// Does the work of a choice; a new choice ends what is still under way.
async function run(busy, job) {
  work.abort();
  work = new AbortController();
  const { signal } = work;
  say(busy);
  try {
    say(await job(signal));
  } catch (error) {
    if (signal.aborted) return;
    say(error.message);
    if (error.name !== "Error") throw error;
  }
}

function view(...shown) {
  for (const id of ["intro", "look", "many"]) find(id).hidden = !shown.includes(id);
}

function showLook(files, { fromTable = false } = {}) {
  pictures = files;
  find("back").hidden = !fromTable;
  view("look");
  return run("Scoring…", (signal) => look(files, signal));
}

function openRow(files) {
  scrolled = scrollY;
  showLook(files, { fromTable: true });
  scrollTo(0, 0);
}

function showTable(items) {
  view("many");
  return run(`Scoring ${items.length} ${items[0].files.length === 2 ? "pairs" : "pictures"}…`,
    (signal) => table(items, openRow, signal));
}

function start(files) {
  if (files.length === 0) return;
  if (files.length > 2) showTable(files.map((file) => ({ files: [file], name: file.name })));
  else showLook([...files]);
}

function startPairs(items) {
  if (items.length === 0) say("There are no files in these folders.");
  else showTable(items);
}

async function sample(names) {
  start(await Promise.all(names.map(async (name) => {
    const response = await fetch(`samples/${name}`);
    return new File([await response.blob()], name);
  })));
}

// One line on each metric, from the service itself.
async function introduce() {
  const lines = (await metrics()).map((metric) => [
    element("dt", { textContent: metric.name }),
    element("dd", { textContent: `${metric.ofPairs ? "Two pictures. " : "One picture. "}${metric.summary} ${metric.direction === "lower is better" ? "Lower" : "Higher"} is better, usually ${metric.usual_range.low} to ${metric.usual_range.high}.` }),
  ]);
  find("metrics").replaceChildren(...lines.flat());
}

find("files").addEventListener("change", (event) => {
  const files = [...event.target.files];
  event.target.value = ""; // the same files can be chosen again
  start(files);
});
for (const id of ["originals", "copies"]) {
  find(id).addEventListener("change", () => {
    if (find("originals").files.length && find("copies").files.length) {
      startPairs(matched(chosen(find("originals")), chosen(find("copies"))));
    }
  });
}
find("swap").addEventListener("click", () => showLook([...pictures].reverse(), { fromTable: !find("back").hidden }));
find("back").addEventListener("click", () => {
  work.abort();
  say("");
  view("many");
  scrollTo(0, scrolled);
});
find("sample-one").addEventListener("click", () => sample(["distorted.jpg"]));
find("sample-pair").addEventListener("click", () => sample(["original.jpg", "distorted.jpg"]));

addEventListener("dragover", (event) => {
  event.preventDefault();
  find("drop").classList.add("over");
});
addEventListener("dragleave", () => find("drop").classList.remove("over"));
addEventListener("drop", async (event) => {
  event.preventDefault();
  find("drop").classList.remove("over");
  const { files, pairs } = await dropped(event.dataTransfer);
  if (pairs) startPairs(pairs);
  else start(files);
});
introduce().catch((error) => say(error.message));
