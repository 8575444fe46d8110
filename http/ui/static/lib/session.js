// Who is signed in. The refresh token, which works once, is in localStorage, where all
// tabs of this server find the newest. The access token is in sessionStorage, so that a
// page that is loaded again, perhaps twice in a hurry, does not spend a refresh token
// whose answer it never sees.
// No script but ours runs here (Content-Security-Policy), and tokens are never
// part of an address.
import { signal } from '../vendor/preact.js';

const KEY = 'kanban.session';
// OUT is written by a sign-out, so that other tabs tell it from a session that ended
// by itself, under which they keep what was typed.
const OUT = 'kanban.signed_out';
const ACCESS = 'kanban.access';

// me is the user, null while nobody is signed in, undefined while that is not known.
export const me = signal(undefined);
// ended is true while a session has run out under an open page: the page stays as
// it is, and asks for the password.
export const ended = signal(false);
// away is true while there is a session to go on with, and a server that does not
// answer: who is signed in is then not known.
export const away = signal(false);

let access = null; // {token, until, user}
let renewing = null;
const waiting = []; // resolved when somebody has signed in again

const read = (place, key) => {
  try {
    return JSON.parse(place.getItem(key));
  } catch {
    return null;
  }
};
const stored = () => read(localStorage, KEY);

function hold(next) {
  access = next;
  if (next) sessionStorage.setItem(ACCESS, JSON.stringify(next));
  else sessionStorage.removeItem(ACCESS);
}

const good = (a) => a && a.until - Date.now() > 20_000;

// adopt takes what login, register and refresh answer.
export function adopt(reply) {
  hold({ token: reply.access_token, until: Date.now() + reply.expires_in * 1000, user: reply.user });
  localStorage.setItem(KEY, JSON.stringify({ refresh: reply.refresh_token, user: reply.user.id }));
  me.value = reply.user;
  ended.value = false;
  for (const go of waiting.splice(0)) go();
}

// token returns a good access token, a new one where the old is about to end; null
// where nobody is signed in. It throws where the server is away.
export async function token() {
  if (good(access)) return access.token;
  return renew();
}

// renew exchanges the refresh token. Each works once, so only one tab at a time may.
export function renew() {
  renewing ??= exclusively(async () => {
    const s = stored();
    if (!s) return forget();
    const reply = await fetch('/api/auth/refresh', {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ refresh_token: s.refresh }),
    });
    if (reply.ok) {
      adopt(await reply.json());
      return access.token;
    }
    if (reply.status >= 500 || reply.status === 429) throw new Error(`refresh: ${reply.status}`);
    return forget();
  }).finally(() => {
    renewing = null;
  });
  return renewing;
}

const exclusively = (task) => (navigator.locks ? navigator.locks.request('kanban.refresh', task) : task());

function forget() {
  hold(null);
  localStorage.removeItem(KEY);
  if (me.value) ended.value = true;
  else me.value = null;
  return null;
}

// look asks for the user of a token that was kept: names and rights may have changed.
async function look() {
  const reply = await fetch('/api/auth/me', { headers: { Authorization: `Bearer ${access.token}` } }).catch(() => null);
  if (!reply || !me.peek()) return;
  if (reply.ok) {
    me.value = await reply.json();
    hold({ ...access, user: me.value });
  } else if (reply.status === 401) await renew().catch(() => {});
}

// begin finds out who is signed in, when the page opens.
export async function begin() {
  const kept = read(sessionStorage, ACCESS);
  if (good(kept) && stored()?.user === kept.user.id) {
    access = kept;
    me.value = kept.user;
    look();
    return;
  }
  try {
    await token();
    me.value ??= null;
    away.value = false;
  } catch {
    away.value = me.value === undefined;
  }
}

// again waits until somebody has signed in again.
export const again = () => new Promise((go) => waiting.push(go));

export async function signOut() {
  const s = stored();
  hold(null);
  localStorage.setItem(OUT, String(Date.now()));
  localStorage.removeItem(KEY);
  me.value = null;
  ended.value = false;
  if (s) {
    await fetch('/api/auth/logout', {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ refresh_token: s.refresh }),
    }).catch(() => {}); // it ends by itself, later
  }
}

// Another tab signed out, or in, perhaps as somebody else.
addEventListener('storage', (event) => {
  if (event.key === OUT && me.value) {
    hold(null);
    me.value = null;
    ended.value = false;
  }
  if (event.key !== KEY) return;
  const s = stored();
  if (!s && me.value) {
    hold(null);
    ended.value = true;
  } else if (s && me.value && s.user !== me.value.id) location.reload();
  else if (s && (me.value === null || ended.value)) renew().catch(() => {}); // the form stays, and works
});
