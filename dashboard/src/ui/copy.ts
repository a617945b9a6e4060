import { t } from '../i18n/index.svelte';
import { done } from './toast.svelte';

/** Puts text into the clipboard, also where the page was not loaded over HTTPS. */
export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    const host = document.querySelector('dialog[open]') ?? document.body;
    host.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  done(t('ui.copied'));
}
