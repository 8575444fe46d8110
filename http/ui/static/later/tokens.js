// API tokens: issuing one, its secret, the list.
import { html, useSignal } from '../vendor/preact.js';
import { del, post } from '../lib/api.js';
import { complain, CopyButton, Dialog, Field, Icon, toast } from '../lib/parts.js';
import { ago, exact, refusal, t } from '../lib/strings.js';
import { Ask } from './bits.js';

const DAYS = [7, 30, 90, 365, 0];

// snippets are ways to use a token, ready to be pasted.
function snippets(token) {
  const url = location.origin;
  return {
    shell: `export KANBAN_URL=${url}\nexport KANBAN_TOKEN=${token}\nkanban next --wait 60s`,
    claude: `claude mcp add kanban --env KANBAN_URL=${url} --env KANBAN_TOKEN=${token} -- kanban mcp`,
    json: JSON.stringify({ mcpServers: { kanban: { command: 'kanban', args: ['mcp'], env: { KANBAN_URL: url, KANBAN_TOKEN: token } } } }, null, 2),
    http: JSON.stringify({ servers: { kanban: { type: 'http', url: `${url}/mcp`, headers: { Authorization: `Bearer ${token}` } } } }, null, 2),
  };
}

// Snippets shows them one at a time.
export function Snippets({ token = 'akb_…' }) {
  const kind = useSignal('shell');
  const all = snippets(token);
  return html`<div class="snippet"><div class="tabs" role="group" aria-label=${t('tokens.snippets')}>${Object.keys(all).map((k) => html`<button type="button" key=${k} class="chip" aria-pressed=${kind.value === k} onClick=${() => { kind.value = k; }}>${t(`tokens.snippet_${k}`)}</button>`)}</div>
    <pre tabindex="0" aria-label=${t(`tokens.snippet_${kind.value}`)}><code>${all[kind.value]}</code></pre>
    <p><${CopyButton} key=${kind.value} text=${all[kind.value]} label=${t('tokens.copy_snippet')} /></p></div>`;
}

// Secret shows a token this once. It closes by its button alone, so that no stray key
// loses what cannot be shown again.
function Secret({ token, onClose }) {
  return html`<${Dialog} title=${t('tokens.issued', { name: token.name })}>
    <p class="notice">${t('tokens.once')}</p>
    <div class="row wrap"><code class="secret">${token.token}</code><${CopyButton} text=${token.token} label=${t('tokens.copy')} /></div>
    <h3>${t('tokens.use')}</h3><${Snippets} token=${token.token} />
    <div class="row"><button class="main" onClick=${onClose}>${t('tokens.kept')}</button></div><//>`;
}

// IssueToken asks for what a token needs. board limits it to one board; agent makes
// it one of an agent, which is registered on the way. boards are offered where board
// is not given.
export function IssueToken({ board, agent, boards = [], issued, onClose }) {
  const token = useSignal(null);
  const busy = useSignal(false);
  const wrong = useSignal(null);
  if (token.value) return html`<${Secret} token=${token.value} onClose=${onClose} />`;
  const submit = async (event) => {
    event.preventDefault();
    const data = new FormData(event.target);
    const days = Number(data.get('days'));
    const limits = board ? [String(board.id)] : data.getAll('boards');
    busy.value = true;
    wrong.value = null;
    try {
      token.value = await post('/api/auth/tokens', {
        name: data.get('name').trim(), role: data.get('role'), ...(agent && { kind: 'agent' }), ...(days && { expires_in_days: days }), ...(limits.length && { boards: limits }),
      });
      issued?.(token.value);
    } catch (err) {
      wrong.value = err;
      busy.value = false;
    }
  };
  const fields = wrong.value?.fields ?? {};
  return html`<${Dialog} title=${t(agent ? 'tokens.new_agent' : 'tokens.new')} onClose=${onClose}><form class="stack" onSubmit=${submit}>
    <${Field} label=${t(agent ? 'tokens.agent_name' : 'tokens.name')} hint=${t(agent ? 'tokens.agent_hint' : 'tokens.name_hint')} wrong=${fields.name ?? fields.user}><input name="name" required maxlength="100" autocomplete="off" spellcheck=${false} autofocus /><//>
    <div class="pair"><${Field} label=${t('tokens.role')} hint=${t('tokens.role_hint')} wrong=${fields.role}><select name="role">${['agent', 'pm', 'viewer'].map((r) => html`<option key=${r} value=${r}>${t(`role.${r}`)}</option>`)}</select><//>
      <${Field} label=${t('tokens.expiry')} wrong=${fields.expires_in_days}><select name="days" defaultValue="90">${DAYS.map((d) => html`<option key=${d} value=${d} selected=${d === 90}>${d ? t('tokens.days', { n: d }) : t('tokens.never')}</option>`)}</select><//></div>
    ${!board && boards.length > 0 && html`<fieldset class="field"><legend>${t('tokens.boards')}</legend><span class="hint">${t(agent ? 'tokens.boards_agent' : 'tokens.boards_hint')}</span>
      <div class="row wrap">${boards.map((b, i) => html`<label class="row tick" key=${b.id}><input type="checkbox" name="boards" value=${b.id} defaultChecked=${agent && i === 0 && boards.length === 1} />${b.name}</label>`)}</div></fieldset>`}
    ${wrong.value && html`<p class="wrong" role="alert">${refusal(wrong.value)}</p>`}
    <div class="row"><button class="main" disabled=${busy.value}>${t('tokens.issue')}</button><button type="button" onClick=${onClose}>${t('app.cancel')}</button></div></form><//>`;
}

function Expiry({ token }) {
  if (!token.expires_at) return html`<span class="soft">${t('tokens.never')}</span>`;
  const left = new Date(token.expires_at) - Date.now();
  if (left <= 0) return html`<span class="tag red" title=${exact(token.expires_at)}>${t('tokens.expired')}</span>`;
  return html`<span class=${left < 7 * 86400_000 ? 'tag amber' : ''} title=${exact(token.expires_at)}>${ago(token.expires_at)}</span>`;
}

// TokenList is the tokens that are not revoked, the newest first. names are those of
// boards, by id; owner shows whose they are.
export function TokenList({ tokens, names = new Map(), owner, changed, empty }) {
  const asked = useSignal(null);
  const list = tokens.filter((x) => !x.revoked).sort((a, b) => b.id - a.id);
  if (!list.length) return html`<p class="soft">${empty ?? t('tokens.none')}</p>`;
  const revoke = async () => {
    await del(`/api/auth/tokens/${asked.value.id}`);
    toast(t('tokens.revoked', { name: asked.value.name }), { kind: 'green' });
    changed().catch(complain);
  };
  return html`<div class="scroll" tabindex="0" role="group" aria-label=${t('tokens.list')}><table class="tall"><thead><tr><th>${t('tokens.name')}</th><th>${t('tokens.role')}</th>${names.size > 0 && html`<th>${t('tokens.boards')}</th>`}<th>${t('tokens.used')}</th><th>${t('tokens.expiry')}</th><th><span class="unseen">${t('tokens.revoke')}</span></th></tr></thead>
    <tbody>${list.map((x) => html`<tr key=${x.id}><td>${x.name}${owner && x.user !== x.name && html` <span class="soft">${x.user}</span>`}<br /><code class="soft">${x.prefix}…</code></td><td>${t(`role.${x.role}`)}</td>
      ${names.size > 0 && html`<td>${x.boards?.length ? x.boards.map((id) => names.get(id) ?? id).join(', ') : html`<span class="soft">${t('tokens.all_boards')}</span>`}</td>`}
      <td>${x.last_used_at ? html`<span title=${exact(x.last_used_at)}>${ago(x.last_used_at)}</span>` : html`<span class="soft">${t('tokens.unused')}</span>`}</td><td><${Expiry} token=${x} /></td>
      <td class="number"><button class="danger quiet" aria-label=${t('tokens.revoke_name', { name: x.name })} onClick=${() => { asked.value = x; }}><${Icon} name="trash" />${t('tokens.revoke')}</button></td></tr>`)}</tbody></table></div>
    ${asked.value && html`<${Ask} title=${t('tokens.revoke_name', { name: asked.value.name })} label=${t('tokens.revoke')} danger run=${revoke} onClose=${() => { asked.value = null; }}><p>${t('tokens.revoke_lead', { name: asked.value.name })}</p><//>`}`;
}
