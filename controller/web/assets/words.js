// words.js - how states, fixes and times are written and lettered, on every page the same.

import { h } from './dom.js';

// Order: those that need a person first.
export const STATES = {
  stuck: { letter: 'S', text: 'stuck', says: 'a person must act' },
  lost: { letter: 'L', text: 'lost', says: 'its agent is silent' },
  drifted: { letter: 'D', text: 'drifted', says: 'audit mode, and something differs' },
  pending: { letter: 'P', text: 'pending', says: 'an unknown key waits to be accepted' },
  unassigned: { letter: 'U', text: 'unassigned', says: 'no profile' },
  new: { letter: 'N', text: 'new', says: 'has never connected' },
  held: { letter: 'H', text: 'held', says: 'nothing new is done' },
  'wants-reboot': { letter: 'W', text: 'wants reboot', says: 'waits for a grant' },
  rebooting: { letter: 'B', text: 'rebooting', says: 'granted, not back yet' },
  converging: { letter: 'C', text: 'converging', says: 'at work' },
  ready: { letter: 'R', text: 'ready', says: 'as wanted' },
};
export const PERSON = ['stuck', 'lost', 'drifted', 'pending', 'unassigned', 'new'];

export const FIXES = {
  none: { letter: '✓', text: 'right', says: 'it is as wanted' },
  live: { letter: 'L', text: 'live', says: 'can be put right now' },
  stage: { letter: 'T', text: 'stage', says: 'can be staged for the next boot' },
  boot: { letter: 'B', text: 'boot', says: 'staged: only the reboot is missing' },
  manual: { letter: 'M', text: 'manual', says: 'a person must act' },
  failed: { letter: '!', text: 'failed', says: 'the layer could not look' },
};

export function badge(state) {
  const known = STATES[state] ?? { letter: '?', text: state, says: '' };
  return h('span', { class: `badge s-${state}`, title: known.says }, h('b', { 'aria-hidden': 'true' }, known.letter), known.text);
}

export function fixBadge(fix) {
  const known = FIXES[fix] ?? { text: fix, says: '' };
  return h('span', { class: `badge f-${fix}`, title: known.says }, h('b', { 'aria-hidden': 'true' }, known.letter), known.text);
}

// A layer's cell: its worst fix.
export function layerFix(layer) {
  if (!layer) return undefined;
  return layer.failed ? 'failed' : layer.worst ?? 'none';
}

export function cell(layer) {
  const fix = layerFix(layer);
  if (!fix) return undefined;
  const text = layer.wrong ? `${layer.name}: ${layer.wrong} ${FIXES[fix].text}` : `${layer.name}: ${FIXES[fix].text}`;
  return h('span', { class: `cell f-${fix}`, title: text, 'aria-label': text, role: 'img' }, FIXES[fix].letter);
}

export function duration(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  const part = (size, unit, of = s) => (of >= size ? ` ${Math.floor(of / size)} ${unit}` : '');
  if (s < 60) return `${s} s`;
  if (s < 3600) return part(60, 'min').trim();
  if (s < 86400) return `${part(3600, 'h')}${part(60, 'min', s % 3600)}`.trim();
  return `${part(86400, 'd')}${part(3600, 'h', s % 86400)}`.trim();
}

function time(ms, text, props = {}) {
  const date = new Date(ms);
  return h('time', { ...props, datetime: date.toISOString(), title: date.toLocaleString() }, text);
}

export function ago(ms) {
  return ms ? time(ms, `${duration(Date.now() - ms)} ago`) : h('span', { class: 'quiet' }, 'never');
}

// Of a state that began then.
export function lasting(ms) {
  return time(ms, `for ${duration(Date.now() - ms)}`, { class: 'quiet' });
}

const MINUTE = { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };

export function clock(ms) {
  return time(ms, new Date(ms).toLocaleString(undefined, { ...MINUTE, second: '2-digit' }));
}

// Of what is planned: a day of the week, and no seconds.
export function moment(ms) {
  return time(ms, new Date(ms).toLocaleString(undefined, { ...MINUTE, weekday: 'short' }));
}

export function nodePath(name) {
  return `#/nodes/${encodeURIComponent(name)}`;
}

// 'item' is "LAYER/KEY".
export function itemPath(node, item) {
  return `${nodePath(node)}?item=${encodeURIComponent(item)}`;
}

export function nodeLink(name, text = name) {
  return h('a', { href: nodePath(name) }, text);
}

// A PCI address as people say it, where there is but one domain.
export function short(address) {
  return address.replace(/^0000:/, '');
}

// "node/n1" and "rollout/x" as links, the rest as text.
export function objectLink(object) {
  const [kind, ...rest] = (object ?? '').split('/');
  const name = rest.join('/');
  if (kind === 'node' && name) return nodeLink(name);
  if (kind === 'rollout' && name) return h('a', { href: `#/rollouts/${encodeURIComponent(name)}` }, name);
  return object ?? '';
}

export function plural(n, word) {
  return `${n} ${word}${n === 1 ? '' : /[sh]$/.test(word) ? 'es' : 's'}`;
}

const collator = new Intl.Collator(undefined, { numeric: true });
export const byNature = collator.compare;

export function command(text) {
  return h('code', { class: 'command' }, text);
}

// An item's key, which may be long: to be broken behind its slashes, if at all.
export function keyText(key) {
  return key.split(/(?<=\/)/).map((part, i) => [i > 0 && h('wbr'), part]);
}

// Text with `commands` in it.
export function prose(text) {
  return (text ?? '').split('`').map((part, i) => (i % 2 ? command(part) : part));
}
