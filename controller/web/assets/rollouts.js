// rollouts.js - rollouts: how far they are, what blocks them, which command is next; one of them wave by wave.

import { h, show } from './dom.js';
import { model } from './model.js';
import { asks, complaint, grid, headline, listing, loading } from './page.js';
import { windowNow, windowTable } from './windows.js';
import { ago, byNature, clock, command, duration, lasting, nodeLink, plural, prose } from './words.js';

const BAD = ['failed', 'timed-out', 'lost', 'revert-failed'];
const OUT = ['held', 'skipped', 'exempt', 'gone'];

// Of a node in a rollout: one of five that are told apart at a glance.
function kindOf(state) {
  if (state === 'done' || state === 'reverted') return 'done';
  if (BAD.includes(state)) return 'bad';
  if (OUT.includes(state)) return 'out';
  return state === 'queued' ? 'queued' : 'moving';
}
const KINDS = ['done', 'bad', 'moving', 'out', 'queued'];
const KIND_TEXT = { done: 'done', bad: 'failed', moving: 'moving', out: 'left out', queued: 'queued' };

// --- what is next --------------------------------------------------------------------------------------------------

function commands(record) {
  const name = record.plan.name;
  if (record.waves?.some((wave) => wave.asks)) return [`gdrctl rollout promote ${name}`, `gdrctl rollout pause ${name}`];
  if (record.state === 'paused') return [`gdrctl rollout resume ${name}`, `gdrctl rollout rollback ${name}`, `gdrctl rollout abort ${name}`];
  if (record.state === 'running') return [`gdrctl rollout pause ${name}`];
  if (record.state === 'failed') return [`gdrctl rollout rollback ${name}`, `gdrctl rollout abort ${name}`];
  return [];
}

function bar(counts, total) {
  const text = KINDS.filter((kind) => counts[kind]).map((kind) => `${counts[kind]} ${KIND_TEXT[kind]}`).join(', ') || 'nothing yet';
  const shares = KINDS.filter((kind) => counts[kind]);
  const element = h('div', { class: 'progress', role: 'img', 'aria-label': text, title: text }, shares.map((kind) => h('i', { class: `p-${kind}`, 'data-share': counts[kind] / total })));
  for (const part of element.children) part.style.flexGrow = part.dataset.share;
  return element;
}

function countsOf(wave) {
  const known = (wave.done ?? 0) + (wave.failed ?? 0) + (wave.moving ?? 0) + (wave.left_out ?? 0) + (wave.reverted ?? 0);
  return {
    done: (wave.done ?? 0) + (wave.reverted ?? 0), bad: wave.failed ?? 0, moving: wave.moving ?? 0, out: wave.left_out ?? 0,
    queued: Math.max(0, (wave.total ?? 0) - known),
  };
}

function sum(waves) {
  const all = { done: 0, bad: 0, moving: 0, out: 0, queued: 0 };
  for (const wave of waves ?? []) for (const [kind, n] of Object.entries(countsOf(wave))) all[kind] += n;
  return all;
}

function stateBadge(state) {
  return h('span', { class: `badge r-${state}` }, state);
}

function aim({ record: { plan, by }, total = 0 }) {
  return h('p', { class: 'quiet' }, `${plan.profile} to ${plural(total, 'node')} (${plan.selector ?? ''}), started by ${by}`, plan.reason && `: ${plan.reason}`);
}

function card(view) {
  const { plan, state, why, created_ms: created } = view.record;
  return h('li', { class: `card edge r-${state}`, 'data-key': plan.name },
    h('p', { class: 'card-head' }, h('a', { href: `#/rollouts/${encodeURIComponent(plan.name)}` }, plan.name), stateBadge(state),
      h('span', { class: 'quiet push' }, ago(created))),
    aim(view),
    bar(sum(view.waves), view.total || 1),
    (view.blocks || why) && h('p', {}, h('strong', {}, view.blocks ? 'Waits for: ' : ''), prose((view.blocks ?? why).split('\n')[0])));
}

export function rolloutsPage(root) {
  const draw = (answers, failed) => {
    const all = answers?.[0].rollouts ?? [];
    const working = all.filter(({ record }) => ['running', 'paused', 'rolling-back'].includes(record.state));
    show(root, headline('Rollouts', answers && `${working.length} at work, ${all.length} in all`), complaint(failed),
      answers && !all.length && h('p', { class: 'quiet' }, 'None yet. ', command('gdrctl rollout plan PROFILE -l SELECTOR'), ' shows what one would do.'),
      h('ul', { class: 'cards' }, all.map(card)),
      answers && windowTable(answers[1].windows ?? []));
  };
  const update = asks(() => ['rollouts', 'windows'], draw);
  draw();
  update();
  return { update };
}

// --- one ----------------------------------------------------------------------------------------------------------------

function waveState(wave) {
  const now = Date.now();
  if (wave.asks) return 'passed, waits to be promoted';
  if (wave.state === 'soaking' && wave.soak_until_ms > now) return `soaking, ${duration(wave.soak_until_ms - now)} to go`;
  return wave.state ?? 'waiting';
}

// Waves as rows, values of one label as columns.
function waveTable(view, label) {
  const { record } = view;
  const values = [...new Set((record.nodes ?? []).map((node) => model.rows.get(node.name)?.labels?.[label] ?? '–'))].sort(byNature).slice(0, 24);
  const table = (record.waves ?? []).map(() => new Map());
  for (const node of record.nodes ?? []) {
    const row = table[node.wave ?? -1];
    if (!row) continue;
    const value = model.rows.get(node.name)?.labels?.[label] ?? '–';
    if (!row.has(value)) row.set(value, {});
    const counts = row.get(value);
    const kind = kindOf(node.state);
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return grid('Waves', ['wave', 'state', 'progress', ...values], (record.waves ?? []).map((wave, i) => h('tr', { class: i === (record.wave ?? 0) ? 'now' : undefined },
    h('th', { scope: 'row' }, `${i + 1} · ${wave.size}`),
    h('td', {}, waveState(wave)),
    h('td', { class: 'share' }, bar(countsOf(view.waves?.[i] ?? {}), view.waves?.[i]?.total || 1)),
    values.map((value) => h('td', {}, KINDS.filter((kind) => table[i].get(value)?.[kind]).map((kind) =>
      h('span', { class: `count p-${kind}`, title: KIND_TEXT[kind] }, table[i].get(value)[kind], h('span', { class: 'hidden' }, ` ${KIND_TEXT[kind]} `))))))), 'waves');
}

function gates(record) {
  if (!record.gates?.length) return h('p', { class: 'quiet' }, 'No wave has been judged yet.');
  return h('ol', { class: 'gates' }, record.gates.map((gate) => h('li', { class: `edge g-${gate.result}` },
    h('p', {}, h('strong', {}, `wave ${(gate.wave ?? 0) + 1}: ${gate.result}`), ' ', h('span', { class: 'quiet' }, clock(gate.at_ms), gate.by && ` promoted by ${gate.by}`)),
    h('p', {}, prose(gate.evidence)))));
}

function nodeRows(nodes) {
  const order = { bad: 0, moving: 1, queued: 2, out: 3, done: 4 };
  return [...nodes].sort((a, b) => order[kindOf(a.state)] - order[kindOf(b.state)]).slice(0, 300).map((node) => h('tr', { 'data-key': node.name },
    h('th', { scope: 'row', class: 'item' }, nodeLink(node.name)),
    h('td', {}, h('span', { class: `count p-${kindOf(node.state)}` }, node.state)),
    h('td', {}, node.wave === undefined ? '–' : node.wave + 1),
    h('td', {}, node.reboots ?? 0),
    h('td', {}, node.why ?? '')));
}

function labelsOf(record) {
  const names = new Set();
  for (const node of record.nodes ?? []) for (const name of Object.keys(model.rows.get(node.name)?.labels ?? {})) names.add(name);
  return [...names].sort(byNature);
}

export function rolloutPage(root, name, parameters) {
  let label = parameters.get('label') ?? '';

  const draw = (answers, failed) => {
    if (!answers) {
      show(root, loading(failed));
      return;
    }
    const [view, { windows = [] }] = answers;
    const { record } = view;
    const hours = windows.find(({ window }) => window.name === record.plan.window);
    const labels = labelsOf(record);
    if (!labels.includes(label)) label = labels.includes('rack') ? 'rack' : labels[0] ?? '';
    const next = commands(record);
    show(root, complaint(failed),
      h('section', { class: `node-head edge r-${record.state}` },
        h('div', { class: 'title' }, h('h1', {}, record.plan.name), stateBadge(record.state), lasting(record.since_ms)),
        aim(view),
        hours && h('div', { class: 'hours' }, h('span', {}, 'Only in window ', h('strong', {}, hours.window.name), ':'), windowNow(hours)),
        bar(sum(view.waves), view.total || 1),
        record.why && h('p', { class: 'why' }, prose(record.why)),
        view.blocks && h('div', { class: 'remedy' }, h('strong', {}, 'Waits for: '), view.blocks.trim().split('\n').map((blocker) => h('p', {}, prose(blocker)))),
        next.length > 0 && h('p', { class: 'next' }, h('span', { class: 'quiet' }, 'Next: '), next.map((text) => [command(text), ' ']))),
      h('section', { class: 'card' }, h('div', { class: 'title' }, h('h2', {}, 'Waves'),
        labels.length > 0 && h('label', { class: 'quiet push' }, 'by label ', h('select', { value: label, onchange: (event) => { label = event.target.value; draw(answers); } },
          labels.map((value) => h('option', { value, selected: value === label }, value))))), waveTable(view, label)),
      h('section', { class: 'card' }, h('h2', {}, 'Gates'), gates(record)),
      record.nodes?.length > 0 && h('section', { class: 'card' }, h('h2', {}, 'Nodes'), listing(['node', 'state', 'wave', 'reboots', 'why'], nodeRows(record.nodes))));
  };
  const ask = asks(() => [`rollouts/${encodeURIComponent(name)}`, 'windows'], draw);
  draw();
  ask();
  return { update: ask };
}
