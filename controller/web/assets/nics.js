// nics.js - the parameters of a node's network cards: by the factory, in effect, and for the next boot.

import { h } from './dom.js';
import { grid } from './page.js';
import { fixBadge, byNature, short } from './words.js';

const COLUMNS = ['parameter', 'default', 'current', 'next boot'];

// Function -> its items by parameter.
function functionsOf(items) {
  const functions = new Map();
  for (const item of items) {
    const [address, name] = item.key.split('/');
    if (!name) continue;
    if (!functions.has(address)) functions.set(address, new Map());
    functions.get(address).set(name, item);
  }
  return functions;
}

// Functions that say the same of everything are one table.
function alike(functions, devices) {
  const groups = new Map();
  for (const [address, items] of functions) {
    const card = devices.find((device) => device.address === address);
    const about = [card?.part_number, card?.firmware && `firmware ${card.firmware}`].filter(Boolean).join(', ');
    const said = JSON.stringify([about, ...[...items].map(([name, item]) => [name, item.want, item.have, item.fix, item.factory, item.next])]);
    if (!groups.has(said)) groups.set(said, { addresses: [], about, items });
    groups.get(said).addresses.push(address);
  }
  return [...groups.values()];
}

// What is wanted is said where it is not what is there.
function row(name, item) {
  const waits = item.next !== undefined && item.next !== item.have;
  return h('tr', { 'data-key': name }, h('th', { scope: 'row' }, name),
    h('td', { class: 'quiet' }, item.factory ?? '–'),
    h('td', { class: item.fix === 'none' ? undefined : 'have' }, item.have ?? '–'),
    h('td', { class: waits ? 'waits' : 'quiet' }, item.next ?? '–'),
    item.fix !== 'none' && [h('td', {}, item.want ?? ''), h('td', {}, fixBadge(item.fix))]);
}

export function nics(node) {
  const items = node.report?.layers?.find((report) => report.name === 'nic')?.items ?? [];
  const groups = alike(functionsOf(items), node.report?.inventory?.pci ?? []);
  if (!groups.length) return undefined;
  return h('section', { class: 'card', 'data-key': 'nics' }, h('h2', {}, 'NIC parameters'), groups.map(({ addresses, about, items: settings }) =>
    h('div', { class: 'part', 'data-key': addresses[0] },
      h('p', {}, h('strong', {}, addresses.length > 1 ? `${addresses.length} functions alike` : short(addresses[0])), about && h('span', { class: 'quiet' }, ` ${about}`),
        addresses.length > 1 && h('span', { class: 'quiet addresses' }, addresses.map(short).join(' '))),
      grid(`NIC parameters of ${addresses.map(short).join(', ')}`,
        [...settings.values()].every((item) => item.fix === 'none') ? COLUMNS : [...COLUMNS, 'want', 'fix'],
        [...settings].sort(([a], [b]) => byNature(a, b)).map(([name, item]) => row(name, item)), 'dense'))));
}
