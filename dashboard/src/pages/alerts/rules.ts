/** How rules are called and how their values are written. Shares are entered as percents. */
import type { AlertKind, Rule } from '../../api/alerts';
import { number, t } from '../../i18n/index.svelte';
import { seconds } from '../system/figures';

const SHARES: AlertKind[] = ['error_rate', 'disk_free'];
const SPANS: AlertKind[] = ['latency_p99', 'replica_lag', 'queue_age'];
/** They fire below their threshold; the others above. */
const BELOW: AlertKind[] = ['disk_free', 'certificate_expires'];

export const isShare = (kind: AlertKind): boolean => SHARES.includes(kind);
export const nameOf = (rule: Rule): string => rule.name || t(`alerts.kind.${rule.kind}`);

export function valueOf(kind: AlertKind, value: number): string {
  if (isShare(kind)) return number(value, { style: 'percent', maximumFractionDigits: 1 });
  if (SPANS.includes(kind)) return seconds(value);
  if (kind === 'certificate_expires') return number(value, { style: 'unit', unit: 'day', unitDisplay: 'long', maximumFractionDigits: 0 });
  return number(value);
}

export function thresholdOf(rule: Rule): string {
  if (rule.kind === 'backup_failed') return '–';
  const sign = BELOW.includes(rule.kind) ? '<' : rule.kind === 'node_lost' ? '≥' : '>';
  return `${sign} ${valueOf(rule.kind, rule.threshold)}`;
}

/** What a new rule of a kind begins with. */
export const USUAL: Record<AlertKind, { threshold: number; forSeconds: number }> = {
  error_rate: { threshold: 0.05, forSeconds: 300 },
  latency_p99: { threshold: 1, forSeconds: 300 },
  replica_lag: { threshold: 10, forSeconds: 120 },
  disk_free: { threshold: 0.1, forSeconds: 60 },
  queue_age: { threshold: 300, forSeconds: 300 },
  node_lost: { threshold: 1, forSeconds: 60 },
  backup_failed: { threshold: 1, forSeconds: 0 },
  certificate_expires: { threshold: 14, forSeconds: 0 },
};
