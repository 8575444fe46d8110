// Approval of a ticket, what the columns ask for, and what the work cost.
import { html, useEffect, useSignal } from '../../vendor/preact.js';
import { get } from '../../lib/api.js';
import { Icon } from '../../lib/parts.js';
import { me } from '../../lib/session.js';
import { number, t } from '../../lib/strings.js';
import { change } from './change.js';
import { agentsOf } from './kinds.js';
import { NoteDialog, Section, When } from './parts.js';
import { Markdown } from './text.js';

// wants lists what a column asks of a ticket that is to enter it: [{name, met}].
export function wants(column, ticket, columns) {
  const p = column.policy;
  const list = [];
  if (p.allow_from?.length) {
    const names = p.allow_from.map((id) => columns.find((c) => c.id === id)?.name).filter(Boolean).join(', ');
    list.push({ name: t('panel.gate_from', { columns: names }), met: p.allow_from.includes(ticket.column_id) });
  }
  if (p.require_checklist) list.push({ name: t('panel.gate_checklist'), met: ticket.checklist.length > 0 && ticket.checklist.every((x) => x.done) });
  if (p.require_evidence) list.push({ name: t('panel.gate_evidence'), met: ticket.evidence.length > 0 });
  if (p.approval) list.push({ name: t('panel.gate_approval'), met: ticket.approval?.state === 'approved' });
  return list;
}

// ahead are the columns that a ticket has yet to enter.
const ahead = (ticket, columns) => columns.slice(columns.findIndex((c) => c.id === ticket.column_id) + 1);

function Gates({ ticket, columns }) {
  const gates = ahead(ticket, columns).map((c) => ({ column: c, list: wants(c, ticket, columns) })).filter((g) => g.list.length);
  return gates.map(({ column, list }) => html`<p class="row wrap small" key=${column.id}><span class="soft">${t('panel.gate', { column: column.name })}</span>
    ${list.map((w) => html`<span key=${w.name} class="tag gate ${w.met ? 'green' : 'amber'}"><${Icon} name=${w.met ? 'check' : 'close'} label=${t(w.met ? 'panel.gate_met' : 'panel.gate_unmet')} />${w.name}</span>`)}</p>`);
}

// useLastHolder is who claimed the ticket last: they may not approve it.
function useLastHolder(store, ticket, wanted) {
  const holder = useSignal(null);
  useEffect(() => {
    if (!wanted) return;
    get(`/api/events?ticket=${ticket.id}&type=ticket_claimed&order=desc&limit=1000`).then(({ items }) => {
      holder.value = items.reduce((a, b) => (!a || b.position > a.position ? b : a), null)?.actor.id ?? null;
    }, () => {}); // the server says it when asked
  }, [ticket.id, ticket.lease?.fence, wanted]);
  return holder.value;
}

const STATES = { requested: ['amber', 'approval'], approved: ['green', 'check'], rejected: ['red', 'close'] };

export function Approval({ store, model, ticket, may, board }) {
  const asking = useSignal(null);
  const columns = model.board.value.columns;
  const { approval } = ticket;
  const wanted = Boolean(approval) || columns.some((c) => c.policy.approval);
  const last = useLastHolder(store, ticket, may.manage && wanted);
  const gates = ahead(ticket, columns).some((c) => wants(c, ticket, columns).length);
  if (!wanted && !gates) return null;
  const own = ticket.assignee === me.value.username || ticket.lease?.holder_id === me.value.id || last === me.value.id;
  const close = () => { asking.value = null; };
  const send = (path, body, text) => change(store, ticket, { method: 'POST', path, body, text: t(text, { key: ticket.key }) });
  const { key, version } = ticket;
  const [colour, icon] = STATES[approval?.state] ?? [];
  const open = approval?.state !== 'approved';
  const started = columns.find((c) => c.id === ticket.column_id)?.kind !== 'backlog';
  return html`<${Section} title=${t(approval || (wanted && started) ? 'panel.approval' : 'panel.gates')} className=${approval?.state === 'requested' ? 'asked' : ''}>
    ${approval
    ? html`<p class="row wrap"><span class="tag ${colour} gate"><${Icon} name=${icon} />${t(`panel.approval_${approval.state}`, { name: approval.by })}</span>${agentsOf(store).has(approval.by) && html`<span class="tag violet" title=${t('panel.agent_text')}>${t('panel.agent')}</span>`}<${When} at=${approval.at} /></p>
      ${approval.note && html`<blockquote class="note"><${Markdown} text=${approval.note} board=${board} /></blockquote>`}`
    : wanted && started && html`<p class="soft">${t('panel.approval_none')}</p>`}
    <${Gates} ticket=${ticket} columns=${columns} />
    ${wanted && open && html`<div class="row wrap">
      ${may.manage && !own && (approval || started) && html`<button class=${approval?.state === 'requested' ? 'main' : ''} onClick=${() => { asking.value = 'approve'; }}><${Icon} name="approval" />${t('panel.approve')}</button>`}
      ${may.manage && approval?.state === 'requested' && html`<button onClick=${() => { asking.value = 'reject'; }}>${t('panel.reject')}</button>`}
      ${may.change && approval?.state !== 'requested' && started && html`<button onClick=${() => { asking.value = 'ask'; }}>${t('panel.approval_ask')}</button>`}
      ${may.manage && own && (approval || started) && html`<span class="soft small">${t('panel.own_work')}</span>`}
      ${!may.manage && may.comment && approval?.state === 'requested' && html`<span class="soft small">${t('panel.not_pm')}</span>`}</div>`}
    ${asking.value === 'ask' && html`<${NoteDialog} title=${t('panel.approval_ask_title', { key })} lead=${t('panel.approval_ask_lead')} action=${t('panel.approval_ask')}
      submit=${({ note }) => send('/request-approval', { note }, 'panel.asked_done')} onClose=${close} />`}
    ${asking.value === 'approve' && html`<${NoteDialog} title=${t('panel.approve_title', { key })} lead=${t('panel.approve_lead')} action=${t('panel.approve')}
      submit=${({ note }) => send('/approve', { note, version }, 'panel.approved_done')} onClose=${close} />`}
    ${asking.value === 'reject' && html`<${NoteDialog} title=${t('panel.reject_title', { key })} label=${t('panel.reject_note')} required action=${t('panel.reject')}
      submit=${({ note, column }) => send('/reject', { note, version, ...(column && { column }) }, 'panel.rejected_done')} onClose=${close}>
      <label class="field"><span>${t('panel.reject_to')}</span><select name="column"><option value="">${t('panel.stays')}</option>${columns.filter((c) => c.id !== ticket.column_id && c.kind !== 'done').map((c) => html`<option key=${c.id} value=${String(c.id)}>${c.name}</option>`)}</select></label><//>`}
  <//>`;
}

// Usage shows where there is some.
export function Usage({ store, ticket }) {
  const sum = useSignal(null);
  useEffect(() => {
    let there = true;
    get(`/api/tickets/${ticket.id}/usage`).then((u) => { if (there) sum.value = u; }, () => {}); // a ticket is whole without
    const heard = (events) => {
      for (const { type, ticket_id: id, data } of events) {
        if (type !== 'usage_recorded' || id !== ticket.id || !data || !sum.peek()) continue;
        const s = sum.peek();
        sum.value = { input_tokens: s.input_tokens + data.input_tokens, output_tokens: s.output_tokens + data.output_tokens, cost_micros: s.cost_micros + data.cost_micros, reports: s.reports + 1 };
      }
    };
    store.listeners.add(heard);
    return () => {
      there = false;
      store.listeners.delete(heard);
    };
  }, [ticket.id]);
  const s = sum.value;
  if (!s?.reports || store.past.value) return null;
  return html`<${Section} title=${t('panel.usage')}><p class="row wrap number"><span>${t('panel.usage_tokens', { in: number(s.input_tokens), out: number(s.output_tokens) })}</span>
    ${s.cost_micros > 0 && html`<span>· ${t('panel.usage_cost', { cost: cost(s.cost_micros) })}</span>`}<span class="soft small">${t('panel.usage_reports', { n: number(s.reports) })}</span></p><//>`;
}

export const cost = (micros) => (micros / 1e6).toFixed(micros < 10_000 ? 4 : 2);
