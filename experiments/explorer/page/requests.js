// Questions to the server and their answers, over anywidget's `model`.

/** A mistake that the server explains in one line. */
export class ServerError extends Error {}

/**
 * Returns a function `ask(kind, fields, payload)` whose promise becomes
 * {content, bytes}. It is rejected with a ServerError if the server answers with an
 * error. `error.isOffline` is true if no server answered.
 */
export function requests(model) {
  const waiting = new Map();
  // The widgets of one notebook share a kernel, and a page may be shown twice.
  let id = Math.floor(Math.random() * 1e6) * 1e6;
  model.on("msg:custom", (content, buffers) => {
    const settle = waiting.get(content?.id);
    if (!settle) return;
    waiting.delete(content.id);
    settle(content, buffers?.[0] ?? null);
  });
  return (kind, fields = {}, payload = null) =>
    new Promise((resolve, reject) => {
      id += 1;
      waiting.set(id, (content, bytes) => {
        if (content.error === undefined) resolve({ content, bytes });
        else reject(Object.assign(new ServerError(content.error), { isOffline: content.offline === true }));
      });
      model.send({ ...fields, id, kind }, undefined, payload === null ? [] : [payload]);
    });
}
