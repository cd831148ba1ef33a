// items.js - the layers of a node, item by item; and of one that is not right: since when, because of what, what to do.

import { h } from './dom.js';
import { because } from './cause.js';
import { ago, cell, clock, fixBadge, nodePath, prose } from './words.js';

const STATES = { pass: '✓', fail: '!', unknown: '?', skipped: '–', clamped: '↓' };

function remedy(node, item) {
  const host = node.name.split('/')[0];
  if (item.fix === 'manual') return item.check?.remedy ?? item.why ?? 'A person must act on the machine.';
  if (node.mode !== 'enforce') return `\`gdrctl node release ${host}\` lets the agent put it right (mode is ${node.mode}).`;
  if (item.fix === 'live') return 'Nothing: the agent puts it right by itself.';
  return `Nothing: it takes a reboot, which is granted when budget and windows allow. \`gdrctl node reboots ${host}\` tells how it stands.`;
}

// What a person wants to know of one item, in its own row below the item's.
function story(view, layer, item, columns) {
  const facts = [
    ['what', h('strong', {}, `${layer} ${item.key}`), ' on ', h('strong', {}, view.node.name), `: ${item.have ?? ''}, not ${item.want ?? ''}`],
    ['since', clock(item.since_ms), ', ', ago(item.since_ms)],
    ['because', because(view.events, item.since_ms)],
    ['do this', prose(remedy(view.node, item))],
  ];
  return h('tr', { 'data-key': 'story' }, h('td', { class: 'story', colspan: columns },
    h('dl', { 'aria-live': 'polite' }, facts.map(([name, ...text]) => [h('dt', {}, name), h('dd', {}, text)]))));
}

// The name of an item; of one that is not right a link to its story, and back.
function named(view, layer, item, text) {
  if (item.fix === 'none') return text;
  const name = `${layer}/${item.key}`;
  const open = view.item === name;
  return h('a', { href: `${nodePath(view.node.name)}${open ? '' : `?item=${encodeURIComponent(name)}`}`, 'aria-expanded': String(open) }, text);
}

function since(item) {
  return item.since_ms ? ago(item.since_ms) : '';
}

// --- items -----------------------------------------------------------------------------------------------------------

const COLUMNS = ['item', 'want', 'have', 'fix', 'since'];

function itemRow(view, layer, item) {
  const right = item.fix === 'none';
  return [h('tr', { 'data-key': item.key },
    h('th', { scope: 'row', class: 'item' }, named(view, layer, item, item.key)),
    h('td', { 'data-label': 'want', class: 'value' }, item.want ?? ''),
    h('td', { 'data-label': 'have', class: right ? 'value' : 'value have' }, item.have ?? ''),
    h('td', { 'data-label': 'fix' }, fixBadge(item.fix), item.why && h('div', { class: 'reason' }, prose(item.why))),
    !right && h('td', { 'data-label': 'since', class: 'since quiet' }, since(item))),
  view.item === `${layer}/${item.key}` && story(view, layer, item, COLUMNS.length)];
}

function itemTable(view, layer, items) {
  const columns = items[0].fix === 'none' ? COLUMNS.slice(0, 4) : COLUMNS;
  return h('table', { class: 'items' },
    h('thead', {}, h('tr', {}, columns.map((name) => h('th', { scope: 'col' }, name)))),
    h('tbody', {}, items.map((item) => itemRow(view, layer, item))));
}

// --- checks of readiness -----------------------------------------------------------------------------------------------

const CHECK_COLUMNS = ['check', 'state', 'severity', 'expected', 'actual'];

function checkRow(view, layer, item) {
  const { state, severity, evidence, remedy: help } = item.check;
  const [id, name] = item.key.split('/');
  return [h('tr', { 'data-key': item.key },
    h('th', { scope: 'row', class: 'item' }, named(view, layer, item, [h('b', {}, id), ' ', name])),
    h('td', { 'data-label': 'state' }, h('span', { class: `badge c-${state}` }, h('b', { 'aria-hidden': 'true' }, STATES[state]), state)),
    h('td', { 'data-label': 'severity', class: 'severity quiet' }, severity),
    h('td', { 'data-label': 'expected', class: 'value' }, item.want ?? ''),
    h('td', { 'data-label': 'actual' }, h('span', { class: state === 'fail' ? 'value have' : 'value' }, (item.have ?? '').slice(state.length + 2)),
      (evidence || help) && h('div', { class: 'reason' }, prose([evidence, help].filter(Boolean).join('; '))),
      item.measured_ms && h('div', { class: 'reason' }, 'measured ', ago(item.measured_ms)))),
  view.item === `${layer}/${item.key}` && story(view, layer, item, CHECK_COLUMNS.length)];
}

function checkTable(view, layer, items) {
  return h('table', { class: 'items checks' },
    h('thead', {}, h('tr', {}, CHECK_COLUMNS.map((name) => h('th', { scope: 'col' }, name)))),
    h('tbody', {}, items.map((item) => checkRow(view, layer, item))));
}

// --- layers ------------------------------------------------------------------------------------------------------------

function layerCard(view, report) {
  const items = report.items ?? [];
  const checks = items.filter((item) => item.check);
  const wrong = items.filter((item) => item.fix !== 'none');
  const right = items.filter((item) => item.fix === 'none' && !item.check);
  const others = wrong.filter((item) => !item.check);
  const shown = view.node.layers?.find((layer) => layer.name === report.name);
  const all = items.length - wrong.length;
  const open = wrong.length > 0 || checks.length > 0 || Boolean(report.error);
  // Of another key when it goes wrong, and so another element, which is open.
  return h('details', { class: 'card layer-card', 'data-key': `${report.name} ${open}`, open },
    h('summary', {}, cell({ name: report.name, failed: Boolean(report.error), worst: shown?.worst, wrong: wrong.length }), h('h3', {}, report.name),
      h('span', { class: 'quiet push' }, wrong.length ? `${wrong.length} not right, ${all} right` : `${all} right`)),
    report.error && h('p', { class: 'error' }, report.error),
    others.length > 0 && itemTable(view, report.name, others),
    checks.length > 0 && checkTable(view, report.name, checks),
    right.length > 0 && (wrong.length || checks.length
      ? h('details', { class: 'inner' }, h('summary', {}, `${right.length} ${checks.length ? 'more' : ''} right`), itemTable(view, report.name, right))
      : itemTable(view, report.name, right)));
}

// 'view': { node, events, item }, where 'item' is the "LAYER/KEY" whose story is told.
export function layers(view) {
  const reports = view.node.report?.layers ?? [];
  if (!reports.length) return h('p', { class: 'quiet' }, 'It has not reported yet.');
  return reports.map((report) => layerCard(view, report));
}
