// The list of boards, and the way to a first one.
import { html, useEffect, useSignal } from '../vendor/preact.js';
import { every, post } from '../lib/api.js';
import { complain, Dialog, Field, Icon } from '../lib/parts.js';
import { go } from '../lib/router.js';
import { ago, exact, refusal, t } from '../lib/strings.js';
import { Frame } from './frame.js';
import { sample } from './sample.js';

export function BoardsPage() {
  const boards = useSignal(null);
  const failed = useSignal(null);
  const adding = useSignal(false);
  const archived = useSignal(false);
  const load = async () => {
    try {
      boards.value = await every(`/api/boards${archived.value ? '?archived=true' : ''}`);
    } catch (err) {
      failed.value = err;
    }
  };
  useEffect(() => {
    load();
  }, [archived.value]);
  return html`<${Frame}><main class="page" id="content">
    <div class="row wrap"><h1>${t('boards.title')}</h1>
      <label class="row spread soft"><input type="checkbox" checked=${archived.value} onChange=${(e) => { archived.value = e.target.checked; }} />${t('boards.show_archived')}</label>
      <button class="main" onClick=${() => { adding.value = true; }}><${Icon} name="add" />${t('boards.new')}</button></div>
    ${failed.value && html`<p class="notice red" role="alert">${refusal(failed.value)} <button onClick=${() => { failed.value = null; load(); }}>${t('app.retry')}</button></p>`}
    ${!boards.value && !failed.value && html`<ul class="bare tiles" aria-busy="true" aria-label=${t('app.loading')}>${[1, 2, 3].map((i) => html`<li key=${i} class="tile bone">\u00a0</li>`)}</ul>`}
    ${boards.value?.length === 0 && html`<div class="sheet empty"><h2>${t('boards.empty')}</h2><p>${t('boards.empty_lead')}</p><button class="main" onClick=${() => { adding.value = true; }}><${Icon} name="add" />${t('boards.new')}</button></div>`}
    ${boards.value?.length > 0 && html`<ul class="bare tiles">${boards.value.map((b) => html`<${Tile} key=${b.id} board=${b} />`)}</ul>`}
    ${adding.value && html`<${NewBoard} first=${boards.value?.length === 0} onClose=${() => { adding.value = false; }} />`}
  </main><//>`;
}

function Tile({ board }) {
  const c = board.counts;
  const total = c ? c.open + c.done : 0;
  return html`<li class="tile"><a href="/boards/${board.key}">
    <span class="row"><strong class="cut">${board.name}</strong><span class="tag number spread">${board.key}</span></span>
    ${board.description && html`<span class="soft cut">${board.description}</span>`}
    ${c && html`<span class="meter" aria-hidden="true"><span style=${{ width: `${total ? (100 * c.done) / total : 0}%` }}></span></span>
      <span class="row wrap soft number"><span>${t('boards.open', { n: c.open })}</span><span>${t('boards.done', { n: c.done })}</span>
        ${c.held > 0 && html`<span class="tag violet">${t('boards.held', { n: c.held })}</span>`}${c.blocked > 0 && html`<span class="tag red">${t('boards.blocked', { n: c.blocked })}</span>`}</span>`}
    <span class="soft small">${board.archived && html`<span class="tag">${t('boards.archived')}</span> `}${board.last_event_at ? html`<span title=${exact(board.last_event_at)}>${t('boards.active', { time: ago(board.last_event_at) })}</span>` : t('boards.quiet')}</span>
  </a></li>`;
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
