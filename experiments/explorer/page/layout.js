// Sizes of the pictures on the screen.

/**
 * Returns the size of one picture in CSS pixels. A picture that is smaller than its
 * place is enlarged by a whole number of screen pixels, so that its pixels stay square
 * and equal.
 */
export function shownSize(width, height, place, ratio) {
  const scale = Math.min(place.width / width, place.height / height) * ratio;
  const whole = scale >= 1 ? Math.floor(scale) : scale;
  return { width: (width * whole) / ratio, height: (height * whole) / ratio, isEnlarged: scale >= 1 };
}

/**
 * Returns the number of columns with which `count` pictures are largest.
 *
 * Args:
 *   count: number of pictures.
 *   picture: {width, height} of each picture.
 *   room: {width, height} of the room for all pictures.
 *   gap: distance between pictures, in CSS pixels.
 */
export function columnsFor(count, picture, room, gap) {
  let best = { columns: 1, scale: 0 };
  for (let columns = 1; columns <= count; columns++) {
    const place = placeOf(count, columns, room, gap);
    const scale = Math.min(place.width / picture.width, place.height / picture.height);
    if (scale > best.scale + 1e-9) best = { columns, scale };
  }
  return best.columns;
}

/** Returns {width, height} that one of `count` pictures may fill. */
export function placeOf(count, columns, room, gap) {
  const rows = Math.ceil(count / columns);
  return {
    width: Math.max(1, (room.width - gap * (columns - 1)) / columns),
    height: Math.max(1, (room.height - gap * (rows - 1)) / rows),
  };
}
