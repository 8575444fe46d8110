// Why a card is where it is: all that happened to it, newest first.
import { html, useEffect, useRef, useSignal } from '../../vendor/preact.js';
import { get, newKey, post } from '../../lib/api.js';
import { complain, Icon } from '../../lib/parts.js';
import { me } from '../../lib/session.js';
import { ago, exact, span, t } from '../../lib/strings.js';
import { last, undoable } from '../../board/actions.js';
import { now } from '../../board/store.js';
import { wants } from './approval.js';
import { Failed, When, Who } from './parts.js';
import { Lines } from './text.js';
import { lines } from './words.js';

const PAGE = 100;

// useHistory loads events page by page, the newest first, and takes live ones.
function useHistory(store, ticket) {
  const events = useSignal(null); // newest first
  const more = useSignal(null); // cursor of the next page
  const failed = useSignal(null);
  const busy = useSignal(false);
  const undone = useSignal(new Map()); // command id to the event that took it back
  const add = (items) => {
    const by = new Map((events.peek() ?? []).map((e) => [e.position, e]));
    for (const e of items) by.set(e.position, e);
    events.value = [...by.values()].sort((a, b) => b.position - a.position);
  };
  const takeBack = (items) => {
    const map = new Map(undone.peek());
    for (const e of items) for (const id of e.data?.command_ids ?? []) map.set(id, e);
    undone.value = map;
  };
  const load = async (cursor) => {
    if (busy.peek()) return;
    busy.value = true;
    failed.value = null;
    try {
      const page = await get(`/api/events?ticket=${ticket.id}&order=desc&limit=${PAGE}${cursor ? `&cursor=${cursor}` : ''}`);
      add(page.items);
      more.value = page.next_cursor;
    } catch (err) {
      failed.value = err;
    }
    busy.value = false;
  };
  useEffect(() => {
    events.value = null;
    load();
    get(`/api/events?board=${ticket.board_id}&type=commands_undone&order=desc&limit=${PAGE}`).then(({ items }) => takeBack(items), () => {}); // the list is whole without
    const heard = (batch) => {
      const own = batch.filter((e) => e.ticket_id === ticket.id);
      if (own.length) add(own);
      const back = batch.filter((e) => e.type === 'commands_undone');
      if (back.length) takeBack(back);
    };
    store.listeners.add(heard);
    return () => store.listeners.delete(heard);
  }, [ticket.id]);
  const upTo = store.past.value ? store.past.value.position.value : Infinity;
  return { events: events.value?.filter((e) => e.position <= upTo) ?? null, more: more.value, failed: failed.value, busy: busy.value, undone: undone.value, load };
}

// groups puts what one command did to the ticket together.
function groups(events) {
  const list = [];
  for (const [i, e] of events.entries()) {
    const g = list.at(-1);
    if (g && g.command === e.command_id && g.actor.id === e.actor.id && g.actor.kind === e.actor.kind) g.events.push({ e, i });
    else list.push({ command: e.command_id, actor: e.actor, events: [{ e, i }] });
  }
  return list;
}

// takenBack is the event that took a command back, unless that was taken back too.
function takenBack(undone, command) {
  const e = undone.get(command);
  return e && !takenBack(undone, e.command_id) ? e : undefined;
}

const nameOf = (actor) => (actor.kind === 'system' ? t('history.system') : actor.name);

function Line({ line }) {
  const long = line.body && (line.body.length > 160 || line.body.split('\n').length > 3);
  return html`<div class="happened"><${Icon} name=${line.icon} /><div><span>${line.text}</span>
    ${line.from !== undefined && line.from !== null && html` <span class="tag value" dir="auto">${line.from}</span> →`}
    ${line.to !== undefined && html` <span class="tag value" dir="auto">${line.to}</span>`}
    ${line.note && html` <span class="soft small">${line.note}</span>`}
    ${line.was && html`<details><summary class="soft">${t('history.changed')}</summary><div class="conflict-texts"><div><h4>${t('history.before')}</h4><${Lines} text=${line.was} other=${line.body} /></div><div><h4>${t('history.after')}</h4><${Lines} text=${line.body} other=${line.was} /></div></div></details>`}
    ${line.body && !line.was && (long ? html`<details><summary class="soft">${line.body.slice(0, 120).trim()}…</summary><p class="quoted" dir="auto">${line.body}</p></details>` : html`<p class="quoted" dir="auto">${line.body}</p>`)}</div></div>`;
}

// Others lists what else a command did, on this ticket or others.
function Others({ store, first, group }) {
  const found = useSignal(null);
  useEffect(() => {
    let there = true;
    const own = new Set(group.events.map(({ e }) => e.position));
    const after = Math.max(0, first.position - 251);
    get(`/api/events?board=${first.board_id}&after=${after}&limit=500`).then(({ items }) => {
      if (!there) return;
      const list = items.filter((e) => e.command_id === group.command && !own.has(e.position));
      found.value = { list, cut: list.some((e) => e.position === items[0].position && after > 0) || list.at(-1)?.position === after + 500 };
    }, () => { if (there) found.value = { list: [] }; });
    return () => { there = false; };
  }, [group.command]);
  if (!found.value) return html`<div class="bone" role="status" aria-label=${t('app.loading')}>\u00a0</div>`;
  const { list, cut } = found.value;
  if (!list.length) return html`<p class="soft small">${t('history.same_none')}</p>`;
  const { fold } = store.live.value;
  return html`<h4 class="soft small">${t('history.same')}</h4><ul class="bare small">${list.slice(0, 100).map((e) => {
    const key = fold.tickets.get(e.ticket_id)?.key ?? (e.ticket_id ? `#${e.ticket_id}` : t('history.on_board'));
    return html`<li key=${e.position} class="row"><span class="key number">${key}</span><span class="cut">${lines(e).map((l) => [l.text, l.to].filter(Boolean).join(' ')).join(', ')}</span></li>`;
  })}</ul>${(cut || list.length > 100) && html`<p class="soft small">${t('history.same_more')}</p>`}`;
}

function Details({ store, group, taken }) {
  const { e: first } = group.events.at(-1);
  const busy = useSignal(false);
  const own = group.actor.id === me.value.id && group.actor.kind !== 'system';
  const mayUndo = group.actor.kind !== 'system' && !taken && (store.can('manage') || (own && store.can('comment')));
  const undo = async () => {
    busy.value = true;
    try {
      const key = newKey();
      await post(`/api/commands/${encodeURIComponent(group.command)}/undo`, undefined, { key });
      last.value = { key, text: t('undone') };
      undoable(t('undone'), key);
    } catch (err) {
      complain(err);
    }
    busy.value = false;
  };
  const { key } = store.live.value.board.value;
  const newest = group.events[0].e;
  return html`<div class="details"><dl class="facts small"><dt>${t('history.at')}</dt><dd>${exact(first.time)}</dd>
    <dt>${t('history.position')}</dt><dd class="number">${group.events.map(({ e }) => e.position).reverse().join(', ')}</dd>
    <dt>${t('history.command')}</dt><dd><code>${group.command}</code></dd>
    ${first.correlation_id && html`<dt>${t('history.correlation')}</dt><dd><code>${first.correlation_id}</code></dd>`}
    ${first.causation_id && html`<dt>${t('history.causation')}</dt><dd><code>${first.causation_id}</code></dd>`}</dl>
    ${taken && html`<p class="small">${t('history.undone_by', { name: taken.actor.name, time: ago(taken.time) })}</p>`}
    <${Others} store=${store} first=${first} group=${group} />
    <details class="small"><summary>${t('history.fact')}</summary><pre>${group.events.map(({ e }) => `${e.type} ${JSON.stringify(e.data, null, 2)}`).reverse().join('\n')}</pre></details>
    <div class="row wrap">${mayUndo && html`<button disabled=${busy.value} onClick=${undo}>${t('history.undo')}</button>`}<a class="button" href="/boards/${key}?at=${newest.position}"><${Icon} name="history" />${t('history.look')}</a></div></div>`;
}

function Group({ store, group, events, undone, undoes }) {
  const open = useSignal(false);
  const taken = takenBack(undone, group.command);
  const name = nameOf(group.actor);
  const at = group.events[0].e.time;
  const older = (i) => function* older() {
    for (let j = i + 1; j < events.length; j++) yield events[j];
  };
  return html`<li class=${taken ? 'step taken' : 'step'}>
    <div class="row step-head"><${Who} name=${name} agent=${group.actor.kind === 'agent'} /><${When} at=${at} />
      ${taken && html`<span class="tag amber" title=${t('history.undone_by', { name: taken.actor.name, time: ago(taken.time) })}>${t('history.undone')}</span>`}
      ${undoes && html`<span class="tag">${t('history.undoes', { name: undoes })}</span>`}
      <button class="quiet square spread" aria-expanded=${open.value} aria-label=${t('history.details', { name, time: ago(at, now.value) })} title=${exact(at)} onClick=${() => { open.value = !open.value; }}><${Icon} name=${open.value ? 'up' : 'down'} /></button></div>
    ${[...group.events].reverse().flatMap(({ e, i }) => lines(e, older(i)).map((line, n) => html`<${Line} key="${e.position}-${n}" line=${line} />`))}
    ${open.value && html`<${Details} store=${store} group=${group} taken=${taken} />`}</li>`;
}

// Why says in a few sentences how the ticket came to be where it is, and what keeps it
// there.
function Why({ store, model, ticket, events }) {
  const came = events.find((e) => e.data && (['ticket_created', 'ticket_recovered', 'ticket_restored'].includes(e.type) || (e.type === 'ticket_moved' && e.data.from_column_id !== e.data.column_id)));
  const parts = [];
  const column = ticket.current_column;
  if (came) {
    const name = nameOf(came.actor);
    if (came.type === 'ticket_moved') parts.push(t('history.why_moved', { name, from: came.data.from_column, column }));
    else parts.push(t(came.type === 'ticket_created' ? 'history.why_created' : 'history.why_restored', { name, column }));
  }
  const { columns } = model.board.value;
  const kind = columns.find((c) => c.id === ticket.column_id)?.kind;
  if (ticket.blocked) {
    const open = ticket.depends_on.filter((key) => columns.find((c) => c.id === model.byKey(key)?.column_id)?.kind !== 'done');
    parts.push(t('history.why_blocked', { keys: open.join(', ') }));
  }
  const { approval, lease } = ticket;
  if (approval && kind !== 'done') parts.push(t(`history.why_${approval.state}`, { name: approval.by }));
  if (lease) parts.push(t('history.why_held', { name: lease.holder, time: span((Math.max(store.leases.value.get(ticket.id) ?? 0, new Date(lease.expires_at)) - now.value) / 1000) }));
  else if (kind === 'active') parts.push(t('history.why_free'));
  const done = kind !== 'done' && columns.find((c) => c.kind === 'done' && wants(c, ticket, columns).some((w) => !w.met));
  if (done) parts.push(t('history.why_gate', { column: done.name, list: wants(done, ticket, columns).filter((w) => !w.met).map((w) => w.name).join(', ') }));
  return html`<section class="why" aria-label=${t('history.why')}><h3>${t('history.why')}</h3><p dir="auto">${parts.join(' ')}</p><p class="soft small" title=${exact(ticket.column_entered_at)}>${t('history.why_since', { column, time: exact(ticket.column_entered_at) })}</p></section>`;
}

export function History({ store, model, ticket }) {
  const { events, more, failed, busy, undone, load } = useHistory(store, ticket);
  const end = useRef();
  useEffect(() => {
    if (!more || !end.current) return undefined;
    const watcher = new IntersectionObserver((entries) => { if (entries.some((e) => e.isIntersecting)) load(more); });
    watcher.observe(end.current);
    return () => watcher.disconnect();
  }, [more]);
  if (!events) return failed ? html`<${Failed} problem=${failed} again=${() => load()} />` : html`<div class="stack" role="status" aria-label=${t('app.loading')}>${[1, 2, 3, 4].map((i) => html`<div class="bone step-bone" key=${i}></div>`)}</div>`;
  const undoing = new Map([...undone.values()].map((e) => [e.command_id, e.data.actor]));
  return html`<${Why} store=${store} model=${model} ticket=${ticket} events=${events} />
    <section aria-label=${t('history.title')}><h3 class="unseen">${t('history.title')}</h3>
    <ol class="bare steps">${groups(events).map((g) => html`<${Group} key="${g.command}-${g.events.at(-1).e.position}" store=${store} group=${g} events=${events} undone=${undone} undoes=${undoing.get(g.command)} />`)}</ol>
    ${failed && html`<${Failed} problem=${failed} again=${() => load(more)} />`}
    ${more ? html`<div ref=${end}><button disabled=${busy} onClick=${() => load(more)}>${t('history.more')}</button></div>` : html`<p class="soft small the-end">${t('history.end')}</p>`}</section>`;
}
