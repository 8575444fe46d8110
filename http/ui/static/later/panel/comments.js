// What was said about a ticket. Comments follow the events; in a past mode they are
// folded from the events up to then.
import { html, useEffect, useRef, useSignal } from '../../vendor/preact.js';
import { del, get, newKey, post, put } from '../../lib/api.js';
import { foldComments } from '../../lib/fold.js';
import { complain, Menu } from '../../lib/parts.js';
import { me } from '../../lib/session.js';
import { ago, exact, t } from '../../lib/strings.js';
import { last, undoable } from '../../board/actions.js';
import { draft, keep } from './drafts.js';
import { Failed, Section, When, Who } from './parts.js';
import { Markdown, Writer } from './text.js';

const PAGES_AT_ONCE = 3;

// spoken are all events about the comments of a ticket.
async function spoken(ticket) {
  const list = [];
  for (let after = 0; ;) {
    const { items, next_cursor: next } = await get(`/api/events?ticket=${ticket.id}&type=comment_added,comment_updated,comment_deleted&after=${after}&limit=1000`);
    list.push(...items);
    if (!next) return list;
    after = Number(next);
  }
}

function useComments(store, ticket) {
  const state = useSignal({ list: null, cursor: null, total: 0 });
  const failed = useSignal(null);
  const told = useSignal([]);
  const past = Boolean(store.past.value);
  const position = past ? store.past.value.position.value : 0;
  const merge = (items) => {
    const have = new Map(items.map((c) => [c.id, c]));
    for (const c of state.peek().list ?? []) have.set(c.id, c);
    return [...have.values()].sort((a, b) => a.id - b.id);
  };
  const load = async (pages, cursor) => {
    failed.value = null;
    try {
      for (let i = 0; i < pages; i++) {
        const page = await get(`/api/comments/ticket/${ticket.id}?limit=100${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`);
        cursor = page.next_cursor;
        state.value = { list: merge(page.items), cursor, total: page.total };
        if (!cursor) return;
      }
    } catch (err) {
      failed.value = err;
    }
  };
  useEffect(() => {
    if (past) {
      // Time may run: the events are asked for once.
      spoken(ticket).then((list) => { told.value = list; }, (err) => { failed.value = err; });
      return undefined;
    }
    state.value = { list: null, cursor: null, total: 0 };
    load(PAGES_AT_ONCE);
    const heard = (events) => {
      const s = state.peek();
      if (events.some((e) => e.type === 'data_redacted' && e.ticket_id === ticket.id)) {
        state.value = { list: null, cursor: null, total: 0 };
        load(PAGES_AT_ONCE);
        return;
      }
      const list = events.filter((e) => e.ticket_id === ticket.id).reduce(foldComments, s.list ?? []);
      if (list !== s.list && (s.list || list.length)) state.value = { ...s, list, total: s.total + list.length - (s.list?.length ?? 0) };
    };
    store.listeners.add(heard);
    return () => store.listeners.delete(heard);
  }, [ticket.id, past]);
  if (past) {
    const list = told.value.filter((e) => e.position <= position).reduce(foldComments, []);
    return { list, cursor: null, total: list.length, failed: failed.value, load() {} };
  }
  return { ...state.value, failed: failed.value, load, fold: (list) => { state.value = { ...state.peek(), list }; }, peek: () => state.peek().list ?? [] };
}

function Comment({ comment: c, ticket, may, board }) {
  const name = `${ticket.id}.comment.${c.id}`;
  const editing = useSignal(Boolean(draft(name).peek()));
  const busy = useSignal(false);
  const opener = useRef();
  const agent = c.author_kind === 'agent';
  const own = c.author === me.value.username && !agent;
  const mayEdit = may.manage || (own && may.comment);
  const leave = () => {
    keep(name, null);
    editing.value = false;
    requestAnimationFrame(() => opener.current?.querySelector('button')?.focus());
  };
  const save = async (text) => {
    if (!text.trim() || busy.peek()) return;
    if (text === c.text) {
      leave();
      return;
    }
    busy.value = true;
    try {
      const key = newKey();
      await put(`/api/comments/${c.id}`, { text }, { key });
      last.value = { key, text };
      leave();
    } catch (err) {
      complain(err);
    }
    busy.value = false;
  };
  const remove = async () => {
    try {
      const key = newKey();
      await del(`/api/comments/${c.id}`, { key });
      const said = t('panel.comment_deleted', { key: ticket.key });
      last.value = { key, text: said };
      undoable(said, key);
    } catch (err) {
      complain(err);
    }
  };
  return html`<li class=${agent ? 'comment by-agent' : 'comment'} id="comment-${c.id}"><div class="row comment-head"><${Who} name=${c.author} agent=${agent} /><${When} at=${c.created_at} />
    ${c.updated_at !== c.created_at && html`<span class="soft small" title=${exact(c.updated_at)}>${t('panel.comment_edited', { time: ago(c.updated_at) })}</span>`}
    ${mayEdit && !editing.value && html`<span class="spread" ref=${opener}><${Menu} label=${t('panel.comment_menu', { name: c.author })} items=${[
    { label: t('panel.comment_edit'), icon: 'edit', run: () => { editing.value = true; } },
    { label: t('panel.comment_delete'), icon: 'trash', danger: true, run: remove },
  ]} /></span>`}</div>
    ${editing.value
    ? html`<${Writer} name=${name} base=${c.text} label=${t('panel.comment')} board=${board} focus action=${t('app.save')} busy=${busy.value} submit=${save} onLeave=${leave} />`
    : html`<${Markdown} text=${c.text} board=${board} />`}</li>`;
}

export function Comments({ store, ticket, may, board }) {
  const { list, cursor, total, failed, load, fold, peek } = useComments(store, ticket);
  const busy = useSignal(false);
  const name = `${ticket.id}.comment`;
  const send = async (text) => {
    if (!text.trim() || busy.peek()) return;
    busy.value = true;
    try {
      const key = newKey();
      const comment = await post('/api/comments', { ticket_id: String(ticket.id), text }, { key });
      last.value = { key, text };
      keep(name, null);
      if (!peek().some((c) => c.id === comment.id)) fold([...peek(), comment]);
    } catch (err) {
      complain(err); // what was written stays
    }
    busy.value = false;
  };
  if (!list && !failed) return html`<${Section} title=${t('panel.comments')}><div class="bone comment-bone" role="status" aria-label=${t('app.loading')}></div><//>`;
  if (list && !list.length && !may.comment && !failed) return null;
  return html`<${Section} title=${t('panel.comments')} note=${total || ''} className="comments">
    ${failed && html`<${Failed} problem=${failed} again=${() => load(PAGES_AT_ONCE, cursor)} />`}
    ${list && html`<ol class="bare">${list.map((c) => html`<${Comment} key=${c.id} comment=${c} ticket=${ticket} may=${may} board=${board} />`)}</ol>`}
    ${cursor && html`<button onClick=${() => load(PAGES_AT_ONCE, cursor)}>${t('panel.comments_more', { n: total - list.length })}</button>`}
    ${list?.length === 0 && html`<p class="soft">${t('panel.comments_none')}</p>`}
    ${may.comment && html`<${Writer} name=${name} label=${t('panel.comment_add')} placeholder=${t('panel.comment_add')} board=${board} rows=${2} action=${t('panel.comment_send')} busy=${busy.value} submit=${send} />`}<//>`;
}
