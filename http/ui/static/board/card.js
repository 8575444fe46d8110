// A card: at most three lines.
import { html, memo, useEffect, useRef } from '../vendor/preact.js';
import { Face, Icon } from '../lib/parts.js';
import { exact, span, t } from '../lib/strings.js';
import * as dnd from './dnd.js';
import { now } from './store.js';

// ageOf compares how long a ticket has been in its column with those that left it: fresh
// up to the median, slow up to the 85th percentile, late beyond. Columns of kind backlog
// and done have no age, and neither has a column that fewer than five have left.
export function ageOf(ticket, column, ages, at) {
  const seconds = (at - new Date(ticket.column_entered_at).getTime()) / 1000;
  const a = ages.get(column?.id);
  const time = span(seconds);
  if (!column || column.kind === 'backlog' || column.kind === 'done') return { level: '', title: t('card.age', { time }), time, seconds };
  if (!a || a.n < 5) return { level: 'none', title: t('card.age', { time }), time, seconds };
  const level = seconds > a.p85 ? 'late' : seconds > a.p50 ? 'slow' : 'fresh';
  return { level, title: t(`card.age_${level}`, { time, p50: span(a.p50), p85: span(a.p85) }), time, seconds };
}

const LEASE_RING = 2 * Math.PI * 12;

// Holder shows who has a ticket: an agent with the ring of its lease running down.
function Holder({ ticket, ends }) {
  const { lease, assignee } = ticket;
  if (!lease) return assignee ? html`<${Face} name=${assignee} title=${t('card.assigned', { name: assignee })} />` : null;
  const until = Math.max(ends ?? 0, new Date(lease.expires_at).getTime());
  const left = Math.max(0, (until - now.value) / 1000);
  const whole = Math.max(1, (until - new Date(lease.claimed_at).getTime()) / 1000);
  const label = left > 15 ? t('card.held', { name: lease.holder, time: span(left) }) : t('card.held_out', { name: lease.holder });
  return html`<span class="holder" title=${label}><${Face} name=${lease.holder} agent title=${label} />
    <svg class=${left < whole / 5 ? 'lease late' : 'lease'} viewBox="0 0 28 28" aria-hidden="true"><circle cx="14" cy="14" r="12" stroke-dasharray=${LEASE_RING} stroke-dashoffset=${LEASE_RING * (1 - Math.min(1, left / whole))} /></svg></span>`;
}

// labelled says a card in one sentence, for those who hear it.
function labelled(ticket, age) {
  const parts = [ticket.key, ticket.title];
  if (ticket.priority === 'urgent' || ticket.priority === 'high') parts.push(t(`priority.${ticket.priority}`));
  if (ticket.blocked) parts.push(t('card.blocked'));
  if (ticket.approval?.state === 'requested') parts.push(t('card.waiting'));
  if (ticket.lease) parts.push(t('card.held', { name: ticket.lease.holder, time: span((new Date(ticket.lease.expires_at) - now.peek()) / 1000) }));
  else if (ticket.assignee) parts.push(t('card.assigned', { name: ticket.assignee }));
  parts.push(age.title);
  return parts.join(', ');
}

const MAX_LABELS = 3;

function draw({ id, store, model, column, selected, onPick }) {
  const ticket = model.ticket(id).value;
  const at = useRef();
  useEffect(() => (at.current && !store.past.value ? dnd.card(at.current, id, column.id, () => store.can('change', model.look(id))) : undefined), [id, column.id, model]);
  if (!ticket) return null;
  const age = ageOf(ticket, column, store.ages.value, now.value);
  const moved = model.moved.get(id);
  const edge = dnd.over.value?.ticket === id ? dnd.over.value.edge : null;
  const done = ticket.checklist.filter((x) => x.done).length;
  const approval = ticket.approval?.state;
  const classes = ['card', selected && 'selected', moved && 'moved', edge && `edge-${edge}`, dnd.dragged.value === id && 'dragged', ticket.lease && 'held'].filter(Boolean).join(' ');
  return html`<article ref=${at} class=${classes} data-ticket=${id} tabindex="-1" aria-label=${labelled(ticket, age)} onClick=${(e) => onPick(e, ticket)}>
    <div class="row card-top"><span class="key number">${ticket.key}</span>
      ${ticket.priority !== 'medium' && html`<span class="priority ${ticket.priority}" title=${t(`priority.${ticket.priority}`)}><${Icon} name=${ticket.priority} /></span>`}
      ${ticket.blocked && html`<span class="tag red" title=${t('card.blocked_by', { keys: ticket.depends_on.join(', ') })}><${Icon} name="blocked" />${t('card.blocked')}</span>`}
      ${approval && html`<span class="tag ${{ requested: 'amber', approved: 'green', rejected: 'red' }[approval]}"><${Icon} name="approval" />${t(`card.${{ requested: 'waiting', approved: 'approved', rejected: 'rejected' }[approval]}`)}</span>`}
      ${age.level && html`<span class="age ${age.level} number spread" title=${age.title}>${age.time}</span>`}</div>
    <h3 class="card-title"><a href="/boards/${model.board.value.key}/tickets/${ticket.key}" draggable=${false} dir="auto">${ticket.title}</a></h3>
    <div class="row card-foot">
      <span class="labels">${ticket.labels.slice(0, MAX_LABELS).map((l) => html`<span class="tag" key=${l} dir="auto">${l}</span>`)}${ticket.labels.length > MAX_LABELS && html`<span class="tag" title=${ticket.labels.slice(MAX_LABELS).join(', ')}>+${ticket.labels.length - MAX_LABELS}</span>`}</span>
      <span class="row spread marks soft number">
        ${ticket.due_at && html`<span class=${new Date(ticket.due_at) < now.value && column.kind !== 'done' ? 'mark late' : 'mark'} title=${t('card.due', { time: exact(ticket.due_at) })}><${Icon} name="due" /></span>`}
        ${ticket.checklist.length > 0 && html`<span class="mark" title=${t('card.checklist', { done, n: ticket.checklist.length })}><${Icon} name="checklist" />${done}/${ticket.checklist.length}</span>`}
        ${ticket.comment_count > 0 && html`<span class="mark" title=${t('card.comments', { n: ticket.comment_count })}><${Icon} name="comment" />${ticket.comment_count}</span>`}
        <${Holder} ticket=${ticket} ends=${store.leases.value.get(id)} /></span></div>
    ${moved && html`<span class="moved-by">${moved.by}</span>`}
  </article>`;
}

export const Card = memo(draw);
