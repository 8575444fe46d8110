// The settings of a board: what it is, its columns, who works on it, where its events
// are sent, what it cost, and what cannot be done lightly.
import './strings.js';
import { html, useEffect, useSignal } from '../vendor/preact.js';
import { del, get, post, put } from '../lib/api.js';
import { follow } from '../lib/live.js';
import { complain, Field, Icon, say, toast } from '../lib/parts.js';
import { go, place } from '../lib/router.js';
import { me } from '../lib/session.js';
import { refusal, t } from '../lib/strings.js';
import { Frame } from '../pages/frame.js';
import { Ask, Saves, Section, unsaved, useDraft } from './bits.js';
import { Columns } from './settings-columns.js';
import { Hooks } from './settings-hooks.js';
import { Members, Tokens } from './settings-people.js';
import { Undo, Usage } from './settings-work.js';

const general = ({ name, description, visibility, max_claims }) => ({ name, description, visibility, max_claims });

function General({ board, manage, reload }) {
  const draft = useDraft(`${board.id} general`, general(board), board.version);
  const busy = useSignal(false);
  const wrong = useSignal(null);
  const save = async (event) => {
    event.preventDefault();
    busy.value = true;
    wrong.value = null;
    try {
      const saved = await put(`/api/boards/${board.id}`, draft.value, { headers: { 'If-Match': `"v${draft.version}"` } });
      draft.saved(general(saved), saved.version);
      say(t('settings.saved'));
      toast(t('settings.saved'), { kind: 'green' });
    } catch (err) {
      // Somebody was faster: what they did comes with the board, and Saves asks.
      if (err.code !== 'version_mismatch') wrong.value = err;
    }
    await reload();
    busy.value = false;
  };
  const set = (name) => (e) => {
    const text = e.target.value;
    draft.set((now) => ({ ...now, [name]: name === 'max_claims' ? Number(text || 0) : text }));
  };
  const fields = wrong.value?.fields ?? {};
  const v = draft.value;
  return html`<${Section} id="general" title=${t('settings.general')}><form class="stack" onSubmit=${save}><fieldset disabled=${!manage}>
    <div class="pair"><${Field} label=${t('boards.name')} wrong=${fields.name}><input required maxlength="120" value=${v.name} onInput=${set('name')} /><//>
      <${Field} label=${t('boards.key')} hint=${t('settings.key_hint')}><input value=${board.key} readOnly /><//></div>
    <${Field} label=${t('boards.description')} wrong=${fields.description}><textarea rows="3" value=${v.description} onInput=${set('description')}></textarea><//>
    <div class="pair"><${Field} label=${t('settings.visibility')} hint=${t(`settings.visibility_${v.visibility}`)} wrong=${fields.visibility}><select value=${v.visibility} onChange=${set('visibility')}><option value="private">${t('settings.private')}</option><option value="internal">${t('settings.internal')}</option></select><//>
      <${Field} label=${t('settings.max_claims')} hint=${t('settings.max_claims_hint')} wrong=${fields.max_claims}><input type="number" required min="1" max="100" value=${v.max_claims || ''} onInput=${set('max_claims')} /><//></div>
  </fieldset><${Saves} draft=${draft} busy=${busy.value} wrong=${wrong.value} /></form><//>`;
}

function Danger({ board, reload }) {
  const asked = useSignal(null);
  const close = () => { asked.value = null; };
  const act = (what, body) => async () => {
    await post(`/api/boards/${board.id}/${what}`, body);
    toast(t(`settings.did_${what}`, { name: board.name }), { kind: 'green' });
    await reload();
  };
  const now = (what) => act(what)().catch(complain);
  const rows = [
    !board.archived && (board.frozen
      ? ['unfreeze', 'freeze', () => now('unfreeze')]
      : ['freeze', 'freeze', () => { asked.value = 'freeze'; }]),
    board.archived ? ['restore', 'history', () => now('restore')] : ['archive', 'archive', () => { asked.value = 'archive'; }],
    ['delete', 'trash', () => { asked.value = 'delete'; }],
  ].filter(Boolean);
  const remove = async () => {
    await del(`/api/boards/${board.id}`);
    toast(t('settings.did_delete', { name: board.name }), { kind: 'green' });
    go('/boards');
  };
  return html`<${Section} id="danger" title=${t('settings.danger')}>
    <ul class="bare stack">${rows.map(([what, icon, run]) => html`<li class="row" key=${what}><span class="grow"><strong>${t(`settings.${what}`)}</strong><br /><span class="soft">${t(`settings.${what}_lead`)}</span></span>
      <button class="${what === 'delete' ? 'danger' : ''}" onClick=${run}><${Icon} name=${icon} />${t(`settings.${what}_do`)}</button></li>`)}</ul>
    ${asked.value === 'freeze' && html`<${Ask} title=${t('settings.freeze')} label=${t('settings.freeze_do')} run=${({ reason }) => act('freeze', { reason })()} onClose=${close}><p>${t('settings.freeze_lead')}</p><${Field} label=${t('settings.reason')} hint=${t('settings.reason_hint')}><input name="reason" maxlength="500" autofocus /><//><//>`}
    ${asked.value === 'archive' && html`<${Ask} title=${t('settings.archive')} label=${t('settings.archive_do')} danger word=${board.key} run=${act('archive')} onClose=${close}><p>${t('settings.archive_lead')}</p><//>`}
    ${asked.value === 'delete' && html`<${Ask} title=${t('settings.delete')} label=${t('settings.delete_do')} danger word=${board.key} run=${remove} onClose=${close}><p>${t('settings.delete_lead')}</p><//>`}
  <//>`;
}

// whyNot says why somebody may only look.
function whyNot(board, manage) {
  if (board.archived) return manage ? t('settings.archived') : t('board.archived');
  if (!manage) return t('settings.read_only', { role: t(`role.${board.role}`) });
  return null;
}

function Missing({ problem, retry }) {
  const missing = problem.status === 404 || problem.status === 403;
  return html`<${Frame}><main class="plain" id="content"><h1>${t(missing ? 'wrong.no_access' : 'wrong.title')}</h1>
    <p>${missing ? t('wrong.no_access_lead', { name: me.value.username }) : refusal(problem)}</p>
    <div class="row">${!missing && html`<button class="main" onClick=${retry}>${t('app.retry')}</button>`}<a class="button" href="/boards">${t('wrong.to_boards')}</a></div></main><//>`;
}

export default function SettingsPage({ board: ref }) {
  const board = useSignal(null);
  const members = useSignal([]);
  const failed = useSignal(null);
  const load = async () => {
    try {
      const [b, m] = await Promise.all([get(`/api/boards/${ref}`), get(`/api/boards/${ref}/members`)]);
      b.role ??= me.peek().admin ? 'admin' : (m.items.find((x) => x.user_id === me.peek().id)?.role ?? 'viewer');
      board.value = b;
      members.value = m.items;
      failed.value = null;
    } catch (err) {
      failed.value = err;
    }
  };
  useEffect(() => { load(); }, [ref]);
  const id = board.value?.id;
  useEffect(() => {
    if (!id) return undefined;
    let seen; // the feed begins with what happens from now on
    const changes = /^(board|column|member)_/;
    return follow(id, {
      since: () => seen,
      events(batch) {
        seen = batch.at(-1).position;
        if (batch.some((e) => changes.test(e.type))) load();
      },
      resync: () => { load(); },
    });
  }, [id]);
  useEffect(() => {
    if (!board.value) return;
    document.title = `${t('page.settings', { name: board.value.name })} · ${t('app.name')}`;
    const at = location.hash && document.getElementById(location.hash.slice(1));
    if (at) at.scrollIntoView();
  }, [board.value?.name]);
  // Whoever leaves with something unsaved is told where it waits.
  useEffect(() => () => {
    const own = [...unsaved.peek()].some((name) => name.startsWith(`${board.peek()?.id} `));
    if (own) toast(t('settings.left_unsaved', { name: board.peek().name }), { life: 12_000, label: t('settings.go_back'), action: () => go(`/boards/${board.peek().key}/settings`) });
  }, []);
  if (failed.value && (!board.value || failed.value.status === 404)) return html`<${Missing} problem=${failed.value} retry=${() => { failed.value = null; load(); }} />`;
  if (!board.value) return html`<${Frame}><main class="page" id="content" aria-busy="true"><div class="tile bone" role="status" aria-label=${t('app.loading')}>\u00a0</div></main><//>`;
  const b = board.value;
  const chief = b.role === 'pm' || b.role === 'admin';
  const manage = chief && !b.archived;
  const why = whyNot(b, chief);
  const parts = ['general', 'columns', 'members', ...(chief ? ['tokens', 'hooks'] : []), 'usage', ...(manage ? ['undo'] : []), ...(chief ? ['danger'] : [])];
  const bar = html`<a class="button quiet" href="/boards/${b.key}"><${Icon} name="left" /><strong class="cut">${b.name}</strong></a>`;
  const common = { board: b, members: members.value, manage, reload: load };
  return html`<${Frame} bar=${bar}><main class="settings" id="content">
    <div class="heads stack"><h1>${t('settings.title')}</h1>${why && html`<p class="notice plain">${why}</p>`}
      ${failed.value && html`<p class="notice red" role="alert">${refusal(failed.value)}</p>`}</div>
    <nav aria-label=${t('settings.title')}>${parts.map((p) => html`<a key=${p} class="button quiet" href="${place.value.path}#${p}">${t(`settings.${p}`)}</a>`)}</nav>
    <div class="sections"><${General} ...${common} /><${Columns} ...${common} /><${Members} ...${common} />
      ${chief && html`<${Tokens} ...${common} /><${Hooks} ...${common} />`}<${Usage} board=${b} />
      ${manage && html`<${Undo} ...${common} />`}${chief && html`<${Danger} ...${common} />`}</div></main><//>`;
}
