// drift.js - which items are not as wanted, on how many nodes.

import { h, show } from './dom.js';
import { asks, complaint, headline, listing } from './page.js';
import { fixBadge, itemPath, keyText, plural } from './words.js';

const SHOWN = 500;
const NAMES = 8;

function row(item, most) {
  return h('tr', { 'data-key': `${item.layer} ${item.key} ${item.want} ${item.have}` },
    h('th', { scope: 'row', class: 'item' }, h('span', { class: 'quiet' }, item.layer), ' ', keyText(item.key)),
    h('td', { class: 'value' }, item.want ?? ''),
    h('td', { class: 'value have' }, item.have ?? ''),
    h('td', {}, fixBadge(item.fix)),
    h('td', {}, h('div', { class: 'where' },
      h('meter', { min: 0, max: most, value: item.count, 'aria-label': `${item.count} nodes` }),
      h('strong', {}, item.count), ' ',
      h('span', { class: 'names' }, (item.nodes ?? []).slice(0, NAMES).map((name, i) => [i ? ', ' : '',
        h('a', { href: itemPath(name, `${item.layer}/${item.key}`) }, name)]),
        item.count > NAMES && ` and ${item.count - NAMES} more`))));
}

export function driftPage(root) {
  const draw = (answers, failed) => {
    const drift = answers?.[0].drift ?? [];
    show(root, headline('Drift', answers && `${plural(drift.length, 'item')} not as wanted`),
      complaint(failed),
      answers && !drift.length && h('p', { class: 'allright' }, 'Every item of every node is as wanted.'),
      drift.length > 0 && h('section', { class: 'card' }, listing(['item', 'want', 'have', 'fix', 'nodes'],
        drift.slice(0, SHOWN).map((item) => row(item, drift[0].count)))));
  };
  const update = asks(() => ['drift'], draw);
  draw();
  update();
  return { update };
}
