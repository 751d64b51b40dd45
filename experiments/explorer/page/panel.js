// The sliders' panel: search, pages, layers for all, mode, and the sliders or rows.

import { button, choice, element, labelled, setAttributes, setText, setValue } from "./elements.js";
import { editLabel } from "./facts.js";
import { layerBar } from "./layer_bar.js";
import { found, pageOf, pageWith, pages } from "./listing.js";
import { sliderList } from "./sliders.js";
import { layersOf } from "./state.js";
import { strip } from "./strip.js";

const PAGE_SIZE = 10;

/** Returns {element, update} of the list of all sliders that move the pictures. */
function movedList(app) {
  const list = element("ul", { class: "chips", "aria-label": "Sliders that move the pictures" });
  const reset = button("Reset all", () => app.set({ ...app.state, edits: [] }), { class: "quiet" });
  const chip = (edit) => {
    const name = app.slider(edit.group, edit.number)?.name ?? `${edit.group} ${edit.number}`;
    const text = editLabel(name, layersOf(app.state, edit), edit);
    const open = button(text, () => app.open(edit.group, edit.number), { class: "quiet", title: "Open this slider" });
    const off = button("×", () => app.drop(edit.group, edit.number), { class: "quiet", "aria-label": `Take back ${name}` });
    return element("li", { class: "chip" }, open, off);
  };
  const line = element("div", { class: "line moved-list" }, list, reset);
  let shown = "";
  return {
    element: line,
    update() {
      const { edits, layers } = app.state;
      line.hidden = !edits.length;
      const key = JSON.stringify([edits, layers]);
      if (key === shown) return;
      shown = key;
      list.replaceChildren(...edits.map(chip));
    },
  };
}

/** Returns {element, update} of the controls that change how all sliders move. */
function manner(app) {
  const { generator, modes, can_centre: canCentre } = app.about;
  const bar = layerBar({
    label: "Layers of all sliders", count: generator.num_layers,
    onchange: (layers) => app.preview({ ...app.state, layers }),
  });
  const mode = choice(modes.map((one) => [one, `${one}s`]), (value) => app.set({ ...app.state, mode: value }));
  const centred = element("input", { type: "checkbox", onchange: () => app.set({ ...app.state, centred: centred.checked }) });
  const line = element(
    "div", { class: "line manner" },
    element("span", { class: "caption" }, "Layers"), bar.element,
    modes.length > 1 ? labelled("Move", mode) : null,
    canCentre ? labelled("Centred", centred, { class: "labelled check", title: "Sets each coordinate, whatever it was before" }) : null,
  );
  return {
    element: line,
    update() {
      bar.update(app.state.layers, app.state.mode === "activation");
      setValue(mode, app.state.mode);
      centred.checked = app.state.centred;
    },
  };
}

/** Returns {element, update, later, turn, search} of the panel. */
export function panel(app) {
  const search = element("input", {
    type: "search", placeholder: "Search", "aria-label": "Search sliders",
    oninput: () => app.show({ search: search.value, page: 0 }),
  });
  const turn = (step) => app.show({ page: page.number + step });
  const before = button("‹", () => turn(-1), { class: "quiet", "aria-label": "Page before" });
  const after = button("›", () => turn(1), { class: "quiet", "aria-label": "Next page" });
  const place = element("output", { class: "place" });
  const rows = button("Pictures", () => app.show({ isStrip: !app.view.isStrip }), { title: "Show every slider as a row of small pictures" });
  const nothing = element("p", { class: "nothing" });
  const list = sliderList(app);
  const small = strip(app);
  const moved = movedList(app);
  const how = manner(app);
  const body = element("div", { class: "panel-body" });
  const find = element("div", { class: "line find" }, search, before, place, after, rows);
  const root = element("div", { class: "panel" }, find, how.element, moved.element, nothing, body);
  let page = { number: 0, sliders: [] };
  return {
    element: root,
    search: () => search.focus(),
    turn,
    later: () => (root.hidden ? null : small.later()),
    pageWith: (group, number) => pageWith(app.group(group).sliders, number, PAGE_SIZE),
    focus: (number) => list.focus(number),
    update() {
      const { tab, view } = { tab: app.view.tab, view: app.view };
      const group = app.group(tab);
      root.hidden = !group;
      if (!group) return;
      const listed = found(group.sliders, view.search);
      page = pageOf(listed, view.page, PAGE_SIZE);
      setValue(search, view.search);
      const first = page.number * PAGE_SIZE;
      setText(place, listed.length ? `${first + 1}–${first + page.sliders.length} of ${listed.length}` : "none");
      before.disabled = page.number === 0;
      after.disabled = page.number + 1 >= pages(listed.length, PAGE_SIZE);
      setAttributes(rows, { "aria-pressed": String(view.isStrip) });
      setText(nothing, listed.length ? "" : `No slider of ${group.title} has "${view.search}" in its name or effects.`);
      if (!group.sliders.length) setText(nothing, `There are no sliders in ${group.title}.`);
      nothing.hidden = listed.length > 0;
      how.update();
      moved.update();
      const content = view.isStrip ? small : list;
      if (body.firstChild !== content.element) body.replaceChildren(content.element);
      content.update(tab, page.sliders, group.sliders);
    },
  };
}
