// Squarified treemap: sizes, largest first, into rectangles of that area, as square as they come
// (Bruls, Huizing, van Wijk). Pure.
"use strict";
function squarify(sizes, x, y, width, height) {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const scale = total ? (width * height) / total : 0;
  const areas = sizes.map((size) => size * scale);
  const boxes = [];
  let start = 0;
  while (start < areas.length) {
    const side = Math.min(width, height);
    let end = start + 1, sum = areas[start], worst = ratio(areas[start], areas[start], sum, side);
    while (end < areas.length) {
      const next = ratio(areas[start], areas[end], sum + areas[end], side);
      if (next > worst) break;
      sum += areas[end];
      worst = next;
      end += 1;
    }
    const depth = side ? sum / side : 0;
    let along = 0;
    for (; start < end; start += 1) {
      const length = depth ? areas[start] / depth : 0;
      boxes.push(width >= height ? [x, y + along, depth, length] : [x + along, y, length, depth]);
      along += length;
    }
    if (width >= height) { x += depth; width -= depth; } else { y += depth; height -= depth; }
  }
  return boxes;
}
function ratio(largest, smallest, sum, side) {
  const square = sum * sum, edge = side * side;
  return Math.max((edge * largest) / square, square / (edge * smallest));
}
