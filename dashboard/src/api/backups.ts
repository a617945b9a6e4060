/** Backups: made, brought, fetched, put in the place of the data. */
import { address, del, get, path, post, upload as send } from './client';
import { fileToken } from './files';

export interface Backup {
  key: string;
  size: number;
  modified: string;
}

/** What goes on in the process that answers, and what can be done there. */
export interface Progress {
  busy: {
    doing: 'backup' | 'restore';
    name: string;
    since: string;
    phase: 'copying' | 'packing' | 'storing' | 'fetching' | 'unpacking' | 'verifying' | 'restarting';
    /** Bytes; 0 where nobody counts them. */
    done: number;
    total: number;
  } | null;
  canRestore: boolean;
  canKeep: boolean;
}

export const all = (signal?: AbortSignal): Promise<Backup[]> => get('/api/backups', {}, signal);
export const progress = (signal?: AbortSignal): Promise<Progress> => get('/api/system/backup', {}, signal);
/** Answers when the backup is made. */
export const create = (name: string): Promise<void> => post('/api/backups', { name });
export const remove = (key: string): Promise<void> => del(path`/api/backups/${key}`);
/** Answers when the server is about to start anew. */
export const restore = (key: string): Promise<void> => post(path`/api/backups/${key}/restore`);

export const download = async (key: string): Promise<string> => address(path`/api/backups/${key}`, { token: await fileToken() });

export function upload(file: File, sent: (part: number) => void, signal: AbortSignal): Promise<void> {
  const form = new FormData();
  form.append('file', file);
  return send('POST', '/api/backups/upload', form, sent, { signal });
}
