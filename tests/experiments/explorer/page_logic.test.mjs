// The page's pure modules, run by node. The folder of the modules is PAGE.

import assert from "node:assert/strict";
import { test } from "node:test";

const load = (name) => import(`${process.env.PAGE}/${name}.js`);
const [states, addresses, histories, queues, listing, facts, layout] = await Promise.all(
  ["state", "address", "history", "queue", "listing", "facts", "layout"].map(load),
);
const [{ movedEnd, nearestEnd }, { requests }, { httpModel, packed, unpacked }, { follow }, { pictureLoop }, keys, { summary }] = await Promise.all(
  ["layer_bar", "requests", "http_model", "jobs", "picture_loop", "keys", "kept"].map(load),
);
const { EMPTY } = states;
const edit = (number, sigma, layers) => ({ group: "components", number, layers, sigma });
const FULL = {
  starts: [{ seed: 7 }, { mean: true }, { picture: "me, you & #1.png" }], label: 3, psi: 0.7, cutoff: 8, noise: 5,
  mode: "activation", centred: true, layers: [2, 6],
  edits: [edit(3, 2.5, undefined), edit(0, -0.001, null), { ...edit(12, 10000, [4, 5]), group: "file2" }],
};

test("an address holds the whole state, and the first state needs none", () => {
  assert.deepEqual(addresses.fromAddress(`#${addresses.toAddress(FULL)}`), FULL);
  assert.equal(addresses.toAddress(EMPTY), "");
  assert.deepEqual(addresses.fromAddress(""), EMPTY);
  assert.match(addresses.toAddress(FULL), /^[\w.,:=&%-]*$/);
  for (const noise of ["none", "const", 0]) {
    assert.deepEqual(addresses.fromAddress(addresses.toAddress({ ...EMPTY, noise })), { ...EMPTY, noise });
  }
});

test("what means nothing in an address is left out", () => {
  const text = "#starts=x,1,%E0%A4%A&psi=NaN&label=-1&noise=loud&mode=none&layers=5-2&__proto__=1&edits=a:b:c,components:1:2.5:9-2,components:1:3";
  assert.deepEqual(addresses.fromAddress(text), { ...EMPTY, edits: [edit(1, 3, undefined)] });
  assert.equal(addresses.fromAddress(`#starts=${Array(50).fill(1)}`).starts.length, 9);
  assert.equal(addresses.fromAddress("#starts=99999999999").starts[0].seed, 1);
  assert.equal(addresses.fromAddress("#edits=components:1:99999999").edits[0].sigma, 10000);
});

test("the server reads layers of each edit, and no edit that changes nothing", () => {
  const state = { ...EMPTY, layers: [0, 4], edits: [edit(0, 1, undefined), edit(1, 2, null), edit(2, 0, [1, 2])] };
  const { edits, ...settings } = states.resolved(state);
  assert.deepEqual(edits, [edit(0, 1, [0, 4]), edit(1, 2, null)]);
  assert.ok(!("layers" in settings));
  assert.equal(states.resolved({ ...state, centred: true }).edits.length, 3);
});

test("edits are set, bounded and taken back without a change in place", () => {
  const first = states.withEdit(EMPTY, "components", 3, { sigma: 2 });
  const second = states.withEdit(first, "components", 3, { layers: [0, 5] });
  assert.deepEqual(second.edits, [edit(3, 2, [0, 5])]);
  assert.deepEqual(first.edits, [edit(3, 2, undefined)]);
  assert.deepEqual(EMPTY.edits, []);
  assert.equal(states.withEdit(first, "components", 3, { sigma: 1e9 }).edits[0].sigma, states.MAX_SIGMA);
  assert.equal(states.withEdit(first, "components", 3, { sigma: NaN }).edits[0].sigma, 0);
  assert.deepEqual(states.withoutEdit(second, "random", 3), second);
  assert.deepEqual(states.withoutEdit(second, "components", 3).edits, []);
  const many = { ...EMPTY, edits: Array.from({ length: states.MAX_EDITS }, (_, k) => edit(k, 1)) };
  assert.ok(states.isFull(many, "components", 99) && !states.isFull(many, "components", 3));
});

test("a text in a number field is bounded, or becomes the usual value", () => {
  const cases = [["2.5", 2.5], ["", 9], [" ", 9], ["x", 9], ["1e99", 10], [-50, -10], [Infinity, 9]];
  for (const [text, value] of cases) assert.equal(states.bounded(text, -10, 10, 9), value);
});

test("a picture's key differs only if its pixels may differ", () => {
  const two = { ...EMPTY, starts: [{ seed: 1 }, { seed: 2 }] };
  const key = states.pictureKey(two, 1);
  assert.equal(states.pictureKey({ ...EMPTY, starts: [{ seed: 2 }] }, 0), key);
  assert.equal(states.pictureKey({ ...two, starts: [{ seed: 3 }, { seed: 2 }] }, 1), key);
  assert.equal(states.pictureKey({ ...two, layers: [0, 1], edits: [edit(1, 0)] }, 1), key);
  assert.notEqual(states.pictureKey({ ...two, edits: [edit(1, 0.1)] }, 1), key);
  assert.notEqual(states.pictureKey({ ...two, psi: 0.9 }, 1), key);
});

test("pictures are added, removed and given random seeds", () => {
  let state = EMPTY;
  for (let k = 0; k < 12; k++) state = states.withStart(state, { seed: states.nextSeed(state) });
  assert.deepEqual(state.starts.map((start) => start.seed), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.equal(states.withoutStart(state, 0).starts[0].seed, 2);
  assert.equal(states.withoutStart(EMPTY, 0), EMPTY);
  const mixed = { ...EMPTY, starts: [{ seed: 1 }, { mean: true }] };
  assert.deepEqual(states.withRandomSeeds(mixed, () => 0.5).starts, [{ seed: 500000 }, { mean: true }]);
  assert.deepEqual(states.withRandomSeeds({ ...EMPTY, starts: [{ mean: true }] }, () => 0.5).starts, [{ seed: 500000 }]);
});

test("undo and redo walk through the states, and a new state drops what was undone", () => {
  let history = histories.begin(0);
  for (const state of [1, 2, 2, 3]) history = histories.commit(history, state);
  assert.deepEqual(history.past, [0, 1, 2]);
  history = histories.undo(histories.undo(history));
  assert.equal(history.present, 1);
  assert.equal(histories.redo(history).present, 2);
  history = histories.commit(history, 9);
  assert.equal(histories.redo(history).present, 9);
  assert.equal(histories.undo(history).present, 1);
  assert.equal(histories.undo(histories.begin(5)).present, 5);
  for (let k = 0; k < 500; k++) history = histories.commit(history, k);
  assert.equal(history.past.length, 200);
});

test("the next picture is the first that is out of date after the last one", () => {
  const shown = [{ key: "a", moving: false }, { key: "old", moving: false }, null];
  assert.equal(queues.nextPicture(shown, ["a", "b", "c"], true, 0), 1);
  assert.equal(queues.nextPicture(shown, ["a", "b", "c"], true, 1), 2);
  assert.equal(queues.nextPicture(shown, ["x", "y", "z"], true, 2), 0);
  assert.equal(queues.nextPicture([{ key: "a", moving: true }], ["a"], true, 0), -1);
  assert.equal(queues.nextPicture([{ key: "a", moving: true }], ["a"], false, 0), 0);
});

test("pictures that stay keep their place when one is removed or added", () => {
  const shown = ["a", "b", "c"].map((key) => ({ key, moving: false }));
  assert.deepEqual(queues.arranged(shown, ["a", "c"]), [0, 2]);
  assert.deepEqual(queues.arranged(shown, ["x", "y", "z"]), [0, 1, 2]);
  assert.deepEqual(queues.arranged(shown, ["a", "b", "c", "d"]), [0, 1, 2, -1]);
  assert.deepEqual(queues.arranged([], ["a"]), [-1]);
  assert.deepEqual(queues.arranged(shown, ["b", "b"]), [1, 0]);
});

/** Returns a loop whose server answers only when `answer` is called. */
function heldLoop(state) {
  const now = { state, moving: true };
  const asked = [];
  const shown = [];
  const errors = [];
  let settle = null;
  const loop = pictureLoop({
    ask: (kind, fields) => new Promise((resolve, reject) => {
      asked.push(fields);
      settle = { resolve, reject };
    }),
    current: () => now,
    view: { arrange: () => {}, fail: (which) => shown.push([which, "failed"]), show: (which, answer) => (shown.push([which, answer]), answer === "full") },
    later: () => null, report: (error) => errors.push(error), recovered: () => errors.pop(), onstatus: () => {},
  });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const answer = async (value) => (settle.resolve(value), await turn());
  const fail = async (error) => (settle.reject(error), await turn());
  return { now, asked, shown, errors, answer, fail, pump: async () => (loop.pump(), await turn()) };
}

test("a burst makes one request at a time, skips what is old, and ends with the last state", async () => {
  const held = heldLoop(EMPTY);
  for (let k = 1; k <= 60; k++) {
    held.now.state = { ...EMPTY, edits: [edit(0, k)] };
    await held.pump();
  }
  assert.equal(held.asked.length, 1);
  await held.answer("quick");
  assert.equal(held.asked.length, 2);
  assert.equal(held.asked[1].state.edits[0].sigma, 60);
  await held.answer("quick");
  assert.equal(held.asked.length, 2);
  held.now.moving = false;
  await held.pump();
  assert.deepEqual([held.asked.length, held.asked[2].moving], [3, false]);
  await held.answer("full");
  assert.equal(held.asked.length, 3);
});

test("a picture of full quality is not requested again at rest", async () => {
  const held = heldLoop({ ...EMPTY, edits: [edit(0, 1)] });
  await held.pump();
  await held.answer("full");
  held.now.moving = false;
  await held.pump();
  assert.equal(held.asked.length, 1);
});

test("a state that comes while the loop ends is not lost", async () => {
  const held = heldLoop(EMPTY);
  await held.pump();
  await held.answer("full");
  held.pump();
  held.now.state = { ...EMPTY, psi: 0.5 };
  await held.pump();
  assert.equal(held.asked.length, 2);
});

test("an error is reported once, and the next state is requested", async () => {
  const held = heldLoop(EMPTY);
  await held.pump();
  await held.fail(new Error("no such seed"));
  await held.pump();
  assert.deepEqual([held.asked.length, held.errors.length, held.shown], [1, 1, [[0, "failed"]]]);
  held.now.state = { ...EMPTY, psi: 0.5 };
  await held.pump();
  await held.answer("full");
  assert.deepEqual([held.asked.length, held.errors.length], [2, 0]);
});

test("answers find their questions in any order, and errors reject them", async () => {
  const sent = [];
  let listener;
  const ask = requests({ on: (_, given) => (listener = given), send: (content, _, buffers) => sent.push([content, buffers]) });
  const [first, second, third] = [ask("a", { x: 1 }), ask("b", {}, "payload"), ask("c")];
  assert.deepEqual([sent[0][0].kind, sent[0][0].x, sent[0][1], sent[1][1]], ["a", 1, [], ["payload"]]);
  listener({ id: sent[1][0].id, y: 2 }, ["bytes"]);
  listener({ id: -1 }, []);
  listener({ id: sent[0][0].id }, []);
  listener({ id: sent[2][0].id, error: "one line" });
  assert.deepEqual([(await second).content.y, (await second).bytes, (await first).bytes], [2, "bytes", null]);
  await assert.rejects(third, /one line/);
});

test("a message over HTTP is a line of JSON and its bytes, whatever they are", async () => {
  const bytes = new Uint8Array([10, 0, 255, 10]);
  const body = await packed({ id: 1, text: "a\nb" }, bytes).arrayBuffer();
  const found = unpacked(body);
  assert.deepEqual(found.content, { id: 1, text: "a\nb" });
  assert.deepEqual(new Uint8Array(found.bytes.buffer, found.bytes.byteOffset, found.bytes.byteLength), bytes);
  assert.equal(packed({ id: 1 }), '{"id":1}');
  assert.equal(unpacked(new TextEncoder().encode('{"a":1}\n').buffer).bytes, null);
});

test("a server that is gone, or that answers no JSON, gives one line", async () => {
  const errorOf = async (post) => {
    const model = httpModel("/api/message", post);
    return new Promise((resolve) => {
      model.on("msg:custom", (content) => resolve(content));
      model.send({ id: 5, kind: "about" }, undefined, []);
    });
  };
  const gone = await errorOf(() => Promise.reject(new TypeError("refused")));
  assert.deepEqual([gone.id, gone.offline, typeof gone.error], [5, true, "string"]);
  const refused = await errorOf(async () => new Response("error: unknown host", { status: 400 }));
  assert.match(refused.error, /400/);
});

test("a job is followed to its end, cancelled, or fails with its line", async () => {
  const answers = (list) => async (kind) => (kind === "cancel" ? { content: { state: "cancelled" } } : { content: list.shift() });
  const running = { state: "running", done: 1, total: 2 };
  const seen = [];
  const end = await follow(answers([{ ...running }, { ...running, state: "done", done: 2 }]), "j", ({ done }) => seen.push(done) > 0, () => {});
  assert.deepEqual([seen, end.state], [[1, 2], "done"]);
  assert.equal(await follow(answers([{ ...running }]), "j", () => false, () => {}), null);
  await assert.rejects(follow(answers([{ ...running, state: "failed" }]), "j", () => true, () => {}));
});

test("sliders are found by name, number, effect and note, in pages", () => {
  const sliders = Array.from({ length: 83 }, (_, k) => ({ number: k, name: `v${k}`, moves: k === 40 ? ["Size +1"] : [], note: "" }));
  assert.deepEqual(listing.found(sliders, "size").map((one) => one.number), [40]);
  assert.deepEqual(listing.found(sliders, "v8 ").map((one) => one.number), [8, 80, 81, 82]);
  assert.equal(listing.found(sliders, "").length, 83);
  assert.equal(listing.found(sliders, "v1 nothing").length, 0);
  assert.deepEqual(listing.pageOf(sliders, 99, 10).sliders.map((one) => one.number), [80, 81, 82]);
  assert.equal(listing.pageOf([], 0, 10).sliders.length, 0);
  assert.deepEqual([listing.pages(80, 10), listing.pages(81, 10), listing.pages(0, 10)], [8, 9, 1]);
  assert.equal(listing.pageWith(sliders, 42, 10), 4);
  assert.deepEqual(listing.runs([7, 3, 4, 9, 5]), [[3, 3], [7, 1], [9, 1]]);
});

test("unknown figures are called unknown, and doubtful ones are marked", () => {
  const texts = (slider) => facts.figures(slider).map((figure) => `${figure.text}${figure.doubt}`);
  assert.deepEqual(texts({ variance: null, stability: null, r2: null }), ["unknown", "unknown", "unknown"]);
  assert.deepEqual(texts({ variance: NaN }), ["unknown", "unknown", "unknown"]);
  assert.deepEqual(texts({ variance: 0.234, stability: 45, r2: 0.31 }), ["23 %", "±45°unsure", "0.31low"]);
  assert.deepEqual(texts({ variance: 0.0012, stability: 3.21, r2: 1 }), ["0.12 %", "±3.2°", "1.00"]);
});

test("texts of steps, durations and ages", () => {
  assert.deepEqual([0, 2.5, -1].map(facts.sigmaText), ["0", "+2.5", "−1"]);
  assert.deepEqual([0.0004, 0.031, 0.5, 12.3].map(facts.seconds), ["1 ms", "31 ms", "0.5 s", "12 s"]);
  assert.deepEqual([0, 12.9, 125, 7300].map(facts.age), ["just now", "12 s ago", "2 min ago", "2 h ago"]);
  assert.equal(facts.editLabel("v3", [0, 5], { sigma: 2.5 }), "v3 (0-4) +2.5");
  const state = { ...EMPTY, edits: [edit(3, 2, null)] };
  assert.equal(summary({ name: "x", state, direction: null }, (_, number) => `v${number}`), "seed 1 · v3 +2");
  assert.equal(summary({ name: "x", state: null, direction: edit(3, 2, [1, 2]) }, (_, number) => `v${number}`), "v3 (1) +2");
});

test("a class is found by name, beginning and number, also where two have one name", () => {
  const names = ["cube", "crane", "Cup", "crane"];
  const cases = [["crane", 1], ["cu", 0], ["cup", 2], ["crane (3)", 3], ["3", 3], ["", null]];
  for (const [text, index] of cases) assert.equal(facts.classIndex(names, text), index);
  for (const text of ["boat", "9", "x (9)"]) assert.ok(Number.isNaN(facts.classIndex(names, text)));
  assert.equal(facts.classIndex(names, facts.classText(names, 3)), 3);
});

test("small pictures are enlarged by whole screen pixels, large ones fit", () => {
  const place = { width: 500, height: 400 };
  assert.deepEqual(layout.shownSize(64, 64, place, 1), { width: 384, height: 384, isEnlarged: true });
  assert.deepEqual(layout.shownSize(64, 64, place, 1.5), { width: 64 * 9 / 1.5, height: 64 * 9 / 1.5, isEnlarged: true });
  assert.deepEqual(layout.shownSize(1024, 1024, place, 1), { width: 400, height: 400, isEnlarged: false });
  const square = { width: 64, height: 64 };
  const columns = (count, width, height) => layout.columnsFor(count, square, { width, height }, 10);
  assert.deepEqual([columns(1, 300, 900), columns(2, 300, 900), columns(2, 900, 300), columns(9, 600, 600)], [1, 1, 2, 3]);
});

test("the ends of a range of layers do not cross, and the whole range means all", () => {
  assert.deepEqual(movedEnd(null, 0, 3, 10), [3, 10]);
  assert.deepEqual(movedEnd([3, 6], 0, 8, 10), [5, 6]);
  assert.deepEqual(movedEnd([3, 6], 1, 0, 10), [3, 4]);
  assert.equal(movedEnd([3, 10], 0, 0, 10), null);
  assert.deepEqual(movedEnd([3, 6], 1, Infinity, 10), [3, 10]);
  assert.deepEqual([0, 2, 4, 7, 9].map((cell) => nearestEnd([3, 6], cell, 10)), [0, 0, 1, 1, 1]);
});

test("keys do nothing while a person writes, and letters with Ctrl belong to the browser", () => {
  const key = (name, more = {}) => keys.commandOf({ key: name, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...more }, false);
  assert.deepEqual([key("r"), key("/"), key("R"), key("q")], ["random", "search", "random", null]);
  assert.deepEqual([key("z", { ctrlKey: true }), key("Z", { metaKey: true, shiftKey: true }), key("y", { ctrlKey: true })], ["undo", "redo", "redo"]);
  assert.deepEqual([key("r", { ctrlKey: true }), key("r", { altKey: true })], [null, null]);
  assert.equal(keys.commandOf({ key: "z", ctrlKey: true }, true), null);
});
