// page.js - a page over one question to the controller: asked again when something changed, but not all the time.

import { h } from './dom.js';
import { get, model } from './model.js';

const PACE_MS = 1500;

// 'path()' is what is asked, 'draw(answer, failed)' shows it; returns the page's update().
export function asks(path, draw) {
  let asked = -1;
  let at = 0;
  let busy = false;
  let timer;
  let answer;

  const ask = async () => {
    clearTimeout(timer);
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
      answer = await get(path());
      draw(answer, undefined);
    } catch (error) {
      draw(answer, error.message);
    }
    busy = false;
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
