// A report of what is seen: one HTML file that needs nothing else.

import { element, find, save } from "./format.js";
import { seen } from "./look.js";
import { tableSeen } from "./table.js";

const LONGEST = 1600; // pixels of a picture's longer side in the report
const STYLE = `body { font: 1rem/1.5 system-ui, sans-serif; max-width: 72rem; margin: auto; padding: 1rem; color: #1b1f23 }
img { max-width: 100%; border-radius: .5rem } figure { display: inline-block; margin: 0 1rem 1rem 0; max-width: 30rem; vertical-align: top }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid #d0d7de; overflow-wrap: anywhere }`;

// A data URL of an image or canvas, made smaller where it is large.
function dataUrl(source, width, height, type = "image/jpeg") {
  const shrink = Math.min(1, LONGEST / Math.max(width, height));
  const canvas = element("canvas", { width: Math.max(1, Math.round(width * shrink)), height: Math.max(1, Math.round(height * shrink)) });
  canvas.getContext("2d").drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL(type, 0.9);
}

function figure(image, caption, type) {
  const shown = element("img", { src: dataUrl(image, image.naturalWidth, image.naturalHeight, type), alt: caption });
  return element("figure", {}, shown, element("figcaption", { textContent: caption }));
}

function tableOf(head, lines) {
  const row = (kind, cells) => element("tr", {}, ...cells.map((cell) => element(kind, {}, cell ?? "")));
  return element("table", {}, element("thead", {}, row("th", head)), element("tbody", {}, ...lines.map((line) => row("td", line))));
}

function ofLook() {
  const files = [...find("chosen").children].map((item) => element("p", { textContent: item.textContent }));
  const scores = seen.cards.flatMap(({ metric, scores, refusal }) => refusal
    ? [[metric.name, "", refusal.message]]
    : scores.map((score, i) => [metric.name, metric.shown(score), (scores.length > 1 ? `${["Original", "Distorted"][i]}. ` : "") + metric.wordsFor(score)]));
  const figures = ["under", "over"].map(find).filter((image) => !image.hidden).map((image) => figure(image, image.alt));
  const map = find("map");
  if (map.naturalWidth && find("map-on").checked) {
    figures.push(figure(map, `Map: ${find("dark").textContent} is dark, ${find("bright").textContent} is bright`, "image/png"));
  }
  return [...files, tableOf(["Metric", "Score", "Meaning"], scores), ...figures];
}

function ofTable() {
  const { metric, rows, summary } = tableSeen();
  const lines = rows.filter((row) => !row.line.hidden).map((row) => {
    const picture = row.width ? element("img", { src: row.canvas.toDataURL("image/jpeg", 0.8), alt: "", width: 56 }) : "";
    return [picture, row.name, row.width ? `${row.width} × ${row.height}` : "", String(row.bytes),
      row.score === null ? row.error : metric.shown(row.score), row.score === null ? "" : metric.wordsFor(row.score)];
  });
  return [element("p", { textContent: summary }), tableOf(["", "File", "Pixels", "Bytes", metric.name, "Meaning"], lines)];
}

function download() {
  const isLook = !find("look").hidden;
  const title = find(isLook ? "look-title" : "many-title").textContent;
  const report = document.implementation.createHTMLDocument(title);
  report.documentElement.lang = "en";
  report.head.prepend(element("meta", { httpEquiv: "Content-Type", content: "text/html; charset=utf-8" }));
  report.body.append(
    element("h1", { textContent: title }),
    element("p", { textContent: `Image quality, ${new Date().toLocaleString()}` }),
    ...(isLook ? ofLook() : ofTable()),
  );
  // The style is added to the text: this page's policy forbids it as an element.
  const text = report.documentElement.outerHTML.replace("</head>", `<style>${STYLE}</style></head>`);
  save("image-quality.html", "text/html", `<!doctype html>\n${text}`);
}

for (const button of document.querySelectorAll(".report")) button.addEventListener("click", download);
