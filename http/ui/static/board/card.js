// A card: at most three lines.
import { html, memo, useComputed, useEffect, useRef } from '../vendor/preact.js';
import { Face, Icon } from '../lib/parts.js';
import { exact, span, t } from '../lib/strings.js';
import { ageOf } from './age.js';
import * as dnd from './dnd.js';
import { Quick, touched } from './quick.js';

// Holder shows who has a ticket: an agent with the ring of its lease running down.
function Holder({ ticket, ends, at }) {
  const { lease, assignee } = ticket;
  if (!lease) return assignee ? html`<${Face} name=${assignee} title=${t('card.assigned', { name: assignee })} />` : null;
  const until = Math.max(ends ?? 0, new Date(lease.expires_at).getTime());
  const left = Math.max(0, (until - at) / 1000);
  const whole = Math.max(1, (until - new Date(lease.claimed_at).getTime()) / 1000);
  const label = left > 15 ? t('card.held', { name: lease.holder, time: span(left) }) : t('card.held_out', { name: lease.holder });
  return html`<span class="holder" title=${label}><${Face} name=${lease.holder} agent title=${label} />
    <svg class=${left < whole / 5 ? 'lease late' : 'lease'} viewBox="0 0 28 28" aria-hidden="true"><rect x="2" y="2" width="24" height="24" rx="7" pathLength="1" stroke-dasharray="1" stroke-dashoffset=${1 - Math.min(1, left / whole)} /></svg></span>`;
}

// labelled says a card in one sentence, for those who hear it.
function labelled(ticket, age, at) {
  const parts = [ticket.key, ticket.title];
  if (ticket.priority === 'urgent' || ticket.priority === 'high') parts.push(t(`priority.${ticket.priority}`));
  if (ticket.blocked) parts.push(t('card.blocked'));
  if (ticket.approval?.state === 'requested') parts.push(t('card.waiting'));
  if (ticket.lease) parts.push(t('card.held', { name: ticket.lease.holder, time: span((new Date(ticket.lease.expires_at) - at) / 1000) }));
  else if (ticket.assignee) parts.push(t('card.assigned', { name: ticket.assignee }));
  parts.push(age.title);
  return parts.join(', ');
}

const MAX_LABELS = 2;

// Each card looks only at what concerns itself: the focus, the pointer and the
// selection move often, and a board has many cards.
function useOwn(id, view, model) {
  const over = useComputed(() => (dnd.over.value?.ticket === id ? dnd.over.value.edge : null)).value;
  return {
    edge: over,
    dragged: useComputed(() => dnd.dragged.value.includes(id)).value,
    lifted: useComputed(() => Boolean(view.lifted.value?.ids.includes(id))).value,
    picked: useComputed(() => view.picked.value.has(id)).value,
    stop: useComputed(() => view.stop.value === id).value,
    hover: useComputed(() => view.hover.value === id).value,
    by: useComputed(() => model.moved.value.get(id)).value,
  };
}

function draw({ id, store, view, model, column, lane = null, onPick }) {
  const ticket = model.ticket(id).value;
  const at = useRef();
  const own = useOwn(id, view, model);
  const ends = useComputed(() => store.leases.value.get(id)).value;
  const past = Boolean(store.past.value);
  useEffect(() => (at.current && !past ? dnd.card(at.current, id, { column: column.id, lane }, () => store.can('change', model.look(id)), () => {
    const chosen = view.chosen();
    return chosen.includes(id) ? chosen : [id];
  }) : undefined), [id, column.id, lane, model, past]);
  if (!ticket) return null;
  const clock = store.clock();
  const age = ageOf(ticket, column, store.ages.value, clock);
  const done = ticket.checklist.filter((x) => x.done).length;
  const approval = ticket.approval?.state;
  const classes = ['card', own.picked && 'selected', own.by && 'moved', own.edge && `edge-${own.edge}`, own.dragged && 'dragged', own.lifted && 'lifted', ticket.lease && 'held'].filter(Boolean).join(' ');
  return html`<article ref=${at} class=${classes} data-ticket=${id} tabindex=${own.stop ? 0 : -1} aria-label=${own.picked ? t('select.labelled_card', { card: labelled(ticket, age, clock) }) : labelled(ticket, age, clock)} onClick=${(e) => onPick(e, ticket)}>
    <div class="row card-top">${own.picked && html`<${Icon} name="check" />`}<span class="key number">${ticket.key}</span>
      ${ticket.priority !== 'medium' && html`<span class="priority ${ticket.priority}" title=${t(`priority.${ticket.priority}`)}><${Icon} name=${ticket.priority} /></span>`}
      ${ticket.blocked && html`<span class="tag red" title=${t('card.blocked_by', { keys: ticket.depends_on.join(', ') })}><${Icon} name="blocked" />${t('card.blocked')}</span>`}
      ${approval && html`<span class="tag ${{ requested: 'amber', approved: 'green', rejected: 'red' }[approval]}"><${Icon} name="approval" />${t(`card.${{ requested: 'waiting', approved: 'approved', rejected: 'rejected' }[approval]}`)}</span>`}
      ${age.level && html`<span class="age ${age.level} number spread" title=${age.title}>${age.time}</span>`}</div>
    <h3 class="card-title"><a href="/boards/${model.board.value.key}/tickets/${ticket.key}" tabindex="-1" draggable=${false} dir="auto">${ticket.title}</a></h3>
    <div class="row card-foot">
      <span class="labels">${ticket.labels.slice(0, MAX_LABELS).map((l) => html`<span class="tag" key=${l} dir="auto">${l}</span>`)}${ticket.labels.length > MAX_LABELS && html`<span class="tag more" title=${ticket.labels.slice(MAX_LABELS).join(', ')}>+${ticket.labels.length - MAX_LABELS}</span>`}</span>
      <span class="row spread marks soft number">
        ${ticket.due_at && html`<span class=${new Date(ticket.due_at) < clock && column.kind !== 'done' ? 'mark late' : 'mark'} title=${t('card.due', { time: exact(ticket.due_at) })}><${Icon} name="due" /></span>`}
        ${ticket.checklist.length > 0 && html`<span class="mark" title=${t('card.checklist', { done, n: ticket.checklist.length })}><${Icon} name="checklist" />${done}/${ticket.checklist.length}</span>`}
        ${ticket.comment_count > 0 && html`<span class="mark" title=${t('card.comments', { n: ticket.comment_count })}><${Icon} name="comment" />${ticket.comment_count}</span>`}
        <${Holder} ticket=${ticket} ends=${past ? 0 : ends} at=${clock} /></span></div>
    ${(own.stop || own.hover || touched) && !past && html`<${Quick} store=${store} view=${view} ticket=${ticket} touched=${touched} />`}
    ${own.by && html`<span class="moved-by">${own.by}</span>`}
  </article>`;
}

export const Card = memo(draw);
