// The few things that are done most, on the card itself: while the pointer is over it,
// or it has the focus. Where there is no pointer that hovers, one button opens them as
// a list; a long press is left to the browser, which drags with it.
import { html } from '../vendor/preact.js';
import { Icon } from '../lib/parts.js';
import { me } from '../lib/session.js';
import { t } from '../lib/strings.js';
import { askAboutCard, askMove, assign, claim, mayRelease, open } from './choose.js';

export const touched = matchMedia('(hover: none) and (pointer: coarse)').matches;

const Button = ({ icon, label, run }) => html`<button class="quiet square" aria-label=${label} title=${label} onClick=${(e) => { e.stopPropagation(); run(e.currentTarget.getBoundingClientRect()); }}><${Icon} name=${icon} /></button>`;

export function Quick({ store, view, ticket, touched: compact }) {
  const ui = { store, view };
  if (compact) return html`<span class="quick always"><${Button} icon="more" label=${t('quick.menu', { key: ticket.key })} run=${(at) => askAboutCard(ui, ticket.id, at)} /></span>`;
  const free = !ticket.lease;
  const mine = ticket.assignee === me.value?.username;
  return html`<span class="quick">
    ${store.can('change', ticket) && html`<${Button} icon="move" label=${t('quick.move', { key: ticket.key })} run=${(at) => askMove(ui, [ticket.id], at)} />`}
    ${store.can('manage') && !mine && html`<${Button} icon="person" label=${t('quick.assign_me', { key: ticket.key })} run=${() => assign(ui, [ticket.id], me.value.username)} />`}
    ${store.can('claim') && (free || mayRelease(store, ticket)) && html`<${Button} icon=${free ? 'clock' : 'out'} label=${t(free ? 'quick.claim' : 'quick.release', { key: ticket.key })} run=${() => claim(ui, ticket.id)} />`}
    <${Button} icon="right" label=${t('card.open', { key: ticket.key })} run=${() => open(ui, ticket.id)} /></span>`;
}
