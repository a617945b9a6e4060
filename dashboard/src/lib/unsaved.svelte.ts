/** Asks before changes are lost that nobody saved: by leaving the page, closing the tab, or closing a form. */
import { confirm } from '../ui/confirm.svelte';
import { t } from '../i18n/index.svelte';

const guards = new Set<() => boolean>();

/** Registers a question while a form is shown; call it in an effect: `$effect(() => guard(() => changed))`. */
export function guard(isChanged: () => boolean): () => void {
  guards.add(isChanged);
  return () => guards.delete(isChanged);
}

export function hasUnsaved(): boolean {
  return [...guards].some((isChanged) => isChanged());
}

/** Whether it is all right to go on. */
export async function mayLeave(isChanged: boolean = hasUnsaved()): Promise<boolean> {
  if (!isChanged) return true;
  return confirm({
    title: t('unsaved.title'),
    text: t('unsaved.text'),
    yes: t('unsaved.leave'),
    no: t('unsaved.stay'),
    danger: true,
  });
}

window.addEventListener('beforeunload', (event) => {
  if (hasUnsaved()) event.preventDefault();
});
