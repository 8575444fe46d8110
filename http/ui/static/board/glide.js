// A card that somebody else moved glides to its new place: a copy of it flies over the
// board, because lists cut off what is outside of them.
const MOST = 12; // at once; more is a burst, which is only confusing to follow
const EASE = 'cubic-bezier(0.2, 0, 0, 1)';

// glider watches one board. moving(ids) is told before cards change their place,
// drawn() after.
export function glider(root) {
  let from = new Map();
  const still = matchMedia('(prefers-reduced-motion: reduce)');
  const find = (id) => root()?.querySelector(`[data-ticket="${id}"]`);
  const land = () => {
    const flights = from;
    from = new Map();
    for (const [id, { box, copy }] of flights) {
      const card = find(id);
      if (!card) continue;
      const to = card.getBoundingClientRect();
      const dx = to.left - box.left;
      const dy = to.top - box.top;
      if (Math.abs(dx) + Math.abs(dy) < 4) continue;
      Object.assign(copy.style, { top: `${box.top}px`, left: `${box.left}px`, width: `${box.width}px`, height: `${box.height}px` });
      copy.classList.add('gliding');
      copy.setAttribute('aria-hidden', 'true');
      copy.inert = true;
      delete copy.dataset.ticket;
      document.body.append(copy);
      card.style.visibility = 'hidden';
      const flight = copy.animate([{ transform: 'none' }, { transform: `translate(${dx}px, ${dy}px)` }], { duration: 150, easing: EASE });
      flight.finished.catch(() => {}).then(() => {
        copy.remove();
        card.style.visibility = '';
      });
    }
  };
  return {
    moving(ids) {
      if (still.matches || document.hidden || ids.length > MOST) return;
      for (const id of ids) {
        const card = find(id);
        const box = card?.getBoundingClientRect();
        if (!box || box.bottom < 0 || box.top > innerHeight || box.right < 0 || box.left > innerWidth || card.contains(document.activeElement)) continue;
        from.set(id, { box, copy: card.cloneNode(true) });
      }
    },
    drawn() {
      // After Preact has drawn, before the frame is painted.
      if (from.size) queueMicrotask(land);
    },
  };
}
