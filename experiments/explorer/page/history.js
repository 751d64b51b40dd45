// Undo and redo: a list of states, of which one is shown.

const MOST = 200;

/** Returns the history that holds one state. */
export function begin(state) {
  return { past: [], present: state, future: [] };
}

/** Returns the history after a new state; states that were undone are dropped. */
export function commit(history, state) {
  if (JSON.stringify(state) === JSON.stringify(history.present)) return history;
  return { past: [...history.past, history.present].slice(-MOST), present: state, future: [] };
}

/** Returns the history one state earlier, or the same history at its beginning. */
export function undo(history) {
  if (!history.past.length) return history;
  return {
    past: history.past.slice(0, -1),
    present: history.past.at(-1),
    future: [history.present, ...history.future],
  };
}

/** Returns the history one state later, or the same history at its end. */
export function redo(history) {
  if (!history.future.length) return history;
  const [present, ...future] = history.future;
  return { past: [...history.past, history.present], present, future };
}
