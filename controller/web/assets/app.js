// app.js - the frame of every page: which page the address asks for, whether the controller is there.

import { h, show } from './dom.js';
import { model, run, setToken, subscribe } from './model.js';
import { duration } from './words.js';
import { fleetPage } from './fleet.js';
import { nodePage } from './node.js';
import { rolloutsPage, rolloutPage } from './rollouts.js';
import { driftPage } from './drift.js';
import { eventsPage } from './events.js';

// A page is a function of (root, name, parameters) that draws and returns { update, close }.
const PAGES = [
  { path: /^\/?$/, page: fleetPage, tab: 'fleet', title: 'Fleet' },
  { path: /^\/nodes\/(.+)$/, page: nodePage, tab: 'fleet' },
  { path: /^\/rollouts$/, page: rolloutsPage, tab: 'rollouts', title: 'Rollouts' },
  { path: /^\/rollouts\/(.+)$/, page: rolloutPage, tab: 'rollouts' },
  { path: /^\/drift$/, page: driftPage, tab: 'drift', title: 'Drift' },
  { path: /^\/events$/, page: eventsPage, tab: 'events', title: 'Events' },
];

const main = document.getElementById('main');
let open;
let openAt;

function route() {
  const [path, query = ''] = location.hash.replace(/^#/, '').split('?');
  if (!path.startsWith('/') && path !== '') return; // "#main" of the skip link
  const parameters = new URLSearchParams(query);
  if (open && openAt === path) {
    open.update?.(parameters);
    return;
  }
  open?.close?.();
  openAt = path;
  for (const { path: pattern, page, tab, title } of PAGES) {
    const match = pattern.exec(path);
    if (!match) continue;
    const name = match[1] && decodeURIComponent(match[1]);
    document.title = `${title ?? name} · gdrfleet`;
    for (const link of document.querySelectorAll('nav a')) {
      if (link.dataset.page === tab) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
    main.replaceChildren();
    open = page(main, name, parameters);
    scrollTo(0, 0);
    return;
  }
  open = undefined;
  show(main, h('h1', {}, 'There is no such page'), h('p', {}, h('a', { href: '#/' }, 'Back to the fleet')));
}

// --- is anybody there ---------------------------------------------------------------------------------------

const LINKS = {
  connecting: 'connecting',
  live: 'live',
  old: 'silent',
  away: 'away',
  token: 'locked',
};

function askToken() {
  const field = h('input', { type: 'password', id: 'token', autocomplete: 'off', 'aria-label': 'Bearer token' });
  return h('form', { class: 'token', onsubmit: (event) => { event.preventDefault(); setToken(field.value); } },
    h('label', { for: 'token' }, 'This controller asks for a bearer token (web.tokens of its settings): '),
    field, h('button', {}, 'Open'));
}

function banner() {
  const since = model.heard ? ` What you see is ${duration(Date.now() - model.heard)} old.` : '';
  if (model.link === 'away') return `The controller is away; trying again.${since}`;
  if (model.link === 'old') return `The controller is silent.${since}`;
  return undefined;
}

function frame() {
  const link = document.getElementById('link');
  const bar = document.getElementById('banner');
  const text = banner();
  if (link.dataset.link !== model.link) {
    link.dataset.link = model.link;
    link.textContent = LINKS[model.link];
  }
  document.body.classList.toggle('stale', model.link === 'away' || model.link === 'old');
  bar.hidden = !text && model.link !== 'token';
  if (model.link === 'token') {
    if (!bar.querySelector('form')) bar.replaceChildren(askToken());
  } else if (bar.textContent !== (text ?? '')) {
    bar.textContent = text ?? '';
  }
}

// --- begin ----------------------------------------------------------------------------------------------------

let drawn = false;
subscribe(() => {
  if (drawn) return;
  drawn = true;
  requestAnimationFrame(() => {
    drawn = false;
    frame();
    open?.update?.();
  });
});
setInterval(frame, 1000);
addEventListener('hashchange', () => {
  const before = openAt;
  route();
  if (openAt !== before) main.focus({ preventScroll: true });
});
route();
run();
