// The explorer, in anywidget's form: `render({ model, el })` fills an element. The same
// code is the page's and the notebook's.

import { element } from "./elements.js";
import { header, keyHelp, messageLine, tabBar } from "./frame.js";
import * as histories from "./history.js";
import { commandOf, isWritten } from "./keys.js";
import { keptList } from "./kept.js";
import { panel } from "./panel.js";
import { pictureLoop } from "./picture_loop.js";
import { program } from "./program.js";
import { requests } from "./requests.js";
import { saving } from "./saving.js";
import { stage } from "./stage.js";
import { settings, startList } from "./starts.js";
import { withRandomSeeds } from "./state.js";

const NARROW = 820; // pixels, as in the style sheet
const NO_PLACE = { read: () => "", write: () => {}, listen: () => {} };

/** Builds the page into `el` and connects its parts. Returns a function that ends it. */
function build(app, el, keyTarget, messages) {
  const help = keyHelp();
  const [top, shown, list, set, tabs, sliders, kept, saved] = [
    header(app, help, messages.element), stage(app), startList(app), settings(app), tabBar(app), panel(app), keptList(app), saving(app),
  ];
  app.open = (group, number) => {
    app.show({ tab: group, isStrip: false, search: "", page: sliders.pageWith(group, number), open: { group, number } });
    sliders.focus(number);
  };
  app.loop = pictureLoop({
    ask: app.ask, view: shown.view, later: sliders.later, report: app.report, recovered: app.clear, onstatus: shown.onstatus,
    current: () => ({ state: app.state, moving: app.isMoving }),
  });
  app.parts = [top, shown, list, set, tabs, sliders, kept, saved];
  const left = element("section", { class: "left", "aria-label": "Pictures" }, shown.element, shown.status);
  // The settings are folded where the page is narrow, so that the sliders come sooner.
  const fold = () => set.element.toggleAttribute("open", el.clientWidth > NARROW);
  const below = element("section", { class: "below", "aria-label": "Settings" }, list.element, set.element);
  const right = element("section", { class: "right", "aria-label": "Sliders" }, tabs.element, sliders.element, kept.element, saved.element);
  el.replaceChildren(element("div", { class: "explorer" }, top.element, left, below, right, help));
  let wasNarrow = null;
  new ResizeObserver(() => {
    const isNarrow = el.clientWidth <= NARROW;
    if (isNarrow !== wasNarrow) fold();
    wasNarrow = isNarrow;
  }).observe(el);
  const commands = {
    undo: () => app.step(histories.undo), redo: () => app.step(histories.redo), random: () => app.set(withRandomSeeds(app.state)),
    search: sliders.search, before: () => sliders.turn(-1), after: () => sliders.turn(1), rows: () => app.show({ isStrip: !app.view.isStrip }),
    keep: () => (app.show({ tab: "#kept" }), kept.focus()), save: () => saved.save({ form: "png" }),
    reset: () => app.set({ ...app.state, edits: [] }), help: () => help.showModal(),
  };
  const onkey = (event) => {
    const command = commandOf(event, isWritten(event.target));
    if (!command || help.open) return;
    event.preventDefault();
    commands[command]();
  };
  const hold = () => (app.isHeld = true);
  const release = () => app.isHeld && ((app.isHeld = false), app.isMoving || app.rest());
  const end = new AbortController();
  const { signal } = end;
  keyTarget.addEventListener("keydown", onkey, { signal });
  // Otherwise a notebook takes keys of a focused slider, such as the arrows.
  if (keyTarget === el) el.addEventListener("keydown", (event) => event.stopPropagation(), { signal });
  el.addEventListener("pointerdown", hold, { signal });
  for (const name of ["pointerup", "pointercancel"]) document.addEventListener(name, release, { signal });
  signal.addEventListener("abort", shown.end);
  return () => end.abort();
}

export default {
  /**
   * Fills an element with the explorer.
   *
   * Args:
   *   model: anywidget's model; only `send` and `on` are used.
   *   el: the element.
   *   place: {read, write, listen} of the state's text; a notebook has none.
   *   keyTarget: element whose keys are read.
   *
   * Returns a promise of a function that ends the explorer, which anywidget calls.
   */
  async render({ model, el, place = NO_PLACE, keyTarget = el }) {
    const messages = messageLine();
    el.replaceChildren(element("div", { class: "explorer starting" }, element("p", { role: "status" }, "Starting"), messages.element));
    const ask = requests(model);
    try {
      const { content } = await ask("about");
      const app = program(ask, content, place, messages);
      const end = build(app, el, keyTarget, messages);
      app.refresh();
      return end;
    } catch (error) {
      messages.report(error);
      return () => {};
    }
  },
};
