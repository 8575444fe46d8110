// Who holds a ticket, for how long yet, and the buttons to take and give it.
import { html, useEffect, useSignal } from '../../vendor/preact.js';
import { get, newKey, post } from '../../lib/api.js';
import { complain, Face, toast } from '../../lib/parts.js';
import { me } from '../../lib/session.js';
import { exact, span, t } from '../../lib/strings.js';
import { now } from '../../board/store.js';
import { change } from './change.js';
import { agentsOf } from './kinds.js';
import { NoteDialog } from './parts.js';

// A person's claim is long: they send no heartbeats.
const HOURS_4 = 4 * 3600;

// noteEnd tells the board when a lease ends: heartbeats move that without an event.
function noteEnd(store, id, lease) {
  const ends = new Date(lease.expires_at).getTime();
  if (store.leases.peek().get(id) !== ends) store.leases.value = new Map(store.leases.peek()).set(id, ends);
}

export const claim = (store, ticket) => change(store, ticket, {
  method: 'POST', path: '/claim', body: { lease_seconds: HOURS_4 }, text: t('panel.claim_done', { key: ticket.key }),
});

export const release = (store, ticket, note) => change(store, ticket, {
  method: 'POST', path: '/release', body: note ? { note } : {}, text: t('panel.release_done', { key: ticket.key }),
});

async function longer(store, ticket) {
  try {
    const { lease } = await post(`/api/tickets/${ticket.id}/heartbeat`, { lease_seconds: HOURS_4 }, { key: newKey() });
    noteEnd(store, ticket.id, lease);
    toast(t('panel.kept', { key: ticket.key }));
  } catch (err) {
    complain(err);
  }
}

export const isDone = (model, ticket) => model.board.value.columns.some((c) => c.id === ticket.column_id && c.kind === 'done');

// useLeaseEnd is when the lease of a ticket ends, as heartbeats moved it.
function useLeaseEnd(store, ticket) {
  const fence = ticket.lease?.fence;
  const live = !store.past.value;
  useEffect(() => {
    if (!fence || !live) return undefined;
    const ask = () => {
      if (document.hidden) return;
      get(`/api/tickets/${ticket.id}`).then((x) => { if (x.lease?.fence === fence) noteEnd(store, ticket.id, x.lease); }, () => {});
    };
    ask();
    const timer = setInterval(ask, 30_000);
    return () => clearInterval(timer);
  }, [fence, live]);
  if (!ticket.lease) return 0;
  const said = new Date(ticket.lease.expires_at).getTime();
  return live ? Math.max(store.leases.value.get(ticket.id) ?? 0, said) : said;
}

export function Holder({ store, model, ticket, may }) {
  const taking = useSignal(false);
  const ends = useLeaseEnd(store, ticket);
  const { lease } = ticket;
  if (!lease) {
    return html`<span class="row wrap"><span class="soft">${t('panel.nobody')}</span>${may.claim && !isDone(model, ticket) && html`<button class="spread" onClick=${() => claim(store, ticket)}>${t('panel.claim')}</button>`}</span>`;
  }
  const mine = lease.holder_id === me.value.id;
  const left = (ends - now.value) / 1000;
  return html`<span class="row wrap"><${Face} name=${lease.holder} agent=${agentsOf(store).has(lease.holder)} /><strong dir="auto">${lease.holder}</strong>
    ${!store.past.value && html`<span class="soft small number" title=${exact(ends)}>${left > 15 ? t('panel.left', { time: span(left) }) : t('panel.run_out')}</span>`}
    <span class="row spread">${mine && may.change && html`<button onClick=${() => longer(store, ticket)}>${t('panel.keep')}</button><button onClick=${() => release(store, ticket)}>${t('panel.release')}</button>`}
    ${!mine && may.manage && html`<button onClick=${() => { taking.value = true; }}>${t('panel.take_away')}</button>`}</span>
    ${taking.value && html`<${NoteDialog} title=${t('panel.take_away_title', { key: ticket.key, name: lease.holder })} lead=${t('panel.take_away_lead', { name: lease.holder })} action=${t('panel.take_away')}
      submit=${({ note }) => release(store, ticket, note)} onClose=${() => { taking.value = false; }} />`}</span>`;
}
