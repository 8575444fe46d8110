// Which names are those of agents: as the server says once for a board, and as events
// say since. Rows of tickets name people and agents alike.
import { signal } from '../../vendor/preact.js';
import { get } from '../../lib/api.js';

const known = new WeakMap(); // store to the signal of a Set of names

export function agentsOf(store) {
  let names = known.get(store);
  if (!names) {
    names = signal(new Set());
    known.set(store, names);
    const add = (list) => {
      const fresh = list.filter((name) => !names.peek().has(name));
      if (fresh.length) names.value = new Set([...names.peek(), ...fresh]);
    };
    get(`/api/agents?board=${store.id}`).then(({ items }) => add(items.filter((x) => x.kind === 'agent').map((x) => x.name)), () => {}); // they are then not marked
    store.listeners.add((events) => add(events.filter((e) => e.actor.kind === 'agent').map((e) => e.actor.name)));
  }
  return names.value;
}
