// page.js - a page over questions to the controller: asked again when something changed, but not all the time.

import { h } from './dom.js';
import { get, model } from './model.js';

const PACE_MS = 1500;
const AGE_MS = 5000;

// 'paths()' is what is asked, 'draw(answers, failed)' shows it; returns the page's update().  What is there is drawn again
// when somebody wants something else of it ('now'), and now and then, as times on it grow old.
export function asks(paths, draw) {
  let asked = -1;
  let at = 0;
  let drawn = 0;
  let busy = false;
  let timer;
  let answers;
  let failed;

  const redraw = () => {
    drawn = Date.now();
    draw(answers, failed);
  };
  const ask = async (now) => {
    clearTimeout(timer);
    if (answers && (now || Date.now() - drawn > AGE_MS)) redraw();
    if (busy || asked === model.changes) return;
    const wait = at + PACE_MS - Date.now();
    if (wait > 0) {
      timer = setTimeout(ask, wait);
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
    redraw();
    ask();
  };
  return ask;
}

export function headline(title, ...facts) {
  return h('div', { class: 'headline' }, h('h1', {}, title), h('p', { class: 'quiet' }, facts));
}

export function complaint(failed) {
  return failed && h('p', { class: 'error', role: 'alert' }, failed);
}

// What is shown before there is an answer, or in place of one.
export function loading(failed) {
  return complaint(failed) ?? h('p', { class: 'quiet' }, 'Loading …');
}

function heading(columns) {
  return h('thead', {}, h('tr', {}, columns.map((column) => h('th', { scope: 'col' }, column))));
}

// A table that fills the page; on a phone, where there is no room for columns, each row is a block that names them.
export function listing(columns, rows, kind = '') {
  const lines = rows.flat(Infinity).filter(Boolean);
  for (const { cells } of lines) {
    for (let i = 1; i < cells.length; i++) cells[i].dataset.label = columns[i];
  }
  return h('table', { class: `items ${kind}` }, heading(columns), h('tbody', {}, lines));
}

// A table in a box of its own, which scrolls where the page is too narrow for it.
export function grid(label, columns, rows, kind = '') {
  return h('div', { class: 'scroll', tabindex: 0, role: 'group', 'aria-label': label },
    h('table', { class: `grid ${kind}` }, heading(columns), h('tbody', {}, rows)));
}
