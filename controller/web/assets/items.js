// items.js - the layers of a node, item by item; and of one that is not right: since when, because of what, what to do.

import { h } from './dom.js';
import { because } from './cause.js';
import { listing } from './page.js';
import { ago, cell, clock, fixBadge, itemPath, keyText, nodePath, prose } from './words.js';

const STATES = { pass: '✓', fail: '!', unknown: '?', skipped: '–', clamped: '↓' };

function remedy(node, item) {
  const host = node.name.split('/')[0];
  if (item.fix === 'manual') return item.check?.remedy ?? item.why ?? 'A person must act on the machine.';
  if (node.mode !== 'enforce') return `\`gdrctl node release ${host}\` lets the agent put it right (mode is ${node.mode}).`;
  if (item.fix === 'live') return 'Nothing: the agent puts it right by itself.';
  return `Nothing: it takes a reboot, which is granted when budget and windows allow. \`gdrctl node reboots ${host}\` tells how it stands.`;
}

// What a person wants to know of one item.
function story({ node, events }, layer, item) {
  const since = item.since_ms ?? node.since_ms;
  const facts = [
    ['what', h('strong', {}, `${layer} ${item.key}`), ' on ', h('strong', {}, node.name), `: ${item.have ?? ''}, not ${item.want ?? ''}`],
    ['since', clock(since), ', ', ago(since)],
    ['because', because(events, since)],
    ['do this', prose(remedy(node, item))],
  ];
  return h('dl', { 'aria-live': 'polite' }, facts.map(([name, ...text]) => [h('dt', {}, name), h('dd', {}, text)]));
}

// An item's row, with its 'text' as a link to its story, and back, if it is not right; and below it the story, if it is told.
function row(view, layer, item, text, ...cells) {
  const name = `${layer}/${item.key}`;
  const told = view.item === name;
  const path = told ? nodePath(view.node.name) : itemPath(view.node.name, name);
  const link = item.fix === 'none' ? text : h('a', { href: path, 'aria-expanded': String(told) }, text);
  return [
    h('tr', { 'data-key': item.key }, h('th', { scope: 'row', class: 'item' }, link), cells),
    told && h('tr', { 'data-key': 'story' }, h('td', { class: 'story', colspan: cells.length + 1 }, story(view, layer, item))),
  ];
}

// --- items -----------------------------------------------------------------------------------------------------------

const COLUMNS = ['item', 'want', 'have', 'fix', 'since'];

// A reason that was given just before is not given again.
function itemRow(view, layer, item, before) {
  const right = item.fix === 'none';
  return row(view, layer, item, keyText(item.key),
    h('td', { class: 'value' }, item.want ?? ''),
    h('td', { class: right ? 'value' : 'value have' }, item.have ?? ''),
    h('td', {}, fixBadge(item.fix), item.why && item.why !== before?.why && h('div', { class: 'reason' }, prose(item.why))),
    !right && h('td', { class: 'since quiet' }, ago(item.since_ms ?? view.node.since_ms)));
}

function itemTable(view, layer, items) {
  return listing(items[0].fix === 'none' ? COLUMNS.slice(0, 4) : COLUMNS, items.map((item, i) => itemRow(view, layer, item, items[i - 1])));
}

// --- checks of readiness -----------------------------------------------------------------------------------------------

const CHECK_COLUMNS = ['check', 'state', 'severity', 'expected', 'actual'];

function checkRow(view, layer, item) {
  const { state, severity, evidence, remedy: help } = item.check;
  const [id, name] = item.key.split('/');
  return row(view, layer, item, h('span', { class: 'whole' }, h('b', {}, id), ' ', name),
    h('td', {}, h('span', { class: `badge c-${state}` }, h('b', { 'aria-hidden': 'true' }, STATES[state]), state)),
    h('td', { class: 'whole quiet' }, severity),
    h('td', { class: 'value' }, item.want ?? ''),
    h('td', {}, h('span', { class: state === 'fail' ? 'value have' : 'value' }, (item.have ?? '').slice(state.length + 2)), // "STATE: ACTUAL"
      (evidence || help) && h('div', { class: 'reason' }, prose([evidence, help].filter(Boolean).join('; '))),
      item.measured_ms && h('div', { class: 'reason' }, 'measured ', ago(item.measured_ms))));
}

function checkTable(view, layer, items) {
  return listing(CHECK_COLUMNS, items.map((item) => checkRow(view, layer, item)), 'checks');
}

// --- layers ------------------------------------------------------------------------------------------------------------

function layerCard(view, report) {
  const items = report.items ?? [];
  const wrong = items.filter((item) => item.fix !== 'none');
  const checks = items.filter((item) => item.check);
  const others = wrong.filter((item) => !item.check);
  const rest = items.filter((item) => item.fix === 'none' && !item.check);
  const { name, error } = report;
  const worst = view.node.layers?.find((layer) => layer.name === name)?.worst;
  const open = wrong.length > 0 || checks.length > 0 || Boolean(error);
  const right = rest.length > 0 && itemTable(view, name, rest);
  // Of another key when it goes wrong, and so another element, which is open.
  return h('details', { class: 'card layer-card', 'data-key': `${name} ${open}`, open },
    h('summary', {}, cell({ name, failed: Boolean(error), worst, wrong: wrong.length }), h('h3', {}, name),
      h('span', { class: 'quiet push' }, wrong.length > 0 && `${wrong.length} not right, `, `${items.length - wrong.length} right`)),
    error && h('p', { class: 'error' }, error),
    others.length > 0 && itemTable(view, name, others),
    checks.length > 0 && checkTable(view, name, checks),
    right && open ? h('details', { class: 'inner' }, h('summary', {}, `${rest.length} ${checks.length ? 'more' : ''} right`), right) : right);
}

// 'view': { node, events, item }, where 'item' is the "LAYER/KEY" whose story is told.
export function layers(view) {
  const reports = view.node.report?.layers ?? [];
  if (!reports.length) return h('p', { class: 'quiet' }, 'It has not reported yet.');
  return reports.map((report) => layerCard(view, report));
}
