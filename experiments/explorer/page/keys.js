// Keys of the whole page. Fields in which a person writes have their own keys.

/** Each command with its keys, in the words of the help. */
export const COMMANDS = [
  ["undo", "Ctrl Z", "Undo"],
  ["redo", "Ctrl Shift Z", "Redo"],
  ["random", "R", "Random seeds"],
  ["search", "/", "Search sliders"],
  ["before", "[", "Page before"],
  ["after", "]", "Next page"],
  ["rows", "P", "Rows of small pictures"],
  ["keep", "K", "Keep what is shown"],
  ["save", "S", "Save the picture"],
  ["reset", "X", "Reset all sliders"],
  ["help", "?", "These keys"],
];

const SINGLE = { r: "random", "/": "search", "[": "before", "]": "after", p: "rows", k: "keep", s: "save", x: "reset", "?": "help" };

/**
 * Returns the command of a key, or null.
 *
 * Args:
 *   event: {key, ctrlKey, metaKey, altKey, shiftKey}.
 *   isWriting: whether the focus is in a field in which a person writes.
 */
export function commandOf(event, isWriting) {
  const key = event.key.toLowerCase();
  if (isWriting || event.altKey) return null;
  if (event.ctrlKey || event.metaKey) {
    if (key === "z") return event.shiftKey ? "redo" : "undo";
    return key === "y" ? "redo" : null;
  }
  return SINGLE[key] ?? null;
}

/** Returns whether a person writes in an element, so that letters belong to it. */
export function isWritten(node) {
  return Boolean(node?.matches?.("input:not([type=range], [type=checkbox], [type=file]), textarea, select"));
}
