// model.js - the fleet as this page knows it: all rows once, then what the stream tells.
//
// Server-sent events are read with fetch(), because EventSource can send no token.  A message's id is the place to go
// on from; "reset" means that the place is gone, and all rows are read anew.

const SILENT_MS = 25000; // The stream says something every 10 s.
const RETRY_MS = [500, 1000, 2000, 4000];

export const model = {
  rows: new Map(),
  status: undefined,
  link: 'connecting', // live, old, away, token, connecting
  heard: 0,
  changes: 0, // Rises with each message.
  members: 0, // Rises when rows came, went or moved to another rack.
};

let seen = '';
let token = sessionStorage.getItem('token') ?? '';
const listeners = new Set();

export function subscribe(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell() {
  for (const listener of listeners) listener();
}

function setLink(link) {
  if (model.link === link) return;
  model.link = link;
  tell();
}

export function setToken(text) {
  token = text.trim();
  sessionStorage.setItem('token', token);
  run();
}

function request(path, headers = {}, signal = undefined) {
  if (token) headers.Authorization = `Bearer ${token}`;
  return fetch(path, { headers, signal, cache: 'no-cache' });
}

// JSON of /api/v1/PATH; throws an Error with the controller's own words.
export async function get(path) {
  const response = await request(`/api/v1/${path}`);
  if (response.status === 401) setLink('token');
  const body = await response.json();
  if (!response.ok) throw new Error(body.message ?? `the controller answered ${response.status}`);
  return body;
}

function takeRow(row) {
  const was = model.rows.get(row.name);
  if (!was || was.labels?.rack !== row.labels?.rack) model.members++;
  model.rows.set(row.name, row);
}

async function loadAll() {
  const all = await get('matrix');
  model.rows = new Map(all.nodes.map((row) => [row.name, row]));
  model.members++;
  model.status = all.status;
  seen = all.seen;
}

async function take(event, data, id) {
  model.heard = Date.now();
  if (event === 'reset') {
    await loadAll();
  } else if (event === 'change') {
    const change = JSON.parse(data);
    change.nodes.forEach(takeRow);
    model.status = change.status;
    seen = id;
  }
  if (event !== 'alive') model.changes++;
  model.link = 'live';
  tell();
}

// "id: ...\nevent: ...\ndata: ..." up to an empty line.
function parse(text) {
  const fields = {};
  for (const line of text.split('\n')) {
    const colon = line.indexOf(': ');
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2);
  }
  return fields;
}

async function follow(signal) {
  const response = await request('/api/v1/stream', { 'Last-Event-ID': seen }, signal);
  if (!response.ok) throw new Error(`stream: ${response.status}`);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error('the stream ended');
    text += value;
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const { event, data, id } = parse(text.slice(0, end));
      text = text.slice(end + 2);
      await take(event, data, id);
    }
  }
}

let running = 0;

export async function run() {
  const mine = ++running;
  setLink('connecting');
  for (let tries = 0; mine === running; tries++) {
    const abort = new AbortController();
    const watch = setInterval(() => {
      if (mine !== running) abort.abort();
      if (model.link === 'live' && Date.now() - model.heard > SILENT_MS) setLink('old');
    }, 1000);
    try {
      if (!seen) await loadAll();
      model.heard = Date.now();
      model.changes++;
      setLink('live');
      tries = 0;
      await follow(abort.signal);
    } catch {
      if (model.link !== 'token') setLink('away');
    } finally {
      clearInterval(watch);
    }
    if (model.link === 'token') return;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS[Math.min(tries, RETRY_MS.length - 1)]));
  }
}
