// node.js - one node: what is wrong and what to do about it, its layers item by item, NICs, PCI, guests, reboots.

import { h, show } from './dom.js';
import { because } from './cause.js';
import { eventList } from './events.js';
import { layers } from './items.js';
import { nics } from './nics.js';
import { asks, complaint, loading } from './page.js';
import { pciTree } from './pci.js';
import { vms } from './vms.js';
import { badge, clock, command, duration, lasting, nodeLink, prose } from './words.js';

const EVENTS = 200;

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
  const host = node.name.includes('/') && node.name.split('/')[0];
  return h('section', { class: `node-head edge s-${node.state}` },
    host && h('p', { class: 'crumb' }, 'guest of ', nodeLink(host)),
    h('div', { class: 'title' }, h('h1', {}, node.name), badge(node.state), lasting(node.since_ms)),
    node.why && node.state !== 'ready' && h('p', { class: 'why' }, node.why),
    node.remedy && h('p', { class: 'remedy' }, h('strong', {}, 'Do this: '), prose(node.remedy)),
    node.state !== 'ready' && h('div', { class: 'cause' }, h('strong', {}, 'Before it: '), because(events, node.since_ms)),
    facts(node));
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

// --- all of it ----------------------------------------------------------------------------------------------------------------

function pending(node) {
  return h('p', {}, 'Let it in with ', command(`gdrctl node accept ${node.name} --name NAME`));
}

// Newest first.
function newest(...answers) {
  return answers.flatMap((answer) => answer?.events ?? []).sort((a, b) => b.id - a.id);
}

export function nodePage(root, name, parameters) {
  const [host, vm] = name.split('/');
  let item = parameters.get('item');
  let shown; // Whose story was scrolled to.

  const draw = (answers, failed) => {
    if (!answers) {
      show(root, loading(failed), failed && h('p', {}, h('a', { href: '#/' }, 'Back to the fleet')));
      return;
    }
    const [node, machines, own, hosts] = answers;
    const events = newest(own, hosts);
    const tree = pciTree(node.report?.inventory?.pci);
    show(root, complaint(failed), head(node, events), node.state === 'pending' && pending(node),
      h('div', { class: 'columns' },
        h('div', {},
          h('section', { 'aria-labelledby': 'layers' }, h('h2', { id: 'layers' }, 'Layers'), layers({ node, events, item })),
          nics(node)),
        h('div', {},
          vms(node, machines.vms ?? []),
          tree && h('section', { class: 'card' }, h('h2', {}, 'GPUs and NICs'), tree),
          !vm && h('section', { class: 'card' }, h('h2', {}, 'Reboots'), timeline(node, newest(own))),
          h('section', { class: 'card' }, h('h2', {}, 'Events'), eventList(newest(own).slice(0, 15))))));
    if (item !== shown) root.querySelector('.story')?.scrollIntoView({ block: 'nearest' });
    shown = item;
  };
  const about = (object) => `events?${new URLSearchParams({ newest: true, limit: EVENTS, object: `node/${object}` })}`;
  const ask = asks(() => [
    `nodes/${name.split('/').map(encodeURIComponent).join('/')}`,
    `vms?${new URLSearchParams({ detail: true, names: host, ...(vm && { vm }) })}`,
    about(name),
    ...(vm ? [about(host)] : []), // What a guest should be is said of its host.
  ], draw);
  draw();
  ask();
  return {
    update(changed) {
      if (changed) item = changed.get('item');
      ask(changed);
    },
  };
}
