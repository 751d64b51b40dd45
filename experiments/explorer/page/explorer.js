// The explorer, in anywidget's form: `render({ model, el })` fills an element. The same
// code is the page's and the notebook's.

import { fromAddress, toAddress } from "./address.js";
import { button, element, setText } from "./elements.js";
import * as histories from "./history.js";
import { COMMANDS, commandOf, isWritten } from "./keys.js";
import { keptList } from "./kept.js";
import { panel } from "./panel.js";
import { pictureLoop } from "./picture_loop.js";
import { requests } from "./requests.js";
import { saving } from "./saving.js";
import { stage } from "./stage.js";
import { settings, startList } from "./starts.js";
import { isFull, MAX_EDITS, withEdit, withoutEdit, withRandomSeeds } from "./state.js";

const REST_MS = 150; // a slider rests when it has not moved for this long
const TITLES = { components: "Components", named: "Named", kept: "Kept before", random: "Random" };
const NARROW = 820; // pixels, as in the style sheet
const NO_PLACE = { read: () => "", write: () => {}, listen: () => {} };

/** Returns the line of errors and notices: {element, report, say}. */
function messageLine() {
  const text = element("span");
  const close = button("×", () => (line.hidden = true), { class: "quiet", "aria-label": "Close" });
  const line = element("div", { class: "message", hidden: true }, text, close);
  let timer = 0;
  const show = (words, isError) => {
    line.classList.toggle("error", isError);
    line.setAttribute("role", isError ? "alert" : "status");
    line.hidden = false;
    setText(text, words);
    clearTimeout(timer);
    if (!isError) timer = setTimeout(() => (line.hidden = true), 6000);
  };
  return {
    element: line,
    report: (error) => show(String(error.message ?? error).split("\n")[0], true),
    say: (words) => show(words, false),
    clear: () => line.classList.contains("error") && (line.hidden = true),
  };
}

/** Returns the dialog that lists all keys. */
function keyHelp() {
  const entries = COMMANDS.flatMap(([, keys, text]) => [element("dt", {}, keys), element("dd", {}, text)]);
  const onSlider = [["← →", "Move the slider"], ["0, double click", "Slider to 0"], ["Delete", "Take the slider back"]];
  const more = onSlider.flatMap(([keys, text]) => [element("dt", {}, keys), element("dd", {}, text)]);
  const close = button("Close", () => dialog.close());
  const dialog = element("dialog", { "aria-label": "Keys" }, element("dl", {}, ...entries, ...more), close);
  return dialog;
}

/** Returns {element, update} of the tabs: one for each group, then Kept and Save. */
function tabBar(app) {
  const groups = app.about.groups.map(({ key, title }) => [key, TITLES[key] ?? title, title]);
  const names = [...groups, ["#kept", "Kept"], ["#save", "Save"]];
  const choose = (key) => app.show({ tab: key, page: 0 });
  const tabs = names.map(([key, text, title]) => button(text, () => choose(key), { role: "tab", "data-tab": key, title }));
  const step = (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    const next = tabs[(tabs.indexOf(event.target) + by + tabs.length) % tabs.length];
    choose(next.dataset.tab);
    next.focus();
  };
  return {
    element: element("div", { class: "tabs", role: "tablist", onkeydown: step }, ...tabs),
    update() {
      for (const [at, tab] of tabs.entries()) {
        const isChosen = app.view.tab === names[at][0];
        tab.setAttribute("aria-selected", String(isChosen));
        tab.tabIndex = isChosen ? 0 : -1;
        const count = names[at][0] === "#kept" ? app.kept.length : (app.group(names[at][0])?.sliders.length ?? 0);
        setText(tab, count ? `${names[at][1]} ${count}` : names[at][1]);
      }
    },
  };
}

/** Returns the program that all parts of the page share. */
function program(ask, about, place, messages) {
  let history = histories.begin(fromAddress(place.read()));
  let timer = 0;
  const app = {
    ask, about,
    ...{ state: history.present, kept: about.kept, isMoving: false, isHeld: false, parts: [], loop: null },
    view: { tab: about.groups[0].key, page: 0, search: "", open: null, isStrip: false, walk: [], subject: null, exported: null },
    report: messages.report,
    say: messages.say,
    clear: messages.clear,
    group: (key) => about.groups.find((group) => group.key === key),
    slider: (key, number) => app.group(key)?.sliders.find((one) => one.number === number),
    canUndo: () => history.past.length > 0,
    canRedo: () => history.future.length > 0,
    usualLayers: (known) => known.layers ?? undefined,
    refresh() {
      for (const part of app.parts) part.update();
      app.loop?.pump();
    },
    preview(state) {
      app.state = state;
      app.isMoving = true;
      clearTimeout(timer);
      timer = setTimeout(app.rest, REST_MS);
      app.refresh();
    },
    rest() {
      clearTimeout(timer);
      app.isMoving = false;
      if (!app.isHeld) {
        history = histories.commit(history, app.state);
        place.write(toAddress(app.state));
      }
      app.refresh();
    },
    set(state) {
      app.state = state;
      app.rest();
    },
    step(change) {
      app.rest();
      history = change(history);
      app.state = history.present;
      place.write(toAddress(app.state));
      app.refresh();
    },
    move(group, number, fields, known = app.slider(group, number)) {
      if (isFull(app.state, group, number)) return app.report(new Error(`At most ${MAX_EDITS} sliders can move at once; take one back first.`));
      const first = { layers: app.usualLayers(known) };
      const isNew = !app.state.edits.some((edit) => edit.group === group && edit.number === number);
      return app.preview(withEdit(app.state, group, number, isNew ? { ...first, ...fields } : fields));
    },
    drop: (group, number) => app.set(withoutEdit(app.state, group, number)),
    show(fields) {
      app.view = { ...app.view, ...fields };
      app.refresh();
    },
    async keep(entry) {
      try {
        app.kept = (await ask("keep", entry)).content.kept;
        app.say(`${entry.name ?? entry.direction.name} is kept in ${about.workdir}.`);
        app.refresh();
        return true;
      } catch (error) {
        app.report(error);
        return false;
      }
    },
    async forget(name) {
      try {
        app.kept = (await ask("forget", { name })).content.kept;
        app.show({ walk: app.view.walk.filter((one) => one !== name), exported: null });
      } catch (error) {
        app.report(error);
      }
    },
  };
  place.listen((text) => app.set(fromAddress(text)));
  return app;
}

/** Returns {element, update} of the first line, in which errors and notices appear. */
function header(app, help, line) {
  const { generator } = app.about;
  const undo = button("Undo", () => app.step(histories.undo), { class: "quiet", title: "Ctrl Z" });
  const redo = button("Redo", () => app.step(histories.redo), { class: "quiet", title: "Ctrl Shift Z" });
  const size = `${generator.width} × ${generator.height} · ${generator.num_layers} layers`;
  const keys = button("Keys", () => help.showModal(), { class: "quiet", title: "?" });
  return {
    element: element("header", {}, element("h1", {}, generator.name), element("span", { class: "moves" }, size), line, undo, redo, keys),
    update() {
      undo.disabled = !app.canUndo();
      redo.disabled = !app.canRedo();
    },
  };
}

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
