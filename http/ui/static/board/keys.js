// The keys of the board, in one table: it binds them, the dialog behind `?` shows it,
// and the palette offers what is in it. Keys do nothing while somebody types, and
// single keys can be switched off (WCAG 2.1.4), which this browser remembers.
import { html, signal } from '../vendor/preact.js';
import { every } from '../lib/api.js';
import { Dialog, say } from '../lib/parts.js';
import { go, setQuery } from '../lib/router.js';
import { me } from '../lib/session.js';
import { t } from '../lib/strings.js';
import { last, undoLast } from './actions.js';
import { archive, askAssign, askLabel, askMove, askPriority, assign, claim, open, toggle } from './choose.js';
import { focusCard, focusColumn, onTicket, step } from './focus.js';
import { LANES } from './lane.js';
import { carry, drop, lift, putBack } from './lift.js';
import { ask, asked } from './palette.js';
import { clear, extend } from './select.js';

// here is the board that is open, {store, view}; null = another page.
export const here = signal(null);
// help is whether the dialog with the keys is open.
export const help = signal(false);
export const single = signal(localStorage.getItem('kanban.keys') !== 'off');

const key = () => here.peek().store.live.peek().board.peek().key;
const onBoard = () => Boolean(here.peek()) && here.peek().store.state.peek() === 'ready';
const now = () => onBoard() && !here.peek().store.past.peek();
const can = (what) => () => now() && here.peek().store.can(what);
const some = () => onBoard() && here.peek().view.targets().length > 0;
const focused = () => (onBoard() ? here.peek().view.roving.peek() : null);
const one = (ui) => ui.view.roving.peek() ?? ui.view.targets()[0];

async function walk({ view }, direction) {
  const next = step(view, direction);
  if (next) await focusCard(view, next);
}

async function stretch({ view }, direction) {
  view.anchor ??= view.roving.peek();
  const next = step(view, direction);
  if (!next) return;
  await focusCard(view, next);
  extend(view, next);
}

const move = (direction) => (ui) => (ui.view.lifted.peek() ? carry(ui, direction) : walk(ui, direction));

function escape(ui) {
  if (ui.view.lifted.peek()) putBack(ui);
  else if (!clear(ui.view) && onTicket()) go(`/boards/${key()}${location.search}`);
}

const search = () => {
  const field = [...document.querySelectorAll('[data-search]')].find((x) => x.offsetParent);
  if (field) {
    field.focus();
    field.select();
    return;
  }
  filters();
  requestAnimationFrame(() => [...document.querySelectorAll('[data-search]')].find((x) => x.offsetParent)?.focus());
};

const filters = () => {
  const button = document.querySelector('[data-filters]');
  if (button?.getAttribute('aria-expanded') === 'false') button.click();
  requestAnimationFrame(() => [...document.querySelectorAll('.filter-menu :is(input, button, select)')].find((x) => x.offsetParent)?.focus());
};

const lanes = () => {
  const order = [null, ...LANES];
  const next = order[(order.indexOf(here.peek().view.by.peek()) + 1) % order.length];
  setQuery({ lanes: next });
  say(next ? `${t('lanes.by')}: ${t(`lanes.${next}`)}` : t('lanes.none'));
};

const time = () => import('./time.js').then((m) => m.toggleTime(), () => {});

// Each row: keys as in KeyboardEvent.key, `Mod` for Ctrl or Cmd; `at` = only where a
// card or the page itself has the focus; `when` = where it makes sense; `quiet` = not
// in the palette; `single` = about one card.
export const TABLE = [
  { group: 'general', name: 'palette', keys: ['Mod+k'], run: () => palette(), quiet: true },
  { group: 'general', name: 'help', keys: ['?'], icon: 'keys', run: () => { help.value = true; } },
  { group: 'general', name: 'undo', keys: ['Mod+z'], icon: 'history', when: () => Boolean(last.peek()), run: undoLast },
  { group: 'general', name: 'search', keys: ['/'], icon: 'search', when: onBoard, run: search },
  { group: 'general', name: 'filter', keys: ['f'], icon: 'filter', when: onBoard, run: filters },
  { group: 'general', name: 'unfilter', keys: ['Shift+F'], icon: 'close', when: () => onBoard() && here.peek().view.filter.on.peek(), run: ({ view }) => view.filter.clear() },
  { group: 'general', name: 'lanes', keys: ['s'], icon: 'lanes', when: onBoard, run: lanes },
  { group: 'general', name: 'time', keys: ['t'], icon: 'clock', when: onBoard, run: time },
  { group: 'general', name: 'escape', keys: ['Escape'], when: onBoard, run: escape, quiet: true },

  { group: 'walk', name: 'up', keys: ['ArrowUp', 'k'], at: true, run: move('up'), quiet: true },
  { group: 'walk', name: 'down', keys: ['ArrowDown', 'j'], at: true, run: move('down'), quiet: true },
  { group: 'walk', name: 'left', keys: ['ArrowLeft', 'h'], at: true, run: move('left'), quiet: true },
  { group: 'walk', name: 'right', keys: ['ArrowRight', 'l'], at: true, run: move('right'), quiet: true },
  { group: 'walk', name: 'first', keys: ['Home'], at: true, run: move('first'), quiet: true },
  { group: 'walk', name: 'last', keys: ['End'], at: true, run: move('last'), quiet: true },
  { group: 'walk', name: 'lift', keys: ['Space'], at: 'card', when: now, run: (ui) => (ui.view.lifted.peek() ? drop(ui) : lift(ui)), quiet: true },

  { group: 'card', single: true, name: 'open', keys: ['Enter', 'e'], at: 'card', icon: 'right', when: () => Boolean(focused()), run: (ui) => (ui.view.lifted.peek() ? drop(ui) : open(ui, one(ui))) },
  { group: 'card', name: 'move', keys: ['m'], icon: 'move', when: () => can('create')() && some(), run: (ui) => askMove(ui, ui.view.targets()) },
  { group: 'card', name: 'assign_me', keys: ['a'], icon: 'person', when: () => can('manage')() && some(), run: (ui) => assign(ui, ui.view.targets(), me.value.username) },
  { group: 'card', name: 'assign', keys: ['Shift+A'], icon: 'person', when: () => can('manage')() && some(), run: (ui) => askAssign(ui, ui.view.targets()) },
  { group: 'card', name: 'priority', keys: ['p'], icon: 'high', when: () => can('create')() && some(), run: (ui) => askPriority(ui, ui.view.targets()) },
  { group: 'card', name: 'label', keys: ['Shift+L'], icon: 'edit', when: () => can('create')() && some(), run: (ui) => askLabel(ui, ui.view.targets()) },
  { group: 'card', single: true, name: 'claim', keys: ['c'], icon: 'clock', when: () => can('claim')() && Boolean(focused()), run: (ui) => claim(ui, one(ui)) },
  { group: 'card', name: 'archive', keys: ['Delete'], at: true, icon: 'archive', when: () => can('manage')() && some(), run: (ui) => archive(ui, ui.view.targets()) },
  { group: 'card', single: true, name: 'select', keys: ['x'], icon: 'check', when: () => Boolean(focused()), run: (ui) => { toggle(ui.view, one(ui)); say(t('select.count', { n: ui.view.picked.peek().size })); } },
  { group: 'card', name: 'stretch', keys: ['Shift+ArrowDown', 'Shift+ArrowUp'], at: true, run: (ui, e) => stretch(ui, e.key === 'ArrowDown' ? 'down' : 'up'), quiet: true },
  { group: 'card', name: 'new', keys: ['n'], icon: 'add', when: can('create'), run: ({ view }) => document.querySelector(`[data-add="${focusColumn(view)}"]`)?.click() },

  { group: 'go', name: 'boards', keys: ['g b'], icon: 'lanes', run: () => go('/boards') },
  { group: 'go', name: 'agents', keys: ['g a'], icon: 'agent', run: () => go('/agents') },
  { group: 'go', name: 'flow', keys: ['g f'], icon: 'flow', when: onBoard, run: () => go(`/boards/${key()}/flow`) },
  { group: 'go', name: 'diff', keys: ['g d'], icon: 'diff', when: onBoard, run: () => go(`/boards/${key()}/diff`) },
  { group: 'go', name: 'settings', keys: ['g s'], icon: 'settings', when: onBoard, run: () => go(`/boards/${key()}/settings`) },
  { group: 'go', name: 'account', keys: [], icon: 'person', run: () => go('/account') },
];

const typing = (at) => at.closest?.('input:not([type="checkbox"], [type="radio"], [type="range"], [type="button"]), textarea, select, [contenteditable=""], [contenteditable="true"]');

function named(event) {
  const { key: k } = event;
  const base = k === ' ' ? 'Space' : k;
  if (event.ctrlKey || event.metaKey) return `Mod+${base.toLowerCase()}`;
  return event.shiftKey && (base.length > 1 || /[A-Z]/.test(base)) ? `Shift+${base}` : base;
}

let pending = ''; // the first key of two
let until = 0;

function press(event) {
  if (event.defaultPrevented || event.isComposing || event.altKey || !me.peek()) return;
  const name = named(event);
  const field = typing(event.target);
  if (field && name !== 'Mod+k') return;
  if (asked.peek() || document.querySelector('dialog[open]')) return;
  if (!single.peek() && name.length === 1) return;
  const full = pending && Date.now() < until ? `${pending} ${name}` : name;
  pending = '';
  const row = TABLE.find((r) => r.keys.includes(full) && fits(r, event));
  if (row) {
    event.preventDefault();
    row.run(here.peek(), event);
  } else if (TABLE.some((r) => r.keys.some((k) => k.startsWith(`${name} `)))) {
    pending = name;
    until = Date.now() + 1200;
  }
}

function fits(row, event) {
  if (row.at && !onBoard()) return false;
  if (row.at) {
    const at = event.target;
    const card = at.matches?.('[data-ticket]');
    // In a widget of its own, Enter and Space and arrows mean what they mean there.
    if (row.at === 'card' && !card && !/^[a-z]$/.test(event.key)) return false;
    if (row.at === true && !card && at !== document.body && !at.matches?.('[data-cell], .columns')) return false;
  }
  return !row.when || row.when();
}
addEventListener('keydown', press);

const MAC = /Mac|iPhone|iPad/.test(navigator.platform);
const SHOWN = { Mod: MAC ? '⌘' : 'Ctrl', ArrowUp: '↑', ArrowDown: '↓', ArrowLeft: '←', ArrowRight: '→', Delete: 'Del', Escape: 'Esc', Shift: MAC ? '⇧' : 'Shift' };

// shown is a key as it is printed: Ctrl K.
export const shown = (k) => k.split(/\+(?=.)/).map((part) => SHOWN[part] ?? (k.includes('+') ? part.toUpperCase() : t(`keys.key_${part}`) === `keys.key_${part}` ? part : t(`keys.key_${part}`))).join(' ');

const GROUPS = ['general', 'walk', 'card', 'go'];

// Help shows the table.
export function Help() {
  if (!help.value) return null;
  const change = (event) => {
    single.value = event.target.checked;
    if (single.value) localStorage.removeItem('kanban.keys');
    else localStorage.setItem('kanban.keys', 'off');
  };
  return html`<${Dialog} title=${t('keys.title')} wide onClose=${() => { help.value = false; }}><div class="keys">${GROUPS.map((g) => html`<section key=${g}><h3>${t(`keys.group_${g}`)}</h3><dl>
    ${TABLE.filter((r) => r.group === g && r.keys.length).map((r) => html`<div key=${r.name} class="row"><dt>${t(`keys.${r.name}`)}</dt><dd class="spread">${r.keys.map((k, i) => html`${i > 0 && html` <span class="soft">${t('keys.or')}</span> `}${k.split(' ').map((part, j) => html`${j > 0 && ' '}<kbd>${shown(part)}</kbd>`)}`)}</dd></div>`)}</dl></section>`)}</div>
    <p class="soft">${t('keys.mouse')}</p>
    <label class="row"><input type="checkbox" checked=${single.value} onChange=${change} />${t('keys.single')}</label><//>`;
}

let boards = null;

// palette opens the list of everything.
export async function palette() {
  const ui = here.peek();
  const targets = onBoard() ? ui.view.targets() : [];
  const rows = TABLE.filter((r) => !r.quiet && !(r.single && targets.length > 1) && (!r.when || r.when()));
  const about = targets.length > 1 ? t('select.count', { n: targets.length }) : targets.length ? ui.store.shown.peek().look(targets[0]).key : '';
  const group = (g) => (g === 'card' && about ? about : t(`keys.group_${g}`));
  const order = about ? ['card', 'general', 'go'] : ['general', 'card', 'go'];
  const actions = order.flatMap((g) => rows.filter((r) => r.group === g).map((r) => ({ label: t(`keys.${r.name}`), icon: r.icon, keys: r.keys[0] && r.keys[0].split(' ').map(shown).join(' '), group: group(g), run: () => r.run(ui) })));
  try {
    boards ??= await every('/api/boards', { tries: 1 });
  } catch {
    boards = null;
  }
  const list = (boards ?? []).map((b) => ({ label: b.name, also: b.key, hint: b.key, icon: 'lanes', group: t('nav.boards'), run: () => go(`/boards/${b.key}`) }));
  ask({ title: t('palette.title'), placeholder: t('palette.placeholder'), items: [...actions, ...list], search: onBoard() ? tickets(ui) : undefined });
  boards = null;
}

// tickets finds tickets by key or title.
const tickets = (ui) => (words) => {
  const found = [];
  for (const x of ui.store.shown.peek().all()) {
    if (!x.key.toLowerCase().includes(words) && !x.title.toLowerCase().includes(words)) continue;
    found.push({ label: x.title, also: x.key, hint: x.key, icon: 'right', run: () => open(ui, x.id) });
    if (found.length >= 200) break;
  }
  return found;
};
