// The fold: events into a board. It is the browser's own answer to what Timeline
// and the SQL projectors say, and is tested against both; keep the three alike.
//
// A fold begins empty, with board_created as its first event, or from a snapshot of
// the server. A snapshot lacks archived tickets, so after it some events cannot
// be folded: what they touch is then named in `stale`, and the caller asks the
// server for those tickets (takeStale, put).
//
//   const fold = new Fold(boardID).start(snapshot)
//   fold.apply(envelope)             // the next event of this board's stream
//   const { tickets, board } = fold.takeChanges()
//
// Tickets are replaced, never changed in place: whoever compares references sees
// what differs.

import { factOf, REDACTED } from './comments.js';
import { byRank } from './order.js';
import { Waits } from './waits.js';

export { foldComments, REDACTED } from './comments.js';
export { byRank, compareText } from './order.js';

export class Fold {
  constructor(boardID) {
    this.boardID = boardID;
    this.position = 0;
    this.board = null; // as in /api/boards/{id}; null = not created, or deleted
    this.members = new Map(); // user id to member
    this.tickets = new Map(); // id to ticket, archived ones included where they are known
    this.stale = new Set(); // ids of tickets that only the server knows in full
    this.asked = new Map(); // id of those that it was asked for, to the position then
    this.gone = new Set(); // ids of tickets that were deleted while the fold looked
    this.shifted = 0; // the position at which what blocks others changed last
    this.whole = true; // from the first event: nothing is unknown
    this.waits = new Waits();
    this.byKey = new Map();
    this.comments = new Set(); // ids of those whose events came by
    this.counted = new Set(); // ids of tickets whose comment_count the server told, maybe ahead of the events
    this.changed = { tickets: new Set(), board: false };
  }

  // start begins from a snapshot {position, board, columns, tickets}.
  start(snapshot) {
    this.position = snapshot.position;
    this.board = { ...snapshot.board, columns: snapshot.columns ?? snapshot.board.columns };
    this.whole = false;
    for (const t of snapshot.tickets) {
      this.tickets.set(t.id, t);
      this.#called(t.key, t.id);
    }
    for (const t of snapshot.tickets) this.#know(t);
    return this;
  }

  // takeStale returns the ids of the tickets to ask the server for, as of this
  // position or later. Those that something happens to before the answer is there
  // may be stale again after it.
  takeStale() {
    const ids = [...this.stale];
    this.stale.clear();
    for (const id of ids) this.asked.set(id, this.position);
    return ids;
  }

  // put takes the answer: a ticket in full, or null where it is gone. An answer that
  // events have overtaken, as they tell all, is left aside.
  put(id, ticket) {
    const asked = this.asked.get(id);
    if (!this.asked.delete(id)) return;
    const have = this.tickets.get(id);
    if (!ticket) {
      this.#remove(id);
      return;
    }
    if (have && have.version > ticket.version) {
      this.stale.add(id);
      return;
    }
    this.counted.add(id);
    this.#called(ticket.key, id);
    const was = have && this.#done(id);
    const name = this.board?.columns.find((c) => c.id === ticket.column_id)?.name;
    this.#set(id, { ...ticket, current_column: name ?? ticket.current_column });
    this.#know(ticket);
    this.#judge(id, asked);
    // Others are judged anew only by what is new, or two that wait for each other would
    // be doubted for ever.
    if (was !== this.#done(id)) this.#found(id);
  }

  // #called notes the key of a ticket; one whose creation was redacted has none.
  #called(key, id) {
    if (key) this.byKey.set(key, id);
  }

  // takeChanges returns what changed since it was last asked.
  takeChanges() {
    const c = this.changed;
    this.changed = { tickets: new Set(), board: false };
    return c;
  }

  // view is the board in the shape of a snapshot: what the tests compare.
  view() {
    const place = new Map(this.board.columns.map((c, i) => [c.id, i]));
    const at = (t) => place.get(t.column_id) ?? place.size;
    const tickets = [...this.tickets.values()].filter((t) => !t.archived);
    tickets.sort((a, b) => at(a) - at(b) || byRank(a, b));
    return { position: this.position, board: this.board, columns: this.board.columns, tickets };
  }

  apply(e) {
    if (e.position <= this.position) return;
    this.position = e.position;
    const fact = factOf(e);
    if (e.ticket_id) this.#ticket(e, fact);
    else this.#board(e, fact);
  }

  #board(e, fact) {
    if (e.type === 'board_created') {
      this.board = {
        id: e.board_id, key: '', name: REDACTED, description: '', visibility: 'private', max_claims: 0, columns: [], archived: false, frozen: false,
        version: e.version, created_at: e.time, updated_at: e.time, created_by: e.actor.name,
      };
      if (fact) {
        const { key, name, description, visibility, max_claims, columns } = fact;
        Object.assign(this.board, { key, name, description, visibility, max_claims, columns: columns.map(column) });
      }
      this.changed.board = true;
      return;
    }
    if (!this.board || !fact) return;
    const b = { ...this.board };
    switch (e.type) {
      case 'commands_undone': case 'webhook_added': case 'webhook_updated': case 'webhook_removed': case 'data_redacted':
        if (e.type !== 'data_redacted') return;
        break;
      case 'board_deleted':
        this.board = null;
        for (const id of this.tickets.keys()) this.changed.tickets.add(id);
        this.tickets.clear();
        this.changed.board = true;
        return;
      case 'board_updated':
        for (const name of ['name', 'description', 'visibility', 'max_claims']) if (fact[name] != null) b[name] = fact[name];
        break;
      case 'board_archived': b.archived = true; break;
      case 'board_restored': b.archived = false; break;
      case 'board_frozen': b.frozen = true; break;
      case 'board_unfrozen': b.frozen = false; break;
      case 'column_added': b.columns = b.columns.toSpliced(fact.index, 0, column(fact.column)); break;
      case 'column_updated': b.columns = b.columns.map((c) => (c.id === fact.column.id ? column(fact.column) : c)); break;
      case 'column_moved': {
        const at = b.columns.findIndex((c) => c.id === fact.column_id);
        if (at >= 0) b.columns = b.columns.toSpliced(at, 1).toSpliced(fact.index, 0, b.columns[at]);
        break;
      }
      case 'column_removed': b.columns = b.columns.filter((c) => c.id !== fact.column_id); break;
      case 'member_added': case 'member_updated':
        this.members.set(fact.user_id, { board_id: b.id, user_id: fact.user_id, name: fact.name, role: fact.role });
        break;
      case 'member_removed': this.members.delete(fact.user_id); break;
      default: // a type of a newer server: the board's version moves all the same
    }
    b.version = e.version;
    b.updated_at = e.time;
    this.board = b;
    this.changed.board = true;
    if (e.type !== 'column_updated') return;
    for (const t of this.tickets.values()) {
      if (t.column_id !== fact.column.id) continue;
      if (t.current_column !== fact.column.name) this.#set(t.id, { ...t, current_column: fact.column.name });
      this.#judgeWaiters(t.id);
    }
    // A column may mean something else now, also for tickets that are not here.
    if (!this.whole) this.#doubtUnknown();
  }

  #ticket(e, fact) {
    const id = e.ticket_id;
    if (e.type === 'ticket_created' || e.type === 'ticket_recovered') {
      if (e.type === 'ticket_recovered' && !fact) return;
      this.#created(e, fact);
      return;
    }
    const t = this.tickets.get(id);
    if (!t) {
      // An archived ticket that the snapshot left out. Others may wait for it.
      if (this.whole) return;
      if (e.type !== 'ticket_deleted') this.stale.add(id);
      else {
        this.#settle(id);
        this.gone.add(id);
      }
      this.#doubtUnknown();
      return;
    }
    // Already in it: the server told of this ticket later than its events came.
    if (!this.whole && e.version <= t.version) return;
    const next = { ...t };
    switch (e.type) {
      case 'ticket_updated':
        if (fact) {
          for (const name of ['title', 'description', 'acceptance_criteria', 'priority', 'labels']) if (fact[name] != null) next[name] = fact[name];
          if (fact.due_at || fact.clear_due) next.due_at = fact.due_at ?? null;
          next.approval = null;
        }
        break;
      case 'ticket_moved':
        if (fact) enter(next, e, fact);
        break;
      case 'ticket_assigned':
        if (fact) next.assignee = fact.assignee || null;
        break;
      case 'ticket_archived':
        if (fact) next.archived = true;
        break;
      case 'ticket_restored':
        next.archived = false;
        if (fact) enter(next, e, fact);
        break;
      case 'ticket_deleted':
        if (!fact) break;
        this.#remove(id);
        return;
      case 'ticket_claimed':
        if (!fact) break;
        next.lease = { fence: e.position, holder_id: e.actor.id, holder: e.actor.name, claimed_at: e.time, expires_at: fact.expires_at };
        next.approval = null;
        break;
      case 'ticket_released': case 'lease_expired':
        if (fact) next.lease = null;
        break;
      case 'dependency_added':
        if (fact) this.waits.add(id, { id: fact.depends_on, key: fact.key });
        break;
      case 'dependency_removed':
        if (fact) this.waits.remove(id, { id: fact.depends_on, key: fact.key });
        break;
      case 'checklist_changed':
        if (fact) Object.assign(next, { checklist: fact.items ?? [], approval: null });
        break;
      case 'evidence_added':
        if (fact) Object.assign(next, { evidence: [...t.evidence, { id: fact.evidence_id, kind: fact.kind, text: fact.text, by: e.actor.name, at: e.time }], approval: null });
        break;
      case 'evidence_removed':
        if (fact) Object.assign(next, { evidence: t.evidence.filter((x) => x.id !== fact.evidence_id), approval: null });
        break;
      case 'approval_requested': case 'ticket_approved': case 'ticket_rejected':
        if (fact) {
          const state = { approval_requested: 'requested', ticket_approved: 'approved', ticket_rejected: 'rejected' }[e.type];
          next.approval = { state, version: fact.version, by: e.actor.name, at: e.time, note: fact.note ?? '' };
        }
        break;
      case 'approval_withdrawn':
        if (fact) next.approval = null;
        break;
      case 'comment_added': case 'comment_deleted':
        this.#comment(t, e, fact);
        return;
      case 'comment_updated': case 'usage_recorded':
        return;
      case 'data_redacted':
        // The words are gone from the events too: only the server's rows say what is left.
        if (!this.whole) this.stale.add(id);
        break;
      default: // a type of a newer server
    }
    this.counted.delete(id); // what follows, the server had not seen
    next.version = e.version;
    next.updated_at = e.time;
    this.#set(id, next);
    if (e.type.startsWith('dependency_')) this.#judge(id);
    if (next.column_id !== t.column_id) this.#judgeWaiters(id);
  }

  // #comment counts comments. They do not change a ticket's version, so an answer of
  // the server does not say which of those that come around it are in its count.
  #comment(t, e, fact) {
    const added = e.type === 'comment_added';
    if (added) this.comments.add(fact ? fact.comment_id : -e.position); // as Timeline calls one that is redacted
    if (!added && !(fact && this.comments.delete(fact.comment_id))) {
      if (fact && !this.whole) this.stale.add(t.id); // it was added before the fold began
    } else if (this.counted.has(t.id) || this.asked.has(t.id)) this.stale.add(t.id);
    else this.#set(t.id, { ...t, comment_count: (t.comment_count ?? 0) + (added ? 1 : -1) });
  }

  #created(e, fact) {
    const b = this.board;
    const t = {
      id: e.ticket_id, key: '', board_id: e.board_id, title: REDACTED, description: '', acceptance_criteria: '', priority: 'medium', labels: [],
      assignee: null, column_id: b?.columns[0]?.id ?? 0, current_column: b?.columns[0]?.name ?? '', rank: '', due_at: null, archived: false,
      checklist: [], evidence: [], depends_on: [], blocked: false, approval: null, lease: null, comment_count: 0,
      version: e.version, created_at: e.time, updated_at: e.time, column_entered_at: e.time, created_by: e.actor.name,
    };
    if (fact) {
      const { key, title, description, acceptance_criteria, priority, labels, assignee, due_at, column_id, column: name, rank } = fact;
      Object.assign(t, { key, title, description, acceptance_criteria, priority, labels: labels ?? [], assignee: assignee || null, due_at: due_at ?? null, column_id, current_column: name, rank });
    }
    if (e.type === 'ticket_recovered') {
      const { archived, created_at, created_by, column_entered_at, checklist, evidence, comments } = fact;
      Object.assign(t, { archived: archived ?? false, created_at, created_by, column_entered_at, checklist: checklist ?? [], evidence: evidence ?? [], comment_count: comments?.length ?? 0 });
      for (const c of comments ?? []) this.comments.add(c.id);
    }
    this.#settle(t.id);
    this.#called(t.key, t.id);
    this.#set(t.id, t);
    this.waits.set(t.id, fact?.depends_on ?? []);
    this.#judge(t.id);
    this.#found(t.id);
  }

  // #settle: what the server was to be asked is known.
  #settle(id) {
    for (const doubts of [this.stale, this.asked, this.counted]) doubts.delete(id);
  }

  #set(id, ticket) {
    this.tickets.set(id, ticket);
    this.changed.tickets.add(id);
  }

  #remove(id) {
    const t = this.tickets.get(id);
    if (!t) return;
    this.tickets.delete(id);
    if (this.byKey.get(t.key) === id) this.byKey.delete(t.key);
    this.#settle(id);
    this.gone.add(id);
    this.changed.tickets.add(id);
    this.waits.set(id, []);
    this.#judgeWaiters(id);
  }

  // Dependencies. A ticket that is not there, or not in a column of kind done,
  // blocks whoever waits for it.

  // #know takes over what a ticket of the server waits for.
  #know(t) {
    this.waits.set(t.id, t.depends_on.map((key) => ({ id: this.byKey.get(key) ?? 0, key })));
  }

  // #found: a ticket is there; who knew it by its key alone waits for it from now on.
  #found(id) {
    this.gone.delete(id);
    if (this.tickets.get(id).key) this.waits.name(id, this.tickets.get(id).key);
    this.#judgeWaiters(id);
  }

  // #done is undefined where only the server knows.
  #done(id) {
    const t = this.tickets.get(id);
    if (!t) return this.whole || this.gone.has(id) ? false : undefined;
    return Boolean(this.board?.columns.some((c) => c.id === t.column_id && c.kind === 'done'));
  }

  #judgeWaiters(id) {
    this.shifted = this.position;
    for (const waiter of this.waits.waiters(id)) this.#judge(waiter);
    // Of one whose creation was redacted nobody knows by its key who waits for it.
    if (!this.tickets.get(id)?.key) for (const waiter of this.waits.nameless()) this.stale.add(waiter);
  }

  // #judge says whether a ticket is blocked. told: it is as the server has it, asked at
  // that position, who knows of those that are not here.
  #judge(id, told) {
    const t = this.tickets.get(id);
    if (!t) return;
    const list = this.waits.of(id);
    const states = list.map((d) => this.#done(d.id));
    let blocked = states.includes(false);
    if (!blocked && states.includes(undefined)) {
      blocked = t.blocked;
      if (told === undefined || this.shifted > told) this.stale.add(id);
    }
    const keys = list.map((d) => d.key);
    if (blocked !== t.blocked || keys.length !== t.depends_on.length || keys.some((k, i) => k !== t.depends_on[i])) {
      this.#set(id, { ...t, blocked, depends_on: keys });
    }
  }

  // #doubtUnknown: something happened to a ticket that is not here; whoever waits
  // for one that is not here is asked for again.
  #doubtUnknown() {
    this.shifted = this.position;
    for (const [id, list] of this.waits.all()) if (list.some((d) => this.#done(d.id) === undefined)) this.stale.add(id);
  }
}

function column(c) {
  const policy = { require_checklist: false, require_evidence: false, approval: false, ...c.policy };
  return { id: c.id, name: c.name, kind: c.kind, wip_limit: c.wip_limit ?? null, policy };
}

function enter(t, e, fact) {
  if (t.column_id !== fact.column_id) t.column_entered_at = e.time;
  t.column_id = fact.column_id;
  t.current_column = fact.column;
  t.rank = fact.rank;
}
