import type { AuditEntry } from '../../api/insight';

export const outcomeTone = (outcome: AuditEntry['outcome']): 'good' | 'bad' | 'plain' =>
  outcome === 'done' ? 'good' : outcome === 'failed' ? 'bad' : 'plain';
