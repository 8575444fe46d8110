// Who is signed in. The access token is kept in memory; the refresh token, which
// works once, in localStorage, where all tabs of this server find the newest.
// No script but ours runs here (Content-Security-Policy), and tokens are never
// part of an address.
import { signal } from '../vendor/preact.js';

const KEY = 'kanban.session';

// me is the user, null while nobody is signed in, undefined while that is not known.
export const me = signal(undefined);
// ended is true while a session has run out under an open page: the page stays as
// it is, and asks for the password.
export const ended = signal(false);

let access = null; // {token, until}
let renewing = null;
const waiting = []; // resolved when somebody has signed in again

const stored = () => {
  try {
    return JSON.parse(localStorage.getItem(KEY));
  } catch {
    return null;
  }
};

// adopt takes what login, register and refresh answer.
export function adopt(reply) {
  access = { token: reply.access_token, until: Date.now() + reply.expires_in * 1000 };
  localStorage.setItem(KEY, JSON.stringify({ refresh: reply.refresh_token, user: reply.user.id }));
  me.value = reply.user;
  ended.value = false;
  for (const go of waiting.splice(0)) go();
}

// token returns a good access token, a new one where the old is about to end; null
// where nobody is signed in. It throws where the server is away.
export async function token() {
  if (access && access.until - Date.now() > 20_000) return access.token;
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
  access = null;
  localStorage.removeItem(KEY);
  if (me.value) ended.value = true;
  else me.value = null;
  return null;
}

// again waits until somebody has signed in again.
export const again = () => new Promise((go) => waiting.push(go));

export async function signOut() {
  const s = stored();
  access = null;
  localStorage.removeItem(KEY);
  me.value = null;
  ended.value = false;
  if (s) {
    await fetch('/api/auth/logout', {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ refresh_token: s.refresh }),
    }).catch(() => {}); // it ends by itself, later
  }
}

// Another tab signed out, or in as somebody else.
addEventListener('storage', (event) => {
  if (event.key !== KEY) return;
  const s = stored();
  if (!s && me.value) {
    access = null;
    me.value = null;
  } else if (s && me.value && s.user !== me.value.id) location.reload();
});
