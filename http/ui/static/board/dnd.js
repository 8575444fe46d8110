// Drag and drop, by pragmatic-drag-and-drop: it uses the browser's own dragging, which
// works with touch and pen where the browser's does. Keyboards have their own way
// (lift.js); both end in moveTickets.
import { attachClosestEdge, autoScrollForElements, combine, draggable, dropTargetForElements, extractClosestEdge, monitorForElements } from '../vendor/dnd.js';
import { signal } from '../vendor/preact.js';
import { moveTickets } from './actions.js';

// over is where dragged tickets would land: {column, lane, ticket, edge}; ticket null =
// at the end.
export const over = signal(null);
// dragged are the ids of what is dragged.
export const dragged = signal([]);

const MARGIN = 8; // px around the card of a preview, as in .drag-image

// preview is what hangs at the pointer: the card, and how many there are.
function preview(element, n, nativeSetDragImage, input) {
  const box = element.getBoundingClientRect();
  const image = document.createElement('div');
  image.className = n > 1 ? 'drag-image many' : 'drag-image';
  image.style.width = `${box.width + 2 * MARGIN}px`;
  const copy = element.cloneNode(true);
  copy.classList.remove('dragged', 'selected');
  image.append(copy);
  if (n > 1) {
    const badge = document.createElement('span');
    badge.className = 'drag-count number';
    badge.textContent = n;
    image.append(badge);
  }
  document.body.append(image);
  nativeSetDragImage?.(image, input.clientX - box.left + MARGIN, input.clientY - box.top + MARGIN);
  // The browser has taken its picture by the next task.
  setTimeout(() => image.remove());
}

// card makes a card draggable, and a place to drop on. together returns the ids that
// are dragged with it, itself among them.
export function card(element, id, cell, mayMove, together) {
  return combine(
    draggable({
      element,
      canDrag: mayMove,
      getInitialData: () => ({ tickets: together() }),
      onGenerateDragPreview: ({ nativeSetDragImage, location, source }) => preview(element, source.data.tickets.length, nativeSetDragImage, location.initial.input),
      onDragStart: ({ source }) => { dragged.value = source.data.tickets; },
      onDrop: () => { dragged.value = []; },
    }),
    dropTargetForElements({
      element,
      canDrop: ({ source }) => Boolean(source.data.tickets) && !source.data.tickets.includes(id),
      getData: ({ input }) => attachClosestEdge({ ticket: id, ...cell }, { element, input, allowedEdges: ['top', 'bottom'] }),
    }),
  );
}

// list makes a cell a place to drop into, which scrolls while something is dragged
// near its ends.
export function list(element, scroller, cell) {
  return combine(
    dropTargetForElements({
      element,
      canDrop: ({ source }) => Boolean(source.data.tickets),
      getData: ({ input }) => ({ ...cell, ...between(element, input) }),
    }),
    ...(scroller ? [autoScrollForElements({ element: scroller })] : []),
  );
}

// between finds the card that is meant where the pointer is in a gap; below the last
// card the end of the cell is meant.
function between(element, { clientY }) {
  let nearest = null;
  let away = Infinity;
  let last = null;
  for (const at of element.querySelectorAll('[data-ticket]:not(.dragged)')) {
    const box = at.getBoundingClientRect();
    last = box;
    const distance = Math.min(Math.abs(box.top - clientY), Math.abs(box.bottom - clientY));
    if (distance >= away) continue;
    away = distance;
    nearest = { ticket: Number(at.dataset.ticket), side: clientY < (box.top + box.bottom) / 2 ? 'top' : 'bottom' };
  }
  return last && clientY <= last.bottom ? nearest : {};
}

function aim(location) {
  const [first] = location.current.dropTargets;
  if (!first) return null;
  const { column, lane, ticket = null, side } = first.data;
  return { column, lane, ticket, edge: ticket ? side ?? extractClosestEdge(first.data) : null };
}

// watch carries out drops on a board.
export function watch(store, view, scroller) {
  const show = ({ location }) => set(aim(location));
  return combine(
    autoScrollForElements({ element: scroller }),
    monitorForElements({
      canMonitor: ({ source }) => Boolean(source.data.tickets),
      onDrag: show,
      onDropTargetChange: show,
      onDrop({ source, location }) {
        set(null);
        const to = aim(location);
        if (!to) return;
        let after = to.edge === 'bottom' ? to.ticket : undefined;
        // Below the last card that shows, where others are hidden, is after that card.
        if (!to.ticket && view.filter.passes.peek()) after = view.others(to.column, to.lane, source.data.tickets).at(-1);
        moveTickets(store, source.data.tickets, { column: to.column, before: to.edge === 'top' ? to.ticket : undefined, after, by: view.by.peek(), lane: to.lane });
      },
    }),
  );
}

function set(next) {
  const was = over.peek();
  if (was?.column === next?.column && was?.lane === next?.lane && was?.ticket === next?.ticket && was?.edge === next?.edge) return;
  over.value = next;
}
