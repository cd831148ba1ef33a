// node.js - one node: what is wrong and what to do about it, its layers item by item, reboots, NICs, PCI, guests.

import { h, show } from './dom.js';
import { get, model } from './model.js';
import { eventList } from './events.js';
import { asks, complaint } from './page.js';
import { pciTree } from './pci.js';
import { ago, badge, byNature, cell, clock, command, duration, fixBadge, nodeLink, prose } from './words.js';

const EVENTS = 60;
const CAUSES = ['profile.revised', 'node.assigned', 'node.changed', 'node.configured', 'node.mode', 'rollout.started', 'node.rebooted'];

// --- what it is ------------------------------------------------------------------------------------------------

function fact(name, ...value) {
  return h('div', {}, h('dt', {}, name), h('dd', {}, ...value));
}

function facts(node) {
  const inventory = node.report?.inventory ?? {};
  const labels = Object.entries(node.labels ?? {});
  return h('dl', { class: 'facts' },
    fact('profile', node.profile ?? '–'),
    fact('mode', node.mode ?? '–'),
    fact('generation', node.observed_generation === node.generation ? `${node.generation}, measured`
      : `${node.generation}; measured: ${node.observed_generation ?? 'none'}`),
    fact('labels', labels.length ? labels.map(([key, value]) => h('span', { class: 'label' }, `${key}=${value}`)) : '–'),
    fact('reboots used', node.reboot_budget ? `${node.reboots_used ?? 0} of ${node.reboot_budget}` : '–'),
    inventory.product && fact('machine', inventory.product),
    inventory.cpu_model && fact('processor', `${inventory.cpu_model}, ${inventory.cpus} CPUs`),
    inventory.kernel && fact('kernel', inventory.kernel),
    node.version && fact('agent', node.version));
}

function head(node, events) {
  const cause = events.find((event) => event.at_ms <= node.since_ms + 1000 && CAUSES.some((kind) => event.kind.startsWith(kind)));
  const host = node.name.includes('/') && node.name.split('/')[0];
  return h('section', { class: `node-head edge s-${node.state}` },
    host && h('p', { class: 'crumb' }, 'guest of ', nodeLink(host)),
    h('div', { class: 'title' }, h('h1', {}, node.name), badge(node.state), h('span', { class: 'quiet' }, 'since ', ago(node.since_ms))),
    node.why && node.state !== 'ready' && h('p', { class: 'why' }, node.why),
    node.remedy && h('p', { class: 'remedy' }, h('strong', {}, 'Do this: '), prose(node.remedy)),
    node.state !== 'ready' && cause && h('p', { class: 'quiet' }, 'Before it: ', cause.kind, ' ', prose(cause.text),
      cause.actor !== 'gdrd' && ` by ${cause.actor}`, ', ', ago(cause.at_ms)),
    facts(node));
}

// --- items ---------------------------------------------------------------------------------------------------------

function itemRow(item) {
  return h('tr', { 'data-key': item.key, class: item.fix === 'none' ? 'right' : 'wrong' },
    h('th', { scope: 'row', class: 'item' }, item.key),
    h('td', { 'data-label': 'want', class: 'value' }, item.want ?? ''),
    h('td', { 'data-label': 'have', class: item.fix === 'none' ? 'value' : 'value have' }, item.have ?? ''),
    h('td', { 'data-label': 'fix' }, fixBadge(item.fix), item.why && h('div', { class: 'reason' }, prose(item.why))));
}

function itemTable(items) {
  return h('table', { class: 'items' },
    h('thead', {}, h('tr', {}, ['item', 'want', 'have', 'fix'].map((name) => h('th', { scope: 'col' }, name)))),
    h('tbody', {}, items.map(itemRow)));
}

function layer(report, view) {
  const wrong = (report.items ?? []).filter((item) => item.fix !== 'none');
  const right = (report.items ?? []).filter((item) => item.fix === 'none');
  return h('details', { class: 'card layer-card', 'data-key': report.name, open: wrong.length > 0 || Boolean(report.error) },
    h('summary', {}, cell({ name: report.name, failed: Boolean(report.error), worst: view?.worst, wrong: wrong.length }), h('h3', {}, report.name),
      h('span', { class: 'quiet push' }, wrong.length ? `${wrong.length} not right, ${right.length} right` : `${right.length} right`)),
    report.error && h('p', { class: 'error' }, report.error),
    wrong.length > 0 && itemTable(wrong),
    right.length > 0 && (wrong.length ? h('details', { class: 'inner' }, h('summary', {}, `${right.length} right`), itemTable(right)) : itemTable(right)));
}

function layers(node) {
  const reports = node.report?.layers ?? [];
  if (!reports.length) return h('p', { class: 'quiet' }, 'It has not reported yet.');
  return reports.map((report) => layer(report, node.layers?.find((view) => view.name === report.name)));
}

// --- reboots ---------------------------------------------------------------------------------------------------------

// Newest last: what was granted, and how it ended.
function reboots(events) {
  const steps = [];
  for (const event of [...events].reverse()) {
    if (event.kind === 'node.reboot-granted') steps.push({ granted: event });
    if (event.kind === 'node.rebooted') {
      if (steps.length && !steps[steps.length - 1].back) steps[steps.length - 1].back = event;
      else steps.push({ back: event });
    }
    if (event.kind === 'node.ready' && steps.length) steps[steps.length - 1].ready = event;
  }
  return steps.slice(-6);
}

function timeline(node, events) {
  const steps = reboots(events);
  if (!steps.length) return h('p', { class: 'quiet' }, 'None in its newest events.');
  return h('ol', { class: 'timeline' }, steps.map(({ granted, back, ready }) => {
    const [, count, why] = /^(reboot \d+ of (?:at most )?\d+)(?:: )?(.*)$/.exec(granted?.text ?? '') ?? [];
    return h('li', { class: ready ? 'done' : back ? 'back' : 'open' },
      h('strong', {}, count ?? (granted ? 'reboot' : 'reboot without a grant')),
      h('span', { class: 'quiet' }, clock((granted ?? back).at_ms)),
      h('span', {}, why ?? granted?.text ?? ''),
      h('span', { class: 'quiet' }, back ? back.text : `granted ${duration(Date.now() - node.granted_ms)} ago`,
        ready && granted ? `, as wanted after ${duration(ready.at_ms - granted.at_ms)}` : ''));
  }));
}

// --- NICs -------------------------------------------------------------------------------------------------------------

// Parameters as rows, cards as columns; where all cards agree there is one column for all of them.
function nics(node) {
  const items = node.report?.layers?.find((report) => report.name === 'nic')?.items ?? [];
  const cards = new Map();
  for (const item of items) {
    const slash = item.key.indexOf('/');
    if (slash < 0) continue;
    const card = item.key.slice(0, slash);
    if (!cards.has(card)) cards.set(card, new Map());
    cards.get(card).set(item.key.slice(slash + 1), item);
  }
  if (!cards.size) return undefined;
  const groups = new Map();
  for (const [card, settings] of cards) {
    const alike = JSON.stringify([...settings].map(([name, item]) => [name, item.want, item.have, item.fix]));
    if (!groups.has(alike)) groups.set(alike, { cards: [], settings });
    groups.get(alike).cards.push(card);
  }
  const columns = [...groups.values()];
  const names = [...new Set(columns.flatMap(({ settings }) => [...settings.keys()]))].sort(byNature);
  return h('section', { class: 'card' }, h('h2', {}, 'NIC settings'),
    h('div', { class: 'scroll', tabindex: 0, role: 'group', 'aria-label': 'NIC settings' }, h('table', { class: 'grid' },
      h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'setting'), h('th', { scope: 'col' }, 'want'),
        columns.map(({ cards: alike }) => h('th', { scope: 'col', title: alike.join(', ') },
          alike.length === cards.size && alike.length > 1 ? `all ${alike.length} functions` : alike.length > 1 ? `${alike.length} functions` : alike[0].replace(/^0000:/, ''))))),
      h('tbody', {}, names.map((name) => h('tr', {}, h('th', { scope: 'row' }, name),
        h('td', {}, columns.map(({ settings }) => settings.get(name)?.want).find(Boolean) ?? ''),
        columns.map(({ settings }) => {
          const item = settings.get(name);
          return h('td', { class: item && item.fix !== 'none' ? 'have' : undefined }, item?.have ?? '–', item && item.fix !== 'none' && [' ', fixBadge(item.fix)]);
        })))))));
}

// --- VMs and guests --------------------------------------------------------------------------------------------------------

function vms(node) {
  const list = node.report?.vms ?? [];
  if (!list.length) return undefined;
  return h('section', { class: 'card' }, h('h2', {}, 'Virtual machines'), list.map((vm) => {
    const guest = model.rows.get(`${node.name}/${vm.name}`);
    return h('div', { class: 'vm', 'data-key': vm.name },
      h('p', { class: 'card-head' }, guest ? nodeLink(guest.name) : h('strong', {}, vm.name),
        h('span', { class: 'label' }, vm.state ?? 'unknown'), guest && badge(guest.state),
        guest && h('span', { class: 'cells' }, (guest.layers ?? []).map(cell))),
      guest?.why && guest.state !== 'ready' && h('p', {}, guest.why),
      vm.devices?.length > 0 && h('details', { class: 'inner' }, h('summary', {}, `${vm.devices.length} devices`),
        h('table', { class: 'grid' },
          h('thead', {}, h('tr', {}, ['host', 'guest', 'kind', 'cell', 'group'].map((name) => h('th', { scope: 'col' }, name)))),
          h('tbody', {}, vm.devices.map((device) => h('tr', {}, h('td', {}, device.host), h('td', {}, device.guest ?? '–'),
            h('td', {}, device.kind ?? ''), h('td', {}, device.cell ?? ''), h('td', {}, device.group ?? '')))))));
  }));
}

// --- all of it ----------------------------------------------------------------------------------------------------------------

function pending(node) {
  return h('p', {}, 'Let it in with ', command(`gdrctl node accept ${node.name} --name NAME`));
}

export function nodePage(root, name) {
  let events = [];

  const draw = (node, failed) => {
    if (!node) {
      show(root, complaint(failed) ?? h('p', { class: 'quiet' }, 'Loading …'), failed && h('p', {}, h('a', { href: '#/' }, 'Back to the fleet')));
      return;
    }
    const tree = pciTree(node.report?.inventory?.pci);
    show(root, complaint(failed), head(node, events), node.state === 'pending' && pending(node),
      h('div', { class: 'columns' },
        h('div', {},
          h('section', { 'aria-labelledby': 'layers' }, h('h2', { id: 'layers' }, 'Layers'), layers(node)),
          nics(node)),
        h('div', {},
          vms(node),
          h('section', { class: 'card' }, h('h2', {}, 'Reboots'), timeline(node, events)),
          tree && h('section', { class: 'card' }, h('h2', {}, 'GPUs and NICs'), tree),
          h('section', { class: 'card' }, h('h2', {}, 'Events'), eventList(events.slice(0, 15))))));
  };
  const ask = asks(() => `nodes/${name.split('/').map(encodeURIComponent).join('/')}`, async (node, failed) => {
    draw(node, failed);
    if (!node || failed) return;
    const object = encodeURIComponent(`node/${name}`);
    events = ((await get(`events?newest=true&limit=${EVENTS}&object=${object}`)).events ?? []).reverse();
    draw(node);
  });
  draw();
  ask();
  return { update: ask };
}
