// map.js - every node as one tile, by rack: coloured and, where there is room, lettered by its state; below it a pip
// for each layer that is not right.  A canvas, so that ten thousand tiles are drawn at once; the matrix below it says
// the same to those who cannot see it.

import { STATES, layerFix } from './words.js';

const GAP = 3;
const places = new WeakMap(); // canvas -> [{ x, y, size, name }]

function sizeFor(nodes) {
  if (nodes <= 64) return 30;
  if (nodes <= 400) return 20;
  if (nodes <= 2000) return 13;
  return 8;
}

// Where each tile goes: racks side by side, as wide as it takes to be no higher than they need.
function layout(groups, width) {
  const nodes = groups.reduce((sum, group) => sum + group.rows.length, 0);
  const size = sizeFor(nodes);
  const label = size >= 13 ? 18 : 12;
  const tiles = [];
  const labels = [];
  let x = 0;
  let y = 0;
  let high = 0;
  for (const { rack, rows } of groups) {
    const columns = Math.max(1, Math.min(Math.floor((width + GAP) / (size + GAP)), Math.ceil(Math.sqrt(rows.length * 2))));
    const wide = Math.max(columns * (size + GAP), size >= 13 ? 38 : 26);
    const tall = label + Math.ceil(rows.length / columns) * (size + GAP);
    if (x > 0 && x + wide > width) {
      x = 0;
      y += high + 8;
      high = 0;
    }
    labels.push({ x, y: y + label - 5, text: rack || '–', width: wide });
    rows.forEach((row, i) => tiles.push({
      x: x + (i % columns) * (size + GAP), y: y + label + Math.floor(i / columns) * (size + GAP), size, row,
    }));
    high = Math.max(high, tall);
    x += wide + (size >= 13 ? 14 : 8);
  }
  return { tiles, labels, height: y + high, size };
}

export function drawMap(canvas, groups) {
  const width = canvas.parentElement.clientWidth;
  const { tiles, labels, height, size } = layout(groups, width);
  const scale = devicePixelRatio || 1;
  const style = getComputedStyle(document.documentElement);
  const colour = Object.fromEntries(Object.keys(STATES).map((state) => [state, style.getPropertyValue(`--s-${state}`)]));
  const ink = style.getPropertyValue('--on-state');
  const quiet = style.getPropertyValue('--quiet');
  canvas.width = width * scale;
  canvas.height = height * scale;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext('2d');
  pen.scale(scale, scale);
  pen.font = `${size >= 13 ? 11 : 9}px system-ui, sans-serif`;
  pen.fillStyle = quiet;
  for (const { x, y, text, width: room } of labels) pen.fillText(text, x, y, room);
  pen.textAlign = 'center';
  pen.textBaseline = 'middle';
  pen.font = `600 ${Math.round(size * 0.5)}px system-ui, sans-serif`;
  for (const { x: left, y: top, size: whole, row } of tiles) {
    const inset = row.name.includes('/') ? Math.round(whole / 8) : 0; // A guest is smaller than its host.
    const [x, y, size] = [left + inset, top + inset, whole - 2 * inset];
    pen.fillStyle = colour[row.state] ?? quiet;
    if (size >= 13) {
      pen.beginPath();
      pen.roundRect(x, y, size, size, size / 6);
      pen.fill();
    } else {
      pen.fillRect(x, y, size, size);
    }
    if (size < 13) continue;
    pen.fillStyle = ink;
    pen.fillText(STATES[row.state]?.letter ?? '?', x + size / 2, y + size / 2 + 0.5);
    const wrong = (row.layers ?? []).filter((layer) => layerFix(layer) !== 'none').length;
    for (let i = 0; size >= 20 && i < wrong; i++) pen.fillRect(x + 3 + i * 4, y + size - 5, 3, 2.5);
  }
  places.set(canvas, tiles);
}

export function nodeAt(canvas, event) {
  return places.get(canvas)?.find(({ x, y, size }) =>
    event.offsetX >= x && event.offsetX < x + size && event.offsetY >= y && event.offsetY < y + size)?.row.name;
}
