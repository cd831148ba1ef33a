// pci.js - the part of a host's PCI tree that GPU Direct runs through: below each root port the switches, and what
// hangs on them.  What shares a switch reaches each other without the CPU: such GPU-NIC paths are drawn bold.

import { h, svg } from './dom.js';
import { plural, short } from './words.js';

const SHOWN = { gpu: 'GPU', nic: 'NIC', nvswitch: 'NVSwitch' };
const ROW = 26;
const COLUMNS = { cpu: 0, port: 92, group: 236, device: 400 };
const WIDTH = 590;

// NUMA node -> root port -> switch -> devices; a NIC's functions and its VFs are one line.
function collect(devices) {
  const by = new Map(devices.map((device) => [device.address, device]));
  const root = (device) => {
    let at = device;
    while (at.parent && by.has(at.parent)) at = by.get(at.parent);
    return at.address;
  };
  const groups = new Map();
  for (const device of devices) {
    if (!SHOWN[device.kind] || device.physfn) continue;
    const group = device.switch_group ?? root(device);
    if (!groups.has(group)) groups.set(group, { group, port: root(device), numa: device.numa_node ?? -1, devices: new Map() });
    const slot = device.address.replace(/\.\d+$/, '');
    const shown = groups.get(group).devices;
    if (shown.has(slot)) shown.get(slot).functions++;
    else shown.set(slot, { ...device, functions: 1 });
  }
  return [...groups.values()].sort((a, b) => a.numa - b.numa || a.group.localeCompare(b.group));
}

function node(x, y, width, kind, text, title) {
  return svg('g', { class: `pci ${kind}` },
    svg('title', {}, title),
    svg('rect', { x, y: y - 10, width, height: 20, rx: 5 }),
    svg('text', { x: x + width / 2, y: y + 4 }, text));
}

function wire(x1, y1, x2, y2, direct) {
  const middle = (x1 + x2) / 2;
  return svg('path', { class: direct ? 'wire direct' : 'wire', d: `M${x1},${y1} C${middle},${y1} ${middle},${y2} ${x2},${y2}` });
}

function describe(groups) {
  return groups.map(({ group, devices }) =>
    `${short(group)}: ${[...devices.values()].map((device) => `${SHOWN[device.kind]} ${short(device.address)}`).join(', ')}`).join('; ');
}

export function pciTree(devices) {
  const groups = collect(devices ?? []);
  if (!groups.length) return undefined;
  const boxes = [];
  const wires = [];
  const sockets = new Map();
  let y = 16;
  for (const { group, port, numa, devices: shown } of groups) {
    const list = [...shown.values()];
    const direct = list.some((device) => device.kind === 'gpu') && list.some((device) => device.kind === 'nic');
    const middle = y + ((list.length - 1) * ROW) / 2;
    if (!sockets.has(numa)) sockets.set(numa, []);
    sockets.get(numa).push(middle);
    boxes.push(node(COLUMNS.port, middle, 104, 'port', short(port), `root port ${port}`));
    if (group !== port) {
      wires.push(wire(COLUMNS.port + 104, middle, COLUMNS.group, middle, false));
      boxes.push(node(COLUMNS.group, middle, 112, direct ? 'switch direct' : 'switch', `switch ${short(group)}`, `switch ${group}`));
    }
    list.forEach((device, i) => {
      const at = y + i * ROW;
      const bold = direct && (device.kind === 'gpu' || device.kind === 'nic');
      const from = group === port ? COLUMNS.port + 104 : COLUMNS.group + 112;
      wires.push(wire(from, middle, COLUMNS.device, at, bold));
      boxes.push(node(COLUMNS.device, at, 186, `device ${device.kind}`,
        `${SHOWN[device.kind]} ${short(device.address)}${device.functions > 1 ? ` ×${device.functions}` : ''}${device.vfs ? ` · ${plural(device.vfs, 'VF')}` : ''}`,
        `${device.address} ${device.driver ?? 'no driver'}${device.part_number ? `, ${device.part_number}` : ''}${device.firmware ? `, firmware ${device.firmware}` : ''}`));
    });
    y += list.length * ROW + 10;
  }
  for (const [numa, places] of sockets) {
    const middle = (places[0] + places[places.length - 1]) / 2;
    boxes.push(node(COLUMNS.cpu + 2, middle, 60, 'cpu', numa < 0 ? 'CPU' : `NUMA ${numa}`, numa < 0 ? 'unknown NUMA node' : `NUMA node ${numa}`));
    for (const place of places) wires.push(wire(62, middle, COLUMNS.port, place, false));
  }
  return h('figure', { class: 'tree' },
    h('div', { class: 'scroll', tabindex: 0, role: 'group', 'aria-label': 'PCI tree' },
      svg('svg', { viewBox: `0 0 ${WIDTH} ${y}`, width: WIDTH, height: y, role: 'img', 'aria-label': describe(groups) }, wires, boxes)),
    h('figcaption', { class: 'quiet' }, 'Bold: a GPU and a NIC below one switch, which reach each other without the CPU.'));
}
