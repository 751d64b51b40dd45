// Which sliders are listed: search, order and pages.

/** Returns the sliders whose name, number, effects or note contain every word. */
export function found(sliders, search) {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const text = (slider) => [`v${slider.number}`, slider.name, ...(slider.moves ?? []), slider.note].join(" ").toLowerCase();
  return sliders.filter((slider) => words.every((word) => text(slider).includes(word)));
}

/** Returns the number of pages, at least 1. */
export function pages(count, size) {
  return Math.max(1, Math.ceil(count / size));
}

/** Returns the sliders of one page; a page after the last one is the last one. */
export function pageOf(sliders, page, size) {
  const number = Math.min(Math.max(0, page), pages(sliders.length, size) - 1);
  return { number, sliders: sliders.slice(number * size, (number + 1) * size) };
}

/** Returns the page that lists a slider, or 0. */
export function pageWith(sliders, number, size) {
  return Math.max(0, Math.floor(sliders.findIndex((slider) => slider.number === number) / size));
}

/** Returns the runs of neighbours in a list of places: [first, count] of each. */
export function runs(places) {
  const found = [];
  for (const place of [...places].sort((a, b) => a - b)) {
    const last = found.at(-1);
    if (last && last[0] + last[1] === place) last[1] += 1;
    else found.push([place, 1]);
  }
  return found;
}
