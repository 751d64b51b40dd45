// The frame of the page: its first line, its tabs, the line of errors, the list of keys.

import { button, element, setText } from "./elements.js";
import * as histories from "./history.js";
import { COMMANDS } from "./keys.js";

const TITLES = { components: "Components", named: "Named", kept: "Kept before", random: "Random" };

/** Returns the line of errors and notices: {element, report, say}. */
export function messageLine() {
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
export function keyHelp() {
  const entries = COMMANDS.flatMap(([, keys, text]) => [element("dt", {}, keys), element("dd", {}, text)]);
  const onSlider = [["← →", "Move the slider"], ["0, double click", "Slider to 0"], ["Delete", "Take the slider back"]];
  const more = onSlider.flatMap(([keys, text]) => [element("dt", {}, keys), element("dd", {}, text)]);
  const close = button("Close", () => dialog.close());
  const dialog = element("dialog", { "aria-label": "Keys" }, element("dl", {}, ...entries, ...more), close);
  return dialog;
}

/** Returns {element, update} of the tabs: one for each group, then Kept and Save. */
export function tabBar(app) {
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

/** Returns {element, update} of the first line, in which errors and notices appear. */
export function header(app, help, line) {
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
