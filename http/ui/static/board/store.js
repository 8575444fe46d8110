// One open board: its model, kept up to date by the live feed, and what else the
// board page shares: who may do what, who looks, and the moment that is shown.
import { computed, signal } from '../vendor/preact.js';
import { get, Problem } from '../lib/api.js';
import { follow } from '../lib/live.js';
import { isFlying, isOurs } from './actions.js';
import { me } from '../lib/session.js';
import { Model } from './model.js';

const LEASES = 20_000; // ms between two looks at the ends of leases

export class Store {
  constructor(ref) {
    this.ref = ref;
    this.state = signal('loading'); // loading, ready, missing, failed
    this.problem = signal(null);
    this.live = signal(null); // the Model of now
    this.past = signal(null); // the Model of a past moment, null = now
    this.moment = signal(null); // of the past that is shown: {position, at, event}, at in RFC 3339
    this.astray = signal(null); // why a moment cannot be shown: {text, label, run}
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
      this.#watchLeases();
    } catch (err) {
      if (!(err instanceof Problem)) throw err;
      this.problem.value = err;
      this.state.value = err.status === 404 || err.status === 403 ? 'missing' : 'failed';
    }
  }

  // clock is the time that what is shown is seen at, in milliseconds.
  clock() {
    return this.moment.value ? new Date(this.moment.value.at).getTime() : now.value;
  }

  close() {
    this.closed = true;
    this.stop();
    clearInterval(this.timer);
    document.removeEventListener('visibilitychange', this.look);
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
    model.isOurs = (e) => isOurs(e.command_id) || e.actor.id === me.peek()?.id;
    model.moving = (ids) => this.moving?.(ids);
    model.drawn = () => this.drawn?.();
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
    // What was answered meanwhile is in the snapshot.
    for (const [id, over] of laid) if (isFlying(over.key)) this.live.peek().lay(id, over.fields, over.key);
    this.resynced++;
  }

  // #refetch asks for tickets that events alone do not tell in full.
  async #refetch(model) {
    const ids = model.fold.takeStale();
    if (!ids.length) return;
    let away = false;
    await Promise.all(ids.map(async (id) => {
      try {
        model.put(id, await get(`/api/tickets/${id}`, { headers: { 'Kanban-Min-Position': String(model.fold.position) } }));
      } catch (err) {
        if (err.status === 404) model.put(id, null);
        else {
          model.fold.stale.add(id); // asked again with the next events
          away = true;
        }
      }
    }));
    if (!away && model === this.live.peek()) this.#refetch(model);
  }

  #frame(event, data) {
    if (event === 'presence') this.viewers.value = data.viewers;
  }

  // Heartbeats extend leases without events: while somebody holds a ticket and the
  // page is looked at, the ends of leases are asked for.
  #watchLeases() {
    this.look = () => {
      if (document.hidden || this.closed || Date.now() - (this.looked ?? 0) < LEASES) return;
      const model = this.live.peek();
      for (const ticket of model.all()) {
        if (!ticket.lease) continue;
        this.looked = Date.now();
        this.#refreshLeases();
        return;
      }
      if (this.leases.peek().size) this.leases.value = new Map();
    };
    document.addEventListener('visibilitychange', this.look);
    this.timer = setInterval(this.look, LEASES + 1000);
    this.look();
  }

  async #refreshLeases() {
    try {
      const { items } = await get(`/api/agents?board=${this.id}`, { tries: 1 });
      this.leases.value = new Map(items.flatMap((a) => a.claims).filter((c) => c.board_id === this.id).map((c) => [c.ticket_id, new Date(c.expires_at).getTime()]));
    } catch {
      // The rings then run by what the events say.
    }
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
