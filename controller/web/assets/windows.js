// windows.js - maintenance windows: which are open, and when that changes.

import { h } from './dom.js';
import { listing } from './page.js';
import { command, duration, moment } from './words.js';

function hoursOf({ hours = [] }) {
  return hours.map(({ days, start, duration: length }) => `${days?.length ? days.join(', ') : 'every day'} ${start} for ${length}`).join('; ');
}

// "open until ...", "closed, opens ...".
export function windowNow({ open, until_ms: until }) {
  return h('div', {}, h('span', { class: open ? 'badge s-ready' : 'badge s-held' }, open ? 'open' : 'closed'), open ? ' until ' : ' opens ', moment(until),
    h('span', { class: 'quiet' }, `, ${open ? 'for' : 'in'} ${duration(until - Date.now())}`));
}

function row(view) {
  const { name, description, time_zone: zone, selector } = view.window;
  return h('tr', { 'data-key': name }, h('th', { scope: 'row', class: 'item' }, name), h('td', {}, windowNow(view)), h('td', {}, hoursOf(view.window)),
    h('td', { class: 'whole' }, zone ?? 'UTC'), h('td', { class: 'value' }, selector ?? '–'), h('td', { class: 'quiet' }, description ?? ''));
}

export function windowTable(views) {
  return h('section', { class: 'card', 'data-key': 'windows' }, h('h2', {}, 'Maintenance windows'), views.length
    ? listing(['window', 'now', 'hours', 'zone', 'nodes', 'about'], views.map(row))
    : h('p', { class: 'quiet' }, 'None: rollouts and reboots keep to no hours. A document ', command('kind: Window'), ' makes one.'));
}
