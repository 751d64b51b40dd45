// The loop that requests pictures: one request at a time, the newest state wins, and
// the last state is always shown.

import { arranged, nextPicture, pause } from "./queue.js";
import { pictureKey, resolved } from "./state.js";

/**
 * Returns {pump}. `pump` must be called after each change of the state.
 *
 * Args:
 *   ask: function of requests.js.
 *   current: returns {state, moving} of this moment.
 *   view: {arrange(indices), show(which, answer), fail(which)} of the stage. `show`
 *     returns whether the picture is of full quality.
 *   later: returns a promise of less urgent work, or null where there is none.
 *   report: receives an error.
 *   recovered: called when a picture comes after an error.
 *   onstatus: called when a request begins or ends.
 */
export function pictureLoop({ ask, current, view, later, report, recovered, onstatus }) {
  let shown = [];
  let last = -1;
  let failures = 0;
  let isCalled = false;
  let hasFailed = false;
  const status = { isBusy: false, since: 0, isOffline: false };

  async function request(state, which, key, moving) {
    try {
      const answer = await ask("picture", { state: resolved(state), which, moving });
      const isFull = await view.show(which, answer);
      shown[which] = { key, moving: moving && !isFull };
      failures = 0;
      if (hasFailed) recovered();
      hasFailed = false;
    } catch (error) {
      hasFailed = true;
      if (error.isOffline) failures += 1;
      else {
        shown[which] = { key, moving: false }; // a new attempt would fail in the same way
        view.fail(which);
      }
      report(error);
    }
  }

  async function work() {
    const { state, moving } = current();
    const keys = state.starts.map((_, i) => pictureKey(state, i));
    const from = arranged(shown, keys);
    if (from.length !== shown.length || from.some((index, which) => index !== which)) {
      view.arrange(from);
      shown = from.map((index) => shown[index] ?? null);
    }
    const which = nextPicture(shown, keys, moving, last);
    if (which >= 0) {
      last = which;
      await request(state, which, keys[which], moving);
      return true;
    }
    const work = moving ? null : later();
    if (work) await work;
    return Boolean(work);
  }

  async function pump() {
    isCalled = true; // also while the loop is about to end
    if (status.isBusy) return;
    const begin = () => {
      Object.assign(status, { isBusy: true, since: performance.now() });
      onstatus(status);
    };
    let isMore = true;
    begin();
    while (isMore || isCalled) {
      isCalled = false;
      isMore = await work();
      status.since = performance.now();
      status.isOffline = failures > 0;
      if (failures) {
        onstatus(status);
        await new Promise((resolve) => setTimeout(resolve, 1000 * pause(failures)));
      }
    }
    status.isBusy = false;
    onstatus(status);
  }
  return { pump };
}
