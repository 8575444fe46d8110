// A column, and its cards. Cards are drawn in blocks; a block that is out of sight is a
// gap of its height, so that a board of thousands costs as much as what is seen of it.
import { html, memo, useEffect, useRef, useSignal } from '../vendor/preact.js';
import { complain, Icon } from '../lib/parts.js';
import { number, t } from '../lib/strings.js';
import { addTicket } from './actions.js';
import { Card } from './card.js';
import * as dnd from './dnd.js';

const BLOCK = 20;
const GUESS = 104; // height of a card with its gap, before it was measured

const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) target.seen(isIntersecting);
}, { rootMargin: '800px 400px' });

function drawBlock({ ids, first, ...rest }) {
  const at = useRef();
  const seen = useSignal(first);
  const height = useRef(0);
  useEffect(() => {
    at.current.seen = (yes) => {
      if (yes === seen.peek()) return;
      // What has the focus, or is dragged, stays.
      if (!yes && (at.current.contains(document.activeElement) || at.current.querySelector('.dragged'))) return;
      if (!yes) height.current = at.current.offsetHeight;
      seen.value = yes;
    };
    at.current.show = () => { seen.value = true; };
    watcher.observe(at.current);
    return () => watcher.unobserve(at.current);
  }, []);
  return html`<div class="block" ref=${at} style=${seen.value ? {} : { height: `${height.current || ids.length * GUESS}px` }}>
    ${seen.value && ids.map((id) => html`<${Card} key=${id} id=${id} selected=${rest.selection.has(id)} ...${rest} />`)}</div>`;
}
const same = (a, b) => a.length === b.length && a.every((x, i) => x === b[i]);
const Block = memo(drawBlock);

// Cards draws the tickets of one cell.
export function Cards({ ids, ...rest }) {
  const kept = useRef([]);
  const blocks = [];
  for (let i = 0; i < ids.length; i += BLOCK) {
    const part = ids.slice(i, i + BLOCK);
    const before = kept.current[blocks.length];
    blocks.push(before && same(before, part) ? before : part);
  }
  kept.current = blocks;
  return blocks.map((part, i) => html`<${Block} key=${i} ids=${part} first=${i === 0} ...${rest} />`);
}

function Limit({ column, count }) {
  if (!column.wip_limit) return html`<span class="count number" title=${t('board.count', { n: count })}>${number(count)}</span>`;
  const over = count > column.wip_limit;
  const title = over ? t('board.over', { limit: column.wip_limit }) : t('board.limit', { n: count, limit: column.wip_limit });
  return html`<span class="count number ${over ? 'over' : count === column.wip_limit ? 'full' : ''}" title=${title}>${over && html`<${Icon} name="urgent" label=${title} />`}${number(count)}/${column.wip_limit}
    <span class="limit" aria-hidden="true"><span style=${{ width: `${Math.min(100, (100 * count) / column.wip_limit)}%` }}></span></span></span>`;
}

// AddCard adds tickets one after the other, without a dialog.
function AddCard({ store, column }) {
  const open = useSignal(false);
  const busy = useSignal(false);
  const at = useRef();
  useEffect(() => {
    if (open.value) at.current?.focus();
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
  if (!open.value) return html`<button class="quiet add" onClick=${() => { open.value = true; }}><${Icon} name="add" />${t('board.add')}</button>`;
  return html`<form class="add-form" onSubmit=${submit} onKeyDown=${(e) => { if (e.key === 'Escape') { e.stopPropagation(); open.value = false; } }}>
    <textarea ref=${at} rows="2" maxlength="200" aria-label=${t('board.add_title', { column: column.name })} placeholder=${t('board.add_placeholder')}
      onKeyDown=${(e) => { if (e.key === 'Enter' && !e.shiftKey) submit(e); }}></textarea>
    <div class="row"><button class="main" disabled=${busy.value}>${t('board.add_submit')}</button><button type="button" class="quiet" onClick=${() => { open.value = false; }}>${t('app.cancel')}</button></div></form>`;
}

// Column is a list of cards under its name, and a place to drop into.
export function Column({ store, model, column, ids, total, selection, onPick, menu }) {
  const at = useRef();
  const scroller = useRef();
  useEffect(() => (store.past.value ? undefined : dnd.list(at.current, scroller.current, column.id)), [column.id, model]);
  const aimed = dnd.over.value?.column === column.id;
  return html`<section ref=${at} class="column ${aimed ? 'aimed' : ''}" data-column=${column.id} aria-label="${column.name}, ${t('board.count', { n: total })}">
    <header class="row"><h2 class="cut" title=${column.name} dir="auto">${column.name}</h2><${Limit} column=${column} count=${total} /><span class="spread"></span>${menu}</header>
    <div class="cards" ref=${scroller} tabindex="-1">
      ${ids.length > 0 ? html`<${Cards} ids=${ids} store=${store} model=${model} column=${column} selection=${selection} onPick=${onPick} />` : html`<p class="hollow">${t('board.column_empty')}</p>`}
      ${aimed && !dnd.over.value.ticket && html`<div class="landing"></div>`}</div>
    ${store.can('create') && html`<${AddCard} store=${store} column=${column} />`}
  </section>`;
}
