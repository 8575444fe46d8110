// Drag and drop, by pragmatic-drag-and-drop: it uses the browser's own dragging, which
// works with touch and pen where the browser's does. Keyboards have their own way
// (keys.js); both end in moveTicket.
import { attachClosestEdge, autoScrollForElements, combine, draggable, dropTargetForElements, extractClosestEdge, monitorForElements } from '../vendor/dnd.js';
import { signal } from '../vendor/preact.js';
import { moveTicket } from './actions.js';

// over is where a dragged ticket would land: {column, ticket, edge}.
export const over = signal(null);
export const dragged = signal(null);

// card makes a card draggable, and a place to drop on.
export function card(element, id, column, mayMove) {
  return combine(
    draggable({
      element,
      canDrag: mayMove,
      getInitialData: () => ({ ticket: id }),
      onDragStart: () => { dragged.value = id; },
      onDrop: () => { dragged.value = null; },
    }),
    dropTargetForElements({
      element,
      canDrop: ({ source }) => Boolean(source.data.ticket) && source.data.ticket !== id,
      getData: ({ input }) => attachClosestEdge({ ticket: id, column }, { element, input, allowedEdges: ['top', 'bottom'] }),
    }),
  );
}

// list makes a column a place to drop into, which scrolls while something is dragged
// near its ends.
export function list(element, scroller, column) {
  return combine(
    dropTargetForElements({ element, canDrop: ({ source }) => Boolean(source.data.ticket), getData: () => ({ column }) }),
    autoScrollForElements({ element: scroller }),
  );
}

// watch carries out drops on a board.
export function watch(store, scroller) {
  const aim = (location) => {
    const [first] = location.current.dropTargets;
    if (!first) return null;
    return { column: first.data.column, ticket: first.data.ticket ?? null, edge: first.data.ticket ? extractClosestEdge(first.data) : null };
  };
  return combine(
    autoScrollForElements({ element: scroller }),
    monitorForElements({
      canMonitor: ({ source }) => Boolean(source.data.ticket),
      onDrag: ({ location }) => { set(aim(location)); },
      onDropTargetChange: ({ location }) => { set(aim(location)); },
      onDrop({ source, location }) {
        set(null);
        const to = aim(location);
        if (!to) return;
        moveTicket(store, source.data.ticket, {
          column: to.column,
          before: to.edge === 'top' ? to.ticket : undefined,
          after: to.edge === 'bottom' ? to.ticket : undefined,
        });
      },
    }),
  );
}

function set(next) {
  const was = over.peek();
  if (was?.column === next?.column && was?.ticket === next?.ticket && was?.edge === next?.edge) return;
  over.value = next;
}
