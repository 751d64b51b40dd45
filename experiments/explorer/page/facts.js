// Figures as people read them. A figure that is not known is called unknown.

import { layersText } from "./address.js";

const LOW_R2 = 0.5;
const UNSTABLE = 30; // degrees

const isKnown = (value) => typeof value === "number" && Number.isFinite(value);

/** Returns a number with at least two digits that count. */
export function short(value) {
  if (Math.abs(value) >= 10) return value.toFixed(0);
  return Math.abs(value) >= 1 ? value.toFixed(1) : value.toFixed(2);
}

/** Returns {name, text, doubt, why} of each figure of a slider. */
export function figures(slider) {
  const { variance, stability, r2 } = slider;
  return [
    {
      name: "variance",
      text: isKnown(variance) ? `${short(variance * 100)} %` : "unknown",
      doubt: "",
      why: "Share of the layer's variance along this direction.",
    },
    {
      name: "stability",
      text: isKnown(stability) ? `±${short(stability)}°` : "unknown",
      doubt: isKnown(stability) && stability > UNSTABLE ? "unsure" : "",
      why: "Standard error of the direction. Above 30° another sample gives another direction.",
    },
    {
      name: "r²",
      text: isKnown(r2) ? r2.toFixed(2) : "unknown",
      doubt: isKnown(r2) && r2 < LOW_R2 ? "low" : "",
      why: "Share of the component that is linear in the latent. Below 0.5 the slider moves other things too.",
    },
  ];
}

/** Returns a step as text with its sign. */
export function sigmaText(sigma) {
  return `${sigma < 0 ? "−" : sigma > 0 ? "+" : ""}${+Math.abs(sigma).toFixed(2)}`;
}

/** Returns an edit in a few words, such as "v3 (0-4) +2.5" or "light := 0.5". */
export function editLabel(name, layers, { sigma, value }) {
  const amount = value === undefined || value === null ? sigmaText(sigma) : `:= ${+value.toPrecision(4)}`;
  return `${name}${layers === null ? "" : ` (${layersText(layers)})`} ${amount}`;
}

/** Returns a duration as text. */
export function seconds(value) {
  if (value < 0.0995) return `${Math.max(1, Math.round(value * 1000))} ms`;
  return value < 9.95 ? `${value.toFixed(1)} s` : `${Math.round(value)} s`;
}

/** Returns how long ago something was, in words. */
export function age(value) {
  if (value < 1.5) return "just now";
  if (value < 60) return `${Math.floor(value)} s ago`;
  return value < 3600 ? `${Math.floor(value / 60)} min ago` : `${Math.floor(value / 3600)} h ago`;
}

/** Returns the index of a class that was named or numbered, null for none, or NaN. */
export function classIndex(names, text) {
  const wanted = text.trim().toLowerCase();
  if (wanted === "") return null;
  const numbered = /^(?:class )?(\d+)$|\((\d+)\)$/.exec(wanted);
  if (numbered) {
    const index = Number(numbered[1] ?? numbered[2]);
    return index < names.length ? index : NaN;
  }
  const lower = names.map((name) => name.toLowerCase());
  const exact = lower.indexOf(wanted);
  const at = exact >= 0 ? exact : lower.findIndex((name) => name.startsWith(wanted));
  return at >= 0 ? at : NaN;
}

/** Returns the text of a class: its name with its number, which tells equal names apart. */
export function classText(names, index) {
  return index === null ? "" : `${names[index] ?? "class"} (${index})`;
}
