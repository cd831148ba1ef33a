// windows.js - maintenance windows: which are open, and when that changes.

import { h } from './dom.js';
import { grid } from './page.js';
import { command, duration } from './words.js';

function hoursOf({ hours = [] }) {
  return hours.map(({ days, start, duration: length }) => `${days?.length ? days.join(', ') : 'every day'} ${start} for ${length}`).join('; ');
}

function moment(ms) {
  const date = new Date(ms);
  return h('time', { datetime: date.toISOString(), title: date.toLocaleString() },
    date.toLocaleString(undefined, { weekday: 'short', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }));
}

// "open until ...", "closed, opens ...".
export function windowNow({ open, until_ms: until }) {
  return [h('span', { class: open ? 'badge s-ready' : 'badge s-held' }, open ? 'open' : 'closed'), open ? ' until ' : ' opens ', moment(until),
    h('span', { class: 'quiet' }, `, ${open ? 'for' : 'in'} ${duration(until - Date.now())}`)];
}

export function windowTable(views) {
  return h('section', { class: 'card', 'data-key': 'windows' }, h('h2', {}, 'Maintenance windows'), views.length
    ? grid('Maintenance windows', ['window', 'now', 'hours', 'time zone', 'reboots of', ''], views.map((view) =>
      h('tr', { 'data-key': view.window.name }, h('th', { scope: 'row' }, view.window.name), h('td', { class: 'prose' }, windowNow(view)),
        h('td', {}, hoursOf(view.window)), h('td', {}, view.window.time_zone ?? 'UTC'), h('td', {}, view.window.selector ?? '–'),
        h('td', { class: 'prose quiet' }, view.window.description ?? ''))))
    : h('p', { class: 'quiet' }, 'None: rollouts and reboots keep to no hours. A document ', command('kind: Window'), ' makes one.'));
}
