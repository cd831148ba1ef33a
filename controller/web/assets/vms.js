// vms.js - the virtual machines of a host, or the one that a guest is: where each device of the host is in the guest, and
// how far GPUs are from NICs there, as NCCL counts.

import { h } from './dom.js';
import { model } from './model.js';
import { grid } from './page.js';
import { badge, cell, nodeLink, plural, short } from './words.js';

const NEAR = ['LOC', 'PIX', 'PXB']; // Up to these NCCL uses GPU Direct RDMA.
const KINDS = { gpu: 'GPU', nic: 'NIC', nvswitch: 'NVSwitch' };

// A row for each group of devices that share a switch in the guest: host address → guest address.
function placement(devices) {
  const kinds = Object.keys(KINDS).filter((kind) => devices.some((device) => device.kind === kind));
  const groups = [...new Set(devices.map((device) => device.group ?? ''))];
  return grid('Placement', ['group', 'cell', ...kinds.map((kind) => KINDS[kind])], groups.map((group) => {
    const members = devices.filter((device) => (device.group ?? '') === group);
    return h('tr', { 'data-key': group }, h('th', { scope: 'row' }, short(group)), h('td', {}, members[0].cell ?? ''),
      kinds.map((kind) => h('td', {}, members.filter((device) => device.kind === kind).map(({ host = '?', guest = '?' }) =>
        h('div', {}, short(host), h('span', { class: 'quiet' }, ' → '), short(guest))))));
  }), 'dense');
}

function distance({ host, guest, why }) {
  const lost = host && host !== guest;
  return h('td', { class: lost ? 'have' : NEAR.includes(guest) ? 'near' : 'quiet', title: why }, lost ? `${host} → ${guest}` : guest);
}

// GPUs as rows, NICs as columns, by their addresses in the guest.
function distances(pairs, devices) {
  const inside = (address) => short(devices.find((device) => device.host === address)?.guest ?? address);
  const nics = [...new Set(pairs.map((pair) => pair.nic))];
  const gpus = [...new Set(pairs.map((pair) => pair.gpu))];
  const lost = pairs.filter((pair) => pair.why);
  return [
    grid('Distance of GPUs and NICs', ['GPU \\ NIC', ...nics.map(inside)], gpus.map((gpu) =>
      h('tr', { 'data-key': gpu }, h('th', { scope: 'row' }, inside(gpu)), nics.map((nic) =>
        distance(pairs.find((pair) => pair.gpu === gpu && pair.nic === nic) ?? {})))), 'dense distances'),
    h('p', { class: 'quiet' }, lost.length ? `${plural(lost.length, 'pair')} not as on the host: ${lost[0].why}`
      : 'Addresses of the guest. Each pair is as near there as on the host; up to PXB NCCL uses GPU Direct RDMA.'),
  ];
}

function details(title, open, ...children) {
  return h('details', { class: 'inner', 'data-key': title, open }, h('summary', {}, title), children);
}

function one({ node: host, vm, pairs = [] }, alone) {
  const guest = model.rows.get(`${host}/${vm.name}`);
  const devices = vm.devices ?? [];
  const count = (kind) => plural(devices.filter((device) => device.kind === kind).length, KINDS[kind]);
  return h('div', { class: 'part', 'data-key': vm.name },
    h('p', { class: 'card-head' }, guest && !alone ? nodeLink(guest.name) : h('strong', {}, vm.name),
      h('span', { class: 'label' }, vm.state ?? 'unknown'), !alone && guest && badge(guest.state),
      !alone && guest && h('span', { class: 'cells push' }, (guest.layers ?? []).map(cell))),
    !alone && guest?.why && guest.state !== 'ready' && h('p', {}, guest.why),
    devices.length > 0 && details(`Placement, host → guest: ${Object.keys(KINDS).map(count).join(', ')}`, true, placement(devices)),
    pairs.length > 0 && details('GPU–NIC distance', true, distances(pairs, devices)));
}

// 'views' are VmViews with pairs.
export function vms(node, views) {
  if (!views.length) return undefined;
  const alone = node.name.includes('/');
  return h('section', { class: 'card', 'data-key': 'vms' }, h('h2', {}, alone ? 'Its virtual machine' : 'Virtual machines'), views.map((view) => one(view, alone)));
}
