// What a ticket waits for, and what waits for it.
import { html, useEffect, useId, useRef, useSignal } from '../../vendor/preact.js';
import { get } from '../../lib/api.js';
import { Icon } from '../../lib/parts.js';
import { t } from '../../lib/strings.js';
import { change } from './change.js';
import { component, Graph } from './graph.js';
import { Failed, Section, Tool } from './parts.js';

const CHANGES = new Set(['ticket_moved', 'ticket_updated', 'ticket_archived', 'ticket_restored', 'ticket_deleted', 'ticket_recovered']);

// fromModel answers from the board alone: what a past moment shows.
function fromModel(model, ticket) {
  const done = new Set(model.board.value.columns.filter((c) => c.kind === 'done').map((c) => c.id));
  const related = (x) => ({ id: x.id, key: x.key, title: x.title, column: x.current_column, state: done.has(x.column_id) ? 'done' : 'open' });
  return {
    depends_on: ticket.depends_on.map((key) => (model.byKey(key) ? related(model.byKey(key)) : { id: 0, key, title: '', column: '', state: 'archived' })),
    dependents: [...model.all()].filter((x) => x.depends_on.includes(ticket.key)).map(related),
  };
}

// useDependencies asks the server, which knows archived and deleted tickets too, and
// asks again when something happened to one of them.
function useDependencies(store, model, ticket, past) {
  const list = useSignal(null);
  const failed = useSignal(null);
  const again = useSignal(0);
  useEffect(() => {
    if (past) {
      list.value = fromModel(model, ticket);
      return undefined;
    }
    let there = true;
    let timer = 0;
    const load = async (position) => {
      try {
        const found = await get(`/api/tickets/${ticket.id}/dependencies`, { headers: position ? { 'Kanban-Min-Position': String(position) } : {} });
        if (there) list.value = found;
      } catch (err) {
        if (there && !list.peek()) failed.value = err;
      }
    };
    const heard = (events) => {
      const ids = new Set([...(list.peek()?.depends_on ?? []), ...(list.peek()?.dependents ?? [])].map((x) => x.id));
      const last = events.findLast((e) => (e.type.startsWith('dependency_') && (e.ticket_id === ticket.id || e.data?.depends_on === ticket.id)) || (ids.has(e.ticket_id) && CHANGES.has(e.type)));
      if (!last) return;
      clearTimeout(timer);
      timer = setTimeout(load, 100, last.position);
    };
    failed.value = null;
    load();
    store.listeners.add(heard);
    return () => {
      there = false;
      clearTimeout(timer);
      store.listeners.delete(heard);
    };
  }, [ticket.id, past, past && ticket, again.value]);
  return { list: list.value, failed: failed.value, again: () => { again.value++; } };
}

const ICONS = { done: 'check', open: 'clock', archived: 'archive', deleted: 'trash' };

function Related({ x, board, remove, waiting }) {
  const gone = x.state === 'deleted';
  return html`<li class="row related"><span class="state ${x.state} ${waiting && x.state !== 'done' ? 'waiting' : ''}"><${Icon} name=${ICONS[x.state] ?? 'clock'} label=${t(`panel.state_${x.state}`)} /></span>
    ${gone ? html`<span class="key">${x.key}</span>` : html`<a class="cut" href="/boards/${board}/tickets/${x.key}${location.search}" dir="auto"><span class="key number">${x.key}</span> ${x.title}</a>`}
    <span class="soft small spread nowrap">${x.state === 'open' || x.state === 'done' ? x.column : t(`panel.state_${x.state}`)}</span>
    ${remove && html`<${Tool} icon="close" label=${t('panel.depends_remove', { key: x.key })} run=${remove} />`}</li>`;
}

// Picker finds a ticket of the board by its key or words.
function Picker({ model, except, pick, leave }) {
  const at = useRef();
  const text = useSignal('');
  const chosen = useSignal(0);
  const id = useId();
  useEffect(() => at.current.focus(), []);
  const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = [];
  if (words.length) {
    for (const x of model.all()) {
      if (except.has(x.key)) continue;
      const where = `${x.key} ${x.title}`.toLowerCase();
      if (words.every((w) => where.includes(w))) found.push(x);
      if (found.length > 200) break;
    }
    found.sort((a, b) => (b.key.toLowerCase() === words[0]) - (a.key.toLowerCase() === words[0]) || b.id - a.id);
    found.length = Math.min(found.length, 8);
  }
  const current = Math.min(chosen.value, found.length - 1);
  const take = (x) => {
    text.value = '';
    chosen.value = 0;
    pick(x);
    at.current.focus();
  };
  const keys = (e) => {
    if (e.key === 'Escape') {
      e.stopPropagation();
      leave();
    } else if (e.key === 'Enter') {
      e.preventDefault();
      if (found[current]) take(found[current]);
    } else if ((e.key === 'ArrowDown' || e.key === 'ArrowUp') && found.length) {
      e.preventDefault();
      chosen.value = (current + (e.key === 'ArrowDown' ? 1 : found.length - 1)) % found.length;
    }
  };
  const open = words.length > 0;
  return html`<div class="picker"><div class="row"><input ref=${at} class="grow" role="combobox" aria-expanded=${open} aria-controls="${id}-list" aria-autocomplete="list" aria-activedescendant=${open && found.length ? `${id}-${current}` : undefined}
    aria-label=${t('panel.depends_add')} placeholder=${t('panel.depends_hint')} autocomplete="off" value=${text.value} onInput=${(e) => { text.value = e.target.value; chosen.value = 0; }} onKeyDown=${keys} />
    <button class="quiet" onClick=${leave}>${t('app.close')}</button></div>
    <ul class="bare menu picked" id="${id}-list" role="listbox" aria-label=${t('panel.depends_add')} hidden=${!found.length}>${found.map((x, i) => html`<li key=${x.id} id="${id}-${i}" role="option" aria-selected=${i === current} class="row" onMouseDown=${(e) => e.preventDefault()} onClick=${() => take(x)}><span class="key number">${x.key}</span><span class="cut" dir="auto">${x.title}</span><span class="soft small spread nowrap">${x.current_column}</span></li>`)}</ul>
    ${open && !found.length && html`<p class="soft small" role="status">${t('panel.depends_none')}</p>`}</div>`;
}

export function Dependencies({ store, model, ticket, may, board }) {
  const adding = useSignal(false);
  const graph = useSignal(false);
  const past = Boolean(store.past.value);
  const { list, failed, again } = useDependencies(store, model, ticket, past);
  if (failed) return html`<${Section} title=${t('panel.depends')}><${Failed} problem=${failed} again=${again} /><//>`;
  if (!list || (!list.depends_on.length && !list.dependents.length && !may.change)) return null;
  const add = (x) => change(store, ticket, {
    method: 'POST', path: '/dependencies', body: { depends_on: x.key }, text: t('panel.depends_done', { key: ticket.key, on: x.key }),
  });
  const remove = (x) => change(store, ticket, {
    method: 'DELETE', path: `/dependencies/${x.key}`, text: t('panel.depends_removed', { key: ticket.key, on: x.key }),
  });
  const any = list.depends_on.length + list.dependents.length > 0;
  const drawn = graph.value && any ? component(model, ticket) : null;
  const side = any && html`<button class="quiet" aria-expanded=${graph.value} onClick=${() => { graph.value = !graph.value; }}><${Icon} name="flow" />${t('panel.graph')}</button>`;
  return html`<${Section} title=${t('panel.depends')} side=${side} bare=${!any && !adding.value}>
    ${list.depends_on.length > 0 && html`<h4 class="soft small">${t('panel.waits_for')}</h4><ul class="bare">${list.depends_on.map((x) => html`<${Related} key=${x.key} x=${x} board=${board} waiting remove=${may.change && (() => remove(x))} />`)}</ul>`}
    ${list.dependents.length > 0 && html`<h4 class="soft small">${t('panel.waited_by')}</h4><ul class="bare">${list.dependents.map((x) => html`<${Related} key=${x.key} x=${x} board=${board} />`)}</ul>`}
    ${drawn && html`<${Graph} graph=${drawn} ticket=${ticket} board=${board} />`}
    ${may.change && (adding.value
    ? html`<${Picker} model=${model} except=${new Set([ticket.key, ...ticket.depends_on])} pick=${add} leave=${() => { adding.value = false; }} />`
    : html`<button class="quiet add-part" onClick=${() => { adding.value = true; }}><${Icon} name="add" />${t('panel.depends_add')}</button>`)}<//>`;
}
