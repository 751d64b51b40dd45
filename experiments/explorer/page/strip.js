// All sliders of a page as small rows of pictures; a row opens its slider.

import { button, element } from "./elements.js";
import { runs } from "./listing.js";
import { resolved } from "./state.js";

const COLUMNS = 7;

/**
 * Returns {element, update, later} of the rows. `later` returns a promise while rows
 * have to be requested, else null.
 */
export function strip(app) {
  const list = element("ol", { class: "strip", "aria-label": "Rows of pictures" });
  let asked = { key: "", group: "", numbers: [], state: null };
  let waiting = []; // [first, count] of rows that have to be requested
  let canvases = new Map();

  function row(group, known) {
    const canvas = element("canvas", { width: COLUMNS, height: 1 });
    canvases.set(known.number, canvas);
    const open = button("", () => app.open(group, known.number), { "aria-label": `Open ${known.name}` });
    const moves = element("span", { class: "moves" }, (known.moves ?? []).join(", "));
    open.append(element("span", { class: "strip-name" }, element("b", {}, known.name), moves), canvas);
    return element("li", {}, open);
  }

  async function request([first, count], { key, group, state }) {
    try {
      const { content, bytes } = await app.ask("strip", { state, group, first, count, columns: COLUMNS, layers: asked.layers });
      const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
      const height = bitmap.height / content.rows.length;
      content.rows.forEach((number, at) => {
        const canvas = canvases.get(number);
        if (!canvas || asked.key !== key) return;
        [canvas.width, canvas.height] = [bitmap.width, height];
        canvas.getContext("2d").drawImage(bitmap, 0, -at * height);
      });
      bitmap.close();
    } catch (error) {
      app.report(error);
    }
    list.classList.toggle("waiting", waiting.length > 0);
  }

  return {
    element: list,
    update(group, sliders, all) {
      const numbers = sliders.map((one) => one.number);
      if (`${group}:${numbers}` !== `${asked.group}:${asked.numbers}`) {
        canvases = new Map();
        list.replaceChildren(...sliders.map((known) => row(group, known)));
      }
      const state = resolved(app.state);
      const key = JSON.stringify([group, numbers, { ...state, starts: state.starts[0] }, app.state.layers]);
      if (key === asked.key) return;
      asked = { key, group, numbers, state, layers: app.state.layers };
      waiting = runs(numbers.map((number) => all.findIndex((one) => one.number === number)));
      list.classList.add("waiting");
    },
    later: () => (list.isConnected && waiting.length ? request(waiting.shift(), asked) : null),
  };
}
