// The fleet at a glance: who holds what, how long still, and who is stuck; and the
// brakes: pause, release, freeze.
import './strings.js';
import { html, useEffect, useRef, useSignal } from '../vendor/preact.js';
import { every, get, post } from '../lib/api.js';
import { connection, follow } from '../lib/live.js';
import { complain, Face, Field, Icon, Menu, toast } from '../lib/parts.js';
import { place, setQuery } from '../lib/router.js';
import { me } from '../lib/session.js';
import { ago, exact, number, refusal, span, t } from '../lib/strings.js';
import { now } from '../board/store.js';
import { Frame } from '../pages/frame.js';
import { Ask } from './bits.js';
import { money } from './settings-work.js';
import { IssueToken, Snippets } from './tokens.js';

const FOLLOWED = 20; // boards, those with the newest events
const POLL = 15_000; // ms; heartbeats are no events
const SOON = 1500; // ms between an event and the look at the agents that it causes
const WINDOW = 5 * 60_000; // ms that the rate is of

// usePulse counts what each actor did in the last minutes, and knows when it last did
// something: {add(events), of(name), last(name)}. The server writes last_seen late.
function usePulse() {
  const marks = useRef(new Map()); // actor to the times of its events
  const seen = useRef(new Set());
  return {
    add(events) {
      for (const e of events) {
        if (seen.current.has(e.position)) continue;
        seen.current.add(e.position);
        if (!marks.current.has(e.actor.name)) marks.current.set(e.actor.name, []);
        marks.current.get(e.actor.name).push(new Date(e.time).getTime());
      }
    },
    of(name) {
      const list = (marks.current.get(name) ?? []).filter((at) => at > Date.now() - WINDOW);
      marks.current.set(name, list);
      return list.length;
    },
    last: (name) => Math.max(0, ...(marks.current.get(name) ?? [])),
  };
}

function useFleet(filter) {
  const agents = useSignal(null);
  const boards = useSignal(null);
  const failed = useSignal(null);
  const pulse = usePulse();
  const timer = useRef(0);
  const asked = useRef(filter); // what the page shows now, for answers that come late
  asked.current = filter;
  const newest = useRef(null);
  const look = async (all) => {
    clearTimeout(timer.current);
    timer.current = 0;
    try {
      const [a, b] = await Promise.all([get(`/api/agents${filter ? `?board=${encodeURIComponent(filter)}` : ''}`), all ? every('/api/boards') : boards.peek()]);
      if (filter !== asked.current) return;
      agents.value = a.items;
      boards.value = b;
      failed.value = null;
    } catch (err) {
      failed.value = err;
    }
  };
  newest.current = look;
  const load = () => look(true);
  const soon = () => { timer.current ||= setTimeout(() => newest.current(false), SOON); };
  useEffect(() => {
    agents.value = null;
    load();
    const poll = setInterval(() => !document.hidden && load(), POLL);
    return () => {
      clearInterval(poll);
      clearTimeout(timer.current);
    };
  }, [filter]);
  useEffect(() => {
    get('/api/events?order=desc&limit=500').then((page) => {
      pulse.add(page.items.filter((e) => new Date(e.time) > Date.now() - WINDOW));
      soon();
    }, () => {}); // the rate then begins with now
  }, []);
  const recent = (boards.value ?? []).toSorted((a, b) => (b.last_position ?? 0) - (a.last_position ?? 0)).slice(0, FOLLOWED).map((b) => b.id).sort((a, b) => a - b);
  useEffect(() => {
    const ends = recent.map((id) => {
      let at;
      return follow(id, {
        since: () => at,
        events(batch) {
          at = batch.at(-1).position;
          pulse.add(batch);
          soon();
        },
        resync: soon,
      });
    });
    return () => ends.forEach((end) => end());
  }, [recent.join()]);
  return { agents, boards, failed, load, pulse };
}

// Those at work come first, each group by name: cards do not change places under the
// pointer with every event.
const HOUR = 3600_000;
const away = (a, pulse) => (a.claims.length || Math.max(new Date(a.last_seen ?? 0), pulse.last(a.name)) > Date.now() - HOUR ? 0 : 1);
const inOrder = (pulse) => (a, b) => away(a, pulse) - away(b, pulse) || a.name.localeCompare(b.name);

export default function AgentsPage() {
  const filter = place.value.query.get('board') ?? '';
  const { agents, boards, failed, load, pulse } = useFleet(filter);
  const issuing = useSignal(false);
  const freezing = useSignal(null);
  useEffect(() => { document.title = `${t('page.agents')} · ${t('app.name')}`; }, []);
  const list = boards.value ?? [];
  const board = list.find((b) => b.key === filter || String(b.id) === filter);
  const runs = (b) => me.value?.admin || b?.role === 'pm';
  const unfreeze = async (b) => {
    try {
      await post(`/api/boards/${b.id}/unfreeze`);
      toast(t('settings.did_unfreeze', { name: b.name }), { kind: 'green' });
    } catch (err) {
      complain(err);
    }
    load();
  };
  const managed = list.filter(runs);
  const all = (agents.value ?? []).toSorted(inOrder(pulse));
  return html`<${Frame}><main class="page" id="content">
    <div class="row wrap"><h1>${t('agents.title')}</h1><span class="live ${connection.value.state} small" title=${t('agents.live')}><span class="dot" aria-hidden="true"></span>${t(`live.${connection.value.state}`)}</span>
      <label class="row spread"><span class="soft">${t('agents.filter')}</span><select value=${board?.key ?? ''} onChange=${(e) => setQuery({ board: e.target.value })}><option value="">${t('agents.all')}</option>${list.map((b) => html`<option key=${b.id} value=${b.key} selected=${b.key === board?.key}>${b.name}</option>`)}</select></label>
      ${board && runs(board) && !board.frozen && html`<button onClick=${() => { freezing.value = board; }}><${Icon} name="freeze" />${t('agents.freeze', { name: board.key })}</button>`}
      ${managed.length > 0 && all.length > 0 && html`<button class="main" onClick=${() => { issuing.value = true; }}><${Icon} name="add" />${t('tokens.new_agent')}</button>`}</div>
    ${list.filter((b) => b.frozen && (!board || b === board)).map((b) => html`<p class="notice" key=${b.id}><${Icon} name="freeze" />${t('agents.frozen', { name: b.name })}${runs(b) && html`<button class="spread" onClick=${() => unfreeze(b)}>${t('agents.unfreeze', { name: b.key })}</button>`}</p>`)}
    ${failed.value && html`<p class="notice red" role="alert">${refusal(failed.value)} <button onClick=${load}>${t('app.retry')}</button></p>`}
    ${!agents.value && !failed.value && html`<div class="fleet" aria-busy="true" role="status" aria-label=${t('app.loading')}>${[1, 2, 3].map((i) => html`<div class="tile bone" key=${i}>\u00a0</div>`)}</div>`}
    ${all.length > 0 && html`<${Totals} agents=${all} /><ul class="bare fleet">${all.map((a) => html`<${Bot} key=${a.id} agent=${a} boards=${list} may=${me.value?.admin || (board ? runs(board) : managed.length > 0)} rate=${pulse.of(a.name)} last=${pulse.last(a.name)} changed=${load} />`)}</ul>`}
    ${agents.value && !all.length && html`<${Empty} board=${board} boards=${list} managed=${managed} issue=${() => { issuing.value = true; }} />`}
    ${issuing.value && html`<${IssueToken} agent board=${board && runs(board) ? board : undefined} boards=${managed} issued=${load} onClose=${() => { issuing.value = false; }} />`}
    ${freezing.value && html`<${Ask} title=${t('agents.freeze', { name: freezing.value.name })} label=${t('settings.freeze_do')} run=${async ({ reason }) => { await post(`/api/boards/${freezing.value.id}/freeze`, { reason }); await load(); }} onClose=${() => { freezing.value = null; }}>
      <p>${t('settings.freeze_lead')}</p><${Field} label=${t('settings.reason')} hint=${t('settings.reason_hint')}><input name="reason" maxlength="500" autofocus /><//><//>`}
  </main><//>`;
}

function Totals({ agents }) {
  const sum = (of) => agents.reduce((n, a) => n + of(a), 0);
  const rows = [
    ['total', agents.length], ['working', sum((a) => (a.claims.length ? 1 : 0))], ['held', sum((a) => a.claims.length)], ['paused', sum((a) => (a.paused ? 1 : 0))],
    ['done', sum((a) => a.tickets_done)], ['lost', sum((a) => a.leases_lost)],
  ];
  const cost = sum((a) => a.usage.cost_micros);
  return html`<dl class="totals">${rows.map(([name, n]) => html`<div key=${name}><dt>${t(`agents.${name}`)}</dt><dd class="number">${number(n)}</dd></div>`)}${cost > 0 && html`<div><dt>${t('agents.cost')}</dt><dd class="number">${money(cost)}</dd></div>`}</dl>`;
}

function State({ agent }) {
  if (!agent.active) return html`<span class="tag">${t('agents.off')}</span>`;
  if (agent.paused) return html`<span class="tag amber">${t('agents.paused')}</span>`;
  if (agent.claims.length) return html`<span class="tag violet">${t('agents.working')}</span>`;
  return html`<span class="tag">${t('agents.idle')}</span>`;
}

function Bot({ agent, boards, may, rate, last, changed }) {
  const seen = Math.max(last, agent.last_seen ? new Date(agent.last_seen).getTime() : 0);
  const asked = useSignal(null); // pause, or the claim to release
  const close = () => { asked.value = null; };
  const resume = async () => {
    try {
      await post(`/api/agents/${agent.id}/resume`);
      toast(t('agents.did_resume', { name: agent.name }), { kind: 'green' });
    } catch (err) {
      complain(err);
    }
    changed();
  };
  const pause = async ({ reason }) => {
    await post(`/api/agents/${agent.id}/pause`, { reason });
    toast(t('agents.did_pause', { name: agent.name }), { kind: 'green', label: t('agents.resume'), action: resume });
    changed();
  };
  const release = async ({ note }) => {
    const { ticket_id, key } = asked.value;
    await post(`/api/tickets/${ticket_id}/release`, note ? { note } : undefined);
    toast(t('agents.did_release', { key }), { kind: 'green' });
    changed();
  };
  const items = [
    may && agent.kind === 'agent' && (agent.paused ? { label: t('agents.resume'), icon: 'play', run: resume } : { label: t('agents.pause'), icon: 'pause', run: () => { asked.value = 'pause'; } }),
    ...agent.claims.filter((c) => me.value?.admin || me.value?.id === c.holder_id || boards.find((b) => b.id === c.board_id)?.role === 'pm')
      .map((c) => ({ label: t('agents.release', { key: c.key }), icon: 'out', run: () => { asked.value = c; } })),
  ].filter(Boolean);
  const u = agent.usage;
  const tokens = u.input_tokens + u.output_tokens;
  return html`<li class="bot ${agent.paused ? 'paused' : ''}"><div class="row"><${Face} name=${agent.name} agent=${agent.kind === 'agent'} /><strong class="cut">${agent.display_name || agent.name}</strong>${agent.kind !== 'agent' && html`<span class="tag">${t('agents.person')}</span>`}<${State} agent=${agent} />
      ${rate > 0 && html`<span class="soft small number" title=${t('agents.rate_title')}>${t('agents.rate', { n: rate })}</span>`}
      ${items.length > 0 && html`<span class="spread"><${Menu} label=${t('agents.menu', { name: agent.name })} items=${items} /></span>`}</div>
    ${agent.paused && agent.pause_reason && html`<p class="small">${t('agents.reason', { reason: agent.pause_reason })}</p>`}
    ${agent.claims.length > 0 && html`<ul class="bare held-list">${agent.claims.map((c) => html`<${Held} key=${c.ticket_id} claim=${c} board=${boards.find((b) => b.id === c.board_id)} />`)}</ul>`}
    <p class="facts number"><span>${seen ? html`<span title=${exact(seen)}>${t('agents.seen', { time: ago(seen, Math.max(seen, now.value)) })}</span>` : t('agents.never')}</span>
      <span><b>${number(agent.tickets_done)}</b> ${t('agents.done_n')}</span>${agent.leases_lost > 0 && html`<span><b>${number(agent.leases_lost)}</b> ${t('agents.lost_n')}</span>`}
      ${tokens > 0 && html`<span><b>${number(tokens)}</b> ${t('agents.tokens_n')}</span>`}${u.cost_micros > 0 && html`<span><b>${money(u.cost_micros)}</b></span>`}</p>
    ${asked.value === 'pause' && html`<${Ask} title=${t('agents.pause_title', { name: agent.name })} label=${t('agents.pause')} run=${pause} onClose=${close}><p>${t('agents.pause_lead', { name: agent.name })}</p><${Field} label=${t('settings.reason')} hint=${t('settings.reason_hint')}><input name="reason" maxlength="500" autofocus /><//><//>`}
    ${asked.value?.key && html`<${Ask} title=${t('agents.release', { key: asked.value.key })} label=${t('agents.release', { key: asked.value.key })} danger run=${release} onClose=${close}><p>${t('agents.release_lead', { name: agent.name, key: asked.value.key })}</p><${Field} label=${t('agents.note')}><input name="note" maxlength="500" /><//><//>`}
  </li>`;
}

function Held({ claim, board }) {
  const until = new Date(claim.expires_at).getTime();
  const left = Math.max(0, (until - now.value) / 1000);
  const whole = Math.max(1, (until - new Date(claim.claimed_at).getTime()) / 1000);
  const part = Math.min(1, left / whole);
  return html`<li><a class="row cut" href="/boards/${board?.key ?? claim.board_id}/tickets/${claim.key}"><span class="number">${claim.key}</span><span class="cut" dir="auto">${claim.title}</span></a>
    <span class="soft small number" title=${t('agents.lease_title', { claimed: exact(claim.claimed_at), ends: exact(claim.expires_at) })}>${left > 0 ? t('agents.lease', { time: span(left) }) : t('agents.lease_out')}</span>
    <span class="left ${part < 0.2 ? 'late' : ''}" aria-hidden="true"><span style=${{ width: `${100 * part}%` }}></span></span></li>`;
}

function Empty({ board, boards, managed, issue }) {
  if (!boards.length) return html`<div class="sheet empty"><h2>${t('agents.empty')}</h2><p>${t('agents.no_board')}</p><a class="button main" href="/boards">${t('wrong.to_boards')}</a></div>`;
  return html`<div class="sheet"><h2>${board ? t('agents.empty_board') : t('agents.empty')}</h2><p class="soft">${t('agents.empty_lead')}</p>
    ${managed.length > 0 && html`<div><button class="main" onClick=${issue}><${Icon} name="add" />${t('agents.first')}</button></div>`}<${Snippets} /></div>`;
}
