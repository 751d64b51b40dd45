// What all parts of the page share: the state, its history, and the ways to change it.

import { fromAddress, toAddress } from "./address.js";
import * as histories from "./history.js";
import { isFull, MAX_EDITS, withEdit, withoutEdit } from "./state.js";

const REST_MS = 150; // a slider rests when it has not moved for this long

/**
 * Returns the program that all parts of the page share.
 *
 * `preview` sets a state while a control moves, `set` sets a state that stays, `step`
 * goes through the history, `move` and `drop` change one slider's edit, and `show`
 * changes what the page lists.
 *
 * Args:
 *   ask: function of requests.js.
 *   about: the server's answer about its generator and sliders.
 *   place: {read, write, listen} of the state's text.
 *   messages: {report, say, clear} of the line of errors.
 */
export function program(ask, about, place, messages) {
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
        const { content } = await ask("keep", entry);
        app.kept = content.kept;
        app.say(`${content.name} is kept in ${about.workdir}.`);
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
