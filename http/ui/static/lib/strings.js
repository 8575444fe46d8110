// Every word that the board says, by name; {name} is filled in. Another language is
// another table: what it lacks is said in English. A refusal of the server is said
// by its code (problem.<code>) where the language has it, else in the server's own
// words, which are English.

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
  'app.more': 'More',
  'app.copy': 'Copy',
  'app.copied': 'Copied',
  'app.new_version': 'This server has been updated. Load the page again to go on.',
  'app.nothing': 'None',

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
  'signin.setup': 'This server has no account yet? Open the address that it printed when it started.',
  'register.title': 'Make an account',
  'register.lead': 'Boards show once somebody makes you a member of one, or when you make your own.',
  'register.submit': 'Make the account',
  'register.have': 'Have an account?',
  'signout': 'Sign out',

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
  'board.read_only': 'You may look, not change.',
  'board.empty': 'This board is empty',
  'board.empty_lead': 'Add a first ticket in a column, or let agents add theirs through the API.',
  'board.resync': 'The board was loaded anew.',

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
  'kind.backlog': 'Backlog',
  'kind.active': 'Active',
  'kind.blocked': 'Blocked',
  'kind.review': 'Review',
  'kind.done': 'Done',
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

  // panel

  // history

  // filter and lanes

  // keys and palette

  // time
  'time.bar': 'History of this board',
  'time.open': 'History',
  'time.fold': 'Fold the history',
  'time.back': 'Back to now',
  'time.past': 'Shown moment',
  'time.as_of': 'As of {time} · position {position}',
  'time.read_only': 'You look at the past: nothing can be changed here.',
  'time.loading': 'Loading the moment',
  'time.not_yet': 'The board did not exist at that time.',
  'time.no_moment': '{at} is neither a position nor a time.',
  'time.to_first': 'Show its first moment',
  'time.lost': 'This moment cannot be shown. {why}',
  'time.at_now': 'Now',
  'time.slider': 'Moment',
  'time.slider_hint': 'Arrow keys go one event, Page up and Page down one stretch of time.',
  'time.value': '{time}, position {position}',
  'time.step_back': 'One event back',
  'time.step_on': 'One event on',
  'time.play': 'Play',
  'time.pause': 'Pause',
  'time.speed': 'Speed',
  'time.speed_1': '1x',
  'time.speed_10': '10x',
  'time.speed_60': '60x',
  'time.speed_Infinity': 'Max',
  'time.speed_hint': '1x plays events as they came, with pauses of a second at most',
  'time.jump': 'Go to a date',
  'time.jump_label': 'Date and time',
  'time.jump_go': 'Go',
  'time.link': 'Copy a link to this moment',
  'time.linked': 'The link is copied.',
  'time.no_copy': 'The browser does not let this page copy.',
  'time.mark': 'Compare from here',
  'time.marked': 'Compares from {time}. Choose another moment, then see what changed.',
  'time.unmark': 'Forget where to compare from ({time})',
  'time.changed': 'What changed',
  'time.first': 'This is the first moment of the board.',
  'time.activity': '{n} events since {time}',
  'time.quiet': 'Stretches without events are shortened.',
  'time.is_now': 'You see the board as it is now.',
  'did.redacted': '{who}: this event was redacted',
  'did.other': '{who}: {type} {key}',
  'did.board_created': '{who} made the board',
  'did.board_updated': '{who} changed the board\'s settings',
  'did.board_archived': '{who} archived the board',
  'did.board_restored': '{who} restored the board',
  'did.board_frozen': '{who} froze the board',
  'did.board_unfrozen': '{who} unfroze the board',
  'did.column_added': '{who} added the column {name}',
  'did.column_updated': '{who} changed the column {name}',
  'did.column_moved': '{who} moved a column',
  'did.column_removed': '{who} removed the column {name}',
  'did.member_added': '{who} made {name} a member',
  'did.member_updated': '{who} changed the role of {name}',
  'did.member_removed': '{who} removed {name} from the board',
  'did.webhook_added': '{who} added a webhook',
  'did.webhook_updated': '{who} changed a webhook',
  'did.webhook_removed': '{who} removed a webhook',
  'did.commands_undone': '{who} took something back',
  'did.ticket_created': '{who} added {key} to {column}',
  'did.ticket_updated': '{who} edited {key}',
  'did.ticket_moved': '{who} moved {key} to {column}',
  'did.ticket_reordered': '{who} moved {key} within {column}',
  'did.ticket_assigned': '{who} assigned {key} to {name}',
  'did.ticket_unassigned': '{who} took the assignee off {key}',
  'did.ticket_archived': '{who} archived {key}',
  'did.ticket_restored': '{who} restored {key}',
  'did.ticket_deleted': '{who} deleted {key}',
  'did.ticket_recovered': '{who} brought {key} back',
  'did.ticket_claimed': '{who} claimed {key}',
  'did.ticket_released': '{who} released {key}',
  'did.lease_expired': 'The claim of {name} on {key} ran out',
  'did.dependency_added': '{who} made {key} wait for {name}',
  'did.dependency_removed': '{key} no longer waits for {name}, says {who}',
  'did.checklist_changed': '{who} changed the checklist of {key}: {done} of {n} done',
  'did.evidence_added': '{who} added evidence to {key}',
  'did.evidence_removed': '{who} removed evidence from {key}',
  'did.approval_requested': '{who} asked for approval of {key}',
  'did.ticket_approved': '{who} approved {key}',
  'did.ticket_rejected': '{who} rejected {key}',
  'did.approval_withdrawn': '{who} withdrew the approval of {key}',
  'did.usage_recorded': '{who} reported usage on {key}',
  'did.comment_added': '{who} commented on {key}',
  'did.comment_updated': '{who} edited a comment on {key}',
  'did.comment_deleted': '{who} deleted a comment on {key}',
  'did.data_redacted': '{who} redacted data',

  // diff
  'diff.of': '{name}: what changed',
  'diff.range': 'From when',
  'diff.range_evening': 'Since yesterday 18:00',
  'diff.range_hour': 'Last hour',
  'diff.range_day': 'Last 24 hours',
  'diff.range_week': 'Last 7 days',
  'diff.range_visit': 'Since my last visit',
  'diff.range_custom': 'Other times',
  'diff.no_visit': 'This browser knows of no visit before this one.',
  'diff.from': 'From',
  'diff.to': 'to',
  'diff.show': 'Show',
  'diff.now': 'now',
  'diff.beginning': 'the beginning',
  'diff.span': '{from} to {to}',
  'diff.board_then': 'The board at {time}',
  'diff.copy': 'Copy as text',
  'diff.print': 'Print',
  'diff.only': 'Only {name}',
  'diff.filter': 'Only what {name} had to do with',
  'diff.nothing': 'Nothing changed.',
  'diff.nothing_lead': 'Between {from} and {to} no ticket was added, moved or edited.',
  'diff.nothing_of': '{name} changed no ticket that is different now.',
  'diff.board': 'Board',
  'diff.done': 'Done',
  'diff.moved': 'Moved',
  'diff.added': 'Added',
  'diff.edited': 'Edited',
  'diff.waiting': 'Blocked or approval',
  'diff.work': 'Claims and comments',
  'diff.removed': 'Archived or removed',
  'diff.n_done': '{n} done',
  'diff.n_done_new': '{n} done ({fresh} of them new)',
  'diff.n_moved': '{n} moved',
  'diff.n_added': '{n} added',
  'diff.n_edited': '{n} edited',
  'diff.n_waiting': '{n} blocked or with an approval',
  'diff.n_work': '{n} claimed or commented on',
  'diff.n_removed': '{n} archived or removed',
  'diff.agent': '{n} agent',
  'diff.agents': '{n} agents',
  'diff.person': '{n} person',
  'diff.people': '{n} people',
  'diff.by_two': '{what}. By {a} and {b}.',
  'diff.by_one': '{what}. By {a}.',
  'diff.by_none': '{what}.',
  'diff.by_whom': 'By whom',
  'diff.who': 'Name',
  'diff.did_done': 'done',
  'diff.did_moved': 'moved',
  'diff.did_added': 'added',
  'diff.did_edited': 'edited',
  'diff.did_commented': 'comments',
  'diff.in': 'new in {column}',
  'diff.was_in': 'was in {column}',
  'diff.before': 'before',
  'diff.ticked': '{done} of {n}',
  'diff.evidence_gone': 'some removed',
  'diff.approval_requested': 'asked for by {name}',
  'diff.approval_approved': 'approved by {name}',
  'diff.approval_rejected': 'rejected by {name}',
  'diff.approval_gone': 'no longer valid',
  'diff.now_blocked': 'Blocked now',
  'diff.not_blocked': 'No longer blocked',
  'diff.claimed': 'Claimed by {name}',
  'diff.released': 'No longer held by {name}',
  'diff.comments': 'Comments: + {n}',
  'diff.edited_text': 'edited',
  'diff.reordered': '{n} tickets only changed their place in their column.',
  'diff.reordered_one': 'One ticket only changed its place in its column.',
  'field.title': 'Title',
  'field.name': 'Name',
  'field.description': 'Description',
  'field.acceptance_criteria': 'Acceptance criteria',
  'field.priority': 'Priority',
  'field.labels': 'Labels',
  'field.due_at': 'Due',
  'field.checklist': 'Checklist',
  'field.evidence': 'Evidence',
  'field.depends_on': 'Waits for',
  'field.approval': 'Approval',
  'field.assignee': 'Assignee',
  'field.columns': 'Columns',
  'field.visibility': 'Visibility',
  'field.max_claims': 'Claims at once',
  'field.frozen': 'Frozen',
  'field.archived': 'Archived',
  'field.key': 'Key',

  // flow

  // settings

  // agents

  // account
};

const tables = { en };
const language = (navigator.languages ?? ['en']).map((l) => l.split('-')[0]).find((l) => tables[l]) ?? 'en';

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
