// Selecting many cards, and the bar that acts on them.
import { html } from '../vendor/preact.js';
import { Dialog, Icon, say } from '../lib/parts.js';
import { t } from '../lib/strings.js';
import { archive, askAssign, askLabel, askMove, askPriority, toggle } from './choose.js';
import { refused } from './many.js';

export function clear(view) {
  if (!view.picked.peek().size) return false;
  view.picked.value = new Set();
  view.anchor = null;
  say(t('select.cleared'));
  return true;
}

// extend selects everything between where the selection began and a card, in the order
// of the board.
export function extend(view, id) {
  const all = view.columns().flatMap(([column, lane]) => view.cell(column, lane).peek());
  const from = all.indexOf(view.anchor ?? view.roving.peek() ?? id);
  const to = all.indexOf(id);
  if (from < 0 || to < 0) {
    toggle(view, id);
    return;
  }
  view.anchor ??= all[from];
  view.picked.value = new Set(all.slice(Math.min(from, to), Math.max(from, to) + 1));
  say(t('select.count', { n: view.picked.peek().size }));
}

// SelectionBar tells how many are selected, and acts on them all.
export function SelectionBar({ store, view }) {
  const ui = { store, view };
  if (store.past.value || !view.picked.value.size) return null;
  const ids = view.chosen();
  if (!ids.length) return null;
  const button = (icon, label, run, danger) => html`<button class=${danger ? 'quiet danger' : 'quiet'} onClick=${(e) => run(e.currentTarget.getBoundingClientRect())}><${Icon} name=${icon} /><span class="wide-only">${label}</span><span class="unseen narrow-only">${label}</span></button>`;
  return html`<div class="selection no-print" role="toolbar" aria-label=${t('select.bar')}><strong class="number" role="status">${t('select.count', { n: ids.length })}</strong>
    ${store.can('create') && button('move', t('select.move'), (at) => askMove(ui, ids, at))}
    ${store.can('manage') && button('person', t('select.assign'), (at) => askAssign(ui, ids, at))}
    ${store.can('create') && button('edit', t('select.label'), (at) => askLabel(ui, ids, at))}
    ${store.can('create') && button('high', t('select.priority'), (at) => askPriority(ui, ids, at))}
    ${store.can('manage') && button('archive', t('select.archive'), () => archive(ui, ids), true)}
    <button class="quiet square" aria-label=${t('select.clear')} title=${t('select.clear')} onClick=${() => clear(view)}><${Icon} name="close" /></button></div>`;
}

// Refused lists which of many were refused, and why.
export function Refused() {
  const r = refused.value;
  if (!r) return null;
  const shut = () => { refused.value = null; };
  return html`<${Dialog} title=${t('select.refused', { n: r.n, all: r.all })} onClose=${shut}>
    <ul class="bare stack refusals">${r.items.map((x) => html`<li key=${x.id}><strong class="number">${x.key}</strong> <span>${x.why}</span></li>`)}</ul>
    <div class="row">${r.again && html`<button class="main" onClick=${() => { shut(); r.again(); }}>${t('select.anyway')}</button>`}<button onClick=${shut}>${t('app.close')}</button></div><//>`;
}
