// Copying a text. Browsers keep the clipboard from pages that came over plain http; an
// older way works there.
import { say, toast } from '../lib/parts.js';
import { t } from '../lib/strings.js';

// copyText copies, and says so; false where the browser does not let it.
export async function copyText(text, done = t('app.copied')) {
  let copied = false;
  try {
    await navigator.clipboard.writeText(text);
    copied = true;
  } catch {
    const focus = document.activeElement;
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'unseen';
    document.body.append(area);
    area.select();
    copied = document.execCommand('copy');
    area.remove();
    focus?.focus?.();
  }
  if (copied) say(done);
  else toast(t('time.no_copy'), { kind: 'red' });
  return copied;
}
