// page.js - a page over questions to the controller: asked again when something changed, but not all the time.

import { h } from './dom.js';
import { get, model } from './model.js';

const PACE_MS = 1500;

// 'paths()' is what is asked, 'draw(answers, failed)' shows it, also when only time has passed; returns the page's
// update().
export function asks(paths, draw) {
  let asked = -1;
  let at = 0;
  let busy = false;
  let timer;
  let answers;
  let failed;

  const ask = async () => {
    clearTimeout(timer);
    if (busy) return;
    const wait = at + PACE_MS - Date.now();
    if (asked === model.changes || wait > 0) {
      if (asked !== model.changes) timer = setTimeout(ask, wait);
      if (answers) draw(answers, failed);
      return;
    }
    busy = true;
    asked = model.changes;
    at = Date.now();
    try {
      answers = await Promise.all(paths().map(get));
      failed = undefined;
    } catch (error) {
      failed = error.message;
    }
    busy = false;
    draw(answers, failed);
    if (asked !== model.changes) ask();
  };
  return ask;
}

export function headline(title, ...facts) {
  return h('div', { class: 'headline' }, h('h1', {}, title), h('p', { class: 'quiet' }, facts));
}

export function complaint(failed) {
  return failed && h('p', { class: 'error', role: 'alert' }, failed);
}

// A table in a box of its own, which scrolls where the page is too narrow for it.
export function grid(label, columns, rows, kind = '') {
  return h('div', { class: 'scroll', tabindex: 0, role: 'group', 'aria-label': label },
    h('table', { class: `grid ${kind}` },
      h('thead', {}, h('tr', {}, columns.map((column) => h('th', { scope: 'col' }, column)))),
      h('tbody', {}, rows)));
}
