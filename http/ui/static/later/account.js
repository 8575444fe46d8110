// The person's own account, and for admins how the server is.
import './strings.js';
import { html, useEffect, useSignal } from '../vendor/preact.js';
import { every, get, put } from '../lib/api.js';
import { alerts, stop } from '../lib/alerts.js';
import { Face, Field, Icon, toast } from '../lib/parts.js';
import { go } from '../lib/router.js';
import { adopt, me, signOut } from '../lib/session.js';
import { ago, exact, number, refusal, span, t } from '../lib/strings.js';
import { Frame } from '../pages/frame.js';
import { Section } from './bits.js';
import { IssueToken, TokenList } from './tokens.js';

// useForm runs a submit and keeps what is wrong: {send, busy, wrong, fields}.
function useForm(run) {
  const busy = useSignal(false);
  const wrong = useSignal(null);
  const send = async (event) => {
    event.preventDefault();
    const form = event.target;
    busy.value = true;
    wrong.value = null;
    try {
      await run(Object.fromEntries(new FormData(form)), form);
    } catch (err) {
      wrong.value = err;
    }
    busy.value = false;
  };
  return { send, busy: busy.value, wrong: wrong.value, fields: wrong.value?.fields ?? {} };
}

function Profile() {
  const form = useForm(async ({ display_name }) => {
    me.value = { ...me.peek(), ...(await put('/api/auth/me', { display_name })) };
    toast(t('account.saved'), { kind: 'green' });
  });
  return html`<${Section} id="profile" title=${t('account.profile')}><p class="row"><${Face} name=${me.value.display_name || me.value.username} /><strong>${me.value.username}</strong>${me.value.admin && html`<span class="tag">${t('role.admin')}</span>`}</p>
    <form class="inline" onSubmit=${form.send}><${Field} label=${t('account.display')} wrong=${form.fields.display_name}><input name="display_name" maxlength="100" autocomplete="name" defaultValue=${me.value.display_name} dir="auto" /><//>
      <button disabled=${form.busy}>${t('app.save')}</button></form><p class="soft small">${t('account.display_hint')}</p>${form.wrong && html`<p class="wrong" role="alert">${refusal(form.wrong)}</p>`}<//>`;
}

function Password() {
  const form = useForm(async ({ username, ...fields }, at) => {
    const { access_token, refresh_token, token_type, expires_in, ...user } = await put('/api/auth/me', fields);
    adopt({ access_token, refresh_token, token_type, expires_in, user });
    at.reset();
    toast(t('account.changed'), { kind: 'green' });
  });
  return html`<${Section} id="password" title=${t('account.password')} lead=${t('account.password_lead')}><form class="stack" onSubmit=${form.send}>
    <input class="unseen" name="username" autocomplete="username" value=${me.value.username} readOnly tabindex="-1" aria-hidden="true" />
    <div class="pair"><${Field} label=${t('account.current')} wrong=${form.fields.current_password}><input name="current_password" type="password" autocomplete="current-password" required /><//>
      <${Field} label=${t('account.new')} hint=${t('signin.password_hint')} wrong=${form.fields.new_password ?? form.fields.password}><input name="new_password" type="password" autocomplete="new-password" minlength="8" required /><//></div>
    ${form.wrong && html`<p class="wrong" role="alert">${refusal(form.wrong)}</p>`}<div><button disabled=${form.busy}>${t('account.change')}</button></div></form><//>`;
}

function Tokens() {
  const tokens = useSignal(null);
  const boards = useSignal([]);
  const failed = useSignal(null);
  const issuing = useSignal(false);
  const load = async () => {
    try {
      const [list, all] = await Promise.all([get('/api/auth/tokens'), every('/api/boards')]);
      tokens.value = list.items;
      boards.value = all;
      failed.value = null;
    } catch (err) {
      failed.value = err;
    }
  };
  useEffect(() => { load(); }, []);
  const names = new Map(boards.value.map((b) => [b.id, b.name]));
  const own = (tokens.value ?? []).filter((x) => x.user_id === me.value.id);
  const others = (tokens.value ?? []).filter((x) => x.user_id !== me.value.id && !x.revoked);
  return html`<${Section} id="tokens" title=${t('account.tokens')} lead=${t('account.tokens_lead')}>
    ${failed.value && html`<p class="notice red" role="alert">${refusal(failed.value)} <button onClick=${load}>${t('app.retry')}</button></p>`}
    ${tokens.value && html`<${TokenList} tokens=${own} names=${names} changed=${load} />`}
    <div><button onClick=${() => { issuing.value = true; }}><${Icon} name="add" />${t('tokens.new')}</button></div>
    ${others.length > 0 && html`<details><summary>${t('account.all_tokens')} (${number(others.length)})</summary><${TokenList} tokens=${others} names=${names} owner changed=${load} /></details>`}
    ${issuing.value && html`<${IssueToken} boards=${boards.value} issued=${load} onClose=${() => { issuing.value = false; }} />`}<//>`;
}

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB'];
function bytes(n) {
  let size = n;
  let unit = 0;
  for (; size >= 1000 && unit < UNITS.length - 1; unit++) size /= 1000;
  return `${number(size < 10 && unit ? Math.round(size * 10) / 10 : Math.round(size))} ${UNITS[unit]}`;
}

const LOOK = 30_000; // ms between looks

// rows are what an admin wants to know, from /health/detailed. A section that could not
// look has an error in place of its numbers.
function rows(h) {
  const or = (section, value) => (!section ? null : section.error ? html`<span class="wrong">${section.error}</span>` : value());
  const b = h.backups?.schedule;
  const state = h.status === 'serving' ? (h.degraded.length ? html`<span class="tag amber">${t('server.degraded', { what: h.degraded.join(', ') })}</span>` : html`<span class="tag green">${t('server.fine')}</span>`) : html`<span class="tag red">${t('server.down')}</span> ${h.reasons.join(', ')}`;
  return [
    ['state', state],
    ['version', h.version],
    ['uptime', html`<span title=${exact(h.started_at)}>${span(h.uptime_seconds)}</span>`],
    ['log', or(h.log, () => html`${t('server.log_value', { n: number(h.log.position) })}${h.projections?.lag > 0 && html` <span class="tag amber">${t('server.lag', { n: number(h.projections.lag) })}</span>`}`)],
    ['size', or(h.database, () => bytes(h.database.bytes + (h.database.wal_bytes ?? 0)))],
    ['free', or(h.disk?.data, () => html`<span class=${h.disk.data.used > 0.9 ? 'tag red' : ''}>${t('server.free_value', { free: bytes(h.disk.data.free_bytes), total: bytes(h.disk.data.total_bytes) })}</span>`)],
    ['memory', or(h.memory, () => bytes(h.memory.rss_bytes ?? h.memory.heap_bytes))],
    ['connections', or(h.websocket, () => number(h.websocket.active_connections))],
    ['webhooks', or(h.webhooks, () => t('server.webhooks_value', { n: number(h.webhooks.active ?? 0), failing: number(h.webhooks.failing ?? 0) }))],
    ['backups', b && (b.last_error ? html`<span class="tag red wide">${t('server.backups_failed', { why: b.last_error })}</span>`
      : b.last_success ? html`<span title=${exact(b.last_success)}>${t('server.backups_value', { time: ago(b.last_success), size: bytes(b.size_bytes) })}</span>`
        : b.scheduled ? t('server.backups_wait') : html`<span class="tag amber wide">${t('server.backups_none')}</span>`)],
  ].filter(([, value]) => value);
}

function Server() {
  const health = useSignal(null);
  const past = useSignal([]);
  const failed = useSignal(null);
  const load = async () => {
    try {
      const [h, a] = await Promise.all([get('/health/detailed'), get('/api/alerts')]);
      health.value = h;
      past.value = a.past;
      failed.value = null;
    } catch (err) {
      failed.value = err;
    }
  };
  useEffect(() => {
    load();
    const timer = setInterval(() => !document.hidden && load(), LOOK);
    return () => clearInterval(timer);
  }, []);
  return html`<${Section} id="server" title=${t('account.server')} lead=${t('account.server_lead')}>
    ${failed.value && html`<p class="notice red" role="alert">${refusal(failed.value)} <button onClick=${load}>${t('app.retry')}</button></p>`}
    ${health.value && html`<table class="facts-table"><tbody>${rows(health.value).map(([name, value]) => html`<tr key=${name}><th scope="row">${t(`server.${name}`)}</th><td>${value}</td></tr>`)}</tbody></table>`}
    <h3>${t('server.alerts')}</h3>
    ${alerts.value.length ? html`<ul class="bare stack">${alerts.value.map((a) => html`<li key=${a.name} class="notice ${a.severity === 'critical' ? 'red' : ''}"><${Icon} name="urgent" label=${t(`alert.${a.severity}`)} /><span><strong>${stop(a.message)}</strong> ${a.hint && stop(a.hint)} <span title=${exact(a.since)}>${t('alert.since', { time: ago(a.since) })}</span></span></li>`)}</ul>` : html`<p class="soft">${t('server.no_alerts')}</p>`}
    ${past.value.length > 0 && html`<details><summary>${t('server.past')} (${number(past.value.length)})</summary><ul class="bare stack small">${past.value.map((a) => html`<li key=${a.name + a.since}>${a.message} <span class="soft">${exact(a.since)} – ${exact(a.cleared_at)}</span></li>`)}</ul></details>`}<//>`;
}

export default function AccountPage() {
  useEffect(() => { document.title = `${t('page.account')} · ${t('app.name')}`; }, []);
  if (!me.value) return null;
  return html`<${Frame}><main class="page narrow" id="content"><h1>${t('account.title')}</h1>
    <${Profile} /><${Password} /><${Tokens} />
    <${Section} id="session" title=${t('account.session')} lead=${t('account.session_lead')}><div><button onClick=${() => { signOut(); go('/signin'); }}><${Icon} name="out" />${t('signout')}</button></div><//>
    ${me.value.admin && html`<${Server} />`}</main><//>`;
}
