// A column, and its cards. Cards are drawn in blocks; a block that is out of sight is a
// gap of its height, so that a board of thousands costs as much as what is seen of it.
import { Fragment, html, memo, useComputed, useEffect, useRef, useSignal } from '../vendor/preact.js';
import { complain, Icon } from '../lib/parts.js';
import { number, t } from '../lib/strings.js';
import { addTicket } from './actions.js';
import { Card } from './card.js';
import * as dnd from './dnd.js';
import { same } from './view.js';

const BLOCK = 10;
const GUESS = 104; // height of a card with its gap, before it was measured

// Blocks that come into sight, or leave it, wait here: a few are drawn in each frame, so
// that a long jump does not stop the page. They are drawn well before they are seen.
const PER_FRAME = 4;
const waiting = new Map(); // block to whether it is in sight
let frame = 0;

function drawSome() {
  frame = 0;
  let left = PER_FRAME;
  for (const [block, seen] of waiting) {
    if (left-- === 0) break;
    waiting.delete(block);
    block.seen(seen);
  }
  if (waiting.size) frame = requestAnimationFrame(drawSome);
}

const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    waiting.delete(target); // to the end of the line
    waiting.set(target, isIntersecting);
  }
  frame ||= requestAnimationFrame(drawSome);
}, { rootMargin: '800px 400px', scrollMargin: '800px 400px' });

// Ghost is where a card that was lifted by keyboard would go.
export const Ghost = () => html`<div class="ghost" data-ghost></div>`;

// ghostOf is the card before which the ghost is in a cell; null = at its end, undefined
// = elsewhere.
const ghostOf = (view, column, lane) => {
  const g = view.ghost.value;
  return g && g.column === column.id && g.lane === lane ? g.before : undefined;
};

function drawBlock({ ids, first, ...rest }) {
  const at = useRef();
  const ghost = useComputed(() => {
    const before = ghostOf(rest.view, rest.column, rest.lane ?? null);
    return before && ids.includes(before) ? before : null;
  }).value;
  const seen = useSignal(first);
  const height = useRef(0);
  useEffect(() => {
    at.current.seen = (yes) => {
      if (yes === seen.peek()) return;
      // What has the focus, or is dragged, stays.
      if (!yes && (at.current.contains(document.activeElement) || at.current.querySelector('.dragged, .lifted'))) return;
      if (!yes) height.current = at.current.offsetHeight;
      seen.value = yes;
    };
    at.current.show = () => { seen.value = true; };
    watcher.observe(at.current);
    const element = at.current;
    return () => {
      waiting.delete(element);
      watcher.unobserve(element);
    };
  }, []);
  return html`<div class="block" ref=${at} data-count=${ids.length} style=${seen.value ? {} : { height: `${height.current || ids.length * GUESS}px` }}>
    ${seen.value && ids.map((id) => html`<${Fragment} key=${id}>${id === ghost && html`<${Ghost} />`}<${Card} id=${id} ...${rest} /><//>`)}</div>`;
}
const Block = memo(drawBlock);

// Cards draws the tickets of one cell; eager = its first block at once, for it is in
// sight for sure.
export function Cards({ ids, eager = true, ...rest }) {
  const kept = useRef([]);
  const last = useComputed(() => ghostOf(rest.view, rest.column, rest.lane ?? null) === null).value;
  const blocks = [];
  for (let i = 0; i < ids.length; i += BLOCK) {
    const part = ids.slice(i, i + BLOCK);
    const before = kept.current[blocks.length];
    blocks.push(before && same(before, part) ? before : part);
  }
  kept.current = blocks;
  return html`${blocks.map((part, i) => html`<${Block} key=${i} ids=${part} first=${eager && i === 0} ...${rest} />`)}${last && html`<${Ghost} />`}`;
}

export function Limit({ column, count }) {
  if (!column.wip_limit) return html`<span class="count number" title=${t('board.count', { n: count })}>${number(count)}</span>`;
  const over = count > column.wip_limit;
  const title = over ? t('board.over', { limit: column.wip_limit }) : t('board.limit', { n: count, limit: column.wip_limit });
  return html`<span class="count number ${over ? 'over' : count === column.wip_limit ? 'full' : ''}" title=${title}>${over && html`<${Icon} name="urgent" label=${title} />`}${number(count)}/${column.wip_limit}
    <span class="limit" aria-hidden="true"><span style=${{ width: `${Math.min(100, (100 * count) / column.wip_limit)}%` }}></span></span></span>`;
}

// AddCard adds tickets one after the other, without a dialog.
export function AddCard({ store, column }) {
  const open = useSignal(false);
  const busy = useSignal(false);
  const at = useRef();
  const button = useRef();
  const was = useRef(false);
  useEffect(() => {
    if (open.value) at.current?.focus();
    else if (was.current) button.current?.focus();
    was.current = open.value;
  }, [open.value]);
  const submit = async (event) => {
    event?.preventDefault();
    const title = at.current.value.trim();
    if (!title || busy.value) return;
    busy.value = true;
    try {
      await addTicket(store, column, title);
      at.current.value = '';
    } catch (err) {
      complain(err);
    }
    busy.value = false;
    at.current?.focus();
  };
  if (!open.value) return html`<button class="quiet add" ref=${button} data-add=${column.id} onClick=${() => { open.value = true; }}><${Icon} name="add" />${t('board.add')}</button>`;
  return html`<form class="add-form" onSubmit=${submit} onKeyDown=${(e) => { if (e.key === 'Escape') { e.stopPropagation(); open.value = false; } }}>
    <textarea ref=${at} rows="2" maxlength="200" aria-label=${t('board.add_title', { column: column.name })} placeholder=${t('board.add_placeholder')}
      onKeyDown=${(e) => { if (e.key === 'Enter' && !e.shiftKey) submit(e); }}></textarea>
    <div class="row"><button class="main" disabled=${busy.value}>${t('board.add_submit')}</button><button type="button" class="quiet" onClick=${() => { open.value = false; }}>${t('app.cancel')}</button></div></form>`;
}

// useCell makes an element a place to drop into, and tells whether something is over it.
export function useCell({ store, model, column, lane = null }) {
  const at = useRef();
  const scroller = useRef();
  const past = Boolean(store.past.value);
  useEffect(() => (past ? undefined : dnd.list(at.current, scroller.current, { column: column.id, lane })), [column.id, lane, model, past]);
  const aimed = useComputed(() => {
    const o = dnd.over.value;
    return o?.column === column.id && o.lane === lane ? (o.ticket ? 'card' : 'end') : '';
  }).value;
  return { at, scroller, aimed };
}

// Column is a list of cards under its name, and a place to drop into.
export function Column({ store, view, model, column, onPick, menu }) {
  const { at, scroller, aimed } = useCell({ store, model, column });
  const ids = view.cell(column.id).value;
  const total = model.cell(column.id).value.length;
  // Without a card in the tab order the list itself is, so that it can be scrolled.
  const stop = useComputed(() => {
    const id = view.stop.value;
    return ids.length > 0 && model.ticket(id).value?.column_id !== column.id;
  }).value;
  const ghost = useComputed(() => ghostOf(view, column, null) === null).value;
  return html`<section ref=${at} class="column ${aimed ? 'aimed' : ''}" data-column=${column.id} aria-label="${column.name}, ${t('board.count', { n: total })}">
    <header class="row"><h2 class="cut" title=${column.name} dir="auto">${column.name}</h2><${Limit} column=${column} count=${total} /><span class="spread"></span>${menu}</header>
    <div class="cards" ref=${scroller} data-cell=${column.id} role="group" aria-label=${column.name} tabindex=${stop ? 0 : -1}>
      ${ids.length === 0 && aimed !== 'end' && !ghost && html`<p class="hollow">${t(total ? 'filter.column_hidden' : 'board.column_empty', { n: total })}</p>`}
      <${Cards} ids=${ids} store=${store} view=${view} model=${model} column=${column} onPick=${onPick} />
      ${aimed === 'end' && html`<div class="landing"></div>`}</div>
    ${store.can('create') && html`<${AddCard} store=${store} column=${column} />`}
  </section>`;
}
