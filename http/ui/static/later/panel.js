// The panel beside the board: one ticket, its work and its history, by the address.
// It reads the board's model, so it follows events, and shows a past moment read only.
import './strings.js';
import { html, useEffect, useRef, useSignal } from '../vendor/preact.js';
import { get } from '../lib/api.js';
import { complain, Dialog, Icon, Menu, say } from '../lib/parts.js';
import { go, place, setQuery } from '../lib/router.js';
import { me } from '../lib/session.js';
import { ago, refusal, t } from '../lib/strings.js';
import { act, moveTicket } from '../board/actions.js';
import { Approval, Usage } from './panel/approval.js';
import { change } from './panel/change.js';
import { Comments } from './panel/comments.js';
import { Dependencies } from './panel/deps.js';
import { Fields } from './panel/fields.js';
import { History } from './panel/history.js';
import { claim, isDone, release } from './panel/hold.js';
import { Checklist, Evidence } from './panel/lists.js';
import { Tool } from './panel/parts.js';
import { Text, Title } from './panel/text.js';

// keep names the button that keeps the focus when the panel goes to the next ticket.
let keep = null;

// query is what belongs to the view and not to the panel.
function query() {
  const q = new URLSearchParams(location.search);
  q.delete('tab');
  return String(q) && `?${q}`;
}

const idOf = (model, ref) => (/^\d+$/.test(ref) ? Number(ref) : model.fold.byKey.get(ref.toUpperCase()));

// useFound looks for the ticket: on the board, else at the server, which knows the
// archived ones.
function useFound(store, ref) {
  const model = store.shown.value;
  const past = Boolean(store.past.value);
  const away = useSignal({ state: 'loading' });
  const again = useSignal(0);
  const seen = useRef(null);
  const id = idOf(model, ref) ?? seen.current?.id;
  const here = id ? model.ticket(id).value : undefined;
  if (!here) model.revision.value; // it may come
  if (here) seen.current = here;
  useEffect(() => {
    if (here) away.value = { state: 'loading' };
    if (past || here || away.peek().by) return undefined;
    let there = true;
    const ask = async () => {
      try {
        const ticket = await get(`/api/tickets/${encodeURIComponent(ref)}`, { headers: { 'Kanban-Min-Position': String(model.fold.position) } });
        if (!there) return;
        if (ticket.board_id !== store.id) away.value = { state: 'elsewhere', ticket };
        else if (ticket.archived) away.value = { state: 'archived', ticket };
        else model.put(ticket.id, ticket);
      } catch (err) {
        if (!there) return;
        if (err.status === 404) away.value = { state: seen.current || issued(model, ref) ? 'deleted' : 'missing' };
        else away.value = { state: 'failed', problem: err };
      }
    };
    ask();
    return () => { there = false; };
  }, [Boolean(here), past, again.value, model]);
  useEffect(() => {
    const heard = (events) => {
      const own = events.filter((e) => e.ticket_id === (seen.current?.id ?? away.peek().ticket?.id));
      const gone = own.findLast((e) => e.type === 'ticket_deleted');
      if (gone) away.value = { state: 'deleted', by: gone };
      else if (own.length && away.peek().state === 'archived') again.value++;
    };
    store.listeners.add(heard);
    return () => store.listeners.delete(heard);
  }, []);
  if (here) return { state: 'here', ticket: here, model };
  if (past) return { state: 'past', model };
  return { ...away.value, model, retry: () => { away.value = { state: 'loading' }; again.value++; } };
}

// issued tells whether a key was given once: the numbers of a board have no gaps.
function issued(model, ref) {
  const number = Number(/-(\d+)$/.exec(ref)?.[1] ?? 0);
  if (!number || !ref.toUpperCase().startsWith(`${model.board.value.key}-`)) return false;
  for (const x of model.all()) if (Number(x.key.split('-').at(-1)) > number) return true;
  return false;
}

// neighbours are the tickets before and after one, in the order of the board.
function neighbours(model, ticket) {
  const ids = model.board.value.columns.flatMap((c) => model.cell(c.id).value);
  const at = ids.indexOf(ticket?.id);
  return { before: at > 0 ? model.look(ids[at - 1]) : null, after: at >= 0 && at < ids.length - 1 ? model.look(ids[at + 1]) : null };
}

// focusCard gives the focus back to where the ticket is on the board.
function focusCard(id) {
  const to = (selector) => () => {
    if (!document.querySelector('.panel') && document.activeElement === document.body) document.querySelector(selector)?.focus();
  };
  requestAnimationFrame(to(`.card[data-ticket="${id}"]`));
  setTimeout(to('.columns'), 200); // the card is not drawn, or no longer there
}

// useFocusKept gives the focus to what stands nearest where the element that had it is
// gone: a form that was sent, an item that was removed.
function useFocusKept(at) {
  useEffect(() => {
    const el = at.current;
    const controls = 'button:not(:disabled), a[href], input:not(:disabled), select, textarea';
    let path = [];
    let timer = 0;
    const track = (e) => {
      path = [];
      for (let x = e.target; x && x !== el; x = x.parentElement) path.push(x);
    };
    const mend = () => {
      if (!path.length || path[0].isConnected || document.activeElement !== document.body) return;
      const host = path.find((x) => x.isConnected);
      const near = host?.closest('.part, .props, .step');
      path = [];
      (near && (host.querySelector(controls) ?? near.querySelector(controls)) || el).focus();
    };
    // Views that move the focus themselves do so after they are drawn.
    const observer = new MutationObserver(() => {
      clearTimeout(timer);
      if (path.length && !path[0].isConnected) timer = setTimeout(mend, 80);
    });
    el.addEventListener('focusin', track);
    observer.observe(el, { childList: true, subtree: true });
    return () => {
      clearTimeout(timer);
      observer.disconnect();
      el.removeEventListener('focusin', track);
    };
  }, []);
}

export default function Panel({ store, ticket: ref }) {
  const found = useFound(store, ref);
  const { ticket, model, state } = found;
  const at = useRef();
  const board = model.board.value.key;
  const key = ticket?.key ?? ref.toUpperCase();
  const tab = place.value.query.get('tab') === 'history' ? 'history' : 'work';
  const close = () => go(`/boards/${store.ref}${query()}`);
  const id = ticket?.id;
  useEffect(() => {
    (keep ? at.current.querySelector(`[data-keep="${keep}"]`) ?? at.current : at.current).focus();
    keep = null;
    document.querySelector(`.card[data-ticket="${id}"]`)?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, []);
  useEffect(() => () => focusCard(id), [id]);
  useEffect(() => {
    document.title = `${[key, ticket?.title].filter(Boolean).join(' ')} · ${t('app.name')}`;
  }, [key, ticket?.title]);
  useEffect(() => {
    const keys = (e) => {
      if (e.key !== 'Escape' || e.defaultPrevented || document.querySelector('dialog[open]')) return;
      if (e.target !== document.body && !at.current.contains(e.target)) return;
      e.preventDefault();
      close();
    };
    document.addEventListener('keydown', keys);
    return () => document.removeEventListener('keydown', keys);
  }, []);
  const body = useRef();
  useEffect(() => { body.current.scrollTop = 0; }, [tab]);
  useFocusKept(at);
  const archived = state === 'archived';
  const can = (what) => !archived && store.can(what, ticket);
  const may = { change: can('change'), comment: can('comment'), manage: can('manage'), claim: can('claim'), restore: store.can('manage') };
  const shown = state === 'here' || archived;
  return html`<section class="panel" ref=${at} tabindex="-1" aria-label=${t('panel.label', { key })}>
    <${Bar} store=${store} model=${model} ticket=${shown ? ticket : null} name=${key} board=${board} may=${may} archived=${archived} close=${close} />
    <div class="panel-body" ref=${body}>
      ${state === 'here' && store.past.value && html`<p class="notice phone-only">${t('panel.past')}<button class="spread" onClick=${() => setQuery({ at: null })}>${t('panel.back_to_now')}</button></p>`}
      ${archived && html`<p class="notice"><${Icon} name="archive" /><span>${t('panel.archived')}</span>${may.restore && html`<button class="spread" onClick=${() => restore(store, ticket)}>${t('panel.restore')}</button>`}</p>`}
      ${shown ? html`<${Title} store=${store} ticket=${ticket} may=${may} /><${Tabs} tab=${tab} /><div key=${tab} id="panel-${tab}" class="panel-page" role="tabpanel" aria-labelledby="tab-${tab}">${tab === 'history'
    ? html`<${History} store=${store} model=${model} ticket=${ticket} />`
    : html`<${Work} store=${store} model=${model} ticket=${ticket} may=${may} board=${board} />`}</div>`
    : html`<${Away} found=${found} store=${store} name=${key} />`}
    </div></section>`;
}

function Work({ store, model, ticket, may, board }) {
  const all = { store, model, ticket, may, board };
  return html`<${Fields} ...${all} />
    <${Approval} ...${all} />
    <${Text} ...${all} field="description" what=${t('panel.a_description')} />
    <${Text} ...${all} field="acceptance_criteria" what=${t('panel.a_criterion')} />
    <${Checklist} ...${all} /><${Evidence} ...${all} /><${Dependencies} ...${all} /><${Usage} ...${all} /><${Comments} ...${all} />`;
}

const TABS = ['work', 'history'];

function Tabs({ tab }) {
  const at = useRef();
  const pick = (name) => {
    setQuery({ tab: name === 'work' ? null : name });
    keep = null;
  };
  const keys = (e) => {
    if (e.key !== 'ArrowLeft' && e.key !== 'ArrowRight') return;
    e.preventDefault();
    e.stopPropagation();
    const name = TABS[1 - TABS.indexOf(tab)];
    pick(name);
    requestAnimationFrame(() => document.getElementById(`tab-${name}`)?.focus());
  };
  return html`<div class="tabs" ref=${at} role="tablist" aria-label=${t('panel.tabs')} onKeyDown=${keys}>${TABS.map((name) => html`<button key=${name} id="tab-${name}" role="tab" aria-selected=${tab === name} aria-controls=${tab === name ? `panel-${name}` : undefined} tabindex=${tab === name ? 0 : -1}
    onClick=${() => pick(name)}>${t(`panel.${name}`)}</button>`)}</div>`;
}

const restore = (store, ticket) => change(store, ticket, { method: 'POST', path: '/restore', body: {}, text: t('panel.restored_done', { key: ticket.key }) });

// Bar has what is done with the ticket as a whole; on phones it is at the lower end.
function Bar({ store, model, ticket, name, board, may, archived, close }) {
  const deleting = useSignal(false);
  const { before, after } = neighbours(model, ticket);
  const url = (x) => `/boards/${store.ref}/tickets/${x.key}${location.search}`;
  const step = (which, x) => {
    keep = which;
    go(url(x), { replace: true });
  };
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      say(t('app.copied'));
    } catch {
      complain({ detail: text }); // the text itself, to be copied by hand
    }
  };
  const moment = place.value.query.get('at');
  const address = `${location.origin}/boards/${board}/tickets/${name}${moment ? `?at=${encodeURIComponent(moment)}` : ''}`;
  const held = ticket?.lease?.holder_id === me.value.id;
  const items = [
    { label: t('panel.copy_link'), icon: 'link', run: () => copy(address) },
    { label: t('panel.copy_key'), icon: 'copy', run: () => copy(name) },
    may.manage && { label: t('panel.archive'), icon: 'archive', run: () => change(store, ticket, { method: 'POST', path: '/archive', text: t('panel.archived_done', { key: name }) }) },
    archived && may.restore && { label: t('panel.restore'), icon: 'history', run: () => restore(store, ticket) },
    ticket && may.restore && { label: t('panel.delete'), icon: 'trash', danger: true, run: () => { deleting.value = true; } },
  ];
  return html`<header class="row panel-bar"><${Tool} icon="close" label=${t('panel.close')} run=${close} />
    <span class="key number">${name}</span>
    <span class="row spread">
      ${ticket && may.change && html`<span class="phone-only"><${Menu} label=${t('panel.move')} text=${t('panel.move')} className="quiet" icon="up" items=${model.board.value.columns.filter((c) => c.id !== ticket.column_id).map((c) => ({ label: t('panel.move_to', { column: c.name }), icon: 'move', run: () => moveTicket(store, ticket.id, { column: c.id }) }))} /></span>`}
      ${ticket && (held || (!ticket.lease && may.claim && !isDone(model, ticket))) && html`<button class="phone-only main" onClick=${() => (held ? release(store, ticket) : claim(store, ticket))}>${t(held ? 'panel.release' : 'panel.claim_short')}</button>`}
      <button class="quiet square" data-keep="before" disabled=${!before} aria-label=${t('panel.previous')} title=${t('panel.previous')} onClick=${() => step('before', before)}><${Icon} name="up" /></button>
      <button class="quiet square" data-keep="after" disabled=${!after} aria-label=${t('panel.next')} title=${t('panel.next')} onClick=${() => step('after', after)}><${Icon} name="down" /></button>
      <${Menu} label=${t('panel.menu', { key: name })} items=${items} /></span>
    ${deleting.value && html`<${Dialog} title=${t('panel.delete_title', { key: name })} onClose=${() => { deleting.value = false; }}><p>${t('panel.delete_lead')}</p>
      <div class="row"><button class="danger" onClick=${() => { deleting.value = false; change(store, ticket, { method: 'DELETE', text: t('panel.deleted_done', { key: name }) }); }}>${t('panel.delete')}</button><button class="quiet" onClick=${() => { deleting.value = false; }}>${t('app.cancel')}</button></div><//>`}
  </header>`;
}

// Away is what there is to say about a ticket that is not on the board.
function Away({ found, store, name }) {
  const { state, by, ticket, problem, retry } = found;
  const bringBack = () => act({ path: `/api/commands/${by.command_id}/undo`, text: t('panel.bring_back') });
  switch (state) {
    case 'loading':
      return html`<div class="stack" role="status" aria-label=${t('app.loading')}><div class="bone title-bone"></div><div class="bone text-bone"></div><div class="bone text-bone"></div></div>`;
    case 'past':
      return html`<div class="empty"><p>${t('panel.not_then', { key: name })}</p><button onClick=${() => setQuery({ at: null })}>${t('panel.back_to_now')}</button></div>`;
    case 'deleted':
      return html`<div class="empty"><h2>${t('panel.deleted', { key: name })}</h2><p>${by ? t('panel.deleted_by', { name: by.actor.name, time: ago(by.time) }) : t('panel.deleted_lead')}</p>${by && store.can('manage') && html`<button onClick=${bringBack}>${t('panel.bring_back')}</button>`}</div>`;
    case 'elsewhere':
      return html`<div class="empty"><p>${t('panel.elsewhere', { key: name })}</p><a class="button" href="/boards/${ticket.board_id}/tickets/${ticket.key}">${t('panel.open_there')}</a></div>`;
    case 'failed':
      return html`<p class="notice red" role="alert">${refusal(problem)} <button class="spread" onClick=${retry}>${t('app.retry')}</button></p>`;
    default:
      return html`<div class="empty"><h2>${t('panel.missing', { key: name })}</h2><p>${t('panel.missing_lead')}</p></div>`;
  }
}
