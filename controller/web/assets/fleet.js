// fleet.js - the fleet: counts, who needs a person first, a map of all nodes by rack, and the matrix of nodes and
// layers.  Search and filters are kept in the address.  Of the matrix only the rows in sight are in the document, so
// that ten thousand nodes are as quick as ten.

import { h, show } from './dom.js';
import { model } from './model.js';
import { FIXES, PERSON, STATES, ago, badge, byNature, cell, layerFix, nodeLink, nodePath, plural, prose } from './words.js';
import { drawMap, nodeAt } from './map.js';

const LAYERS = ['bios', 'nic', 'kernel', 'hugepages', 'pci', 'vm', 'link', 'sysctl', 'gpu', 'nccl', 'readiness'];

// --- order and filters ----------------------------------------------------------------------------------------

let order = [];
let orderOf = -1;

// A guest stands behind its host.
function ordered() {
  if (orderOf === model.members) return order;
  const racks = new Map();
  for (const row of model.rows.values()) {
    const host = model.rows.get(row.name.split('/')[0]) ?? row;
    const rack = host.labels?.rack ?? '';
    if (!racks.has(rack)) racks.set(rack, []);
    racks.get(rack).push(row.name);
  }
  order = [...racks.keys()].sort(byNature).map((rack) => ({ rack, names: racks.get(rack).sort(byNature) }));
  orderOf = model.members;
  return order;
}

function word(row, text) {
  const [key, value] = text.split('=');
  if (value !== undefined) return (row.labels?.[key] ?? '').startsWith(value);
  return row.name.includes(text) || (row.profile ?? '').includes(text) || (row.why ?? '').toLowerCase().includes(text) ||
    Object.values(row.labels ?? {}).some((label) => label.includes(text));
}

function wordsOf(text) {
  return text.toLowerCase().split(/[\s,]+/).filter(Boolean);
}

function fits(row, filter, words) {
  if (filter.states.length && !filter.states.includes(row.state)) return false;
  if (filter.layer && !row.layers?.some((layer) => layer.name === filter.layer && layerFix(layer) !== 'none')) return false;
  return words.every((text) => word(row, text));
}

function filterOf(parameters) {
  return {
    text: parameters.get('q') ?? '',
    states: (parameters.get('state') ?? '').split(',').filter(Boolean),
    layer: parameters.get('layer') ?? '',
  };
}

function address(filter) {
  const parameters = new URLSearchParams();
  if (filter.text) parameters.set('q', filter.text);
  if (filter.states.length) parameters.set('state', filter.states.join(','));
  if (filter.layer) parameters.set('layer', filter.layer);
  const query = parameters.toString();
  history.replaceState(null, '', query ? `#/?${query}` : '#/');
}

// --- parts ------------------------------------------------------------------------------------------------------

function countOf(state) {
  return model.status?.counts?.find((count) => count.state === state)?.nodes ?? 0;
}

function headline() {
  const status = model.status;
  const ready = countOf('ready');
  const person = PERSON.reduce((sum, state) => sum + countOf(state), 0);
  const facts = [plural(status.nodes, 'host'), `${status.connected} connected`];
  if (status.guests) facts.push(`${status.guests_ready ?? 0} of ${status.guests} guests ready`);
  if (status.open_grants) facts.push(`${status.open_grants} of ${status.max_rebooting} reboots granted`);
  const text = status.nodes === 0 ? 'No nodes yet'
    : ready === status.nodes ? 'Everything is as wanted'
      : person ? `${person} need${person === 1 ? 's' : ''} a person`
        : `${status.nodes - ready} on the way`;
  return h('div', { class: 'headline' },
    h('h1', {}, text),
    h('p', { class: 'quiet' }, facts.join(' · ')));
}

function chips(filter, change) {
  const there = Object.keys(STATES).filter((state) => countOf(state) || filter.states.includes(state));
  return h('div', { class: 'chips', role: 'group', 'aria-label': 'States' }, there.map((state) =>
    h('button', {
      type: 'button', class: `chip s-${state}`, 'aria-pressed': String(filter.states.includes(state)), 'data-key': state,
      title: STATES[state].says,
      onclick: () => change({
        states: filter.states.includes(state) ? filter.states.filter((other) => other !== state) : [...filter.states, state],
      }),
    }, h('b', { 'aria-hidden': 'true' }, STATES[state].letter), h('span', {}, STATES[state].text), h('strong', {}, countOf(state)))));
}

function attention() {
  const urgent = (model.status.attention ?? []).filter((node) => PERSON.includes(node.state)).slice(0, 6);
  if (!urgent.length) return undefined;
  return h('section', { class: 'attention', 'aria-labelledby': 'attention' },
    h('h2', { id: 'attention', class: 'hidden' }, 'Needs a person'),
    h('ul', {}, urgent.map((node) => h('li', { class: `card edge s-${node.state}`, 'data-key': node.name },
      h('p', { class: 'card-head' }, nodeLink(node.name), badge(node.state), h('span', { class: 'quiet push' }, ago(node.since_ms))),
      node.why && h('p', {}, node.why),
      node.remedy && h('p', { class: 'remedy' }, prose(node.remedy))))));
}

function search(filter, layers, change) {
  return h('div', { class: 'filters', role: 'search' },
    h('input', {
      type: 'search', id: 'search', placeholder: 'Name, rack=r7, or a reason', 'aria-label': 'Search nodes', value: filter.text,
      oninput: (event) => change({ text: event.target.value }),
    }),
    h('select', { 'aria-label': 'Layer that is not right', value: filter.layer, onchange: (event) => change({ layer: event.target.value }) },
      h('option', { value: '', selected: !filter.layer }, 'any layer'),
      layers.map((name) => h('option', { value: name, selected: filter.layer === name }, `${name} not right`))),
    (filter.text || filter.states.length || filter.layer) &&
      h('button', { type: 'button', class: 'plain', onclick: () => change({ text: '', states: [], layer: '' }) }, 'Clear'));
}

function legend() {
  return h('details', { class: 'legend' }, h('summary', {}, 'Letters and colours'),
    h('dl', {}, Object.entries(FIXES).map(([fix, { text, says }]) => [
      h('dt', {}, h('span', { class: `cell f-${fix}`, 'aria-hidden': 'true' }, FIXES[fix].letter), text), h('dd', {}, says)]),
    Object.entries(STATES).map(([state, { says }]) => [h('dt', {}, badge(state)), h('dd', {}, says)])));
}

// --- the matrix ---------------------------------------------------------------------------------------------------

function line(item, layers, index) {
  if (item.rack !== undefined) {
    return h('div', { class: 'rack', role: 'row', 'aria-rowindex': index + 2, 'data-key': `rack ${item.rack}` },
      h('span', { role: 'rowheader', class: 'rackname' }, item.rack ? `rack ${item.rack}` : 'no rack'),
      h('span', { role: 'cell', class: 'quiet' }, `${item.ready} of ${item.total} ready`));
  }
  const row = item.row;
  const [, vm] = row.name.split('/');
  return h('div', { class: `line s-${row.state}`, role: 'row', 'aria-rowindex': index + 2, 'data-key': row.name },
    h('span', { role: 'rowheader', class: vm ? 'name guest' : 'name' }, nodeLink(row.name, vm)),
    h('span', { role: 'cell', class: 'state' }, badge(row.state)),
    layers.map((name) => h('span', { role: 'cell', class: 'layer' }, cell(row.layers?.find((layer) => layer.name === name)))),
    h('span', { role: 'cell', class: 'why', title: row.why }, row.why ?? (row.profile ? h('span', { class: 'quiet' }, row.profile) : '')),
    h('span', { role: 'cell', class: 'since quiet' }, ago(row.since_ms)));
}

function linesOf(groups) {
  const lines = [];
  for (const { rack, rows } of groups) {
    lines.push({ rack, total: rows.length, ready: rows.filter((row) => row.state === 'ready').length });
    for (const row of rows) lines.push({ row });
  }
  return lines;
}

// Arrows go from node to node, also to those that are not in sight yet.
function move(event, list, lines, draw) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const at = event.target.closest('[aria-rowindex]');
  if (!step || !at) return;
  let next = Number(at.getAttribute('aria-rowindex')) - 2 + step;
  while (lines[next] && !lines[next].row) next += step;
  if (!lines[next]) return;
  event.preventDefault();
  const height = list.firstChild?.offsetHeight || 40;
  const top = list.getBoundingClientRect().top + next * height;
  if (top < 140 || top > innerHeight - 80) scrollBy({ top: top - innerHeight / 2 });
  draw();
  list.querySelector(`[aria-rowindex="${next + 2}"] a`)?.focus();
}

export function fleetPage(root, _, parameters) {
  let filter = filterOf(parameters);
  let groups = [];
  let lines = [];
  let layers = [];
  const top = h('div', {});
  const bar = h('div', { class: 'sticky' });
  const map = h('canvas', { class: 'map', 'aria-hidden': 'true' });
  const tip = h('div', { class: 'tip', hidden: true });
  const head = h('div', { class: 'head', role: 'row', 'aria-rowindex': 1 });
  const list = h('div', { class: 'lines', role: 'rowgroup' });
  const none = h('p', { class: 'quiet', hidden: true }, 'No node fits.');
  const matrix = h('div', { class: 'matrix', role: 'table', 'aria-label': 'Nodes and layers' }, head, list);
  root.append(top, bar, h('div', { class: 'mapbox' }, map, tip), matrix, none, legend());

  const change = (part) => {
    filter = { ...filter, ...part };
    address(filter);
    update();
  };

  // Rows are all of one height, so that their places are known without being drawn.
  const draw = () => {
    const height = matchMedia('(max-width: 720px)').matches ? 58 : 38;
    const box = list.getBoundingClientRect();
    const first = Math.max(0, Math.floor(-box.top / height) - 8);
    const last = Math.min(lines.length, first + Math.ceil(innerHeight / height) + 16);
    list.style.height = `${lines.length * height}px`;
    list.style.paddingTop = `${first * height}px`;
    show(list, lines.slice(first, last).map((item, i) => line(item, layers, first + i)));
  };

  const update = (changed) => {
    if (changed) filter = filterOf(changed);
    if (!model.status) return;
    const words = wordsOf(filter.text);
    groups = ordered().map(({ rack, names }) => ({ rack, rows: names.map((name) => model.rows.get(name)).filter((row) => fits(row, filter, words)) }))
      .filter(({ rows }) => rows.length);
    lines = linesOf(groups);
    const there = new Set();
    for (const row of model.rows.values()) for (const layer of row.layers ?? []) there.add(layer.name);
    layers = [...LAYERS.filter((name) => there.has(name)), ...[...there].filter((name) => !LAYERS.includes(name))];
    show(top, headline(), attention());
    show(bar, chips(filter, change), search(filter, layers, change));
    matrix.style.setProperty('--layers', layers.length);
    show(head, h('span', { role: 'columnheader' }, 'node'), h('span', { role: 'columnheader' }, 'state'),
      layers.map((name) => h('span', { role: 'columnheader', class: 'layer', title: name }, name)),
      h('span', { role: 'columnheader' }, 'why'), h('span', { role: 'columnheader', class: 'since' }, 'since'));
    matrix.setAttribute('aria-rowcount', lines.length + 1);
    matrix.hidden = !lines.length;
    none.hidden = lines.length > 0;
    drawMap(map, groups);
    draw();
  };

  map.onclick = (event) => {
    const name = nodeAt(map, event);
    if (name) location.hash = nodePath(name);
  };
  map.onmousemove = (event) => {
    const row = model.rows.get(nodeAt(map, event));
    tip.hidden = !row;
    map.style.cursor = row ? 'pointer' : '';
    if (!row) return;
    tip.textContent = `${row.name}: ${STATES[row.state].text}${row.why ? ` – ${row.why}` : ''}`;
    tip.style.left = `${Math.min(event.offsetX + 14, map.clientWidth - 220)}px`;
    tip.style.top = `${event.offsetY + 18}px`;
  };
  map.onmouseleave = () => { tip.hidden = true; };
  list.onkeydown = (event) => move(event, list, lines, draw);
  const onScroll = () => requestAnimationFrame(draw);
  const onResize = () => { drawMap(map, groups); draw(); };
  const dark = matchMedia('(prefers-color-scheme: dark)');
  addEventListener('scroll', onScroll, { passive: true });
  addEventListener('resize', onResize);
  dark.addEventListener('change', onResize);
  update();
  return {
    update,
    close() {
      removeEventListener('scroll', onScroll);
      removeEventListener('resize', onResize);
      dark.removeEventListener('change', onResize);
    },
  };
}
