// The pages are whole without this script. With it they stay current, and actions take effect without a reload:
// whatever changes, the page is asked for again and what differs is taken over, so that focus, scrolling and
// what is being typed stay as they are.
'use strict';

const live = document.getElementById('rail') !== null;
const parse = (html) => new DOMParser().parseFromString(html, 'text/html');

// Taking over what differs

const keyOf = (node) =>
  node.nodeType !== Node.ELEMENT_NODE ? '' : node.id || (node.localName === 'option' ? `option ${node.value}` : '');

function morph(have, want) {
  if (have.isEqualNode(want)) return;
  if (have.nodeType !== Node.ELEMENT_NODE) {
    have.nodeValue = want.nodeValue;
    return;
  }
  for (const { name } of [...have.attributes]) if (!want.hasAttribute(name)) have.removeAttribute(name);
  for (const { name, value } of want.attributes) if (have.getAttribute(name) !== value) have.setAttribute(name, value);
  morphChildren(have, want);
}

function morphChildren(parent, want) {
  const known = new Map([...parent.children].map((child) => [keyOf(child), child]));
  const wanted = new Set([...want.children].map(keyOf));
  let at = parent.firstChild;
  for (const child of [...want.childNodes]) {
    const key = keyOf(child);
    while (at && keyOf(at) && !wanted.has(keyOf(at))) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
    const have = key ? known.get(key) : at && !keyOf(at) ? at : undefined;
    if (!have || have.nodeName !== child.nodeName) {
      parent.insertBefore(document.importNode(child, true), at);
      continue;
    }
    if (have === at) at = at.nextSibling;
    else parent.insertBefore(have, at);
    morph(have, child);
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

function localTimes(root) {
  for (const time of root.querySelectorAll('time')) {
    time.textContent = new Date(time.dateTime).toLocaleTimeString([], { hour12: false });
  }
}

function takeOver(page) {
  const focused = document.activeElement;
  localTimes(page);
  document.title = page.title;
  for (const id of ['tints', 'rail', 'main']) {
    const [have, want] = [document.getElementById(id), page.getElementById(id)];
    if (have && want) morph(have, want);
  }
  if (focused !== document.body && focused !== document.activeElement) {
    const again = focused.id && document.getElementById(focused.id);
    (again || document.getElementById('main')).focus({ preventScroll: true });
  }
}

// Staying current

let asking = false;
let askAgain = false;
let drag = null;

async function refresh() {
  if (asking || drag) {
    askAgain = true;
    return;
  }
  asking = true;
  try {
    const address = location.href;
    const response = await fetch(address);
    const page = parse(await response.text());
    // Whoever went on meanwhile is not brought back.
    if (location.href !== address) askAgain = true;
    else if (response.ok) takeOver(page);
    else say(words(page));
  } catch {
    // The stream of changes says so when it is lost.
  }
  asking = false;
  if (askAgain) {
    askAgain = false;
    refresh();
  }
}

let stream = null;

function listen() {
  stream?.close();
  if (document.hidden) return;
  stream = new EventSource('/live');
  stream.addEventListener('changed', refresh);
  stream.addEventListener('open', () => say(''));
  stream.addEventListener('error', () => say('The sandbox does not answer. What you see is from before.', true));
}

let fading = 0;

function say(text, stays = false) {
  const toast = document.getElementById('toast');
  clearTimeout(fading);
  toast.textContent = text;
  toast.hidden = !text;
  if (text && !stays) fading = setTimeout(() => say(''), 6000);
}

const words = (page) => [...page.querySelectorAll('#trouble, #trouble + p')].map((part) => part.textContent).join(' ');

// Acting without a reload

async function arrive(response) {
  const page = parse(await response.text());
  if (!response.ok) {
    say(words(page) || 'That did not work.');
    return false;
  }
  if (response.url !== location.href) history.pushState(null, '', response.url);
  takeOver(page);
  return true;
}

let opener = '';

async function follow(link) {
  const opens = link.hash === '#card';
  if (opens) opener = link.id;
  if (!(await arrive(await fetch(link.href)))) return;
  const next = opens ? document.getElementById('card-title') : document.getElementById(opener);
  if (opens || link.classList.contains('close')) next?.focus({ preventScroll: true });
}

async function send(form, button) {
  const data = new URLSearchParams(new FormData(form, button));
  const action = form.getAttribute('action');
  if (form.method === 'get') {
    await arrive(await fetch(`${action}?${data}`));
  } else if ((await arrive(await fetch(action, { method: 'POST', body: data }))) && form.isConnected) {
    form.reset();
  }
}

const lost = () => say('The sandbox does not answer. Start it again and try once more.');

if (live) {
  document.addEventListener('click', (event) => {
    const link = event.target.closest('a[data-soft]');
    if (!link || event.defaultPrevented || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
    event.preventDefault();
    follow(link).catch(lost);
  });
  document.addEventListener('submit', (event) => {
    event.preventDefault();
    if (event.submitter?.getAttribute('aria-disabled') !== 'true') send(event.target, event.submitter).catch(lost);
  });
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') document.querySelector('#card .close')?.click();
  });
  addEventListener('popstate', refresh);
  document.addEventListener('visibilitychange', listen);
  addEventListener('pagehide', () => stream?.close());
  addEventListener('pageshow', (event) => event.persisted && listen());
  localTimes(document);
  listen();
}

// Dragging a role

const roleRows = () => [...document.querySelectorAll('.role')].filter((row) => row !== drag?.row);

document.addEventListener('pointerdown', (event) => {
  const row = event.target.closest('.role[data-role]');
  const byHandle = event.target.closest('[data-grip]');
  if (!row || event.button || event.target.closest('.nudge') || !(byHandle || event.pointerType === 'mouse')) return;
  drag = { row, from: event.clientY, moved: false, above: null };
  if (byHandle) event.preventDefault();
});

document.addEventListener('dragstart', (event) => event.target.closest?.('.role') && event.preventDefault());

document.addEventListener('pointermove', (event) => {
  if (!drag) return;
  const distance = event.clientY - drag.from;
  if (!drag.moved && Math.abs(distance) < 5) return;
  if (!drag.moved) drag.row.setPointerCapture?.(event.pointerId);
  drag.moved = true;
  drag.row.classList.add('held');
  drag.row.style.transform = `translateY(${distance}px)`;
  const rows = roleRows();
  const middle = (row) => row.getBoundingClientRect().top + row.offsetHeight / 2;
  const above = rows.find((row) => event.clientY < middle(row)) ?? rows.at(-1);
  if (above !== drag.above) {
    drag.above?.classList.remove('drop');
    above?.classList.add('drop');
    drag.above = above;
  }
});

function letGo(places) {
  if (!drag) return;
  const { row, moved, above } = drag;
  drag = null;
  row.classList.remove('held');
  row.style.transform = '';
  above?.classList.remove('drop');
  if (moved && places && above) {
    // The click that ends a drag is not meant for the name under it.
    const swallow = (event) => event.preventDefault();
    document.addEventListener('click', swallow, { capture: true, once: true });
    setTimeout(() => document.removeEventListener('click', swallow, { capture: true }));
    const action = `${row.parentElement.dataset.roles}${row.dataset.role}/move`;
    const body = new URLSearchParams({ above: above.dataset.role ?? above.dataset.everyone });
    fetch(action, { method: 'POST', body }).then(arrive).catch(lost);
  } else if (askAgain && !asking) {
    askAgain = false;
    refresh();
  }
}

document.addEventListener('pointerup', () => letGo(true));
document.addEventListener('pointercancel', () => letGo(false));

// Consent: the servers of whoever is signed in

for (const people of document.querySelectorAll('select[data-filters]')) {
  const servers = people.form.elements[people.dataset.filters];
  const filter = () => {
    for (const group of servers.querySelectorAll('optgroup')) {
      group.hidden = group.disabled = group.dataset.of !== people.value;
    }
    const free = [...servers.options].find((option) => !option.parentElement.disabled);
    servers.value = free?.value ?? '';
    if (free) free.selected = true;
  };
  if (servers) {
    people.addEventListener('change', filter);
    filter();
  }
}
