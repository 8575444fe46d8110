// The columns of a board, changed together and saved as one list. Rows are moved by
// dragging their grip or by their buttons.
import { html, signal, useEffect, useRef, useSignal } from '../vendor/preact.js';
import { attachClosestEdge, combine, draggable, dropTargetForElements, extractClosestEdge } from '../vendor/dnd.js';
import { every, get, post, put } from '../lib/api.js';
import { complain, Icon, say, toast } from '../lib/parts.js';
import { t } from '../lib/strings.js';
import { Saves, Section, useDraft } from './bits.js';

const KINDS = ['backlog', 'active', 'blocked', 'review', 'done'];
const NAME = 'column-row'; // in the data of what is dragged
const BATCH = 50; // moves in one request

// rowOf is a column as the draft holds it: uid is its id, or "new 1" until it has one.
const rowOf = (c) => ({
  uid: String(c.id), name: c.name, kind: c.kind, wip_limit: c.wip_limit, require_checklist: c.policy.require_checklist, require_evidence: c.policy.require_evidence,
  approval: c.policy.approval, allow_from: (c.policy.allow_from ?? []).map(String),
});
const rowsOf = (columns) => columns.map(rowOf);
const isNew = (row) => row.uid.startsWith('new');

// specs is the draft as the server takes it. Columns are named by id, new ones by name.
const specs = (rows) => rows.map((r) => ({
  ...(!isNew(r) && { id: Number(r.uid) }), name: r.name.trim(), kind: r.kind, wip_limit: r.wip_limit,
  policy: {
    require_checklist: r.require_checklist, require_evidence: r.require_evidence, approval: r.approval,
    allow_from: r.allow_from.map((uid) => rows.find((x) => x.uid === uid)).filter(Boolean).map((x) => (isNew(x) ? x.name.trim() : x.uid)),
  },
}));

const over = signal(null); // where a dragged row would land: {uid, edge}

let made = 0;

export function Columns({ board, manage, reload }) {
  const draft = useDraft(`${board.id} columns`, rowsOf(board.columns), board.version);
  const counts = useSignal(new Map());
  const busy = useSignal(false);
  const wrong = useSignal(null);
  const list = useRef();
  const rows = draft.value;
  const count = async () => {
    try {
      const s = await get(`/api/statistics/boards/${board.id}/statistics`);
      counts.value = new Map(s.columns.map((c) => [String(c.id), c.tickets]));
    } catch {
      // The server refuses what must not be removed, and says how many are inside.
    }
  };
  useEffect(() => { count(); }, [board.version]);

  const change = (uid, part) => draft.set((now) => now.map((r) => (r.uid === uid ? { ...r, ...(typeof part === 'function' ? part(r) : part) } : r)));
  const moveTo = (uid, index) => {
    const row = rows.find((r) => r.uid === uid);
    const rest = rows.filter((r) => r.uid !== uid);
    const at = Math.max(0, Math.min(index, rest.length));
    draft.set(rest.toSpliced(at, 0, row));
    say(t('columns.moved', { name: row.name, n: at + 1, of: rows.length }));
  };
  const add = () => {
    const uid = `new ${++made}`;
    draft.set([...rows, { uid, name: '', kind: 'active', wip_limit: null, require_checklist: false, require_evidence: false, approval: false, allow_from: [] }]);
    requestAnimationFrame(() => list.current?.querySelector('.setup-column:last-child input')?.focus());
  };
  const remove = (row) => {
    draft.set(rows.filter((r) => r.uid !== row.uid).map((r) => (r.allow_from.includes(row.uid) ? { ...r, allow_from: r.allow_from.filter((x) => x !== row.uid) } : r)));
    say(t('columns.removed', { name: row.name }));
    list.current?.focus();
  };
  const save = async (event) => {
    event.preventDefault();
    busy.value = true;
    wrong.value = null;
    try {
      const saved = await put(`/api/boards/${board.id}/columns`, specs(rows), { headers: { 'If-Match': `"v${draft.version}"` } });
      draft.saved(rowsOf(saved.items), draft.version);
      toast(t('settings.saved'), { kind: 'green' });
    } catch (err) {
      if (err.code !== 'version_mismatch') wrong.value = err;
    }
    await reload();
    busy.value = false;
  };
  const drop = ({ source, target, edge }) => {
    const without = rows.filter((r) => r.uid !== source);
    moveTo(source, without.findIndex((r) => r.uid === target) + (edge === 'bottom' ? 1 : 0));
  };
  const fields = wrong.value?.fields ?? {};
  return html`<${Section} id="columns" title=${t('settings.columns')} lead=${t('columns.lead')}><form class="stack" onSubmit=${save}><div class="stack">
    <div class="setup-head" aria-hidden="true"><span></span><span>${t('boards.name')}</span><span>${t('columns.kind')}</span><span>${t('columns.limit')}</span><span></span></div>
    <ol class="bare setup-columns" ref=${list} tabindex="-1" aria-label=${t('settings.columns')}>${rows.map((r, i) => html`<${Row} key=${r.uid} row=${r} index=${i} rows=${rows} board=${board} manage=${manage} count=${counts.value.get(r.uid) ?? 0}
      wrong=${Object.entries(fields).filter(([name]) => name.startsWith(`columns[${i}]`) || name.startsWith(`[${i}]`)).map(([, why]) => why).join('; ')}
      change=${(part) => change(r.uid, part)} moveTo=${(to) => moveTo(r.uid, to)} remove=${() => remove(r)} drop=${drop} recount=${count} />`)}</ol>
    ${manage && html`<div><button type="button" onClick=${add}><${Icon} name="add" />${t('columns.add')}</button></div>`}
  </div><${Saves} draft=${draft} busy=${busy.value} wrong=${wrong.value} /></form><//>`;
}

function Row({ row, index, rows, board, manage, count, wrong, change, moveTo, remove, drop, recount }) {
  const at = useRef();
  const grip = useRef();
  const open = useSignal(false);
  const leaving = useSignal(false);
  const dragging = useSignal(false);
  const latest = useRef();
  latest.current = drop;
  useEffect(() => (manage ? combine(
    draggable({
      element: at.current, dragHandle: grip.current, getInitialData: () => ({ [NAME]: row.uid }),
      onDragStart: () => { dragging.value = true; }, onDrop: () => { dragging.value = false; over.value = null; },
    }),
    dropTargetForElements({
      element: at.current, canDrop: ({ source }) => Boolean(source.data[NAME]) && source.data[NAME] !== row.uid,
      getData: ({ input, element }) => attachClosestEdge({}, { input, element, allowedEdges: ['top', 'bottom'] }),
      onDrag: ({ self }) => { over.value = { uid: row.uid, edge: extractClosestEdge(self.data) }; },
      onDragLeave: () => { over.value = null; },
      onDrop: ({ source, self }) => latest.current({ source: source.data[NAME], target: row.uid, edge: extractClosestEdge(self.data) }),
    }),
  ) : undefined), [row.uid, manage]);
  const shift = (by) => (e) => {
    const button = e.currentTarget;
    moveTo(index + by);
    // At an end this button goes out of use; the focus stays in the row.
    requestAnimationFrame(() => (button.disabled ? at.current?.querySelector('.shift:not(:disabled)') : button)?.focus());
  };
  const set = (name) => (e) => change({ [name]: e.target.type === 'checkbox' ? e.target.checked : e.target.value });
  const asks = row.require_checklist || row.require_evidence || row.approval || row.allow_from.length > 0;
  const edge = over.value?.uid === row.uid ? `edge-${over.value.edge}` : '';
  const named = row.name || t('columns.unnamed');
  return html`<li ref=${at} class="setup-column ${edge} ${dragging.value ? 'dragged' : ''}">
    <div class="setup-row"><span class="grip" ref=${grip} title=${t('columns.drag')} aria-hidden="true">${manage && html`<${Icon} name="lanes" />`}</span>
      <input aria-label=${t('columns.name_of', { n: index + 1 })} required maxlength="60" disabled=${!manage} value=${row.name} onInput=${set('name')} dir="auto" />
      <select disabled=${!manage} aria-label=${t('columns.kind_of', { name: named })} value=${row.kind} onChange=${set('kind')}>${KINDS.map((k) => html`<option key=${k} value=${k}>${t(`kind.${k}`)}</option>`)}</select>
      <input type="number" disabled=${!manage} min="1" max="10000" aria-label=${t('columns.limit_of', { name: named })} placeholder=${t('columns.no_limit')} value=${row.wip_limit ?? ''} onInput=${(e) => change({ wip_limit: e.target.value === '' ? null : Number(e.target.value) })} />
      <span class="row"><button type="button" class="quiet square" aria-expanded=${open.value} aria-label=${t('columns.rules_of', { name: named })} title=${t('columns.rules')} aria-pressed=${asks} onClick=${() => { open.value = !open.value; }}><${Icon} name="approval" /></button>
        ${manage && html`<button type="button" class="quiet square shift" aria-label=${t('columns.up', { name: named })} disabled=${index === 0} onClick=${shift(-1)}><${Icon} name="up" /></button>
        <button type="button" class="quiet square shift" aria-label=${t('columns.down', { name: named })} disabled=${index === rows.length - 1} onClick=${shift(1)}><${Icon} name="down" /></button>
        <button type="button" class="quiet square" aria-label=${t('columns.remove', { name: named })} disabled=${rows.length === 1} onClick=${() => { if (count > 0) leaving.value = !leaving.value; else remove(); }}><${Icon} name="trash" /></button>`}</span></div>
    ${wrong && html`<p class="wrong" role="alert">${wrong}</p>`}
    ${leaving.value && count > 0 && html`<${Leaving} row=${row} rows=${rows} board=${board} count=${count} done=${recount} remove=${remove} />`}
    ${open.value && html`<div class="more"><p class="soft">${t('columns.rules_lead')}</p>
      ${['require_checklist', 'require_evidence', 'approval'].map((name) => html`<label class="row tick" key=${name}><input type="checkbox" disabled=${!manage} checked=${row[name]} onChange=${set(name)} />${t(`columns.${name}`)}</label>`)}
      <div role="group" aria-label=${t('columns.allow_from')}><span class="soft">${t('columns.allow_from')}</span><div class="row wrap">${rows.filter((r) => r.uid !== row.uid && r.name).map((r) => html`<label class="row tick" key=${r.uid}><input type="checkbox" disabled=${!manage} checked=${row.allow_from.includes(r.uid)}
        onChange=${(e) => { const yes = e.target.checked; change((now) => ({ allow_from: yes ? [...now.allow_from, r.uid] : now.allow_from.filter((x) => x !== r.uid) })); }} />${r.name}</label>`)}</div><span class="soft">${t('columns.allow_from_hint')}</span></div></div>`}
  </li>`;
}

// Leaving empties a column, so that it can be removed.
function Leaving({ row, rows, board, count, done, remove }) {
  const others = rows.filter((r) => r.uid !== row.uid && !isNew(r));
  const to = useSignal(others[0]?.uid);
  const busy = useSignal(false);
  const move = async () => {
    busy.value = true;
    const target = others.find((r) => r.uid === to.value);
    try {
      const tickets = await every(`/api/tickets?board_id=${board.id}&column=${row.uid}`);
      for (let i = 0; i < tickets.length; i += BATCH) {
        await post('/api/commands', tickets.slice(i, i + BATCH).map((x) => ({ type: 'move_ticket', data: { ticket: String(x.id), column: target.uid } })));
      }
      toast(t('columns.emptied', { n: tickets.length, name: target.name }), { kind: 'green' });
      remove();
    } catch (err) {
      complain(err);
    }
    busy.value = false;
    await done();
  };
  return html`<div class="notice" role="alert"><div class="stack"><span>${t('columns.inside', { n: count, name: row.name })}</span>
    <span class="row wrap"><select aria-label=${t('columns.where')} value=${to.value} onChange=${(e) => { to.value = e.target.value; }}>${others.map((r) => html`<option key=${r.uid} value=${r.uid}>${r.name}</option>`)}</select>
      <button type="button" disabled=${busy.value || !others.length} onClick=${move}><${Icon} name="move" />${t('columns.empty_it', { n: count })}</button></span></div></div>`;
}
