// Webhooks: where events of the board are sent, how that goes, and what was given up.
import { html, useEffect, useSignal } from '../vendor/preact.js';
import { del, every, get, patch, post } from '../lib/api.js';
import { complain, CopyButton, Dialog, Field, Icon, Menu, toast } from '../lib/parts.js';
import { ago, exact, number, refusal, t } from '../lib/strings.js';
import { Ask, Section } from './bits.js';

export function Hooks({ board, manage }) {
  const hooks = useSignal(null);
  const failed = useSignal(null);
  const adding = useSignal(false);
  const leaving = useSignal(null);
  const letters = useSignal(null);
  const base = `/api/boards/${board.id}/webhooks`;
  const load = async () => {
    try {
      hooks.value = (await get(base)).items;
      failed.value = null;
    } catch (err) {
      failed.value = err;
    }
  };
  useEffect(() => {
    load();
    const timer = setInterval(() => !document.hidden && hooks.peek()?.length && load(), 15_000);
    return () => clearInterval(timer);
  }, [board.id]);
  const act = async (run) => {
    try {
      await run();
    } catch (err) {
      complain(err);
    }
    await load();
  };
  const test = (h) => act(async () => {
    const r = await post(`${base}/${h.id}/test`);
    toast(r.ok ? t('hooks.test_ok', { ms: r.took_ms, status: r.status }) : t('hooks.test_failed', { why: r.error || r.status }), { kind: r.ok ? 'green' : 'red' });
  });
  const items = (h) => [
    h.dead_letters > 0 && { label: t('hooks.letters', { n: h.dead_letters }), icon: 'history', run: () => { letters.value = h; } },
    manage && { label: t('hooks.test'), icon: 'play', run: () => test(h) },
    manage && { label: t(h.active ? 'hooks.pause' : 'hooks.resume'), icon: h.active ? 'pause' : 'play', run: () => act(() => patch(`${base}/${h.id}`, { active: !h.active })) },
    manage && { label: t('hooks.remove'), icon: 'trash', danger: true, run: () => { leaving.value = h; } },
  ];
  return html`<${Section} id="hooks" title=${t('settings.hooks')} lead=${t('hooks.lead')}>
    ${failed.value && html`<p class="notice red" role="alert">${refusal(failed.value)} <button onClick=${load}>${t('app.retry')}</button></p>`}
    ${hooks.value?.length === 0 && html`<p class="soft">${t('hooks.none')}</p>`}
    ${hooks.value?.length > 0 && html`<ul class="bare stack">${hooks.value.map((h) => html`<li key=${h.id} class="row"><div class="stack tight"><span class="row wrap"><strong>${h.url}</strong><${State} hook=${h} /></span>
      <span class="soft small">${h.types?.length ? h.types.join(', ') : t('hooks.all_types')} · ${t('hooks.delivered', { n: number(h.delivered) })}${h.delivered_at && html` · <span title=${exact(h.delivered_at)}>${t('hooks.last', { time: ago(h.delivered_at) })}</span>`}</span>
      ${(h.off_reason || h.last_error) && html`<span class="small wrong">${h.off_reason || h.last_error}</span>`}</div>
      <span class="spread"><${Menu} label=${t('hooks.menu', { url: h.url })} items=${items(h)} /></span></li>`)}</ul>`}
    ${manage && html`<div><button onClick=${() => { adding.value = true; }}><${Icon} name="add" />${t('hooks.add')}</button></div>`}
    ${adding.value && html`<${Add} base=${base} done=${load} onClose=${() => { adding.value = false; }} />`}
    ${leaving.value && html`<${Ask} title=${t('hooks.remove')} label=${t('hooks.remove')} danger run=${async () => { await del(`${base}/${leaving.value.id}`); await load(); }} onClose=${() => { leaving.value = null; }}><p>${t('hooks.remove_lead', { url: leaving.value.url })}</p><//>`}
    ${letters.value && html`<${Letters} base=${base} hook=${letters.value} manage=${manage} done=${load} onClose=${() => { letters.value = null; }} />`}
  <//>`;
}

function State({ hook }) {
  if (!hook.active) return html`<span class="tag amber">${t('hooks.off')}</span>`;
  if (hook.attempts > 0) return html`<span class="tag red" title=${hook.next_attempt_at ? exact(hook.next_attempt_at) : ''}>${t('hooks.failing', { n: hook.attempts })}</span>`;
  if (hook.dead_letters > 0) return html`<span class="tag red">${t('hooks.letters', { n: number(hook.dead_letters) })}</span>`;
  return html`<span class="tag green">${t('hooks.on')}</span>`;
}

function Add({ base, done, onClose }) {
  const made = useSignal(null);
  const busy = useSignal(false);
  const wrong = useSignal(null);
  if (made.value) {
    return html`<${Dialog} title=${t('hooks.made')}><p class="notice">${t('hooks.once')}</p><div class="row wrap"><code class="secret">${made.value.secret}</code><${CopyButton} text=${made.value.secret} /></div>
      <p class="soft">${t('hooks.verify')}</p><div class="row"><button class="main" onClick=${onClose}>${t('tokens.kept')}</button></div><//>`;
  }
  const submit = async (event) => {
    event.preventDefault();
    const { url, types } = Object.fromEntries(new FormData(event.target));
    const list = types.split(/[\s,]+/).filter(Boolean);
    busy.value = true;
    wrong.value = null;
    try {
      made.value = await post(base, { url, ...(list.length && { types: list }) });
      done();
    } catch (err) {
      wrong.value = err;
      busy.value = false;
    }
  };
  const fields = wrong.value?.fields ?? {};
  return html`<${Dialog} title=${t('hooks.add')} onClose=${onClose}><form class="stack" onSubmit=${submit}>
    <${Field} label=${t('hooks.url')} hint=${t('hooks.url_hint')} wrong=${fields.url}><input name="url" type="url" required placeholder="https://" autofocus /><//>
    <${Field} label=${t('hooks.types')} hint=${t('hooks.types_hint')} wrong=${fields.types}><input name="types" spellcheck=${false} placeholder="ticket_moved, ticket_created" /><//>
    ${wrong.value && html`<p class="wrong" role="alert">${refusal(wrong.value)}</p>`}
    <div class="row"><button class="main" disabled=${busy.value}>${t('hooks.add')}</button><button type="button" onClick=${onClose}>${t('app.cancel')}</button></div></form><//>`;
}

// Letters are events that were given up.
function Letters({ base, hook, manage, done, onClose }) {
  const list = useSignal(null);
  const load = async () => {
    try {
      list.value = await every(`${base}/${hook.id}/deliveries`);
    } catch (err) {
      complain(err);
    }
  };
  useEffect(() => { load(); }, []);
  const replay = async (body) => {
    try {
      await post(`${base}/${hook.id}/replay`, body);
      toast(t('hooks.queued'), { kind: 'green' });
    } catch (err) {
      complain(err);
    }
    await load();
    done();
  };
  return html`<${Dialog} title=${t('hooks.letters_title')} wide onClose=${onClose}>
    ${!list.value ? html`<div class="bone" role="status" aria-label=${t('app.loading')}>\u00a0</div>` : html`<div class="scroll" tabindex="0" role="group" aria-label=${t('hooks.letters_title')}><table><thead><tr><th>${t('hooks.event')}</th><th>${t('hooks.why')}</th><th>${t('hooks.when')}</th><th><span class="unseen">${t('hooks.replay')}</span></th></tr></thead>
      <tbody>${list.value.map((l) => html`<tr key=${l.id}><td>${l.type}<br /><span class="soft number">${l.position}</span></td><td>${l.error || l.status}</td><td title=${exact(l.failed_at)}>${ago(l.failed_at)}</td>
        <td>${l.queued ? html`<span class="tag">${t('hooks.is_queued')}</span>` : manage && html`<button onClick=${() => replay({ delivery: l.id })}>${t('hooks.replay')}</button>`}</td></tr>`)}</tbody></table></div>`}
    ${manage && list.value?.length > 1 && html`<div class="row"><button class="main" onClick=${() => replay({})}>${t('hooks.replay_all')}</button></div>`}<//>`;
}
