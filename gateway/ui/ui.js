// The page's behaviour: one picture, a pair, or a table of many, by the service's own REST calls.

const API = "../api/v1/iqa";
const CHUNK = { files: 8, bytes: 16 << 20 };
const RETRIES = 5;
const SCALE_NAMES = ["finest detail", "fine", "middle", "coarse", "coarsest"];

const BRISQUE = {
  title: "BRISQUE",
  path: "nr/brisque",
  fields: ["image"],
  digits: 2,
  ends: [0, 100],
  words: [
    [20, "Excellent: looks like an undistorted photograph"],
    [40, "Good: slight distortion"],
    [60, "Fair: noticeable distortion"],
    [80, "Poor: annoying distortion"],
    [Infinity, "Bad: strongly distorted"],
  ],
  meaning: "Lower is better, usually 0 to 100; the score can leave that range. It judges photographs: drawings and screenshots score oddly.",
  map: "Local contrast map",
  mapNote: "What BRISQUE looks at: how far each pixel stands out from its surroundings, in units of their contrast (the magnitude of its MSCN coefficient).",
};
const MS_SSIM = {
  title: "MS-SSIM",
  path: "fr/ms-ssim",
  fields: ["original_image", "distorted_image"],
  digits: 4,
  ends: [0, 1],
  words: [
    [0.85, "Strong differences"],
    [0.95, "Visible differences"],
    [0.98, "Small differences"],
    [0.9995, "Differences that are hard to see"],
    [Infinity, "Identical, or nearly so"],
  ],
  meaning: "Higher is better; 1 is identical. Most pairs lie above 0.5, so small steps near 1 matter.",
  map: "Quality map",
  mapNote: "Dark is where the pictures differ: the SSIM of the 11x11 pixels around each point.",
};

const find = (id) => document.getElementById(id);
let work = new AbortController();
let urls = [];
let pictures = [];

class Refusal extends Error {}

// Where the service asks for a key, so does the page, once for each tab.
function authorization() {
  const key = sessionStorage.getItem("key");
  return key ? { Authorization: `Bearer ${key}` } : {};
}

function askForKey() {
  const key = prompt("This service asks for an API key:");
  if (key) sessionStorage.setItem("key", key);
  return Boolean(key);
}

// Asks the service; throws what it says in words, and tries again while it is busy.
async function ask(path, fields, accept, signal) {
  const form = new FormData();
  for (const [name, file] of fields) form.append(name, file, file.name);
  for (let attempt = 1; ; attempt++) {
    let response;
    const headers = { ...accept, ...authorization() };
    try {
      response = await fetch(`${API}/${path}/`, { method: "POST", body: form, headers, signal });
    } catch (error) {
      if (signal.aborted) throw error;
      throw new Refusal("The service cannot be reached: check that it runs, and choose again.");
    }
    if (response.ok) return response;
    if (response.status === 401) {
      // Another call may have asked in the meantime.
      const known = authorization().Authorization !== headers.Authorization;
      if (known || askForKey()) continue;
    }
    if (response.status !== 503 || attempt === RETRIES) {
      const problem = await response.json().catch(() => ({}));
      throw new Refusal(problem.detail ?? `The service answered with status ${response.status}.`);
    }
    const seconds = Number(response.headers.get("Retry-After")) || 1;
    await new Promise((done) => setTimeout(done, 1000 * seconds));
    signal.throwIfAborted();
  }
}

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function urlOf(blob) {
  urls.push(URL.createObjectURL(blob));
  return urls.at(-1);
}

function say(sentence) {
  find("status").textContent = sentence;
}

function bytes(count) {
  if (count < 1000) return `${count} bytes`;
  return count < 1e6 ? `${(count / 1e3).toFixed(0)} kB` : `${(count / 1e6).toFixed(1)} MB`;
}

// The format that the file's first bytes show, whatever its name says.
async function formatOf(file) {
  const head = String.fromCharCode(...new Uint8Array(await file.slice(0, 16).arrayBuffer()));
  const signatures = {
    "JPEG": /^\xff\xd8\xff/, "PNG": /^\x89PNG/, "GIF": /^GIF8/, "WebP": /^RIFF....WEBP/s,
    "TIFF": /^(II\*\0|MM\0\*)/, "AVIF": /^....ftypavi/s, "BMP": /^BM/,
  };
  return Object.keys(signatures).find((name) => signatures[name].test(head)) ?? "unknown format";
}

// Shows the file in `image`; resolves to its size, or null where the browser cannot decode it.
async function show(image, file) {
  image.src = urlOf(file);
  try {
    await image.decode();
    return { width: image.naturalWidth, height: image.naturalHeight };
  } catch {
    return null;
  }
}

async function facts(file, size) {
  const known = [await formatOf(file), bytes(file.size)];
  if (size) {
    const pixels = size.width * size.height;
    known.splice(1, 0, `${size.width} × ${size.height} pixels (${(pixels / 1e6).toFixed(2)} megapixels)`);
    known.push(`${((8 * file.size) / pixels).toFixed(2)} bits per pixel`);
  }
  return known.join(", ");
}

// One picture or a pair: score, map, and for a pair the wipe and the terms.

async function look(metric, signal) {
  const [under, over] = [find("under"), find("over")];
  const isPair = pictures.length === 2;
  find("look").hidden = false;
  find("result").hidden = true;
  find("swap").hidden = !isPair;
  find("look-title").textContent = isPair ? "Two pictures compared" : "One picture";
  const roles = isPair ? ["Original: ", "Distorted: "] : [""];
  const items = pictures.map((file, i) =>
    element("li", {}, `${roles[i]}`, element("b", { textContent: file.name })));
  find("chosen").replaceChildren(...items);
  say("Scoring…");

  const sizes = [await show(under, pictures[0])];
  if (isPair) sizes.push(await show(over, pictures[1]));
  for (const [i, file] of pictures.entries()) {
    const text = await facts(file, sizes[i]);
    signal.throwIfAborted();
    items[i].append(element("span", { className: "facts", textContent: ` ${text}` }));
  }
  let answer;
  try {
    const fields = metric.fields.map((field, i) => [field, pictures[i]]);
    answer = await ask(`${metric.path}/map`, fields, { Accept: "image/png" }, signal);
  } catch (error) {
    if (signal.aborted) throw error;
    await blame(metric, items, error, signal);
    return;
  }
  const map = find("map");
  await show(map, await answer.blob());
  signal.throwIfAborted();
  present(metric, answer.headers);
  place(sizes, map);
  find("result").hidden = false;
  say(`${metric.title} ${find("score").textContent}. ${find("words").textContent}.`);
}

// Puts the refusal next to the file that caused it: of a pair, the one that fails with itself.
async function blame(metric, items, error, signal) {
  let sentences = [error.message];
  if (items.length === 2) {
    sentences = await Promise.all(pictures.map((file) =>
      ask(metric.path, metric.fields.map((field) => [field, file]), {}, signal)
        .then(() => null, (own) => own.message)));
    signal.throwIfAborted();
    if (sentences.every((sentence) => sentence === null)) sentences[1] = error.message;
  }
  sentences.forEach((sentence, i) => {
    if (sentence) items[i].append(element("div", { className: "error", textContent: sentence }));
  });
  say("No score: see the message next to the file.");
}

function present(metric, headers) {
  const score = Number(headers.get("X-Map-Score"));
  const [first, last] = metric.ends;
  find("metric").textContent = metric.title;
  find("score").textContent = score.toFixed(metric.digits);
  find("words").textContent = metric.words.find(([below]) => score < below)[1];
  find("meaning").textContent = metric.meaning;
  find("scale").classList.toggle("rising", metric === MS_SSIM);
  const place = Math.min(Math.max((score - first) / (last - first), 0), 1);
  find("marker").style.left = `${100 * place}%`;
  find("first").textContent = first;
  find("last").textContent = last;
  find("map-name").textContent = `${metric.map}: off to full`;
  find("map-note").textContent = metric.mapNote;
  find("low").textContent = headers.get("X-Map-Low");
  find("high").textContent = headers.get("X-Map-High");
  const terms = headers.get("X-Map-Terms");
  find("terms").hidden = terms === null;
  find("bars").replaceChildren(...(terms?.split(",") ?? []).map(bar));
}

function bar(text, scale) {
  const value = Number(text);
  const fill = element("span");
  fill.style.width = `${100 * Math.max(value, 0)}%`;
  const track = element("span", { className: "bar" }, fill);
  track.setAttribute("aria-hidden", "true");
  const shown = element("span", { className: "value", textContent: value.toFixed(4) });
  return element("li", {}, SCALE_NAMES[scale], track, shown);
}

// Lays the pictures and the map over each other; a map without its border lies further in.
function place(sizes, map) {
  const isPair = sizes.length === 2;
  const size = sizes.find((each) => each) ?? { width: map.naturalWidth, height: map.naturalHeight };
  const across = 100 * map.naturalWidth / size.width;
  const down = 100 * map.naturalHeight / size.height;
  Object.assign(map.style, {
    width: `${across}%`, height: `${down}%`, left: `${(100 - across) / 2}%`, top: `${(100 - down) / 2}%`,
  });
  const stage = find("stage");
  stage.style.aspectRatio = `${size.width} / ${size.height}`;
  stage.style.maxWidth = `calc(70vh * ${size.width / size.height})`;
  stage.classList.toggle("wipes", isPair);
  find("unshown").hidden = sizes.every((each) => each);
  for (const [i, id] of ["under", "over"].entries()) {
    find(id).hidden = !sizes[i];
    find(id).alt = sizes[i] ? pictures[i].name : "";
  }
  find("wipe-row").hidden = find("line").hidden = !isPair;
  find("wipe").value = 50;
  find("opacity").value = isPair ? 50 : 0;
  draw();
}

function draw() {
  const wipe = find("wipe").value;
  find("over").style.clipPath = `inset(0 0 0 ${wipe}%)`;
  find("line").style.left = `${wipe}%`;
  const opacity = find("opacity").value / 100;
  find("map").style.opacity = opacity;
  find("stage").classList.toggle("mapped", opacity > 0);
}

function drag(event) {
  const stage = find("stage");
  if (!stage.classList.contains("wipes") || event.buttons !== 1) return;
  const box = stage.getBoundingClientRect();
  find("wipe").value = 100 * (event.clientX - box.left) / box.width;
  draw();
}

// Many pictures: rows that fill chunk by chunk.

function chunks(rows) {
  const made = [];
  let room = 0;
  for (const row of rows) {
    if (made.length === 0 || made.at(-1).length === CHUNK.files || row.file.size > room) {
      made.push([]);
      room = CHUNK.bytes;
    }
    made.at(-1).push(row);
    room -= row.file.size;
  }
  return made;
}

async function table(signal) {
  find("many").hidden = false;
  find("csv").disabled = true;
  const rows = pictures.map(rowOf);
  find("rows").replaceChildren(...rows.map((row) => row.line));
  for (const heading of document.querySelectorAll("th")) heading.removeAttribute("aria-sort");
  const progress = find("progress");
  [progress.max, progress.value] = [rows.length, 0];
  say(`Scoring ${rows.length} pictures…`);
  for (const chunk of chunks(rows)) {
    let results;
    try {
      const fields = chunk.map((row) => ["images", row.file]);
      results = (await (await ask("nr/brisque/batch", fields, {}, signal)).json()).results;
    } catch (error) {
      if (signal.aborted) throw error;
      results = chunk.map(() => ({ error: error.message }));
    }
    chunk.forEach((row, i) => fill(row, results[i]));
    progress.value += chunk.length;
  }
  const failed = rows.filter((row) => row.error).length;
  say(`${rows.length - failed} of ${rows.length} pictures scored.`
    + (failed ? ` ${failed} could not be: see the table.` : ""));
  find("csv").disabled = false;
  find("csv").onclick = () => download(rows);
  for (const button of document.querySelectorAll("th button")) {
    button.onclick = () => sort(rows, button);
  }
}

function rowOf(file) {
  const image = element("img", { alt: "", decoding: "async" });
  const [size, score] = [element("td"), element("td", { textContent: "…" })];
  const line = element("tr", {}, element("td", {}, image), element("td", { textContent: file.name }), size, score);
  const row = { file, name: file.name, pixels: null, score: null, error: null, line, cell: score };
  image.onload = () => {
    [row.width, row.height] = [image.naturalWidth, image.naturalHeight];
    row.pixels = row.width * row.height;
    size.textContent = `${row.width} × ${row.height}`;
  };
  image.onerror = () => { image.hidden = true; };
  image.src = urlOf(file);
  return row;
}

function fill(row, { score = null, error = null }) {
  row.score = score;
  row.error = error?.replace(/^[a-z_]+: /, "") ?? null;
  const shown = error === null
    ? score.toFixed(BRISQUE.digits)
    : element("span", { className: "error", textContent: row.error });
  row.cell.replaceChildren(shown);
}

function sort(rows, button) {
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

function download(rows) {
  const quoted = (value) => `"${String(value ?? "").replaceAll('"', '""')}"`;
  const lines = rows.map((row) =>
    [row.name, row.width, row.height, row.file.size, row.score, row.error].map(quoted).join(","));
  const text = ["filename,width,height,bytes,brisque,error", ...lines, ""].join("\r\n");
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  element("a", { href: url, download: "brisque.csv" }).click();
  URL.revokeObjectURL(url);
}

// What is chosen decides what is shown.

async function start(files) {
  if (files.length === 0) return;
  work.abort();
  work = new AbortController();
  urls.forEach((url) => URL.revokeObjectURL(url));
  urls = [];
  pictures = [...files];
  find("look").hidden = find("many").hidden = true;
  const { signal } = work;
  try {
    if (pictures.length > 2) await table(signal);
    else await look(pictures.length === 2 ? MS_SSIM : BRISQUE, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

find("files").addEventListener("change", (event) => {
  const files = [...event.target.files];
  event.target.value = ""; // the same files can be chosen again
  start(files);
});
find("swap").addEventListener("click", () => start([...pictures].reverse()));
for (const id of ["wipe", "opacity"]) find(id).addEventListener("input", draw);
for (const type of ["pointerdown", "pointermove"]) find("stage").addEventListener(type, drag);

addEventListener("dragover", (event) => {
  event.preventDefault();
  find("drop").classList.add("over");
});
addEventListener("dragleave", () => find("drop").classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  find("drop").classList.remove("over");
  start(event.dataTransfer.files);
});
