// The live feed: one WebSocket for all boards that are open, which resumes by
// position and so misses nothing. It says who it is in its first frame, so that no
// token is part of an address.
//
//   const end = follow(boardID, { since: () => position, events(batch) {}, resync() {}, frame(event, data) {} })
import { effect, signal, untracked } from '../vendor/preact.js';
import { me, token } from './session.js';

// connection is {state: 'connecting' | 'live' | 'offline', since}: since is when the
// connection was lost, in milliseconds.
export const connection = signal({ state: 'connecting', since: Date.now() });

// hearers are called with frames that are about no board: hearer(event, data).
export const hearers = new Set();

const TOO_SLOW = 4408;
const followers = new Map(); // board id to its follower
let socket = null;
let ready = false;
let failures = 0;
let timer = 0;
let beat = 0;
let logID = null;

// follow delivers the events of a board after since(), in order, and its other
// frames (presence). resync is called where the events are too many, or of another
// log: load a snapshot, then call follow again.
export function follow(board, follower) {
  followers.set(board, follower);
  if (!socket && !timer) connect();
  else if (ready) subscribe(board);
  return () => {
    if (followers.get(board) !== follower) return;
    followers.delete(board);
    send({ type: 'unsubscribe_board', board_id: board });
  };
}

function send(frame) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
}

function subscribe(board) {
  send({ type: 'subscribe_board', board_id: board, since: followers.get(board).since() });
}

async function connect() {
  timer = 0;
  if (!me.peek() || socket) return;
  let bearer;
  try {
    bearer = await token();
  } catch {
    retry();
    return;
  }
  if (!bearer || socket) return;
  const ws = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws/connect`);
  socket = ws;
  ws.onopen = () => ws.send(JSON.stringify({ type: 'auth', token: bearer }));
  ws.onmessage = (message) => receive(message.data);
  ws.onclose = (event) => {
    if (socket !== ws) return;
    socket = null;
    ready = false;
    clearInterval(beat);
    const wasLive = connection.peek().state === 'live';
    connection.value = { state: wasLive ? 'connecting' : connection.peek().state, since: wasLive ? Date.now() : connection.peek().since };
    if (event.code === TOO_SLOW) failures = 0;
    retry();
  };
}

function retry() {
  if (timer || !me.peek()) return;
  failures++;
  if (failures > 2) connection.value = { ...connection.peek(), state: 'offline' };
  const wait = Math.min(15_000, 250 * 2 ** Math.min(failures, 6)) * (0.5 + Math.random());
  timer = setTimeout(connect, failures === 1 ? 100 : wait);
}

// hurry connects at once: the network came back, or the person looks again.
function hurry() {
  if (socket || !me.peek()) return;
  clearTimeout(timer);
  connect();
}
addEventListener('online', hurry);
document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && hurry());

function receive(text) {
  const batches = new Map();
  for (const line of text.split('\n')) {
    const frame = JSON.parse(line);
    const { event, data } = frame;
    if (data?.specversion) {
      if (!batches.has(data.board_id)) batches.set(data.board_id, []);
      batches.get(data.board_id).push(data);
    } else told(event, data);
  }
  for (const [board, batch] of batches) followers.get(board)?.events(batch);
}

function told(event, data) {
  switch (event) {
    case 'connected': {
      ready = true;
      failures = 0;
      const other = logID !== null && logID !== data.log_id;
      logID = data.log_id;
      connection.value = { state: 'live', since: Date.now() };
      for (const hear of hearers) hear(event, data);
      for (const [board, follower] of followers) {
        if (other) follower.resync();
        else subscribe(board);
      }
      // A proxy that drops quiet connections, or a lost network, shows soon.
      beat = setInterval(() => send({ type: 'ping' }), 25_000);
      break;
    }
    case 'resync':
      followers.get(data.board_id)?.resync();
      break;
    case 'error':
      for (const follower of followers.values()) follower.frame?.(event, data);
      break;
    default:
      if (data?.board_id) followers.get(data.board_id)?.frame?.(event, data);
      else {
        for (const hear of hearers) hear(event, data);
        for (const follower of followers.values()) follower.frame?.(event, data);
      }
  }
}

// A sign-out ends the connection, a sign-in begins one.
effect(() => {
  const user = me.value;
  untracked(() => {
    if (user) hurry();
    else {
      clearTimeout(timer);
      timer = 0;
      socket?.close();
    }
  });
});
