/** From what is typed and chosen to a filter of the API. */
import type { LogEntry } from '../../api/insight';

const OPERATOR = /(\?|&&|\|\||[=~<>]|!=|!~)/;
const SEARCHED = ['message', 'data.url', 'data.requestId', 'data.error', 'data.userIP', 'data.auth'];
export const LEVELS = [
  { level: -4, name: 'debug' },
  { level: 0, name: 'info' },
  { level: 4, name: 'warn' },
  { level: 8, name: 'error' },
] as const;
export const METHODS = ['GET', 'POST', 'PATCH', 'PUT', 'DELETE'];

export interface Chosen {
  text: string;
  status: string;
  method: string;
  level: string;
  node: string;
  from: string;
  to: string;
}

/** A filter as it is, or words as a search. */
export function searched(text: string, fields: string[]): string {
  const words = text.trim();
  if (!words || OPERATOR.test(words)) return words;
  const quoted = JSON.stringify(words);
  return fields.map((field) => `${field} ~ ${quoted}`).join(' || ');
}

export function filterOf(chosen: Chosen): string {
  const text = searched(chosen.text, SEARCHED);
  const status = Number(chosen.status);
  const parts = [
    text && `(${text})`,
    status && `data.status >= ${status * 100} && data.status < ${status * 100 + 100}`,
    chosen.method && `data.method = ${JSON.stringify(chosen.method)}`,
    chosen.level !== '' && `level >= ${Number(chosen.level)}`,
    chosen.node && `data.node = ${JSON.stringify(chosen.node)}`,
    chosen.from && `created >= ${JSON.stringify(chosen.from)}`,
    chosen.to && `created <= ${JSON.stringify(chosen.to)}`,
  ];
  return parts.filter(Boolean).join(' && ');
}

/** A moment as the API writes it. */
export const stamp = (ms: number): string => new Date(ms).toISOString().replace('T', ' ');
export const moment = (text: string): number => Date.parse(text.replace(' ', 'T'));

export type Tone = 'plain' | 'info' | 'good' | 'warn' | 'bad';
export function levelOf(level: number): { name: (typeof LEVELS)[number]['name']; tone: Tone } {
  if (level >= 8) return { name: 'error', tone: 'bad' };
  if (level >= 4) return { name: 'warn', tone: 'warn' };
  if (level >= 0) return { name: 'info', tone: 'info' };
  return { name: 'debug', tone: 'plain' };
}

export function statusTone(status: number): Tone {
  if (status >= 500) return 'bad';
  if (status >= 400) return 'warn';
  return status >= 300 ? 'info' : 'good';
}

export function text(entry: LogEntry, name: string): string {
  const value = entry.data[name];
  return value === undefined || value === null ? '' : String(value);
}
/** How long a request took (ms), as a node or a front door counted it. */
export function took(entry: LogEntry): number | null {
  const value = entry.data.execTime ?? entry.data.duration_ms;
  return typeof value === 'number' ? value : null;
}
