/** The log of all processes, the audit log and business figures: see docs/insight-api.md. */
import { get, patch, path } from './client';
import type { Page, Values } from './types';

export interface LogEntry {
  id: string;
  created: string;
  level: number;
  message: string;
  data: Values;
}

export interface ListQuery {
  filter: string;
  sort?: string;
  page: number;
  perPage: number;
  fields?: string;
}

async function items<T>(to: string, query: ListQuery, signal?: AbortSignal): Promise<T[]> {
  return (await get<Page<T>>(to, { ...query, skipTotal: true }, signal)).items;
}
async function total(to: string, filter: string, signal?: AbortSignal): Promise<number> {
  return (await get<Page<unknown>>(to, { page: 1, perPage: 1, filter, fields: 'id' }, signal)).totalItems;
}

export const logs = (query: ListQuery, signal?: AbortSignal): Promise<LogEntry[]> => items('/api/logs', query, signal);
export const logCount = (filter: string, signal?: AbortSignal): Promise<number> => total('/api/logs', filter, signal);
export const log = (id: string, signal?: AbortSignal): Promise<LogEntry> => get(path`/api/logs/${id}`, {}, signal);
/** How many entries there are in each hour that has any. */
export const logHours = (filter: string, signal?: AbortSignal): Promise<{ date: string; total: number }[]> =>
  get('/api/logs/stats', { filter }, signal);

export interface TraceItem extends LogEntry {
  source: 'node' | 'door';
  node: string;
}
export interface Trace {
  requestId: string;
  items: TraceItem[];
  doors: { name: string; state: 'answered' | 'off' | 'silent' }[];
}
export const trace = (requestId: string, signal?: AbortSignal): Promise<Trace> => get(path`/api/logs/trace/${requestId}`, {}, signal);

export interface AuditEntry {
  id: string;
  created: string;
  actor: string;
  email: string;
  ip: string;
  request: string;
  node: string;
  action: string;
  collection: string;
  target: string;
  outcome: 'done' | 'failed' | 'begun';
  detail: string;
  status: number;
  changes: Record<string, { before?: unknown; after?: unknown } | boolean>;
}
export const audits = (query: ListQuery, signal?: AbortSignal): Promise<AuditEntry[]> => items('/api/audit', query, signal);
export const auditCount = (filter: string, signal?: AbortSignal): Promise<number> => total('/api/audit', filter, signal);

export interface Insights {
  collection: string;
  enabled: boolean;
  computed: string;
  today: string;
  total: number;
  active: { day: number; week: number; month: number };
  days: { day: string; active: number; week: number; month: number; new: number | null }[];
  cohorts: { week: string; size: number; back: number[] }[];
}
export const insights = (query: { collection: string; days: number }, signal?: AbortSignal): Promise<Insights> =>
  get('/api/insights', query, signal);
export const turnInsightsOn = (): Promise<unknown> => patch('/api/settings/insight', { insights: { enabled: true } });
