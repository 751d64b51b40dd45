// One slider with its number field. The bar is filled from zero to the thumb.

import { element, setValue } from "./elements.js";
import { bounded } from "./state.js";

const share = (value, low, high) => (100 * (bounded(value, low, high) - low)) / (high - low);

/**
 * Returns {element, update, focus} of a slider.
 *
 * Args:
 *   label: name for screen readers.
 *   range: [low, high] of the bar.
 *   limits: [low, high] of the number field.
 *   step: step of one arrow key.
 *   zero: value at which the bar's filled part begins, and value of a double click.
 *   onmove: receives the value while the slider moves.
 *   onoff: called when Delete is pressed; optional.
 *   onzero: called by 0 and a double click, instead of a move to zero; optional.
 */
export function slider({ label, range, limits, step, zero, onmove, onoff, onzero }) {
  const [low, high] = range;
  const bar = element("input", { type: "range", min: low, max: high, step, "aria-label": label });
  const number = element("input", { type: "number", step, min: limits[0], max: limits[1], "aria-label": `${label}, number` });
  let shown = zero;
  const fill = (value) => {
    const [from, to] = [share(zero, low, high), share(value, low, high)].sort((a, b) => a - b);
    bar.style.setProperty("--from", `${from}%`);
    bar.style.setProperty("--to", `${to}%`);
    bar.style.setProperty("--zero", `${share(zero, low, high)}%`);
  };
  const move = (value) => {
    shown = value;
    onmove(value);
  };
  const reset = onzero ?? (() => move(zero));
  bar.addEventListener("input", () => move(Number(bar.value)));
  bar.addEventListener("dblclick", reset);
  bar.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isReset = event.key === "0";
    const isOff = onoff && (event.key === "Delete" || event.key === "Backspace");
    if (!isReset && !isOff) return;
    event.preventDefault();
    event.stopPropagation();
    if (isReset) reset();
    else onoff();
  });
  number.addEventListener("input", () => {
    if (number.value !== "" && !number.validity.badInput) move(bounded(number.value, ...limits, zero));
  });
  number.addEventListener("change", () => {
    const value = bounded(number.value, ...limits, zero);
    number.value = value;
    if (value !== shown) move(value);
  });
  return {
    element: element("div", { class: "slider" }, bar, number),
    focus: () => bar.focus(),
    /** Shows a value; null is one that is not set. */
    update(given, isDisabled = false) {
      const value = given ?? zero;
      shown = value;
      bar.disabled = number.disabled = isDisabled;
      bar.classList.toggle("unset", given === null);
      setValue(bar, bounded(value, low, high));
      setValue(number, given === null ? "" : +value.toPrecision(6));
      fill(value);
    },
  };
}
