// cause.js - what came before something went wrong: the newest change that can have brought it about.

import { h } from './dom.js';
import { ago, objectLink, prose } from './words.js';

const SLACK_MS = 1000; // An event and what follows from it are noted in one turn, or in two.
const CHANGES = ['node.assigned', 'node.reverted', 'node.configured', 'node.rebooted', 'node.joined', 'node.accepted'];

// Of 'events', newest first: the change before 'at', and 'ready' if the node was as wanted again since that change.
function causeOf(events, at) {
  let ready;
  for (const event of events) {
    if (event.at_ms > at + SLACK_MS) continue;
    if (event.kind === 'node.ready') ready ??= event;
    if (CHANGES.includes(event.kind)) return { change: event, ready };
  }
  return { ready };
}

function told({ kind, text, actor, object, at_ms: at }) {
  return [h('strong', {}, kind), text && [' ', prose(text)], actor !== 'gdrd' && actor !== object && [' by ', objectLink(actor)], ', ', ago(at)];
}

// In words, for what is wrong since 'at'.
export function because(events, at) {
  const { change, ready } = causeOf(events, at);
  if (ready) {
    return ['It was as wanted, and then changed on the machine itself: nobody changed what is wanted.',
      change && h('div', { class: 'quiet' }, 'The last change before: ', told(change))];
  }
  return change ? told(change) : 'Nothing that its newest events tell of.';
}
