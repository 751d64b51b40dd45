// What the pictures start from, and the settings of the generator.

import { button, choice, element, labelled, setText, setValue, uniqueId } from "./elements.js";
import { classIndex, classText } from "./facts.js";
import { follow } from "./jobs.js";
import { slider } from "./slider.js";
import { MAX_SEED, MAX_STARTS, bounded, nextSeed, startName, withRandomSeeds, withStart, withoutStart } from "./state.js";

/** Returns {element, update} of the list of pictures' starts, with the ways to add one. */
export function startList(app) {
  const list = element("ul", { class: "chips", "aria-label": "Pictures" });
  const random = button("Random", () => app.set(withRandomSeeds(app.state)), { title: "New seeds (R)" });
  const file = element("input", { type: "file", accept: "image/*", class: "file", "aria-label": "Upload a picture", onchange: () => upload(file.files[0]) });
  const waiting = element("ul", { class: "chips", "aria-label": "Pictures that are sought" });
  const add = (value) => {
    if (value === "seed") app.set(withStart(app.state, { seed: nextSeed(app.state) }));
    if (value === "mean") app.set(withStart(app.state, { mean: true }));
    if (value === "upload") file.click();
    if (value.startsWith("=")) app.set(withStart(app.state, { picture: value.slice(1) }));
    adding.value = "";
  };
  let adding = element("select");
  let shown = "";

  function newAdding() {
    const own = app.about.pictures.map((name) => [`=${name}`, name]);
    const mean = app.about.generator.has_mean ? [["mean", "mean latent"]] : [];
    const upload = app.about.can_upload ? [["upload", "upload a picture…"]] : [];
    const options = [["", "Add…"], ["seed", "next seed"], ...mean, ...own, ...upload];
    const node = choice(options, add, { "aria-label": "Add a picture" });
    adding.replaceWith(node);
    adding = node;
  }

  async function upload(picture) {
    file.value = "";
    if (!picture) return;
    const most = app.about.limits.upload;
    if (picture.size > most) return app.report(new Error(`${picture.name} is too large; at most ${Math.floor(most / 1e6)} MB are read.`));
    let isCancelled = false;
    const text = element("output", {}, `sending ${picture.name}`);
    const cancel = button("×", () => (isCancelled = true), { class: "quiet", "aria-label": `Cancel ${picture.name}` });
    const line = element("li", { class: "chip quiet", role: "status" }, text, cancel);
    waiting.append(line);
    try {
      const { content } = await app.ask("upload", { name: picture.name }, await picture.arrayBuffer());
      const tell = ({ done, total }) => {
        setText(text, `finding ${picture.name}${total ? `, ${Math.floor((100 * done) / total)} %` : ""}`);
        return !isCancelled;
      };
      const end = await follow(app.ask, content.job, tell);
      if (end) added(end);
    } catch (error) {
      app.report(error);
    }
    line.remove();
  }

  /** Shows a picture whose latents were found. */
  function added({ picture, told }) {
    app.about.pictures = [...new Set([...app.about.pictures, picture])];
    newAdding();
    app.set(withStart(app.state, { picture }));
    app.say(`${picture}: ${told}.`);
  }

  function chip(start, which) {
    const isOnly = app.state.starts.length === 1;
    const off = button("×", () => app.set(withoutStart(app.state, which)), { class: "quiet", "aria-label": `Remove ${startName(start)}` });
    const seed = element("input", {
      type: "number", min: 0, max: MAX_SEED, "aria-label": `Seed of picture ${which + 1}`, value: start.seed,
      oninput: () => seed.value !== "" && app.preview(withSeed(which, bounded(seed.value, 0, MAX_SEED))),
      onchange: () => seed.value === "" && app.set(withSeed(which, 0)),
    });
    const name = "seed" in start ? element("label", {}, element("span", {}, "seed "), seed) : element("span", { class: "start-name" }, startName(start));
    return element("li", { class: "chip" }, name, isOnly ? null : off);
  }
  const withSeed = (which, seed) => ({
    ...app.state,
    starts: app.state.starts.map((start, i) => (i === which ? { seed: Math.round(seed) } : start)),
  });

  const line = element("div", { class: "line starts" }, list, random, adding, file, waiting);
  newAdding();
  return {
    element: line,
    update() {
      const { starts } = app.state;
      // A seed that is typed changes its value only, so that its field stays.
      const kinds = starts.map((start) => ("seed" in start ? "seed" : startName(start))).join();
      if (kinds !== shown) list.replaceChildren(...starts.map(chip));
      shown = kinds;
      list.querySelectorAll("li").forEach((item, which) => {
        const field = item.querySelector("input");
        if (!field) return;
        setValue(field, starts[which].seed);
        field.style.width = `${String(starts[which].seed).length + 4}ch`;
      });
      list.classList.toggle("many", starts.length > 4);
      adding.disabled = starts.length >= MAX_STARTS;
    },
  };
}

/** Returns {element, update} of class, truncation, cutoff and noise. */
export function settings(app) {
  const { generator } = app.about;
  const { classes, num_layers: layers } = generator;
  const names = element("datalist", { id: uniqueId("classes") }, ...classes.map((_, i) => element("option", { value: classText(classes, i) })));
  const chooseClass = () => {
    const index = classIndex(classes, label.value);
    if (Number.isNaN(index)) app.report(new Error(`No class is called "${label.value}".`));
    else app.set({ ...app.state, label: index });
  };
  const label = element("input", { type: "text", list: names.id, placeholder: classText(classes, generator.default_label ?? null), autocomplete: "off", onchange: chooseClass });
  const psi = slider({
    label: "Truncation", range: [Math.max(0, generator.min_psi), generator.max_psi], limits: [generator.min_psi, generator.max_psi], step: 0.01, zero: 1,
    onmove: (value) => app.preview({ ...app.state, psi: value }),
  });
  const readCutoff = () => app.preview({ ...app.state, cutoff: cutoff.value === "" ? null : Math.round(bounded(cutoff.value, 0, layers)) });
  const cutoff = element("input", { type: "number", min: 0, max: layers, placeholder: "all", oninput: readCutoff });
  const setNoise = (value) => app.set({ ...app.state, noise: value === "seed" ? 1 : value });
  const noise = choice([["const", "fixed"], ["none", "none"], ["seed", "of a seed"]], setNoise);
  const noiseSeed = element("input", {
    type: "number", min: 0, max: 2 ** 31 - 1, "aria-label": "Seed of the noise",
    oninput: () => noiseSeed.value !== "" && app.preview({ ...app.state, noise: Math.round(bounded(noiseSeed.value, 0, 2 ** 31 - 1)) }),
  });
  const truncation = element("span", { class: "labelled psi" }, element("span", {}, "Truncation"), psi.element);
  const fields = [
    classes.length ? labelled("Class", label) : null,
    generator.has_truncation ? truncation : null,
    generator.has_cutoff ? labelled("Cutoff", cutoff, { class: "labelled", title: "Number of truncated layers" }) : null,
    generator.has_noise ? labelled("Noise", noise) : null,
    generator.has_noise ? noiseSeed : null,
  ].filter(Boolean);
  return {
    element: element("details", { class: "settings", open: true }, element("summary", {}, "Settings"), element("div", { class: "line" }, ...fields, names)),
    update() {
      const { state } = app;
      setValue(label, classText(classes, state.label));
      psi.update(state.psi);
      setValue(cutoff, state.cutoff ?? "");
      const hasSeed = typeof state.noise === "number";
      setValue(noise, hasSeed ? "seed" : state.noise);
      noiseSeed.hidden = !hasSeed;
      if (hasSeed) setValue(noiseSeed, state.noise);
    },
  };
}
