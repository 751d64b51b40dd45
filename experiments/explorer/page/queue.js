// Which picture is requested next. One request is in flight at a time; when it ends,
// the newest state counts. States in between are never requested.

/**
 * Returns whether a picture shows what is asked of it.
 *
 * Args:
 *   shown: {key, moving} of the picture on the screen, or null. `moving` is true for
 *     a picture that was made in haste.
 *   key: text of the state that the picture should show.
 *   moving: whether a slider moves now.
 */
export function isDone(shown, key, moving) {
  return shown !== null && shown.key === key && (moving || !shown.moving);
}

/**
 * Returns the index of the picture to request, or -1 where all are done. The search
 * begins after the picture that was requested last, so that each picture gets its turn
 * while a slider moves.
 */
export function nextPicture(shown, keys, moving, last) {
  for (let step = 1; step <= keys.length; step++) {
    const which = (last + step) % keys.length;
    if (!isDone(shown[which] ?? null, keys[which], moving)) return which;
  }
  return -1;
}

/** Returns the seconds before the next attempt, after failures in a row. */
export function pause(failures) {
  return Math.min(8, 2 ** (failures - 1) / 2);
}

/**
 * Returns for each key the index of the picture that goes on in its place, or -1 for a
 * new one. A picture that already shows a key keeps it, wherever it now stands.
 */
export function arranged(shown, keys) {
  const free = new Set(shown.keys());
  const taken = keys.map((key) => {
    const same = [...free].find((i) => shown[i]?.key === key) ?? -1;
    free.delete(same);
    return same;
  });
  const left = (which) => (free.has(which) ? which : [...free][0] ?? -1);
  return taken.map((same, which) => {
    const index = same >= 0 ? same : left(which);
    free.delete(index);
    return index;
  });
}
