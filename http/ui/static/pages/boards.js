// The list of boards, and the way to a first one.
import { html, useEffect, useSignal } from '../vendor/preact.js';
import { every, post } from '../lib/api.js';
import { complain, CopyButton, Dialog, Field, Icon, Menu, toast } from '../lib/parts.js';
import { go } from '../lib/router.js';
import { me } from '../lib/session.js';
import { ago, exact, number, refusal, t } from '../lib/strings.js';
import { Frame } from './frame.js';
import { sample } from './sample.js';

const SEARCH_FROM = 12; // boards; fewer are seen at a glance
const AGAIN = 30_000; // ms between looks at the list while it is seen

// Demo shows the command that starts a throw-away server with agents at work.
export const Demo = () => html`<p class="row wrap demo"><span>${t('boards.demo')}</span><code>kanban demo</code><${CopyButton} text="kanban demo" label=${t('app.copy')} /></p>`;

const matches = (board, text) => `${board.name} ${board.key} ${board.description}`.toLowerCase().includes(text.trim().toLowerCase());

export function BoardsPage() {
  const boards = useSignal(null);
  const failed = useSignal(null);
  const adding = useSignal(false);
  const archived = useSignal(false);
  const text = useSignal('');
  const load = async () => {
    const asked = archived.peek();
    try {
      const list = await every(`/api/boards${asked ? '?archived=true' : ''}`);
      if (asked !== archived.peek()) return;
      boards.value = list;
      failed.value = null;
    } catch (err) {
      failed.value = err;
    }
  };
  useEffect(() => {
    boards.value = null;
    load();
    const timer = setInterval(() => !document.hidden && load(), AGAIN);
    return () => clearInterval(timer);
  }, [archived.value]);
  const all = boards.value ?? [];
  const shown = text.value ? all.filter((b) => matches(b, text.value)) : all;
  return html`<${Frame}><main class="page" id="content">
    <div class="row wrap"><h1>${t(archived.value ? 'boards.archived_title' : 'boards.title')}</h1>
      ${all.length > SEARCH_FROM && html`<input type="search" class="boards-search" aria-label=${t('boards.search')} placeholder=${t('boards.search')} value=${text.value} onInput=${(e) => { text.value = e.target.value; }} />`}
      <label class="row spread soft tick"><input type="checkbox" checked=${archived.value} onChange=${(e) => { archived.value = e.target.checked; }} />${t('boards.show_archived')}</label>
      <button class="main" onClick=${() => { adding.value = true; }}><${Icon} name="add" />${t('boards.new')}</button></div>
    ${failed.value && html`<p class="notice red" role="alert">${refusal(failed.value)} <button onClick=${() => { failed.value = null; load(); }}>${t('app.retry')}</button></p>`}
    ${!boards.value && !failed.value && html`<ul class="bare tiles" aria-busy="true" aria-label=${t('app.loading')}>${[1, 2, 3].map((i) => html`<li key=${i} class="tile bone">\u00a0</li>`)}</ul>`}
    ${boards.value?.length === 0 && (archived.value ? html`<p class="soft">${t('boards.none_archived')}</p>`
    : html`<div class="sheet empty"><h2>${t('boards.empty')}</h2><p>${t('boards.empty_lead')}</p><button class="main" onClick=${() => { adding.value = true; }}><${Icon} name="add" />${t('boards.first')}</button><${Demo} /></div>`)}
    ${all.length > 0 && shown.length === 0 && html`<p class="soft" role="status">${t('boards.no_match', { text: text.value })}</p>`}
    ${shown.length > 0 && html`<ul class="bare tiles">${shown.map((b) => html`<${Tile} key=${b.id} board=${b} changed=${load} />`)}</ul>`}
    ${adding.value && html`<${NewBoard} first=${boards.value?.length === 0} onClose=${() => { adding.value = false; }} />`}
  </main><//>`;
}

function Tile({ board, changed }) {
  const c = board.counts;
  const total = c ? c.open + c.done : 0;
  const manage = me.value.admin || board.role === 'pm';
  const archive = async (how, back) => {
    try {
      await post(`/api/boards/${board.id}/${how}`);
      toast(t(`boards.did_${how}`, { name: board.name }), { kind: 'green', ...(back && { label: t('app.undo'), action: () => archive(back) }) });
      changed();
    } catch (err) {
      complain(err);
    }
  };
  const items = [
    { label: t('boards.settings'), icon: 'settings', href: `/boards/${board.key}/settings` },
    manage && !board.archived && { label: t('boards.archive'), icon: 'archive', run: () => archive('archive', 'restore') },
    manage && board.archived && { label: t('boards.restore'), icon: 'history', run: () => archive('restore', 'archive') },
  ];
  return html`<li class="tile"><a href="/boards/${board.key}">
    <span class="row tile-head"><strong class="cut" dir="auto">${board.name}</strong><span class="tag number">${board.key}</span></span>
    ${board.description && html`<span class="soft cut" dir="auto">${board.description}</span>`}
    ${c && html`<span class="meter" aria-hidden="true"><span style=${{ width: `${total ? (100 * c.done) / total : 0}%` }}></span></span>
      <span class="row wrap soft number"><span>${t('boards.open', { n: number(c.open) })}</span><span>${t('boards.done', { n: number(c.done) })}</span>
        ${c.held > 0 && html`<span class="tag violet">${t('boards.held', { n: number(c.held) })}</span>`}${c.blocked > 0 && html`<span class="tag red">${t('boards.blocked', { n: number(c.blocked) })}</span>`}</span>`}
    <span class="row wrap soft small tile-foot">${board.archived && html`<span class="tag">${t('boards.archived')}</span>`}${board.frozen && html`<span class="tag amber">${t('boards.frozen')}</span>`}
      ${board.last_event_at ? html`<span title=${exact(board.last_event_at)}>${t('boards.active', { time: ago(board.last_event_at) })}</span>` : html`<span>${t('boards.quiet')}</span>`}
      ${board.role && html`<span class="spread">${t(`role.${board.role}`)}</span>`}</span>
  </a><span class="tile-menu"><${Menu} label=${t('boards.menu', { name: board.name })} items=${items} /></span></li>`;
}

function NewBoard({ onClose, first }) {
  const wrong = useSignal(null);
  const busy = useSignal(false);
  const create = async (event) => {
    event.preventDefault();
    const { name, key, description, fill } = Object.fromEntries(new FormData(event.target));
    busy.value = true;
    try {
      const board = await post('/api/boards', { name, ...(key && { key: key.toUpperCase() }), ...(description && { description }) });
      if (fill) await sample(board).catch(complain);
      go(`/boards/${board.key}`);
    } catch (err) {
      wrong.value = err;
      busy.value = false;
    }
  };
  const fields = wrong.value?.fields ?? {};
  return html`<${Dialog} title=${t('boards.new')} onClose=${onClose}><form class="stack" onSubmit=${create}>
    <${Field} label=${t('boards.name')} wrong=${fields.name}><input name="name" required maxlength="120" autofocus /><//>
    <${Field} label=${t('boards.key')} hint=${t('boards.key_hint')} wrong=${fields.key}><input name="key" maxlength="10" autocapitalize="characters" spellcheck=${false} /><//>
    <${Field} label=${t('boards.description')} wrong=${fields.description}><textarea name="description" rows="3"></textarea><//>
    <label class="row"><input type="checkbox" name="fill" defaultChecked=${first} />${t('boards.sample')}</label>
    ${wrong.value && html`<p class="wrong" role="alert">${refusal(wrong.value)}</p>`}
    <div class="row"><button class="main" disabled=${busy.value}>${t('boards.create')}</button><button type="button" onClick=${onClose}>${t('app.cancel')}</button></div>
  </form><//>`;
}
