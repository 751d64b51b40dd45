// The two functions of anywidget's `model` over HTTP: one message, one answer. A
// message and an answer are a line of JSON, followed by bytes where there are any.

const NEWLINE = 10;

/** Returns a message as the body of a request. */
export function packed(content, payload = null) {
  const line = JSON.stringify(content);
  return payload === null ? line : new Blob([line, "\n", payload]);
}

/** Returns {content, bytes} of an answer's body. */
export function unpacked(body) {
  const all = new Uint8Array(body);
  const end = all.indexOf(NEWLINE);
  const line = new TextDecoder().decode(end < 0 ? all : all.subarray(0, end));
  const bytes = end < 0 || end + 1 === all.length ? null : all.subarray(end + 1);
  return { content: JSON.parse(line), bytes: bytes && new DataView(all.buffer, bytes.byteOffset, bytes.byteLength) };
}

/**
 * Returns a model whose messages go to `address`.
 *
 * Args:
 *   address: URL of the server's one place for messages.
 *   post: function with the arguments of fetch.
 */
export function httpModel(address, post = (...request) => fetch(...request)) {
  const listeners = [];
  const answer = async (content, payload) => {
    const type = payload === null ? "application/json" : "application/octet-stream";
    let response;
    try {
      response = await post(address, { method: "POST", body: packed(content, payload), headers: { "content-type": type } });
    } catch {
      return { content: { error: "The server does not answer. Is it still running?", offline: true }, bytes: null };
    }
    try {
      return unpacked(await response.arrayBuffer());
    } catch {
      return { content: { error: `The server answered ${response.status} without a reason.` }, bytes: null };
    }
  };
  return {
    on(_, listener) {
      listeners.push(listener);
    },
    async send(content, _, buffers) {
      const { content: found, bytes } = await answer(content, buffers?.[0] ?? null);
      for (const listener of listeners) listener({ ...found, id: content.id }, bytes ? [bytes] : []);
    },
  };
}
