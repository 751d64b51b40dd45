// A range of layers, chosen with two thumbs on a bar of cells.

import { layersText } from "./address.js";
import { element, setAttributes, setText } from "./elements.js";

/** Returns a range after one of its ends was moved; the ends do not cross. */
export function movedEnd(layers, end, value, count) {
  const [start, stop] = layers ?? [0, count];
  const moved =
    end === 0 ? [Math.max(0, Math.min(value, stop - 1)), stop] : [start, Math.min(count, Math.max(value, start + 1))];
  return moved[0] === 0 && moved[1] === count ? null : moved;
}

/** Returns the end that is nearer to a cell; from the middle, the end on its side. */
export function nearestEnd(layers, cell, count) {
  const [start, stop] = layers ?? [0, count];
  const [first, last] = [Math.abs(cell - start), Math.abs(cell - (stop - 1))];
  return first < last || (first === last && cell < start) ? 0 : 1;
}

const KEYS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: 4, PageDown: -4, Home: -Infinity, End: Infinity };

/**
 * Returns {element, update} of a bar.
 *
 * Args:
 *   label: name for screen readers.
 *   count: number of layers.
 *   onchange: receives the new range, [start, stop) or null for all.
 */
export function layerBar({ label, count, onchange }) {
  let layers = null;
  const thumb = (end, name) =>
    element("span", {
      class: "thumb", role: "slider", tabindex: "0", "aria-label": `${label}, ${name}`,
      "aria-valuemin": "0", "aria-valuemax": count - 1,
      onkeydown: (event) => {
        if (!(event.key in KEYS) || event.ctrlKey || event.metaKey) return;
        event.preventDefault();
        event.stopPropagation();
        const now = (layers ?? [0, count])[end];
        onchange(movedEnd(layers, end, Math.max(0, Math.min(count, now + KEYS[event.key])), count));
      },
    });
  const thumbs = [thumb(0, "first"), thumb(1, "last")];
  const cells = Array.from({ length: count }, () => element("span", { class: "cell" }));
  const track = element("span", { class: "track" }, ...cells, ...thumbs);
  const text = element("output", { class: "layers" });
  const cellAt = (event) => {
    const box = track.getBoundingClientRect();
    return Math.max(0, Math.min(count - 1, Math.floor(((event.clientX - box.left) / box.width) * count)));
  };
  let held = null;
  const drag = (event) => {
    const cell = cellAt(event);
    onchange(movedEnd(layers, held, held === 0 ? cell : cell + 1, count));
  };
  track.addEventListener("pointerdown", (event) => {
    if (track.classList.contains("disabled")) return;
    event.preventDefault();
    track.setPointerCapture(event.pointerId);
    held = thumbs.includes(event.target) ? thumbs.indexOf(event.target) : nearestEnd(layers, cellAt(event), count);
    thumbs[held].focus({ focusVisible: false });
    drag(event);
  });
  track.addEventListener("pointermove", (event) => held !== null && drag(event));
  for (const name of ["pointerup", "pointercancel"]) track.addEventListener(name, () => (held = null));
  track.addEventListener("dblclick", () => onchange(null));
  return {
    element: element("span", { class: "layer-bar" }, track, text),
    update(next, isDisabled = false) {
      layers = next;
      const [start, stop] = layers ?? [0, count];
      cells.forEach((cell, i) => cell.classList.toggle("on", i >= start && i < stop));
      [start, stop].forEach((edge, end) => {
        thumbs[end].style.left = `${(100 * edge) / count}%`;
        setAttributes(thumbs[end], {
          "aria-valuenow": end === 0 ? start : stop - 1,
          "aria-disabled": isDisabled ? "true" : null,
        });
      });
      track.classList.toggle("disabled", isDisabled);
      setText(text, layers === null ? "all layers" : `layer${stop - start > 1 ? "s" : ""} ${layersText(layers)}`);
    },
  };
}
