// Pictures, strips, animations and exports: made by the server, downloaded here.

import { button, choice, copy, download, element, labelled, setText, setValue } from "./elements.js";
import { follow } from "./jobs.js";
import { bounded, editOf, layersOf, resolved } from "./state.js";

const FORMS = { webp: "WebP", gif: "GIF", mp4: "MP4" };
const NAMED = { pkl: "pkl, for the original's viewer", edit: "text for --edit", flags: "flags that repeat the picture", components: "components file" };

/** Returns {element, update} of the choice of a slider, for strips and animations. */
function subjects(app, onchange) {
  const text = ({ group, number }) => app.slider(group, number)?.name ?? `${group} ${number}`;
  const select = element("select", { onchange: () => onchange(JSON.parse(select.value)) });
  let shown = "";
  return {
    element: select,
    update(chosen) {
      const all = [...(chosen ? [chosen] : []), ...app.state.edits, { group: app.about.groups[0].key, number: 0 }];
      const values = [...new Set(all.map(({ group, number }) => JSON.stringify({ group, number })))];
      if (values.join() !== shown) select.replaceChildren(...values.map((value) => element("option", { value }, text(JSON.parse(value)))));
      shown = values.join();
      setValue(select, values[0]);
    },
  };
}

/** Returns {element, update} of one animation: what, how long, its progress. */
function animation(app, subject) {
  const most = app.about.limits.frames;
  const what = choice([["slider", "its range"], ["walk", "a walk"]], () => update());
  const form = choice([...app.about.animations].sort((a) => (a === "webp" ? -1 : 0)).map((name) => [name, FORMS[name] ?? name]), () => {});
  const frames = element("input", { type: "number", min: 2, max: most, value: 48 });
  const bar = element("progress", { "aria-label": "Progress of the animation" });
  const text = element("output");
  const hint = element("p", { class: "note" });
  const image = element("img", { alt: "The animation", class: "preview", hidden: true });
  const video = element("video", { "aria-label": "The animation", class: "preview", hidden: true, autoplay: true, controls: true, loop: true });
  let isCancelled = false;
  let shown = "";
  const walk = () => app.view.walk.map((name) => app.kept.find((entry) => entry.name === name)?.state).filter(Boolean);
  const make = async () => {
    isCancelled = false;
    setBusy(true);
    try {
      const moved = what.value === "walk" ? { walk: walk() } : { of: subject() };
      const fields = { state: resolved(app.state), ...moved, frames: Math.round(bounded(frames.value, 2, most, 48)), form: form.value };
      const { content } = await app.ask("animate", fields);
      const tell = ({ done, total }) => {
        Object.assign(bar, { max: total, value: done });
        setText(text, done < total ? `${done} of ${total} pictures` : "writing the file");
        return !isCancelled;
      };
      if (await follow(app.ask, content.job, tell)) await fetched(content.job);
    } catch (error) {
      app.report(error);
    }
    setBusy(false);
  };
  const fetched = async (job) => {
    const { content, bytes } = await app.ask("fetch", { job });
    download(bytes, content.filename, content.mime);
    URL.revokeObjectURL(shown);
    shown = URL.createObjectURL(new Blob([bytes], { type: content.mime }));
    for (const [node, kind] of [[image, "image/"], [video, "video/"]]) {
      node.hidden = !content.mime.startsWith(kind);
      if (node.hidden) node.removeAttribute("src");
      else node.src = shown;
    }
    app.say(`${content.filename} was made; it is also in ${app.about.workdir}.`);
  };
  const start = button("Animate", make);
  const cancel = button("Cancel", () => (isCancelled = true));
  const progress = element("div", { class: "line", role: "status" }, bar, text, cancel);
  const setBusy = (isBusy) => {
    progress.hidden = !isBusy;
    start.disabled = isBusy || (what.value === "walk" && walk().length < 2);
    if (isBusy) bar.removeAttribute("value");
    setText(text, "");
  };
  const update = () => {
    const count = walk().length;
    setText(hint, what.value === "walk" ? `${count} kept pictures are in the walk; tick them under Kept, in the order of the walk.` : "");
    hint.hidden = what.value !== "walk";
    if (progress.hidden) setBusy(false);
  };
  progress.hidden = true;
  const line = element("div", { class: "line" }, labelled("Animate", what), labelled("as", form), labelled("Frames", frames), start);
  return { element: element("div", { class: "group" }, line, hint, progress, image, video), update };
}

/** Returns {element, update} of the exports of what is shown, or of a kept entry. */
function exports_(app) {
  const text = element("textarea", { readonly: true, rows: 5, "aria-label": "Exported text", spellcheck: "false" });
  const copied = element("output");
  const copying = button("Copy", async () => setText(copied, (await copy(text.value, text)) ? "copied" : "select the text and copy it"));
  const shown = element("div", { class: "group", hidden: true }, text, element("div", { class: "line" }, copying, copied));
  const of = element("select", { onchange: () => app.show({ exported: of.value || null }) });
  const make = async (form) => {
    const what = app.view.exported ? { kept: app.view.exported } : { state: resolved(app.state) };
    try {
      const { content, bytes } = await app.ask("export", { ...what, form });
      shown.hidden = !content.text;
      text.value = content.text ?? "";
      setText(copied, "");
      if (!content.text && bytes) download(bytes, content.filename, "application/octet-stream");
      app.say(`${content.filename} is written in ${app.about.workdir}.`);
    } catch (error) {
      app.report(error);
    }
  };
  const buttons = Object.entries(NAMED).map(([form, name]) => button(name, () => make(form)));
  let names = null;
  return {
    element: element("div", { class: "group" }, element("div", { class: "line" }, labelled("Export", of), ...buttons), shown),
    update() {
      if (names !== app.kept) {
        names = app.kept;
        of.replaceChildren(element("option", { value: "" }, "what is shown"), ...names.map(({ name }) => element("option", { value: name }, name)));
      }
      setValue(of, app.view.exported ?? "");
    },
  };
}

/** Returns {element, update} of the tab. */
export function saving(app) {
  const save = async (fields) => {
    try {
      const { content, bytes } = await app.ask("save", { state: resolved(app.state), ...fields });
      download(bytes, content.filename, "image/png");
      app.say(`${content.filename} is saved, here and in ${app.about.workdir}.`);
    } catch (error) {
      app.report(error);
    }
  };
  const subject = subjects(app, (chosen) => app.show({ subject: chosen }));
  const chosen = () => {
    const { group, number } = JSON.parse(subject.element.value);
    const edit = editOf(app.state, group, number) ?? { layers: app.usualLayers(app.slider(group, number)) };
    return { group, number, layers: layersOf(app.state, edit) };
  };
  const animated = animation(app, chosen);
  const exported = exports_(app);
  const picture = element("div", { class: "line" }, button("Save the pictures as PNG", () => save({ form: "png" })));
  const strip = button("Save its strip", () => save({ form: "strip", of: chosen() }));
  const slider = element("div", { class: "line" }, labelled("Slider", subject.element), strip);
  const root = element(
    "div", { class: "tab-body" },
    element("div", { class: "group" }, picture), element("div", { class: "group" }, slider, animated.element), exported.element,
  );
  return {
    element: root,
    save,
    update() {
      root.hidden = app.view.tab !== "#save";
      subject.update(app.view.subject);
      animated.update();
      exported.update();
    },
  };
}
