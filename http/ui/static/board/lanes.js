// Swimlanes: the board cut into rows by assignee, priority or first label. Dragging a
// card into another lane changes that field too (not a label: a card has many).
import { html, useRef } from '../vendor/preact.js';
import { Face, Icon } from '../lib/parts.js';
import { number, t } from '../lib/strings.js';
import { AddCard, Cards, Limit, useCell } from './column.js';
import { laneTitle } from './lane.js';

export function foldLane(view, lane) {
  const folded = new Set(view.folded.peek());
  if (!folded.delete(lane)) folded.add(lane);
  view.folded.value = folded;
}

function Cell({ store, view, model, column, lane, eager, onPick }) {
  const { at, scroller, aimed } = useCell({ store, model, column, lane });
  const ids = view.cell(column.id, lane).value;
  return html`<div ref=${at} class="column ${aimed ? 'aimed' : ''}" role="group" aria-label="${laneTitle(view.by.value, lane)}, ${column.name}, ${t('board.count', { n: ids.length })}">
    <div class="cell" data-cell=${column.id} data-lane=${lane} ref=${scroller}><${Cards} ids=${ids} eager=${eager} store=${store} view=${view} model=${model} column=${column} lane=${lane} onPick=${onPick} />
    ${aimed === 'end' && html`<div class="landing"></div>`}</div></div>`;
}

// Lanes is the board with a row for each lane.
export function Lanes({ store, view, model, onPick, menu }) {
  const { columns } = model.board.value;
  const at = useRef();
  const by = view.by.value;
  return html`<div class="lanes" ref=${at} style=${{ '--n': columns.length }}>
    <div class="lane-heads">${columns.map((c) => {
      const total = model.cell(c.id).value.length;
      return html`<section class="column" key=${c.id} data-column=${c.id} aria-label="${c.name}, ${t('board.count', { n: total })}"><header class="row"><h2 class="cut" title=${c.name} dir="auto">${c.name}</h2><${Limit} column=${c} count=${total} /><span class="spread"></span>${menu?.(c)}</header>
        ${store.can('create') && html`<${AddCard} store=${store} column=${c} />`}</section>`;
    })}</div>
    ${view.lanes.value.map(({ name, count }, i) => {
      const folded = view.folded.value.has(name);
      const title = laneTitle(by, name);
      return html`<section class="lane" key=${name} aria-label=${title}>
        <h2 class="lane-name"><button class="quiet" aria-expanded=${!folded} onClick=${() => foldLane(view, name)}><${Icon} name=${folded ? 'right' : 'down'} />${by === 'assignee' && name && html`<${Face} name=${name} />`}<span dir="auto">${title}</span> <span class="count number">${number(count)}</span></button></h2>
        ${!folded && html`<div class="lane-cells">${columns.map((c) => html`<${Cell} key=${c.id} store=${store} view=${view} model=${model} column=${c} lane=${name} eager=${i === 0} onPick=${onPick} />`)}</div>`}</section>`;
    })}</div>`;
}
