// The state as text for the address after #, such as
// starts=1,mean&psi=0.7&edits=components:3:2.5:0-4. Fields with their usual value are
// left out, so that the first state has an empty text. named:0:=0.5 sets a value.

import { EMPTY, MAX_EDITS, MAX_SEED, MAX_SIGMA, MAX_STARTS, MAX_VALUE, bounded, isSet } from "./state.js";

/** Returns the text of a range of layers, the last layer included. */
export function layersText(layers) {
  if (layers === null) return "all";
  const [start, stop] = layers;
  return stop - start === 1 ? String(start) : `${start}-${stop - 1}`;
}

function layersFromText(text) {
  const match = /^(\d{1,3})(?:-(\d{1,3}))?$/.exec(text);
  if (!match) return null;
  const [first, last] = [Number(match[1]), Number(match[2] ?? match[1])];
  return first <= last ? [first, last + 1] : null;
}

function startText(start) {
  if (start.mean) return "mean";
  return start.picture === undefined ? String(start.seed) : `picture:${encodeURIComponent(start.picture)}`;
}

function startFromText(text) {
  if (text === "mean") return { mean: true };
  if (text.startsWith("picture:")) return { picture: decoded(text.slice("picture:".length)) };
  return /^\d{1,10}$/.test(text) ? { seed: bounded(text, 0, MAX_SEED) } : null;
}

function editText(edit) {
  const fields = [edit.group, edit.number, isSet(edit) ? `=${+edit.value.toPrecision(6)}` : +edit.sigma.toPrecision(6)];
  return [...fields, ...(edit.layers === undefined ? [] : [layersText(edit.layers)])].join(":");
}

function editFromText(text) {
  const match = /^([a-z][a-z0-9]{0,19}):(\d{1,6}):(=?)(-?[\d.]{1,12}(?:e-?\d{1,2})?)(?::([\w-]{1,9}))?$/.exec(text);
  if (!match) return null;
  const layers = match[5] === undefined ? undefined : layersFromText(match[5]);
  const edit = { group: match[1], number: Number(match[2]), layers };
  if (match[3]) return { ...edit, sigma: 0, value: bounded(match[4], -MAX_VALUE, MAX_VALUE) };
  return { ...edit, sigma: bounded(match[4], -MAX_SIGMA, MAX_SIGMA) };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Returns the text of a state; each part of it is safe in an address. */
export function toAddress(state) {
  const fields = {
    starts: state.starts.map(startText).join(","),
    label: state.label,
    psi: state.psi,
    cutoff: state.cutoff,
    noise: state.noise,
    mode: state.mode,
    centred: state.centred ? 1 : 0,
    layers: layersText(state.layers),
    edits: state.edits.map(editText).join(","),
  };
  const usual = { starts: "1", label: null, psi: 1, cutoff: null, noise: "const", mode: "latent", centred: 0, layers: "all", edits: "" };
  return Object.entries(fields)
    .filter(([name, value]) => value !== usual[name])
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
}

function parts(text, read, most) {
  return text.split(",").map(read).filter((part) => part !== null).slice(0, most);
}

function wholeNumber(text) {
  return /^\d{1,10}$/.test(text) ? Number(text) : null;
}

const READERS = {
  starts: (text) => parts(text, startFromText, MAX_STARTS),
  label: wholeNumber,
  psi: (text) => bounded(text, -10, 10, EMPTY.psi),
  cutoff: wholeNumber,
  noise: (text) => (text === "none" ? "none" : wholeNumber(text) ?? EMPTY.noise),
  mode: (text) => (text === "activation" ? "activation" : "latent"),
  centred: (text) => text === "1",
  layers: layersFromText,
  edits: (text) => parts(text, editFromText, MAX_EDITS),
};

/**
 * Returns the state of an address. Parts that mean nothing are left out, because a
 * link may be cut short. Two edits of one slider become the last one.
 */
export function fromAddress(text) {
  const state = { ...EMPTY };
  for (const part of text.replace(/^#/, "").split("&")) {
    const at = part.indexOf("=");
    const name = part.slice(0, at);
    if (Object.hasOwn(READERS, name)) state[name] = READERS[name](part.slice(at + 1));
  }
  if (!state.starts.length) state.starts = EMPTY.starts;
  const edits = new Map(state.edits.map((edit) => [`${edit.group}:${edit.number}`, edit]));
  return { ...state, edits: [...edits.values()] };
}
