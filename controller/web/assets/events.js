// events.js - what happened, newest first: who, what, to what.

import { h, show } from './dom.js';
import { asks, complaint, headline } from './page.js';
import { clock, objectLink, prose } from './words.js';

const PAGE = 200;

export function eventList(events) {
  if (!events.length) return h('p', { class: 'quiet' }, 'Nothing yet.');
  return h('ol', { class: 'events' }, events.map((event) =>
    h('li', { 'data-key': event.id },
      h('span', { class: 'when quiet' }, clock(event.at_ms)),
      h('span', { class: `kind k-${event.kind.split('.').pop()}` }, event.kind),
      h('span', { class: 'object' }, objectLink(event.object)),
      h('span', { class: 'text' }, prose(event.text),
        event.actor !== 'gdrd' && event.actor !== event.object && h('span', { class: 'quiet' }, ` by ${event.actor}`)))));
}

export function eventsPage(root, _, parameters) {
  let text = parameters.get('q') ?? '';
  let events = [];
  let failed;

  const draw = () => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = events.filter((event) => words.every((word) =>
      `${event.kind} ${event.object} ${event.actor} ${event.text}`.toLowerCase().includes(word)));
    show(root, headline('Events', `the newest ${events.length}`),
      h('div', { class: 'filters', role: 'search' }, h('input', {
        type: 'search', id: 'search', placeholder: 'Node, kind, person or text', 'aria-label': 'Search events', value: text,
        oninput: (event) => {
          text = event.target.value;
          history.replaceState(null, '', text ? `#/events?${new URLSearchParams({ q: text })}` : '#/events');
          draw();
        },
      })),
      complaint(failed), h('section', { class: 'card wide' }, eventList(shown)));
  };
  const ask = asks(() => [`events?newest=true&limit=${PAGE}`], (answers, why) => {
    events = [...(answers?.[0].events ?? [])].reverse();
    failed = why;
    draw();
  });
  draw();
  ask();
  return {
    update(changed) {
      if (changed) text = changed.get('q') ?? '';
      ask();
    },
  };
}
