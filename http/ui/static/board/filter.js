// The filter: text, chips and choices, all in the address, so that what one sees can be
// sent as a link. A card is looked at again only when something changed, once a frame
// at most; the text that is searched is kept per ticket.
import { computed, effect, html, signal, useEffect, useRef, useSignal } from '../vendor/preact.js';
import { Icon } from '../lib/parts.js';
import { place, setQuery } from '../lib/router.js';
import { me } from '../lib/session.js';
import { number, t } from '../lib/strings.js';
import { ageOf } from './age.js';
import { LANES } from './lane.js';
import { now } from './store.js';

export const CHIPS = ['ready', 'blocked', 'aging', 'approval', 'mine'];
export const CHOICES = ['label', 'assignee', 'agent', 'column'];
const NOBODY = '-';

const texts = new WeakMap(); // ticket to what is searched
function textOf(ticket) {
  let text = texts.get(ticket);
  if (text === undefined) {
    text = `${ticket.key}\n${ticket.title}\n${ticket.labels.join('\n')}\n${ticket.description}`.toLowerCase();
    texts.set(ticket, text);
  }
  return text;
}

export class Filter {
  constructor(store) {
    this.store = store;
    this.typed = signal(place.peek().query.get('q') ?? ''); // what is in the field
    this.text = signal(this.typed.peek()); // what is searched: a frame later; the address follows
    // A string first: other parts of the address change more often than these.
    const asked = computed(() => JSON.stringify([CHIPS.filter((c) => place.value.query.has(c)), CHOICES.map((c) => place.value.query.get(c) ?? '')]));
    this.asked = computed(() => {
      const [chips, choices] = JSON.parse(asked.value);
      return { chips, ...Object.fromEntries(CHOICES.map((c, i) => [c, choices[i]])) };
    });
    this.on = computed(() => {
      const a = this.asked.value;
      return this.text.value.trim() !== '' || a.chips.length > 0 || CHOICES.some((c) => a[c]);
    });
    // passes are the ids of the tickets that show, null = all of them.
    this.passes = computed(() => {
      const model = store.shown.value;
      if (!model || !this.on.value) return null;
      model.revision.value;
      const test = this.#test(model);
      const ids = new Set();
      for (const ticket of model.all()) if (test(ticket)) ids.add(ticket.id);
      return ids;
    });
  }

  // open follows the address until what it returns is called.
  open() {
    let timer = 0;
    const ends = [
      effect(() => {
        const typed = this.text.value;
        clearTimeout(timer);
        // Browsers allow so many changes of an address and no more.
        if (typed !== (place.peek().query.get('q') ?? '')) timer = setTimeout(() => setQuery({ q: typed }), 250);
      }),
      effect(() => {
        const q = place.value.query.get('q') ?? '';
        if (q !== this.text.peek() && q.trim() !== this.text.peek().trim()) this.search(q);
      }),
    ];
    return () => {
      clearTimeout(timer);
      for (const end of ends) end();
    };
  }

  #test(model) {
    const a = this.asked.value;
    const words = this.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const columns = new Map(model.board.value.columns.map((c) => [c.id, c]));
    const chip = (name) => a.chips.includes(name);
    const tests = [];
    const { username, id: mine } = me.value ?? {};
    if (a.column) tests.push((x) => String(x.column_id) === a.column);
    if (a.label) tests.push((x) => x.labels.includes(a.label));
    if (a.assignee) tests.push((x) => (x.assignee ?? NOBODY) === a.assignee);
    if (a.agent) tests.push((x) => x.lease?.holder === a.agent);
    if (chip('ready')) tests.push((x) => !x.lease && !x.blocked && columns.get(x.column_id)?.kind === 'backlog');
    if (chip('blocked')) tests.push((x) => x.blocked);
    if (chip('approval')) tests.push((x) => x.approval?.state === 'requested');
    if (chip('mine')) tests.push((x) => x.assignee === username || x.lease?.holder_id === mine);
    if (chip('aging')) {
      const ages = this.store.ages.value;
      const at = now.value;
      tests.push((x) => ageOf(x, columns.get(x.column_id), ages, at).level === 'late');
    }
    if (words.length) tests.push((x) => words.every((w) => textOf(x).includes(w)));
    return (ticket) => tests.every((test) => test(ticket));
  }

  // search looks for a text at once.
  search(text) {
    cancelAnimationFrame(this.frame);
    this.typed.value = text;
    this.text.value = text;
  }

  // type looks for it with the next frame: whoever types fast does not wait.
  type(text) {
    cancelAnimationFrame(this.frame);
    this.typed.value = text;
    this.frame = requestAnimationFrame(() => { this.text.value = text; });
  }

  clear() {
    this.search('');
    setQuery(Object.fromEntries(['q', ...CHIPS, ...CHOICES].map((name) => [name, null])));
  }
}

const flip = (chip) => setQuery({ [chip]: place.peek().query.has(chip) ? null : '1' });

const Chip = ({ chip }) => html`<button class="chip" aria-pressed=${place.value.query.has(chip)} title=${t(`filter.${chip}_title`)} onClick=${() => flip(chip)}>${t(`filter.${chip}`)}</button>`;

function Search({ filter }) {
  const keys = (event) => {
    if (event.key !== 'Escape') return;
    event.stopPropagation();
    if (filter.typed.value) filter.search('');
    else event.target.blur();
  };
  return html`<label class="search"><${Icon} name="search" /><span class="unseen">${t('filter.search')}</span>
    <input type="search" data-search placeholder=${t('filter.search')} value=${filter.typed.value} onInput=${(e) => filter.type(e.target.value)} onKeyDown=${keys} autocomplete="off" spellcheck=${false} /></label>`;
}

// choices are what can be chosen on this board, from what is on it.
function choices(model) {
  const labels = new Set();
  const assignees = new Set();
  const agents = new Set();
  for (const x of model.all()) {
    for (const l of x.labels) labels.add(l);
    if (x.assignee) assignees.add(x.assignee);
    if (x.lease) agents.add(x.lease.holder);
  }
  const sorted = (set) => [...set].sort((a, b) => a.localeCompare(b)).map((x) => [x, x]);
  return {
    label: sorted(labels), assignee: [[NOBODY, t('filter.nobody')], ...sorted(assignees)], agent: sorted(agents),
    column: model.board.value.columns.map((c) => [String(c.id), c.name]),
  };
}

function Choices({ store }) {
  const model = store.shown.value;
  model.revision.value;
  const all = choices(model);
  const { query } = place.value;
  return html`${CHOICES.map((name) => {
    const chosen = query.get(name) ?? '';
    const list = chosen && !all[name].some(([v]) => v === chosen) ? [[chosen, chosen], ...all[name]] : all[name];
    return html`<label class="field" key=${name}><span>${t(`filter.${name}`)}</span>
      <select value=${chosen} onChange=${(e) => setQuery({ [name]: e.target.value })}><option value="">${t('filter.any')}</option>${list.map(([v, text]) => html`<option key=${v} value=${v} selected=${v === chosen}>${text}</option>`)}</select></label>`;
  })}
  <label class="field"><span>${t('lanes.by')}</span><select value=${query.get('lanes') ?? ''} onChange=${(e) => setQuery({ lanes: e.target.value })}><option value="">${t('lanes.none')}</option>
    ${LANES.map((l) => html`<option key=${l} value=${l} selected=${query.get('lanes') === l}>${t(`lanes.${l}`)}</option>`)}</select></label>`;
}

// FilterBar is the search, the chips where there is room, and a button for the rest.
export function FilterBar({ store, view }) {
  const open = useSignal(false);
  const at = useRef();
  const { filter } = view;
  useEffect(() => {
    if (!open.value) return undefined;
    const outside = (e) => {
      if (!at.current?.contains(e.target)) open.value = false;
    };
    document.addEventListener('pointerdown', outside);
    return () => document.removeEventListener('pointerdown', outside);
  }, [open.value]);
  const shut = (event) => {
    if (event.key !== 'Escape' || !open.value) return;
    event.stopPropagation();
    open.value = false;
    at.current.querySelector('[data-filters]').focus();
  };
  const n = filter.asked.value.chips.length + CHOICES.filter((c) => filter.asked.value[c]).length;
  return html`<search class="filters" aria-label=${t('filter.title')}>
    <div class="wide-only"><${Search} filter=${filter} /></div>
    <div class="row roomy-only" role="group" aria-label=${t('filter.chips')}>${CHIPS.map((c) => html`<${Chip} key=${c} chip=${c} />`)}</div>
    <span class="anchor" ref=${at} onKeyDown=${shut}>
      <button class=${n || view.by.value ? 'quiet chosen' : 'quiet'} data-filters aria-expanded=${open.value} title=${t('filter.button')} onClick=${() => { open.value = !open.value; }}><${Icon} name="filter" /><span class="wide-only">${t('filter.short')}</span><span class="unseen narrow-only">${t('filter.short')}</span>${n > 0 && html`<span class="number">${n}</span>`}</button>
      ${open.value && html`<div class="menu floating filter-menu">
        <div class="narrow-only"><${Search} filter=${filter} /></div>
        <div class="row wrap cramped-only" role="group" aria-label=${t('filter.chips')}>${CHIPS.map((c) => html`<${Chip} key=${c} chip=${c} />`)}</div>
        <div class="filter-choices"><${Choices} store=${store} /></div></div>`}</span></search>`;
}

// FilterLine says that not everything shows, and how to see it all.
export function FilterLine({ store, view }) {
  const { passes, asked, text } = view.filter;
  const model = store.shown.value;
  model.revision.value;
  if (!passes.value) return null;
  const n = passes.value.size;
  const all = model.placed.size;
  const a = asked.value;
  const name = (c) => (c === 'column' ? model.board.value.columns.find((x) => String(x.id) === a.column)?.name ?? a.column : a[c] === NOBODY ? t('filter.nobody') : a[c]);
  const off = (label, change) => html`<button class="chip" key=${label} aria-label=${t('filter.drop', { name: label })} onClick=${change}>${label}<${Icon} name="close" /></button>`;
  return html`<div class="filter-line"><span class="number" role="status">${t('filter.count', { n: number(n), all: number(all) })}</span>
    ${text.value.trim() && off(`“${text.value.trim()}”`, () => view.filter.search(''))}
    ${a.chips.map((c) => off(t(`filter.${c}`), () => flip(c)))}
    ${CHOICES.filter((c) => a[c]).map((c) => off(`${t(`filter.${c}`)}: ${name(c)}`, () => setQuery({ [c]: null })))}
    <button class="link" onClick=${() => view.filter.clear()}>${t('filter.clear')}</button></div>`;
}

// NoMatch stands where the board would be empty for the filter alone.
export const NoMatch = ({ view }) => html`<div class="empty no-match"><${Icon} name="filter" /><h2>${t('filter.nothing')}</h2><p>${t('filter.nothing_lead')}</p><button class="main" onClick=${() => view.filter.clear()}>${t('filter.clear')}</button></div>`;
