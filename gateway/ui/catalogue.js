// What the service computes and what its scores mean, as it says itself.

import { ask } from "./api.js";
import { element } from "./format.js";

const SHADES = 5; // of the style sheet's colours from best (q0) to worst (q4)

// A metric as the service describes it, with what follows from that.
class Metric {
  constructor(described) {
    Object.assign(this, described);
    this.route = described.path.split("/api/v1/iqa/")[1];
    this.folder = this.route.split("/")[0]; // below it are the metrics that compare the same files
    this.rises = described.direction === "higher is better";
  }

  get ofPairs() {
    return this.fields.length === 2;
  }

  shown(score) {
    return score.toFixed(this.digits);
  }

  band(score) {
    return this.words.findIndex(({ below }) => below === undefined || score < below);
  }

  wordsFor(score) {
    return this.words[this.band(score)].words;
  }

  // The class of a band's colour.
  shade(band) {
    const fromBest = this.rises ? this.words.length - 1 - band : band;
    return `q${Math.round((fromBest * (SHADES - 1)) / Math.max(this.words.length - 1, 1))}`;
  }

  // Where on the scale a score lies, 0 to 1: every band is equally wide, so that a scale is finer
  // where small steps matter.
  place(score) {
    const band = this.band(score);
    const low = band === 0 ? this.usual_range.low : this.words[band - 1].below;
    const high = this.words[band].below ?? Math.max(this.usual_range.high, low);
    const within = high > low ? (score - low) / (high - low) : 1;
    return (band + Math.min(Math.max(within, 0), 1)) / this.words.length;
  }

  // The scale with a marker for each of the scores; for the eye only, the words say the same.
  scale(scores) {
    const bands = this.words.map((_, band) => element("span", { className: `band ${this.shade(band)}` }));
    const limits = this.words.slice(0, -1).map(({ below }, i) => {
      const limit = element("span", { className: "limit", textContent: below });
      limit.style.left = `${(100 * (i + 1)) / this.words.length}%`;
      return limit;
    });
    const markers = scores.map((score) => {
      const marker = element("span", { className: "marker" });
      marker.style.left = `${100 * this.place(score)}%`;
      return marker;
    });
    const scale = element("div", { className: "scale" }, ...bands, ...limits, ...markers);
    scale.setAttribute("aria-hidden", "true");
    return scale;
  }
}

let loaded = null;

// All metrics; asked for once, again after a failure.
export function metrics(signal) {
  loaded ??= ask("", { signal })
    .then((response) => response.json())
    .then((answer) => answer.metrics.map((described) => new Metric(described)));
  loaded.catch(() => { loaded = null; });
  return loaded;
}
