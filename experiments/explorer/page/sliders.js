// The list of a group's sliders: pages of rows, of which one may be open.

import { editOf, isSet, layersOf } from "./state.js";
import { button, element, labelled, setAttributes, setText } from "./elements.js";
import { figures } from "./facts.js";
import { layersText } from "./address.js";
import { layerBar } from "./layer_bar.js";
import { slider } from "./slider.js";

function figureNodes(known) {
  const all = figures(known);
  if (all.every(({ text }) => text === "unknown")) {
    return [element("span", { class: "figure" }, `${all.map(({ name }) => name).join(", ")} unknown`)];
  }
  return all.map(({ name, text, doubt, why }) =>
    element("span", { class: doubt ? "figure doubtful" : "figure", title: why }, `${name} ${text}${doubt && ` ${doubt}`}`),
  );
}

/** Returns the form that keeps one direction with its layers, step and note. */
function keepForm(app, group, known, edit) {
  const name = element("input", { type: "text", required: true, maxlength: "80", autocomplete: "off" });
  const note = element("input", { type: "text", maxlength: "2000", autocomplete: "off" });
  const keep = async (event) => {
    event.preventDefault();
    const { layers, sigma, value } = edit();
    const direction = { name: name.value, note: note.value, group, number: known.number, layers, sigma, value };
    if (await app.keep({ direction })) name.value = note.value = "";
  };
  const send = element("button", { type: "submit" }, "Keep");
  return element("form", { class: "keep", onsubmit: keep }, labelled("Name", name), labelled("Note", note), send);
}

/** Returns {element, update} of the control that sets a direction's value. */
function valueControl(app, key, known) {
  const { range, unit } = known.value;
  const [low, high] = range;
  const off = () => app.move(...key, { value: undefined }, known);
  const control = slider({
    label: `Value of ${known.name}`, range, limits: range, step: 10 ** Math.floor(Math.log10((high - low) / 50)), zero: (low + high) / 2,
    onmove: (value) => app.move(...key, { value, sigma: 0 }, known),
    onoff: off, onzero: off,
  });
  const text = element("span", { class: "caption", title: "Sets the value that the read-out predicts. Double click: the step again." }, "Set value");
  const measure = unit ? element("span", { class: "caption" }, unit) : null;
  return {
    element: element("div", { class: "value" }, text, control.element, measure),
    update: (edit, isDisabled) => control.update(edit.value ?? null, isDisabled),
  };
}

/** Returns {element, update, focus} of one slider's row. */
function row(app, group, known) {
  const { num_layers: count } = app.about.generator;
  const key = [group, known.number];
  const control = slider({
    label: known.name, range: known.range, limits: [-10000, 10000], step: 0.1, zero: 0,
    onmove: (sigma) => app.move(...key, { sigma, value: undefined }, known),
    onoff: () => app.drop(...key),
  });
  const setter = known.value ? valueControl(app, key, known) : null;
  const bar = layerBar({ label: `Layers of ${known.name}`, count, onchange: (layers) => app.move(...key, { layers }, known) });
  const follow = button("As for all", () => app.move(...key, { layers: undefined }, known));
  const off = button("×", () => app.drop(...key), { class: "quiet off", title: "Take this slider back (Delete)", "aria-label": `Take back ${known.name}` });
  const range = element("span", { class: "range" });
  const isOpen = () => app.view.open?.group === group && app.view.open.number === known.number;
  const toggle = () => app.show({ open: isOpen() ? null : { group, number: known.number } });
  const moves = element("span", { class: "moves" }, (known.moves ?? []).join(", "));
  const name = button("", toggle, { class: "name" });
  name.append(element("span", { class: "chevron", "aria-hidden": "true" }), element("b", {}, known.name), moves);
  const facts = element("span", { class: "facts" }, ...figureNodes(known));
  const head = element("div", { class: "head" }, name, range, facts, off);
  const now = () => {
    const edit = editOf(app.state, ...key) ?? { sigma: 0, layers: app.usualLayers(known) };
    return { ...edit, own: edit.layers, layers: layersOf(app.state, edit) };
  };
  const strip = button("Animate or save a strip", () => app.show({ tab: "#save", subject: { group, number: known.number } }));
  const layerLine = element("div", { class: "line" }, element("span", { class: "caption" }, "Layers"), bar.element, follow);
  const note = known.note ? element("p", { class: "note" }, known.note) : null;
  const details = element("div", { class: "details" }, layerLine, note, keepForm(app, group, known, now), strip);
  const item = element("li", { class: "row", "data-number": known.number }, head, control.element, ...(setter ? [setter.element] : []), details);
  return {
    element: item,
    focus: control.focus,
    update() {
      const edit = now();
      const isMoved = editOf(app.state, ...key) !== null;
      control.update(isSet(edit) ? null : edit.sigma, app.state.mode === "activation" && known.moves_activation === false);
      setter?.update(edit, app.state.mode === "activation");
      bar.update(edit.layers, app.state.mode === "activation");
      follow.disabled = edit.own === undefined;
      setText(range, edit.own === undefined || edit.own === null ? "" : `layers ${layersText(edit.own)}`);
      item.classList.toggle("moved", isMoved);
      item.classList.toggle("open", isOpen());
      setAttributes(name, { "aria-expanded": String(isOpen()) });
      details.hidden = !isOpen();
    },
  };
}

/** Returns {element, update, focus} of the list of sliders. */
export function sliderList(app) {
  const list = element("ol", { class: "rows", "aria-label": "Sliders" });
  let rows = new Map();
  let shown = "";
  return {
    element: list,
    focus: (number) => rows.get(number)?.focus(),
    update(group, sliders) {
      const wanted = `${group}:${sliders.map((one) => one.number)}`;
      if (wanted !== shown) {
        shown = wanted;
        rows = new Map(sliders.map((known) => [known.number, row(app, group, known)]));
        list.replaceChildren(...[...rows.values()].map((one) => one.element));
      }
      for (const one of rows.values()) one.update();
    },
  };
}
