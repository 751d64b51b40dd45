// The pictures, side by side, and what is known about the newest one.

import { age, editLabel, seconds } from "./facts.js";
import { columnsFor, placeOf, shownSize } from "./layout.js";
import { element, setAttributes, setText } from "./elements.js";
import { layersOf, startName } from "./state.js";

const GAP = 12;
const CAPTION = 22;
const SLOW_MS = 250; // shorter work is not announced, because the text would flicker
const LONG_MS = 2000;

async function bitmapOf(content, bytes) {
  return createImageBitmap(new Blob([bytes], { type: content.mime ?? "image/png" }), { colorSpaceConversion: "none" });
}

/**
 * Returns {element, status, update, view, onstatus} of the stage.
 *
 * Args:
 *   app: the page's program, of explorer.js.
 */
export function stage(app) {
  const { generator } = app.about;
  const grid = element("div", { class: "pictures" });
  const room = element("div", { class: "stage" }, grid);
  const doing = element("span", { class: "doing" });
  const made = element("span", { class: "made" });
  const status = element("p", { class: "status" }, made, doing);
  let slots = [];
  let newest = null;
  let work = { isBusy: false, since: 0, isOffline: false };

  function newSlot() {
    const canvas = element("canvas", { role: "img", width: generator.width, height: generator.height });
    const caption = element("figcaption");
    return { canvas, caption, figure: element("figure", { class: "empty" }, canvas, caption) };
  }

  function describe() {
    const { state } = app;
    room.dataset.moving = String(app.isMoving);
    const name = (edit) => app.slider(edit.group, edit.number)?.name ?? `${edit.group} ${edit.number}`;
    const edits = state.edits.map((edit) => editLabel(name(edit), layersOf(state, edit), edit));
    slots.forEach(({ canvas, caption }, which) => {
      if (!state.starts[which]) return;
      const start = startName(state.starts[which]);
      setText(caption, start);
      canvas.setAttribute("aria-label", [`Picture of ${start}`, ...edits].join(", "));
    });
  }

  function fit() {
    const count = slots.length;
    const box = { width: room.clientWidth, height: room.clientHeight };
    const labels = count > 1 ? CAPTION : 0;
    const picture = { width: generator.width, height: generator.height };
    const columns = columnsFor(count, picture, box, GAP);
    const place = placeOf(count, columns, box, GAP);
    const size = shownSize(generator.width, generator.height, { ...place, height: place.height - labels }, devicePixelRatio);
    grid.style.gridTemplateColumns = `repeat(${columns}, max-content)`;
    grid.classList.toggle("enlarged", size.isEnlarged);
    grid.classList.toggle("single", count === 1);
    for (const { canvas } of slots) {
      canvas.style.width = `${size.width}px`;
      canvas.style.height = `${size.height}px`;
    }
  }

  function tell() {
    const busyFor = work.isBusy ? performance.now() - work.since : 0;
    const isShown = work.isOffline || busyFor > SLOW_MS || newest === null;
    room.classList.toggle("busy", isShown);
    const usual = newest ? 5000 * newest.seconds : 0;
    const name = busyFor > Math.max(LONG_MS, usual) ? "rendering, perhaps compiling" : "rendering";
    setText(doing, work.isOffline ? "no connection, trying again" : isShown ? `${name}${busyFor > 1500 ? ` ${seconds(busyFor / 1000)}` : ""}` : "");
    room.dataset.busy = String(work.isBusy);
    if (newest) {
      const took = `${seconds(newest.seconds)}${newest.compiled ? ", with compiling" : ""}`;
      setText(made, `${newest.width} × ${newest.height} · rendered in ${took} · ${age((Date.now() - newest.at) / 1000)}`);
    }
  }

  new ResizeObserver(fit).observe(room);
  const clock = setInterval(tell, 500);
  return {
    element: room,
    status,
    update: describe,
    end: () => clearInterval(clock),
    onstatus(next) {
      work = { ...next };
      tell();
      if (next.isBusy) setTimeout(tell, SLOW_MS + 20);
    },
    view: {
      arrange(from) {
        slots = from.map((index) => slots[index] ?? newSlot());
        grid.replaceChildren(...slots.map((slot) => slot.figure));
        describe();
        fit();
      },
      fail: (which) => slots[which]?.figure.classList.add("failed"),
      async show(which, { content, bytes }) {
        const bitmap = await bitmapOf(content, bytes);
        const { canvas, figure } = slots[which];
        setAttributes(canvas, { width: bitmap.width, height: bitmap.height });
        canvas.getContext("2d").drawImage(bitmap, 0, 0);
        bitmap.close();
        figure.classList.remove("empty", "failed");
        newest = { ...content, at: Date.now() };
        tell();
        return content.full !== false && content.mime === "image/png";
      },
    },
  };
}
