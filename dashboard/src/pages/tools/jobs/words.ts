/** What jobs are called. */
import type { Job, JobState } from '../../../api/jobs';
import { i18n, t, type Key } from '../../../i18n/index.svelte';

export const TONES: Record<JobState, 'plain' | 'info' | 'good' | 'bad'> = { waiting: 'info', running: 'good', delayed: 'plain', dead: 'bad' };

function named(key: string, otherwise: string): string {
  return key in i18n.texts ? t(key as Key) : otherwise;
}

export const queueName = (name: string): string => named(`jobs.queue.${name}`, name);

/** Whom a mail is for, wherever its kind holds that. */
function addressee(mail: unknown): string {
  if (!mail || typeof mail !== 'object') return '';
  const found = (mail as { email?: unknown }).email;
  if (typeof found === 'string') return found;
  return Object.values(mail).map(addressee).find(Boolean) ?? '';
}

/** What it does, and about what as far as that is short. */
export function kindOf(job: Job): { name: string; about: string } {
  const payload = (job.payload ?? {}) as Record<string, unknown>;
  const kind = typeof payload.kind === 'string' ? payload.kind : '';
  const about = [payload.id, payload.collection, payload.record, addressee(payload.mail)].filter((one) => one && typeof one === 'string').join(' / ');
  return { name: kind ? named(`jobs.kind.${kind}`, kind) : t('jobs.kind.unknown'), about };
}
