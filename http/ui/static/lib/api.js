// Requests to the server. Each write has an Idempotency-Key, so that it may be sent
// again after a lost reply and happens once; the key is also the command's id, by
// which it can be undone.
import { again, ended, me, renew, token } from './session.js';
import { t } from './strings.js';

// Problem is a refusal: RFC 9457, with the server's code and fields.
export class Problem extends Error {
  constructor(body) {
    super(body.detail);
    Object.assign(this, body);
  }
}

// newKey is a random UUID. randomUUID is missing where the page came over plain http.
export function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const b = crypto.getRandomValues(new Uint8Array(16));
  b[6] = (b[6] & 0x0f) | 0x40;
  b[8] = (b[8] & 0x3f) | 0x80;
  const hex = [...b].map((x) => x.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

const pause = (ms) => new Promise((go) => setTimeout(go, ms));

// request sends one request and returns the decoded body, null where there is none.
// Options: body (JSON), key (of a write), open (no credentials), signal, accept,
// headers. It waits out rate limits, and sends again what the network lost; it throws
// a Problem for a refusal, with code "offline" where the server is away.
export async function request(method, path, { body, key = method === 'GET' ? undefined : newKey(), open = false, signal, headers = {}, tries = 4 } = {}) {
  for (let attempt = 1; ; attempt++) {
    const h = { Accept: 'application/json', ...headers };
    if (body !== undefined) h['Content-Type'] = 'application/json';
    let reply;
    try {
      if (!open) {
        const bearer = await token();
        if (bearer) h.Authorization = `Bearer ${bearer}`;
        else if (ended.value) {
          await again();
          continue;
        }
        if (key) h['Idempotency-Key'] = key;
      }
      reply = await fetch(path, { method, headers: h, body: body === undefined ? undefined : JSON.stringify(body), signal });
    } catch (err) {
      if (signal?.aborted) throw err;
      if (attempt < tries) {
        await pause(150 * 2 ** attempt);
        continue;
      }
      throw new Problem({ code: 'offline', detail: t('wrong.offline'), status: 0 });
    }
    if (reply.status === 204) return null;
    if (reply.ok) return reply.headers.get('Content-Type')?.includes('json') ? reply.json() : reply.text();
    const problem = new Problem(await reply.json().catch(() => ({ code: 'internal', detail: `${reply.status} ${reply.statusText}`, status: reply.status })));
    if (reply.status === 401 && !open && me.value) {
      if (attempt === 1 && (await renew())) continue;
      if (ended.value) {
        await again();
        continue;
      }
    }
    const wait = Number(reply.headers.get('Retry-After'));
    if (wait > 0) problem.retry_after = wait; // seconds
    if ((reply.status === 429 || reply.status === 503) && attempt < tries && wait > 0 && wait <= 10) {
      await pause(wait * 1000);
      continue;
    }
    throw problem;
  }
}

export const get = (path, options) => request('GET', path, options);
export const post = (path, body, options) => request('POST', path, { body, ...options });
export const put = (path, body, options) => request('PUT', path, { body, ...options });
export const patch = (path, body, options) => request('PATCH', path, { body, ...options });
export const del = (path, options) => request('DELETE', path, options);

// every returns all items of a list.
export async function every(path, options) {
  const items = [];
  for (let cursor = ''; ;) {
    const page = await get(`${path}${path.includes('?') ? '&' : '?'}limit=100${cursor && `&cursor=${encodeURIComponent(cursor)}`}`, options);
    items.push(...page.items);
    if (!page.next_cursor) return items;
    cursor = page.next_cursor;
  }
}
