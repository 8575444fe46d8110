// One open board: its model, kept up to date by the live feed, and what else the
// board page shares: who may do what, who looks, and the moment that is shown.
import { computed, signal } from '../vendor/preact.js';
import { get, Problem } from '../lib/api.js';
import { follow } from '../lib/live.js';
import { me } from '../lib/session.js';
import { Model } from './model.js';

export class Store {
  constructor(ref) {
    this.ref = ref;
    this.state = signal('loading'); // loading, ready, missing, failed
    this.problem = signal(null);
    this.live = signal(null); // the Model of now
    this.past = signal(null); // the Model of a past moment, null = now
    this.shown = computed(() => this.past.value ?? this.live.value);
    this.role = signal(null); // pm, agent, viewer, admin
    this.viewers = signal([]);
    this.ages = signal(new Map()); // column id to {p50, p85} in seconds
    this.leases = signal(new Map()); // ticket id to when its lease ends, as heartbeats moved it
    this.resynced = 0;
    this.listeners = new Set(); // called with each batch of events
    this.stop = () => {};
  }

  async open() {
    try {
      const [snapshot, board] = await Promise.all([get(`/api/boards/${this.ref}/snapshot`), get(`/api/boards/${this.ref}`)]);
      if (this.closed) return;
      this.id = board.id;
      this.role.value = board.role ?? (me.peek()?.admin ? 'admin' : 'viewer');
      this.#adopt(snapshot);
      this.state.value = 'ready';
      this.refreshAges();
    } catch (err) {
      if (!(err instanceof Problem)) throw err;
      this.problem.value = err;
      this.state.value = err.status === 404 || err.status === 403 ? 'missing' : 'failed';
    }
  }

  close() {
    this.closed = true;
    this.stop();
    clearInterval(this.timer);
  }

  // mine: what the person may do here, by the permission matrix of the server.
  can(what, ticket) {
    const board = this.live.value?.board.value;
    if (this.past.value || !board || board.archived) return false;
    const role = this.role.value;
    if (role === 'pm' || role === 'admin') return true;
    if (role !== 'agent' || board.frozen) return false;
    switch (what) {
      case 'create': case 'comment': case 'claim': return true;
      case 'change': return Boolean(ticket) && (ticket.assignee === me.value?.username || ticket.lease?.holder_id === me.value?.id);
      default: return false; // manage
    }
  }

  #adopt(snapshot) {
    const model = new Model(snapshot);
    model.flushed = (events) => {
      for (const listener of this.listeners) listener(events);
      this.#refetch(model);
    };
    this.live.value = model;
    this.stop();
    this.stop = follow(this.id, {
      since: () => model.fold.position,
      events: (batch) => model.take(batch),
      resync: () => this.#resync(),
      frame: (event, data) => this.#frame(event, data),
    });
  }

  async #resync() {
    const snapshot = await get(`/api/boards/${this.id}/snapshot`);
    if (this.closed) return;
    const laid = this.live.peek().laid;
    this.#adopt(snapshot);
    for (const [id, over] of laid) this.live.peek().lay(id, over.fields, over.key);
    this.resynced++;
  }

  // #refetch asks for tickets that events alone do not tell in full.
  async #refetch(model) {
    const ids = [...model.fold.stale];
    model.fold.stale.clear();
    await Promise.all(ids.map(async (id) => {
      try {
        model.put(id, await get(`/api/tickets/${id}`, { headers: { 'Kanban-Min-Position': String(model.fold.position) } }));
      } catch (err) {
        if (err.status === 404) model.put(id, null);
      }
    }));
  }

  #frame(event, data) {
    if (event === 'presence') this.viewers.value = data.viewers;
  }

  // refreshAges asks how long tickets stay in each column.
  async refreshAges() {
    try {
      const s = await get(`/api/statistics/boards/${this.id}/statistics`);
      this.ages.value = new Map(s.columns.map((c) => [c.id, { n: c.finished.count, p50: c.finished.median_seconds, p85: c.finished.p85_seconds }]));
    } catch {
      // Ages then have no colour; the board is whole without.
    }
  }
}

// now ticks for everything that shows how long ago something was.
export const now = signal(Date.now());
setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, 15_000);
