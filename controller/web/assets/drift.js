// drift.js - which items are not as wanted, on how many nodes.

import { h, show } from './dom.js';
import { asks, complaint, headline } from './page.js';
import { fixBadge, nodePath, plural } from './words.js';

const SHOWN = 500;
const NAMES = 8;

function row(item, most) {
  return h('tr', { 'data-key': `${item.layer} ${item.key} ${item.want} ${item.have}` },
    h('th', { scope: 'row', class: 'item' }, h('span', { class: 'quiet' }, item.layer), ' ', item.key),
    h('td', { 'data-label': 'want', class: 'value' }, item.want ?? ''),
    h('td', { 'data-label': 'have', class: 'value have' }, item.have ?? ''),
    h('td', { 'data-label': 'fix' }, fixBadge(item.fix)),
    h('td', { 'data-label': 'nodes' }, h('div', { class: 'where' },
      h('meter', { min: 0, max: most, value: item.count, 'aria-label': `${item.count} nodes` }),
      h('strong', {}, item.count), ' ',
      h('span', { class: 'names' }, (item.nodes ?? []).slice(0, NAMES).map((name, i) => [i ? ', ' : '',
        h('a', { href: `${nodePath(name)}?item=${encodeURIComponent(`${item.layer}/${item.key}`)}` }, name)]),
        item.count > NAMES && ` and ${item.count - NAMES} more`))));
}

export function driftPage(root) {
  const draw = (answers, failed) => {
    const drift = answers?.[0].drift ?? [];
    show(root, headline('Drift', answers && `${plural(drift.length, 'item')} not as wanted`),
      complaint(failed),
      answers && !drift.length && h('p', { class: 'allright' }, 'Every item of every node is as wanted.'),
      drift.length > 0 && h('section', { class: 'card' }, h('table', { class: 'items' },
        h('thead', {}, h('tr', {}, ['item', 'want', 'have', 'fix', 'nodes'].map((name) => h('th', { scope: 'col' }, name)))),
        h('tbody', {}, drift.slice(0, SHOWN).map((item) => row(item, drift[0].count))))));
  };
  const update = asks(() => ['drift'], draw);
  draw();
  update();
  return { update };
}
