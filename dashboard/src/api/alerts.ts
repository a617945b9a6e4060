/** Alert rules, how they stand, and who is told: see docs/system-api.md. */
import { del, get, patch, path, post } from './client';

export const ALERTS = ['error_rate', 'latency_p99', 'replica_lag', 'disk_free', 'queue_age', 'node_lost', 'backup_failed', 'certificate_expires'] as const;
export type AlertKind = (typeof ALERTS)[number];
export type Severity = 'info' | 'warning' | 'critical';

export interface RuleForm {
  kind: AlertKind;
  name: string;
  threshold: number;
  forSeconds: number;
  severity: Severity;
  enabled: boolean;
}

export interface Rule extends RuleForm {
  id: string;
  builtin: boolean;
  state: { status: 'ok' | 'pending' | 'firing'; since: string; value: number | null; elements: string[]; notified: string };
}

export interface Receivers {
  superusers: boolean;
  emails: string[];
  webhooks: { url: string; secret?: string }[];
}

export const all = (signal?: AbortSignal): Promise<{ receivers: Receivers; rules: Rule[] }> => get('/api/alerts', {}, signal);
export const create = (rule: RuleForm): Promise<Rule> => post<Rule>('/api/alerts', rule);
export const change = (id: string, rule: Partial<RuleForm>): Promise<Rule> => patch<Rule>(path`/api/alerts/${id}`, rule);
export const remove = (id: string): Promise<void> => del(path`/api/alerts/${id}`);
/** With the secrets of the webhooks. */
export const receivers = (): Promise<Receivers> => get<Receivers>('/api/alerts/receivers');
export const changeReceivers = (to: Receivers): Promise<Receivers> => patch<Receivers>('/api/alerts/receivers', to);
export const test = async (): Promise<number> => (await post<{ count: number }>('/api/alerts/test')).count;
