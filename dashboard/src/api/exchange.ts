/** Exports and imports: jobs of the server, whose state is asked for until they end. */
import { address, del, get, path, post, upload } from './client';
import { fileToken } from './files';

export type Format = 'csv' | 'jsonl';
export type Mode = 'create' | 'upsert';

export interface Exchange {
  id: string;
  state: 'waiting' | 'running' | 'done' | 'failed';
  collection: string;
  format: Format;
  /** Rows so far. */
  rows: number;
  size: number;
  error: string;
  /** Of an export: rows in all. */
  total?: number;
  /** Of an import: bytes so far. */
  position?: number;
  report?: { created: number; updated: number; failed: number; errors: { line: number; message: string }[] };
}

const ASKED_MS = 300;

async function ended(to: string, seen: (now: Exchange) => void, signal: AbortSignal): Promise<Exchange> {
  for (;;) {
    const now = await get<Exchange>(to, {}, signal);
    seen(now);
    if (now.state === 'done' || now.state === 'failed') return now;
    await new Promise((resolve) => setTimeout(resolve, ASKED_MS));
  }
}

export async function exported(
  asked: { collection: string; format: Format; filter: string },
  seen: (now: Exchange) => void,
  signal: AbortSignal,
): Promise<Exchange> {
  const begun = await post<Exchange>('/api/exports', asked, { signal });
  return ended(path`/api/exports/${begun.id}`, seen, signal);
}

/** Where the file of an export can be downloaded for a short while. */
export async function exportAddress(id: string): Promise<string> {
  return address(path`/api/exports/${id}/file`, { token: await fileToken() });
}

export async function imported(
  asked: { collection: string; format: Format; mode: Mode; file: Blob },
  sent: (part: number) => void,
  seen: (now: Exchange) => void,
  signal: AbortSignal,
): Promise<Exchange> {
  const form = new FormData();
  form.append('collection', asked.collection);
  form.append('format', asked.format);
  form.append('mode', asked.mode);
  form.append('file', asked.file, `import.${asked.format}`);
  const begun = await upload<Exchange>('POST', '/api/imports', form, sent, { signal });
  return ended(path`/api/imports/${begun.id}`, seen, signal);
}

/** Ends a job that is not wanted any more, and removes what it made. */
export const removeExport = (id: string): Promise<void> => del(path`/api/exports/${id}`);
