// The menu of a column on the board, for those who run it. Each action is one command.
import { html, useEffect, useRef, useSignal } from '../vendor/preact.js';
import { post } from '../lib/api.js';
import { complain, Dialog, Field, Menu, say } from '../lib/parts.js';
import { refusal, t } from '../lib/strings.js';
import { Demo } from '../pages/boards.js';

const send = (type, data) => post('/api/commands', [{ type, data }]);

// ColumnMenu is handed to Column as its menu; nothing for others.
export function ColumnMenu({ store, board, column }) {
  const asked = useSignal(null); // edit, add
  if (!store.can('manage')) return null;
  const at = board.columns.findIndex((c) => c.id === column.id);
  const ref = { board: String(board.id), column: String(column.id) };
  const move = async (index) => {
    try {
      await send('move_column', { ...ref, index });
      say(t('columns.at', { name: column.name, n: index + 1 }));
    } catch (err) {
      complain(err);
    }
  };
  return html`<${Menu} label=${t('columns.menu', { name: column.name })} items=${[
    { label: t('columns.edit'), icon: 'edit', run: () => { asked.value = 'edit'; } },
    { label: t('columns.left'), icon: 'left', disabled: at === 0, run: () => move(at - 1) },
    { label: t('columns.right'), icon: 'right', disabled: at === board.columns.length - 1, run: () => move(at + 1) },
    { label: t('columns.add_after'), icon: 'add', run: () => { asked.value = 'add'; } },
    { label: t('columns.all'), icon: 'settings', href: `/boards/${board.key}/settings` },
  ]} />
  ${asked.value && html`<${Edit} board=${board} column=${asked.value === 'edit' ? column : null} index=${at + 1} onClose=${() => { asked.value = null; }} />`}`;
}

// Edit changes name and limit of a column, or adds one where column is null.
function Edit({ board, column, index, onClose }) {
  const busy = useSignal(false);
  const wrong = useSignal(null);
  const at = useRef();
  useEffect(() => at.current.select(), []);
  const submit = async (event) => {
    event.preventDefault();
    const { name, limit } = Object.fromEntries(new FormData(event.target));
    const spec = { name: name.trim(), wip_limit: limit === '' ? null : Number(limit) };
    busy.value = true;
    try {
      if (column) await send('update_column', { board: String(board.id), column: { id: column.id, ...spec } });
      else await send('add_column', { board: String(board.id), column: spec, index });
      onClose();
    } catch (err) {
      wrong.value = err;
      busy.value = false;
    }
  };
  return html`<${Dialog} title=${column ? t('columns.edit_title', { name: column.name }) : t('columns.new')} onClose=${onClose}><form class="stack" onSubmit=${submit}>
    <${Field} label=${t('boards.name')}><input ref=${at} name="name" required maxlength="60" defaultValue=${column?.name ?? ''} dir="auto" /><//>
    <${Field} label=${t('columns.limit')} hint=${t('columns.limit_hint')}><input name="limit" type="number" min="1" max="10000" defaultValue=${column?.wip_limit ?? ''} /><//>
    ${wrong.value && html`<p class="wrong" role="alert">${refusal(wrong.value)}</p>`}
    <div class="row"><button class="main" disabled=${busy.value}>${t(column ? 'app.save' : 'columns.add')}</button><button type="button" onClick=${onClose}>${t('app.cancel')}</button></div></form><//>`;
}

// EmptyBoard says what to do with a board that has nothing on it.
export function EmptyBoard({ store }) {
  const model = store.shown.value;
  const { revision } = model;
  // Read so that the first ticket takes it away.
  if (revision.value < 0 || model.placed.size > 0 || !store.can('create')) return null;
  return html`<section class="notice plain no-print" aria-label=${t('board.empty')}><div class="stack tight"><span>${t('board.empty_now')}</span><${Demo} /></div></section>`;
}
