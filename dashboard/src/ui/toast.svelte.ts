/** Short notes on what happened. `Toaster` shows them. */
import { failure } from '../api/failure';
import { t } from '../i18n/index.svelte';

export interface Toast {
  id: number;
  kind: 'done' | 'error' | 'info';
  text: string;
}

const SHOWN_MS = { done: 3500, info: 5000, error: 9000 };
const TOASTS_MAX = 4;

class Toasts {
  all = $state<Toast[]>([]);
  private last = 0;

  show(kind: Toast['kind'], text: string): void {
    const id = ++this.last;
    this.all = [...this.all.slice(1 - TOASTS_MAX), { id, kind, text }];
    setTimeout(() => this.close(id), SHOWN_MS[kind]);
  }

  close(id: number): void {
    this.all = this.all.filter((toast) => toast.id !== id);
  }
}

export const toasts = new Toasts();

export const done = (text: string): void => toasts.show('done', text);
export const note = (text: string): void => toasts.show('info', text);

/** What went wrong in words; nothing for what the page itself gave up. */
export function wentWrong(error: unknown): void {
  const found = failure(error);
  if (found.kind === 'aborted' || found.kind === 'signedOut') return;
  toasts.show('error', explained(found));
}

/** A failure as a sentence for people. */
export function explained(error: unknown): string {
  const found = failure(error);
  if (found.kind === 'offline') return t('failure.offline');
  if (found.kind === 'tooMany') return t('failure.tooMany');
  const first = Object.entries(found.fields)[0];
  return first ? `${found.message} ${first[0]}: ${first[1].message}` : found.message;
}
