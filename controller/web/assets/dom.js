// dom.js - elements from code, and a page changed in place: what did not change keeps focus, scroll and state.

const SVG = 'http://www.w3.org/2000/svg';
const HANDLERS = ['onclick', 'oninput', 'onchange', 'onkeydown', 'onsubmit'];

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (HANDLERS.includes(name)) element[name] = value;
    else if (name === 'value') element.value = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

export function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function sameKind(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName &&
    (a.nodeType !== Node.ELEMENT_NODE || a.getAttribute('data-key') === b.getAttribute('data-key'));
}

// What a person has opened stays open, what is being typed stays.
function patchElement(old, now) {
  for (const { name } of [...old.attributes]) {
    if (!now.hasAttribute(name) && !(old.nodeName === 'DETAILS' && name === 'open')) old.removeAttribute(name);
  }
  for (const { name, value } of [...now.attributes]) {
    if (old.getAttribute(name) !== value && !(old.nodeName === 'DETAILS' && name === 'open')) {
      old.setAttribute(name, value);
    }
  }
  for (const name of HANDLERS) old[name] = now[name];
  if ('value' in old && old.nodeName !== 'LI' && old !== document.activeElement && old.value !== now.value) {
    old.value = now.value;
  }
  patchChildren(old, [...now.childNodes]);
}

function patchChildren(parent, children) {
  children.forEach((child, i) => {
    const old = parent.childNodes[i];
    if (!old) parent.append(child);
    else if (!sameKind(old, child)) old.replaceWith(child);
    else if (old.nodeType === Node.ELEMENT_NODE) patchElement(old, child);
    else if (old.data !== child.data) old.data = child.data;
  });
  while (parent.childNodes.length > children.length) parent.lastChild.remove();
}

// Makes 'root' hold these children.
export function show(root, ...children) {
  patchChildren(root, [...fill(document.createElement('div'), {}, children).childNodes]);
}
