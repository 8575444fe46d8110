// Who works on a board: members with their roles, and the tokens of its agents.
import { html, useEffect, useSignal } from '../vendor/preact.js';
import { del, get, post } from '../lib/api.js';
import { complain, Face, Field, Icon, say, toast } from '../lib/parts.js';
import { me } from '../lib/session.js';
import { refusal, t } from '../lib/strings.js';
import { Ask, Section } from './bits.js';
import { IssueToken, TokenList } from './tokens.js';

const ROLES = ['pm', 'agent', 'viewer'];

export function Members({ board, members, manage, reload }) {
  const agents = useSignal(new Set()); // names of those that are no people
  const leaving = useSignal(null);
  const wrong = useSignal(null);
  const busy = useSignal(false);
  useEffect(() => {
    get(`/api/agents?board=${board.id}`).then((list) => { agents.value = new Set(list.items.filter((a) => a.kind === 'agent').map((a) => a.name)); }, () => {});
  }, [members]);
  const add = async (event) => {
    event.preventDefault();
    const form = event.target;
    const { user, role } = Object.fromEntries(new FormData(form));
    busy.value = true;
    wrong.value = null;
    try {
      await post(`/api/boards/${board.id}/members`, { user: user.trim(), role });
      say(t('members.added', { name: user, role: t(`role.${role}`) }));
      form.reset();
      form.elements.user.focus();
      await reload();
    } catch (err) {
      wrong.value = err.fields?.user ? { detail: t('members.unknown', { name: user.trim() }) } : err;
    }
    busy.value = false;
  };
  const change = async (m, event) => {
    const select = event.currentTarget;
    try {
      await post(`/api/boards/${board.id}/members`, { user_id: String(m.user_id), role: select.value });
      toast(t('members.changed', { name: m.name, role: t(`role.${select.value}`) }), { kind: 'green' });
    } catch (err) {
      select.value = m.role;
      complain(err);
    }
    await reload();
  };
  const remove = async () => {
    await del(`/api/boards/${board.id}/members/${leaving.value.user_id}`);
    toast(t('members.removed', { name: leaving.value.name }), { kind: 'green' });
    await reload();
  };
  return html`<${Section} id="members" title=${t('settings.members')} lead=${t('members.lead')}>
    <div class="scroll" tabindex="0" role="group" aria-label=${t('settings.members')}><table class="tall"><thead><tr><th>${t('members.name')}</th><th>${t('members.role')}</th>${manage && html`<th><span class="unseen">${t('members.remove')}</span></th>`}</tr></thead>
      <tbody>${members.map((m) => html`<tr key=${m.user_id}><td><span class="row"><${Face} name=${m.name} agent=${agents.value.has(m.name)} />${m.name}${m.user_id === me.value.id && html` <span class="soft">${t('members.you')}</span>`}</span></td>
        <td>${manage ? html`<select aria-label=${t('members.role_of', { name: m.name })} value=${m.role} onChange=${(e) => change(m, e)}>${ROLES.map((r) => html`<option key=${r} value=${r}>${t(`role.${r}`)}</option>`)}</select>` : t(`role.${m.role}`)}</td>
        ${manage && html`<td class="number"><button class="quiet danger" aria-label=${t('members.remove_name', { name: m.name })} onClick=${() => { leaving.value = m; }}><${Icon} name="trash" />${t('members.remove')}</button></td>`}</tr>`)}</tbody></table></div>
    ${!members.length && html`<p class="soft">${t('members.none')}</p>`}
    ${manage && html`<form class="inline" onSubmit=${add}><${Field} label=${t('members.add_name')}><input name="user" required autocomplete="off" autocapitalize="none" spellcheck=${false} /><//>
      <label class="field short"><span>${t('members.role')}</span><select name="role">${ROLES.map((r) => html`<option key=${r} value=${r} selected=${r === 'viewer'}>${t(`role.${r}`)}</option>`)}</select></label>
      <button disabled=${busy.value}><${Icon} name="add" />${t('members.add')}</button></form>
      ${wrong.value && html`<p class="wrong" role="alert">${refusal(wrong.value)}</p>`}<p class="soft">${t('members.roles')}</p>`}
    ${leaving.value && html`<${Ask} title=${t('members.remove_name', { name: leaving.value.name })} label=${t('members.remove')} danger run=${remove} onClose=${() => { leaving.value = null; }}><p>${t('members.remove_lead', { name: leaving.value.name, board: board.name })}</p><//>`}
  <//>`;
}

// Tokens are those of agents that are limited to this board, and for an admin all that
// reach it.
export function Tokens({ board, manage, reload }) {
  const tokens = useSignal(null);
  const failed = useSignal(null);
  const issuing = useSignal(false);
  const load = async () => {
    try {
      tokens.value = (await get(`/api/auth/tokens?board=${board.id}`)).items.filter((x) => x.boards?.includes(board.id));
      failed.value = null;
    } catch (err) {
      failed.value = err;
    }
  };
  useEffect(() => { load(); }, [board.id]);
  return html`<${Section} id="tokens" title=${t('settings.tokens')} lead=${t('tokens.board_lead')}>
    ${failed.value && html`<p class="notice red" role="alert">${refusal(failed.value)} <button onClick=${load}>${t('app.retry')}</button></p>`}
    ${tokens.value && html`<${TokenList} tokens=${tokens.value} owner changed=${load} empty=${t('tokens.none_board')} />`}
    ${manage && html`<div><button onClick=${() => { issuing.value = true; }}><${Icon} name="add" />${t('tokens.new_agent')}</button></div>`}
    ${issuing.value && html`<${IssueToken} board=${board} agent issued=${() => { load(); reload(); }} onClose=${() => { issuing.value = false; }} />`}
  <//>`;
}
