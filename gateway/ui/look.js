// One picture or a pair: every score that the service has for it, and where it comes from.

import { ask, Refusal } from "./api.js";
import { metrics } from "./catalogue.js";
import { element, facts, find, saving } from "./format.js";
import { arrange, listPlaces, placeMap, show } from "./viewer.js";

const SCALE_NAMES = ["finest detail", "fine", "middle", "coarse", "coarsest"];
const ROLES = ["Original", "Distorted"];

let urls = [];

function urlOf(blob) {
  urls.push(URL.createObjectURL(blob));
  return urls.at(-1);
}

// Asks for the map of what is shown, once it is wanted.
let loadMap = null;

// The scores of what is shown, for the report.
export let seen = { pictures: [], cards: [] };

export async function look(pictures, signal) {
  urls.forEach((url) => URL.revokeObjectURL(url));
  urls = [];
  seen = { pictures, cards: [] };
  const isPair = pictures.length === 2;
  find("look").hidden = false;
  find("result").hidden = true;
  find("swap").hidden = true;
  find("map-on").checked = false;
  find("map").removeAttribute("src");
  loadMap = null;
  find("terms").hidden = true;
  find("look-title").textContent = isPair ? "Two pictures compared" : "One picture";
  const items = pictures.map((file, i) =>
    element("li", {}, isPair ? `${ROLES[i]}: ` : "", element("b", { textContent: file.name })));
  find("chosen").replaceChildren(...items);

  const sizes = await Promise.all(pictures.map((file, i) => show(find(i ? "over" : "under"), urlOf(file))));
  for (const [i, file] of pictures.entries()) {
    const known = [await facts(file, sizes[i])];
    if (i) known.push(saving(pictures[0], file));
    signal.throwIfAborted();
    items[i].append(element("span", { className: "facts", textContent: ` ${known.join(", ")}` }));
  }

  const all = await metrics(signal);
  const own = all.filter((metric) => metric.ofPairs === isPair);
  const single = isPair ? all.filter((metric) => !metric.ofPairs) : [];
  if (own.length + single.length === 0) throw new Refusal("", `This service has no metric of ${isPair ? "pairs" : "single pictures"}.`);
  const [ownScores, ...each] = await Promise.all([
    scoresOf(own, pictures, signal),
    ...(single.length ? pictures.map((file) => scoresOf(single, [file], signal)) : []),
  ]);
  const cards = [
    ...own.map((metric) => cardOf(metric, [ownScores.get(metric)])),
    ...single.map((metric) => cardOf(metric, each.map((scores) => scores.get(metric)))),
  ];
  signal.throwIfAborted();
  // Of a pair that cannot be compared, the pictures' own scores say nothing.
  if (cards.slice(0, own.length || cards.length).every((card) => card.refusal)) {
    await blame(cards[0].metric, cards[0].refusal, items, pictures, signal);
    return "No score: see the message next to the file.";
  }
  seen.cards = cards;
  find("swap").hidden = !isPair;
  find("cards").replaceChildren(...cards.map(drawCard));
  find("result").hidden = false;
  arrange(sizes, pictures.map((file) => file.name));
  const mapped = own.find((metric, i) => metric.map && !cards[i].refusal);
  find("map-control").hidden = !mapped;
  if (mapped) loadMap = () => showMap(mapped, pictures, signal);
  const lead = cards.find((card) => !card.refusal);
  return `${lead.metric.name} ${lead.metric.shown(lead.scores[0])}. ${lead.metric.wordsFor(lead.scores[0])}.`;
}

const fieldsOf = (metric, files) => metric.fields.map((field, i) => [field, files[i]]);

// What each of the metrics says of the files, which are sent once: a score, or a Refusal. Where they
// are too small for a metric, the others are asked again.
async function scoresOf(metrics, files, signal) {
  const outcomes = new Map();
  const left = metrics.toSorted((a, b) => b.minimum_side - a.minimum_side);
  while (left.length > 0) {
    const fields = [...fieldsOf(left[0], files), ["metrics", left.map((metric) => metric.id).join(",")]];
    try {
      const { scores } = await (await ask(`${left[0].folder}/`, { fields, signal })).json();
      for (const metric of left.splice(0)) outcomes.set(metric, scores[metric.id]);
    } catch (refusal) {
      if (signal.aborted || !(refusal instanceof Refusal)) throw refusal;
      const refused = left.splice(0, refusal.code === "image_too_small" ? 1 : left.length);
      for (const metric of refused) outcomes.set(metric, refusal);
    }
  }
  return outcomes;
}

// A metric's scores of what was chosen, or why there is none.
function cardOf(metric, outcomes) {
  const refusal = outcomes.find((outcome) => outcome instanceof Refusal);
  return { metric, scores: refusal ? [] : outcomes, refusal };
}

function drawCard({ metric, scores, refusal }, index) {
  const card = element("article", { className: "card" }, element("h3", { textContent: metric.name }));
  if (refusal) {
    card.append(element("p", { className: "note", textContent: refusal.message }));
    return card;
  }
  scores.forEach((score, i) => {
    const value = element("strong", { className: metric.shade(metric.band(score)), textContent: metric.shown(score) });
    const words = element("span", { className: "words", textContent: metric.wordsFor(score) });
    if (index === 0) [value.id, words.id] = ["score", "words"];
    const role = scores.length > 1 ? element("span", { className: "role", textContent: `${ROLES[i]} ` }) : "";
    card.append(element("p", { className: "value" }, role, value, " ", words));
  });
  card.append(metric.scale(scores), element("p", { className: "note", textContent: `${metric.summary} ${sentence(metric.direction)}` }));
  return card;
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

async function showMap(metric, files, signal) {
  loadMap = null;
  find("dark").textContent = metric.map.dark.words;
  find("bright").textContent = metric.map.bright.words;
  find("places").replaceChildren();
  find("map-note").textContent = "Computing the map…";
  let response;
  try {
    response = await ask(`${metric.route}map/`, { fields: fieldsOf(metric, files), accept: "image/png", signal });
    await show(find("map"), urlOf(await response.blob()));
    signal.throwIfAborted();
  } catch (refusal) {
    if (signal.aborted) return;
    find("map-note").textContent = refusal.message;
    loadMap = () => showMap(metric, files, signal); // when it is wanted again
    return;
  }
  placeMap();
  if (metric.ofPairs) {
    listPlaces(response.headers.get("X-Map-Places").split(" ").map((place) => place.split(",").map(Number)));
  }
  find("map-note").textContent = sentence(metric.map.summary);
  const terms = response.headers.get("X-Map-Terms");
  find("terms").hidden = terms === null;
  find("bars").replaceChildren(...(terms?.split(",") ?? []).map(bar));
}

function bar(text, scale) {
  const value = Number(text);
  const fill = element("span");
  fill.style.width = `${100 * Math.max(value, 0)}%`;
  const track = element("span", { className: "track" }, fill);
  track.setAttribute("aria-hidden", "true");
  return element("li", {}, SCALE_NAMES[scale], track, element("span", { className: "number", textContent: value.toFixed(4) }));
}

// Puts the refusal next to the file that caused it: of a pair, the one that fails with itself.
async function blame(metric, refusal, items, files, signal) {
  let sentences = [refusal.message];
  if (items.length === 2) {
    const each = await Promise.all(files.map((file) => scoresOf([metric], [file, file], signal)));
    signal.throwIfAborted();
    sentences = each.map((outcomes) => outcomes.get(metric).message ?? null);
    if (sentences.every((each) => each === null)) sentences[1] = refusal.message;
  }
  sentences.forEach((text, i) => {
    if (text) items[i].append(element("div", { className: "error", textContent: text }));
  });
}

find("map-on").addEventListener("change", () => loadMap?.());
