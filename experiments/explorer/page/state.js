// The state of a page: which pictures, which settings and which edits. All functions
// are pure; a state is never changed in place.
//
// An edit whose `layers` is undefined follows `state.layers`, the range for all sliders.
// null stands for all layers, and [start, stop) for a range. An edit with a `value` sets
// it, and its sigma is not used.

export const MAX_STARTS = 9;
export const MAX_EDITS = 32;
export const MAX_SEED = 2 ** 32 - 1;
export const MAX_SIGMA = 10000;
export const MAX_VALUE = 1e9;

export const EMPTY = Object.freeze({
  starts: [{ seed: 1 }],
  label: null,
  psi: 1,
  cutoff: null,
  noise: "const",
  mode: "latent",
  centred: false,
  layers: null,
  edits: [],
});

/** Returns the position of a slider's edit in the state, or -1. */
function position(state, group, number) {
  return state.edits.findIndex((edit) => edit.group === group && edit.number === number);
}

/** Returns the edit of a slider, or null where the slider was not moved. */
export function editOf(state, group, number) {
  return state.edits[position(state, group, number)] ?? null;
}

/** Returns a state in which fields of one slider's edit have new values. */
export function withEdit(state, group, number, fields) {
  const at = position(state, group, number);
  const edit = { group, number, layers: undefined, sigma: 0, ...state.edits[at], ...fields };
  edit.sigma = bounded(edit.sigma, -MAX_SIGMA, MAX_SIGMA);
  const edits = at < 0 ? [...state.edits, edit] : state.edits.map((old, i) => (i === at ? edit : old));
  return { ...state, edits };
}

/** Returns a state in which one slider moves nothing. */
export function withoutEdit(state, group, number) {
  return { ...state, edits: state.edits.filter((edit) => edit.group !== group || edit.number !== number) };
}

/** Returns whether one more edit would exceed the bound of MAX_EDITS. */
export function isFull(state, group, number) {
  return state.edits.length >= MAX_EDITS && position(state, group, number) < 0;
}

/** Returns a number within bounds; a text that is no number becomes `otherwise`. */
export function bounded(value, low, high, otherwise = 0) {
  const number = typeof value === "string" && value.trim() === "" ? NaN : Number(value);
  return Number.isFinite(number) ? Math.min(high, Math.max(low, number)) : otherwise;
}

/** Returns whether an edit sets a value instead of a step. */
export function isSet(edit) {
  return edit.value !== undefined && edit.value !== null;
}

/** Returns the layers that an edit moves: null for all, or [start, stop). */
export function layersOf(state, edit) {
  return edit.layers === undefined ? state.layers : edit.layers;
}

/**
 * Returns the state as the server reads it: each edit has its own layers, and edits
 * that change no pixel are left out. A centred edit of size 0 does change pixels.
 */
export function resolved(state) {
  const { layers: _, ...fields } = state;
  const edits = state.edits
    .filter((edit) => edit.sigma !== 0 || state.centred || isSet(edit))
    .map((edit) => ({
      group: edit.group, number: edit.number, layers: layersOf(state, edit), sigma: edit.sigma,
      ...(isSet(edit) ? { value: edit.value } : {}),
    }));
  return { ...fields, edits };
}

/** Returns the page's state of a state that the server returned. */
export function adopted(fields) {
  return { ...EMPTY, ...fields, layers: null };
}

/** Returns a text that is equal for two pictures only if their pixels are equal. */
export function pictureKey(state, which) {
  return JSON.stringify({ ...resolved(state), starts: [state.starts[which]] });
}

/** Returns the next seed that no picture of the state has. */
export function nextSeed(state) {
  const seeds = state.starts.map((start) => start.seed).filter(Number.isInteger);
  return seeds.length ? Math.max(...seeds) + 1 : 1;
}

/** Returns a state with one more picture; at most MAX_STARTS stay. */
export function withStart(state, start) {
  return { ...state, starts: [...state.starts, start].slice(0, MAX_STARTS) };
}

/** Returns a state without one picture; the last picture stays. */
export function withoutStart(state, which) {
  return state.starts.length === 1 ? state : { ...state, starts: state.starts.filter((_, i) => i !== which) };
}

/** Returns a state whose pictures of seeds have new, random seeds. */
export function withRandomSeeds(state, random = Math.random) {
  const seed = () => Math.floor(random() * 1e6);
  const hasSeeds = state.starts.some((start) => "seed" in start);
  const starts = state.starts.map((start) => ("seed" in start || !hasSeeds ? { seed: seed() } : start));
  return { ...state, starts };
}

/** Returns the name of a picture's start. */
export function startName(start) {
  if (start.mean) return "mean latent";
  return start.picture ?? `seed ${start.seed}`;
}
