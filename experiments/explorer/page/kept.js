// Directions and pictures that were kept in the work directory.

import { button, element, labelled, setText } from "./elements.js";
import { editLabel } from "./facts.js";
import { adopted, resolved, startName } from "./state.js";

/** Returns what a kept entry does, in a few words. */
export function summary(entry, nameOf) {
  const label = (edit) => editLabel(nameOf(edit.group, edit.number), edit.layers ?? null, edit);
  if (!entry.state) return label(entry.direction);
  const { starts, edits } = entry.state;
  return [starts.map(startName).join(", "), ...edits.map(label)].join(" · ");
}

/** Returns a button that acts on its second click, within three seconds. */
function confirmed(text, question, act) {
  let isAsked = false;
  const node = button(text, () => {
    if (isAsked) return act();
    isAsked = true;
    setText(node, question);
    setTimeout(() => {
      isAsked = false;
      setText(node, text);
    }, 3000);
  });
  return node;
}

/** Returns {element, update} of the list. */
export function keptList(app) {
  const list = element("ul", { class: "kept" });
  const nothing = element("p", { class: "nothing" }, "Nothing is kept yet. Keep what you see here, or one direction where its slider is open.");
  const name = element("input", { type: "text", required: true, maxlength: "80", autocomplete: "off" });
  const note = element("input", { type: "text", maxlength: "2000", autocomplete: "off" });
  const keep = async (event) => {
    event.preventDefault();
    const entry = { state: resolved(app.state), name: name.value, note: note.value };
    if (await app.keep(entry)) name.value = note.value = "";
  };
  const form = element(
    "form", { class: "keep", onsubmit: keep },
    labelled("Name", name), labelled("Note", note), element("button", { type: "submit" }, "Keep what is shown"),
  );
  const nameOf = (group, number) => app.slider(group, number)?.name ?? `${group} ${number}`;
  const apply = (entry) => {
    if (entry.state) return app.set(adopted(entry.state));
    const { group, number, sigma, value, layers } = entry.direction;
    if (!app.slider(group, number)) return app.report(new Error(`${entry.name}: has no slider yet; start the explorer anew.`));
    return app.move(group, number, { sigma, value, layers });
  };
  const item = (entry) => {
    const walk = element("input", { type: "checkbox", onchange: () => app.show({ walk: toggled(app.view.walk, entry.name, walk.checked) }) });
    walk.checked = app.view.walk.includes(entry.name);
    return element(
      "li", {},
      element("div", { class: "head" }, element("b", {}, entry.name), element("span", { class: "moves" }, summary(entry, nameOf))),
      entry.note ? element("p", { class: "note" }, entry.note) : null,
      element(
        "div", { class: "line" },
        button("Show", () => apply(entry), { "aria-label": `Show ${entry.name}` }),
        button("Export", () => app.show({ tab: "#save", exported: entry.name }), { "aria-label": `Export ${entry.name}` }),
        confirmed("Forget", "Forget for good?", () => app.forget(entry.name)),
        entry.state ? labelled("in a walk", walk, { class: "labelled check" }) : null,
      ),
    );
  };
  const root = element("div", { class: "tab-body" }, form, nothing, list);
  let shown = null;
  return {
    element: root,
    focus: () => name.focus(),
    update() {
      root.hidden = app.view.tab !== "#kept";
      nothing.hidden = app.kept.length > 0;
      if (shown === app.kept) return;
      shown = app.kept;
      list.replaceChildren(...app.kept.map(item));
    },
  };
}

function toggled(names, name, isOn) {
  return isOn ? [...names, name] : names.filter((one) => one !== name);
}
