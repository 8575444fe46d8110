// Every word that the board says, by name; {name} is filled in. Another language is
// another table: what it lacks is said in English. A refusal of the server is said
// by its code (problem.<code>) where the language has it, else in the server's own
// words, which are English. The words of parts that are loaded later are in
// later/strings.js.

const en = {
  'app.name': 'Agent Kanban',
  'app.skip': 'Skip to the content',
  'app.loading': 'Loading',
  'app.close': 'Close',
  'app.cancel': 'Cancel',
  'app.save': 'Save',
  'app.retry': 'Try again',
  'app.reload': 'Load again',
  'app.undo': 'Undo',
  'app.copy': 'Copy',
  'app.copied': 'Copied',
  'app.new_version': 'This server has been updated. Load the page again to go on.',

  'theme.label': 'Theme: {name}. Change it',
  'theme.auto': 'as the system',
  'theme.light': 'light',
  'theme.dark': 'dark',

  'nav.boards': 'Boards',
  'nav.agents': 'Agents',
  'nav.docs': 'API',
  'nav.account': 'Account of {name}',

  'page.boards': 'Boards',
  'page.setup': 'First start',
  'page.signin': 'Sign in',
  'page.register': 'Make an account',
  'page.not_found': 'Not found',

  'setup.title': 'Make the first account',
  'setup.lead': 'It becomes the admin of this server. The setup token is in the address that the server printed when it started, and in the file setup-token of its data directory.',
  'setup.token': 'Setup token',
  'setup.submit': 'Make the account',
  'signin.title': 'Sign in',
  'signin.username': 'User name',
  'signin.password': 'Password',
  'signin.submit': 'Sign in',
  'signin.ended': 'Your session has ended. Sign in again; nothing that you typed is lost.',
  'signin.none': 'No account yet?',
  'signin.register': 'Make one',
  'signin.setup': 'This server has no account yet. Open the address that it printed when it started; it ends in a setup token.',
  'register.title': 'Make an account',
  'register.lead': 'Boards show once somebody makes you a member of one, or when you make your own.',
  'register.submit': 'Make the account',
  'register.have': 'Have an account?',
  'signout': 'Sign out',
  'signin.wait': 'Try again in {time}',
  'signin.password_hint': 'At least 8 characters; a few words are good.',
  'signin.leave': 'Sign out and leave this page',
  'setup.done': 'The first account exists',
  'setup.done_lead': 'The setup token was used and is worth nothing now. Sign in with that account; it can add others.',
  'away.title': 'The server does not answer',
  'away.lead': 'You are still signed in. This page tries again every few seconds and goes on by itself.',

  'alert.critical': 'Critical',
  'alert.warning': 'Warning',
  'alert.since': 'Since {time}.',
  'alert.hide': 'Put away the alert {name}',

  'wrong.offline': 'The server cannot be reached. Check the connection.',
  'wrong.offline_since': 'No connection since {time}. Your changes wait here and are sent when it is back.',
  'wrong.waiting': '{n} changes wait',
  'wrong.title': 'Something went wrong',
  'wrong.lead': 'The page stopped working. Load it again; what was sent is safe on the server.',
  'wrong.no_access': 'No access',
  'wrong.no_access_lead': 'There is no such board, or you are not a member of it. Ask who runs it to add {name}.',
  'wrong.not_found': 'There is nothing at this address.',
  'wrong.to_boards': 'To the boards',

  'live.live': 'Live',
  'live.connecting': 'Connecting',
  'live.offline': 'Offline',
  'live.viewers': 'Here too: {names}',
  'live.past': 'Past',
  'live.title': 'Changes arrive as they happen.',
  'live.title_connecting': 'Reconnecting; what is missed meanwhile follows.',

  'boards.title': 'Boards',
  'boards.new': 'New board',
  'boards.name': 'Name',
  'boards.key': 'Key',
  'boards.key_hint': 'Begins the names of its tickets: WEB-12. Made from the name if empty.',
  'boards.description': 'Description',
  'boards.create': 'Make the board',
  'boards.sample': 'Fill it with a sample to look around',
  'boards.empty': 'No boards yet',
  'boards.empty_lead': 'A board has columns and tickets. People and agents work on it together, and every change stays in its history.',
  'boards.archived': 'Archived',
  'boards.show_archived': 'Show archived',
  'boards.open': '{n} open',
  'boards.done': '{n} done',
  'boards.held': '{n} held',
  'boards.blocked': '{n} blocked',
  'boards.active': 'Active {time}',
  'boards.quiet': 'No activity yet',
  'boards.first': 'Make the first board',
  'boards.demo': 'Or watch a fleet of simulated agents at work, on a throw-away server:',
  'boards.search': 'Find a board',
  'boards.no_match': 'No board has “{text}” in its name, key or description.',
  'boards.archived_title': 'Archived boards',
  'boards.none_archived': 'No board is archived.',
  'boards.frozen': 'Frozen',
  'boards.menu': 'Actions for {name}',
  'boards.settings': 'Settings',
  'boards.archive': 'Archive',
  'boards.restore': 'Restore',
  'boards.did_archive': '{name} is archived: read only, and no longer in this list.',
  'boards.did_restore': '{name} is back.',

  'board.add': 'Add a ticket',
  'board.add_title': 'Title of the new ticket in {column}',
  'board.add_placeholder': 'What has to be done?',
  'board.add_submit': 'Add',
  'board.column_empty': 'Nothing here',
  'board.limit': '{n} of {limit}, the limit of this column',
  'board.over': 'Over its limit of {limit}',
  'board.count': '{n} tickets',
  'board.archived': 'This board is archived and read only.',
  'board.frozen': 'This board is frozen: agents and members may not change it until a pm unfreezes it.',
  'board.empty': 'This board is empty',

  'card.open': 'Open {key}',
  'card.blocked': 'Blocked',
  'card.blocked_by': 'Waits for {keys}',
  'card.waiting': 'Waits for approval',
  'card.approved': 'Approved',
  'card.rejected': 'Rejected',
  'card.held': 'Held by {name}, {time} left',
  'card.held_out': 'Held by {name}; its lease is about to end',
  'card.assigned': 'Assigned to {name}',
  'card.checklist': '{done} of {n} items done',
  'card.comments': '{n} comments',
  'card.due': 'Due {time}',
  'card.age': '{time} in this column',
  'card.age_fresh': '{time} in this column: less than half of what left it took ({p50})',
  'card.age_slow': '{time} in this column: longer than half of what left it ({p50}), less than 85 % ({p85})',
  'card.age_late': '{time} in this column: longer than 85 % of what left it ({p85})',

  'priority.low': 'Low',
  'priority.medium': 'Medium',
  'priority.high': 'High',
  'priority.urgent': 'Urgent',
  'role.pm': 'pm',
  'role.agent': 'agent',
  'role.viewer': 'viewer',
  'role.admin': 'admin',

  'move.done': '{key} is in {column}.',
  'move.refused': '{key} stays in {column}. {why}',
  'move.anyway': 'Move it anyway',
  'move.added': '{key} was added to {column}.',
  'undone': 'Taken back.',

  'time.now': 'just now',

  // filter and lanes
  'filter.title': 'Filter',
  'filter.search': 'Search cards',
  'filter.chips': 'Quick filters',
  'filter.button': 'Filter and group',
  'filter.short': 'Filter',
  'filter.ready': 'Ready',
  'filter.ready_title': 'In a backlog column, held by nobody, blocked by nothing',
  'filter.blocked': 'Blocked',
  'filter.blocked_title': 'Waits for another ticket',
  'filter.aging': 'Aging',
  'filter.aging_title': 'In its column for longer than 85 % of what left it',
  'filter.approval': 'To approve',
  'filter.approval_title': 'Waits for an approval',
  'filter.mine': 'Mine',
  'filter.mine_title': 'Assigned to you, or held by you',
  'filter.label': 'Label',
  'filter.assignee': 'Assignee',
  'filter.agent': 'Held by',
  'filter.column': 'Column',
  'filter.any': 'Any',
  'filter.nobody': 'Nobody',
  'filter.count': '{n} of {all}',
  'filter.drop': 'Without {name}',
  'filter.clear': 'Clear',
  'filter.nothing': 'No card matches',
  'filter.nothing_lead': 'The filter hides every card of this board.',
  'filter.column_hidden': 'The filter hides {n} here',
  'lanes.by': 'Group by',
  'lanes.none': 'No groups',
  'lanes.assignee': 'Assignee',
  'lanes.priority': 'Priority',
  'lanes.label': 'First label',
  'lanes.no_label': 'No label',
  'board.columns': 'Columns',
  'nav.flow': 'Flow',
  'nav.diff': 'Changes',
  'nav.settings': 'Settings',
  'nav.more': 'Pages of this board',

  'select.bar': 'Selected cards',
  'select.count': '{n} selected',
  'select.cleared': 'Nothing is selected.',
  'select.clear': 'Clear the selection',
  'select.labelled_card': 'Selected: {card}',
  'select.on': 'Select',
  'select.off': 'Select no longer',
  'select.move': 'Move',
  'select.assign': 'Assign',
  'select.label': 'Label',
  'select.priority': 'Priority',
  'select.archive': 'Archive',
  'select.nothing': 'Nothing to change: it is so already.',
  'select.assigned': '{n} assigned to {name}.',
  'select.unassigned': '{n} assigned to nobody.',
  'select.labelled': '{n} labelled {label}.',
  'select.unlabelled': '{label} taken off {n}.',
  'select.prioritised': '{n} set to {priority}.',
  'select.archived': '{n} archived.',
  'select.refused': '{n} of {all} were refused',
  'select.anyway': 'Move them anyway',
  'move.full': '{column} is at its limit of {limit}.',
  'move.full_ask': '{column} is at its limit of {limit}. Move a card out of it first, or ask a pm.',
  'move.done_n': '{n} are in {column}.',
  'move.refused_n': '{n} stay where they were. {why}',

  'quick.menu': 'Actions on {key}',
  'quick.move': 'Move {key}',
  'quick.assign_me': 'Assign {key} to me',
  'quick.claim': 'Claim {key}',
  'quick.release': 'Release {key}',
  'quick.claimed': 'You hold {key}.',
  'quick.released': '{key} was released.',
  'quick.held': '{key} is held by {name}. A pm can release it.',

  // keys and palette
  'keys.title': 'Keys',
  'keys.or': 'or',
  'keys.mouse': 'With the mouse: Ctrl or Cmd and a click selects a card, Shift and a click all up to it.',
  'keys.single': 'Use single keys, without Ctrl or Cmd',
  'keys.group_general': 'Anywhere',
  'keys.group_walk': 'On the board',
  'keys.group_card': 'Card, or selection',
  'keys.group_go': 'Go to',
  'keys.key_Space': 'Space',
  'keys.palette': 'Find an action, ticket or board',
  'keys.palette_short': 'Find anything',
  'keys.help': 'Show all keys',
  'keys.undo': 'Undo my last action',
  'keys.search': 'Search cards',
  'keys.filter': 'Filter and group',
  'keys.unfilter': 'Clear the filter',
  'keys.lanes': 'Change the grouping',
  'keys.time': 'Open or fold the time bar',
  'keys.escape': 'Put back, or clear the selection',
  'keys.up': 'Card above',
  'keys.down': 'Card below',
  'keys.left': 'Column before',
  'keys.right': 'Column after',
  'keys.first': 'First card of the column',
  'keys.last': 'Last card of the column',
  'keys.lift': 'Lift the card; arrows carry it; again to drop it',
  'keys.open': 'Open',
  'keys.move': 'Move to…',
  'keys.assign_me': 'Assign to me',
  'keys.assign': 'Assign to…',
  'keys.priority': 'Priority…',
  'keys.label': 'Labels…',
  'keys.claim': 'Claim, or release',
  'keys.archive': 'Archive',
  'keys.archived': '{key} was archived.',
  'keys.select': 'Select, or no longer',
  'keys.stretch': 'Select up to the next card',
  'keys.new': 'New ticket in this column',
  'keys.boards': 'Boards',
  'keys.agents': 'Agents',
  'keys.flow': 'Flow of this board',
  'keys.diff': 'Changes of this board',
  'keys.settings': 'Settings of this board',
  'keys.account': 'My account',
  'keys.nothing_to_undo': 'There is nothing of yours to undo.',
  'palette.title': 'Find an action, ticket or board',
  'palette.placeholder': 'Type an action, a ticket or a board',
  'choose.move': 'Move {what} to',
  'choose.limit': '{n} of {limit}',
  'choose.assign': 'Assign {what} to',
  'choose.me': '{name} (me)',
  'choose.label': 'Labels of {what}',
  'choose.new_label': 'New label “{label}”',
  'choose.claim': 'Claim',
  'choose.release': 'Release',
  'choose.priority': 'Priority of {what}',
  'lift.up': '{what} lifted. {where}',
  'lift.at': '{column}, position {i} of {n}',
  'lift.down': '{what} dropped. {where}',
  'lift.back': '{what} is back where it was.',
  'lift.not': 'You may not move {key}.',

  // time
  'time.open': 'History',
  'time.back': 'Back to now',
  'time.past': 'Shown moment',
  'time.as_of': 'As of {time} · position {position}',
  'time.read_only': 'You look at the past: nothing can be changed here.',
  'time.loading': 'Loading the moment',

  // settings

  'board.empty_now': 'This board is empty. Add a first ticket in a column, or let agents add theirs.',

  'columns.limit': 'Limit',
  'columns.add': 'Add a column',
  'columns.menu': 'Actions for {name}',
  'columns.edit': 'Rename or set the limit',
  'columns.edit_title': 'Column {name}',
  'columns.limit_hint': 'How many tickets at once; empty is no limit.',
  'columns.left': 'Move left',
  'columns.right': 'Move right',
  'columns.all': 'All column settings',
  'columns.add_after': 'Add a column after this',
  'columns.new': 'New column',
  'columns.at': '{name} is column {n} now.',

  // account
};

const tables = { en };
const language = (navigator.languages ?? ['en']).map((l) => l.split('-')[0]).find((l) => tables[l]) ?? 'en';

// add takes the words of a part that is loaded later.
export function add(of, words) {
  Object.assign(tables[of], words);
}

// t returns a text by its name. An unknown name is a mistake of ours and shows as it
// is.
export function t(name, values) {
  const text = tables[language][name] ?? en[name] ?? name;
  return values ? text.replace(/\{(\w+)\}/g, (whole, key) => (values[key] ?? whole)) : text;
}

// refusal says why the server refused.
export function refusal(problem) {
  return (language !== 'en' && tables[language][`problem.${problem.code}`]) || problem.detail || problem.message;
}

// Numbers have thin spaces, as in 18 204.
const numbers = new Intl.NumberFormat('en', { useGrouping: true, maximumFractionDigits: 1 });
export const number = (n) => numbers.format(n).replaceAll(',', '\u2009');

const relative = new Intl.RelativeTimeFormat(language, { numeric: 'auto', style: 'short' });
const exactForm = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' });
const units = [['year', 31557600], ['month', 2629800], ['week', 604800], ['day', 86400], ['hour', 3600], ['minute', 60]];

// ago is a time as people say it; exact is for the hover.
export function ago(at, now = Date.now()) {
  const seconds = (new Date(at).getTime() - now) / 1000;
  for (const [unit, size] of units) if (Math.abs(seconds) >= size) return relative.format(Math.round(seconds / size), unit);
  return t('time.now');
}
export const exact = (at) => exactForm.format(new Date(at));

// moment is a time to the second, by the day of the week where that says which day.
const inWeek = new Intl.DateTimeFormat(language, { weekday: 'short', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
const beyond = new Intl.DateTimeFormat(language, { year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
export const moment = (at, now = Date.now()) => (Math.abs(now - new Date(at)) < 6 * 86_400_000 ? inWeek : beyond).format(new Date(at));

// dayTime is a time to the minute, by day and date.
const byDay = new Intl.DateTimeFormat(language, { weekday: 'short', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
export const dayTime = (at) => byDay.format(new Date(at));

// span is a length of time in at most two parts: 2 d 4 h.
export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h${s % 3600 >= 60 && s < 36000 ? ` ${Math.floor((s % 3600) / 60)} min` : ''}`;
  return `${Math.floor(s / 86400)} d${s % 86400 >= 3600 && s < 864000 ? ` ${Math.floor((s % 86400) / 3600)} h` : ''}`;
}
