// The stage: one picture, or two under a wipe, and a map over them; zoom and pan move all together.

import { element, find } from "./format.js";

const LARGEST = 32; // screen pixels for one of the picture's
const STEP = 1.25;

const stage = find("stage");
const layers = find("layers");
const [under, over, map] = [find("under"), find("over"), find("map")];

// `scale` 1 shows the whole picture; `x` and `y` are where its corner lies on the stage.
const view = { scale: 1, x: 0, y: 0, width: 1, height: 1 };
const pointers = new Map();
let wiping = false;

// Shows the file in `image`; resolves to its size, or null where the browser cannot decode it.
export async function show(image, url) {
  image.src = url;
  try {
    await image.decode();
    return { width: image.naturalWidth, height: image.naturalHeight };
  } catch {
    return null;
  }
}

// Lays out what `show` has loaded. `sizes` has an entry for each picture.
export function arrange(sizes, names) {
  const size = sizes.find((each) => each) ?? { width: 3, height: 2 };
  [view.width, view.height] = [size.width, size.height];
  stage.style.aspectRatio = `${size.width} / ${size.height}`;
  stage.style.maxWidth = `calc(70vh * ${size.width / size.height})`;
  stage.classList.toggle("pair", sizes.length === 2);
  find("unshown").hidden = sizes.every((each) => each);
  for (const [i, image] of [under, over].entries()) {
    image.hidden = !sizes[i];
    image.alt = sizes[i] ? names[i] : "";
  }
  for (const part of document.querySelectorAll(".of-pairs")) part.hidden = sizes.length !== 2;
  find("wipe").value = 50;
  fit();
}

// A map without the picture's border lies further in.
export function placeMap() {
  const across = (100 * map.naturalWidth) / view.width;
  const down = (100 * map.naturalHeight) / view.height;
  Object.assign(map.style, {
    width: `${across}%`, height: `${down}%`, left: `${(100 - across) / 2}%`, top: `${(100 - down) / 2}%`,
  });
}

function oneToOne() {
  return view.width / stage.clientWidth;
}

function draw() {
  const [width, height] = [stage.clientWidth, stage.clientHeight];
  view.x = Math.min(0, Math.max(view.x, width * (1 - view.scale)));
  view.y = Math.min(0, Math.max(view.y, height * (1 - view.scale)));
  layers.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
  stage.classList.toggle("zoomed", view.scale > 1);
  stage.classList.toggle("pixels", view.scale > 1.01 * oneToOne());
  const wipe = Number(find("wipe").value);
  const cut = (100 * ((wipe / 100) * width - view.x)) / view.scale / width;
  over.style.clipPath = `inset(0px 0px 0px ${+cut.toFixed(4)}%)`;
  find("line").style.left = `${wipe}%`;
  find("tag-original").style.opacity = wipe > 12 ? 1 : 0;
  find("tag-distorted").style.opacity = wipe < 88 ? 1 : 0;
  const mapped = find("map-on").checked;
  map.style.opacity = mapped ? find("opacity").value / 100 : 0;
  stage.classList.toggle("mapped", mapped);
  find("map-part").hidden = !mapped;
  find("zoom").textContent = `${Math.round((100 * view.scale) / oneToOne())}%`;
}

// Zooms so that the point of the picture at (x, y) of the stage stays where it is.
function zoomTo(scale, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  const next = Math.min(Math.max(scale, 1), Math.max(LARGEST * oneToOne(), 1));
  view.x = x - ((x - view.x) * next) / view.scale;
  view.y = y - ((y - view.y) * next) / view.scale;
  view.scale = next;
  draw();
}

function fit() {
  Object.assign(view, { scale: 1, x: 0, y: 0 });
  draw();
}

export function flip() {
  find("wipe").value = Number(find("wipe").value) > 50 ? 0 : 100;
  draw();
}

// Buttons that jump to tiles of the map, `[left, top, width, height]` in its pixels.
export function listPlaces(tiles) {
  const inset = [(view.width - map.naturalWidth) / 2, (view.height - map.naturalHeight) / 2];
  const buttons = tiles.map(([left, top, width, height], i) => {
    const button = element("button", { type: "button", className: "quiet", textContent: i + 1 });
    button.setAttribute("aria-label", `Go to place ${i + 1}`);
    button.addEventListener("click", () => {
      const x = (inset[0] + left + width / 2) / view.width;
      const y = (inset[1] + top + height / 2) / view.height;
      view.scale = Math.max(view.width / (3 * Math.max(width, height)), oneToOne(), 1);
      view.x = stage.clientWidth * (0.5 - x * view.scale);
      view.y = stage.clientHeight * (0.5 - y * view.scale);
      draw();
    });
    return button;
  });
  find("places").replaceChildren(...buttons);
}

function position(event) {
  const box = stage.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function wipeTo(x) {
  find("wipe").value = (100 * x) / stage.clientWidth;
  draw();
}

function press(event) {
  if (event.button !== 0) return;
  const [x, y] = position(event);
  pointers.set(event.pointerId, [x, y]);
  const pair = stage.classList.contains("pair");
  wiping = pair && pointers.size === 1 && (event.target.closest("#line") !== null || view.scale === 1);
  if (wiping) wipeTo(x);
  stage.setPointerCapture(event.pointerId);
}

function move(event) {
  if (!pointers.has(event.pointerId)) return;
  const [x, y] = position(event);
  const [oldX, oldY] = pointers.get(event.pointerId);
  const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
  pointers.set(event.pointerId, [x, y]);
  if (other) {
    const distance = (from) => Math.hypot(from[0] - other[0], from[1] - other[1]);
    zoomTo((view.scale * distance([x, y])) / Math.max(distance([oldX, oldY]), 1), (x + other[0]) / 2, (y + other[1]) / 2);
  } else if (wiping) {
    wipeTo(x);
  } else {
    view.x += x - oldX;
    view.y += y - oldY;
    draw();
  }
}

const KEYS = {
  "+": () => zoomTo(view.scale * STEP),
  "=": () => zoomTo(view.scale * STEP),
  "-": () => zoomTo(view.scale / STEP),
  "0": fit,
  "1": () => zoomTo(oneToOne()),
  "f": flip,
  "m": () => find("map-on").click(),
  "ArrowLeft": () => { view.x += 40; draw(); },
  "ArrowRight": () => { view.x -= 40; draw(); },
  "ArrowUp": () => { view.y += 40; draw(); },
  "ArrowDown": () => { view.y -= 40; draw(); },
};

function key(event) {
  const act = KEYS[event.key];
  const onStage = document.activeElement === stage;
  if (!act || event.ctrlKey || event.metaKey || event.altKey || find("look").hidden) return;
  if (!onStage && (event.key !== "f" || document.activeElement.matches("input:not([type=range]):not([type=checkbox])"))) return;
  if (event.key === "f" && !stage.classList.contains("pair")) return;
  event.preventDefault();
  act();
}

stage.addEventListener("pointerdown", press);
stage.addEventListener("pointermove", move);
for (const type of ["pointerup", "pointercancel"]) {
  stage.addEventListener(type, (event) => pointers.delete(event.pointerId));
}
stage.addEventListener("wheel", (event) => {
  if (!event.ctrlKey && view.scale === 1 && event.deltaY > 0) return; // the page scrolls on
  event.preventDefault();
  zoomTo(view.scale * STEP ** (-event.deltaY / 100), ...position(event));
}, { passive: false });
stage.addEventListener("dblclick", (event) => {
  if (view.scale > 1) fit();
  else zoomTo(Math.max(oneToOne(), 2), ...position(event));
});
addEventListener("keydown", key);
addEventListener("resize", () => { if (!find("look").hidden) draw(); });
for (const id of ["wipe", "opacity", "map-on"]) find(id).addEventListener("input", draw);
const BUTTONS = { "zoom-out": "-", "zoom-in": "+", "zoom-fit": "0", "zoom-one": "1", "flip": "f" };
for (const [id, name] of Object.entries(BUTTONS)) find(id).addEventListener("click", KEYS[name]);
