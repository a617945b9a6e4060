/** What figures are called and how they are written, and which of them say most of an element. */
import type { ElementKind, Figures, Part } from '../../api/system';
import { bytes, number, t, type Key } from '../../i18n/index.svelte';

export type Unit = '' | '1/s' | 's' | 'bytes' | 'bytes/s' | 'ratio' | 'cores';

/** Every figure that has words; others are shown by their own name. */
export const FIGURES: Record<string, { label: Key; unit: Unit }> = {
  ping: { label: 'figure.ping', unit: 's' },
  'http.requests': { label: 'figure.requests', unit: '1/s' },
  'http.errors': { label: 'figure.errors', unit: '1/s' },
  'http.refused': { label: 'figure.refused', unit: '1/s' },
  'http.errorRate': { label: 'figure.errorRate', unit: 'ratio' },
  'http.p50': { label: 'figure.p50', unit: 's' },
  'http.p99': { label: 'figure.p99', unit: 's' },
  'http.inFlight': { label: 'figure.inFlight', unit: '' },
  'http.connections': { label: 'figure.connections', unit: '' },
  'store.operations': { label: 'figure.operations', unit: '1/s' },
  'store.p50': { label: 'figure.storeP50', unit: 's' },
  'store.p99': { label: 'figure.storeP99', unit: 's' },
  'store.errors': { label: 'figure.storeErrors', unit: '1/s' },
  'store.connections': { label: 'figure.storeConnections', unit: '' },
  'store.connectionsMax': { label: 'figure.storeConnectionsMax', unit: '' },
  'store.connectionsWaiting': { label: 'figure.storeWaiting', unit: '' },
  'store.writesWaiting': { label: 'figure.writesWaiting', unit: '' },
  'store.bytes': { label: 'figure.storeBytes', unit: 'bytes' },
  'store.walBytes': { label: 'figure.walBytes', unit: 'bytes' },
  'replica.lag': { label: 'figure.replicaLag', unit: 's' },
  'cache.hits': { label: 'figure.hits', unit: 'ratio' },
  'cache.bytes': { label: 'figure.cacheBytes', unit: 'bytes' },
  'cache.bytesMax': { label: 'figure.cacheBytesMax', unit: 'bytes' },
  'tier.hits': { label: 'figure.tierHits', unit: 'ratio' },
  'tier.p99': { label: 'figure.tierP99', unit: 's' },
  'tier.open': { label: 'figure.tierOpen', unit: '' },
  'bus.connected': { label: 'figure.busConnected', unit: '' },
  'bus.published': { label: 'figure.published', unit: '1/s' },
  'bus.p99': { label: 'figure.busP99', unit: 's' },
  'realtime.clients': { label: 'figure.clients', unit: '' },
  'realtime.events': { label: 'figure.events', unit: '1/s' },
  'jobs.done': { label: 'figure.jobsDone', unit: '1/s' },
  'jobs.failed': { label: 'figure.jobsFailed', unit: '1/s' },
  'jobs.running': { label: 'figure.jobsRunning', unit: '' },
  'jobs.due': { label: 'figure.jobsDue', unit: '' },
  'jobs.oldest': { label: 'figure.jobsOldest', unit: 's' },
  'jobs.dead': { label: 'figure.jobsDead', unit: '' },
  'front.requests': { label: 'figure.requests', unit: '1/s' },
  'front.errors': { label: 'figure.errors', unit: '1/s' },
  'front.connections': { label: 'figure.connections', unit: '' },
  'front.p50': { label: 'figure.p50', unit: 's' },
  'front.p99': { label: 'figure.p99', unit: 's' },
  'front.nodesUp': { label: 'figure.nodesUp', unit: '' },
  'front.nodesDown': { label: 'figure.nodesDown', unit: '' },
  'front.retries': { label: 'figure.retries', unit: '1/s' },
  'front.certificate': { label: 'figure.certificate', unit: 's' },
  'edge.hits': { label: 'figure.hits', unit: 'ratio' },
  'edge.bytes': { label: 'figure.cacheBytes', unit: 'bytes' },
  'process.cpu': { label: 'figure.processCpu', unit: 'cores' },
  'process.memory': { label: 'figure.processMemory', unit: 'bytes' },
  'process.files': { label: 'figure.processFiles', unit: '' },
  'process.filesMax': { label: 'figure.processFilesMax', unit: '' },
  'process.lag': { label: 'figure.processLag', unit: 's' },
  'host.cpu': { label: 'figure.hostCpu', unit: 'ratio' },
  'host.cpus': { label: 'figure.hostCpus', unit: '' },
  'host.load': { label: 'figure.hostLoad', unit: '' },
  'host.memory': { label: 'figure.hostMemory', unit: 'bytes' },
  'host.memoryMax': { label: 'figure.hostMemoryMax', unit: 'bytes' },
  'host.diskFree': { label: 'figure.diskFree', unit: 'bytes' },
  'host.diskMax': { label: 'figure.diskMax', unit: 'bytes' },
  'host.files': { label: 'figure.hostFiles', unit: '' },
  'host.received': { label: 'figure.received', unit: 'bytes/s' },
  'host.sent': { label: 'figure.sent', unit: 'bytes/s' },
};

export const labelOf = (name: string): string => (FIGURES[name] ? t(FIGURES[name].label) : name);

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A span in the unit that people would choose. */
export function seconds(value: number): string {
  const size = Math.abs(value);
  const unit = (by: number, name: string) =>
    number(value / by, { style: 'unit', unit: name, unitDisplay: 'narrow', maximumFractionDigits: Math.abs(value / by) < 10 ? 1 : 0 });
  if (size === 0) return unit(1, 'second');
  if (size < 0.001) return `${number(value * 1e6, { maximumFractionDigits: 0 })} µs`;
  if (size < 1) return `${number(value * 1000, { maximumFractionDigits: size < 0.01 ? 1 : 0 })} ms`;
  if (size < 2 * MINUTE) return unit(1, 'second');
  if (size < 2 * HOUR) return unit(MINUTE, 'minute');
  if (size < 2 * DAY) return unit(HOUR, 'hour');
  return unit(DAY, 'day');
}

/** A figure with its unit, short enough for a card. */
export function written(value: number, unit: Unit | string): string {
  switch (unit) {
    case 's':
      return seconds(value);
    case 'bytes':
      return bytes(value);
    case 'bytes/s':
      return `${bytes(value)}/s`;
    case 'ratio':
      return number(value, { style: 'percent', maximumFractionDigits: value > 0 && value < 0.1 ? 1 : 0 });
    case '1/s':
      return t('figure.perSecond', { n: plain(value) });
    case 'cores':
      return t('figure.cores', { n: number(value, { maximumFractionDigits: value < 10 ? 2 : 0 }) });
    default:
      return plain(value);
  }
}

export function plain(value: number): string {
  if (Math.abs(value) >= 10_000) return number(value, { notation: 'compact', maximumFractionDigits: 1 });
  return number(value, { maximumFractionDigits: Math.abs(value) < 1 ? 2 : Math.abs(value) < 10 ? 1 : 0 });
}

export const figure = (name: string, value: number): string => written(value, FIGURES[name]?.unit ?? '');

/** What stands on a card, the most telling first; as many as there are figures for. */
const SHOWN: Record<ElementKind, string[]> = {
  edge: ['front.requests', 'edge.hits', 'front.p99', 'front.connections'],
  balancer: ['front.requests', 'front.p99', 'front.nodesUp', 'front.connections'],
  serve: ['http.requests', 'http.p99', 'process.cpu', 'process.memory'],
  web: ['http.requests', 'http.p99', 'process.cpu', 'process.memory'],
  worker: ['jobs.done', 'jobs.running', 'process.cpu', 'process.memory'],
  primary: ['store.operations', 'store.p99', 'store.connections', 'store.bytes', 'ping'],
  replica: ['replica.lag', 'store.operations', 'ping'],
  cache: ['tier.hits', 'cache.hits', 'tier.p99', 'cache.bytes', 'ping'],
  queue: ['jobs.due', 'jobs.oldest', 'jobs.done', 'jobs.dead'],
  bus: ['bus.published', 'realtime.clients', 'realtime.events', 'bus.p99', 'ping'],
  files: ['ping'],
};

export function telling(part: Part, most: number): [string, number][] {
  const found = SHOWN[part.kind].filter((name) => part.figures[name] !== undefined);
  return found.slice(0, most).map((name) => [name, part.figures[name] ?? 0]);
}

/** How much of what it has an element uses, 0 to 1; null where nobody can tell. */
export function load(part: Part): { of: Key; used: number } | null {
  const has = (name: string): number | undefined => part.figures[name];
  const share = (of: Key, value: number | undefined, most: number | undefined) =>
    value !== undefined && most ? { of, used: Math.min(1, value / most) } : null;
  switch (part.kind) {
    case 'primary':
      return share('figure.storeConnections', has('store.connections'), has('store.connectionsMax'));
    case 'cache':
      return share('figure.cacheBytes', has('cache.bytes'), has('cache.bytesMax'));
    default:
      return share('figure.processCpu', has('process.cpu'), has('host.cpus'));
  }
}

/** Series of a process that tell most of it over time. */
export function charted(figures: Figures, kind: ElementKind): string[][] {
  const all: Partial<Record<ElementKind, string[][]>> = {
    edge: [['front.requests', 'front.errors'], ['front.p50', 'front.p99'], ['edge.hits'], ['process.cpu'], ['process.memory']],
    balancer: [['front.requests', 'front.errors'], ['front.p50', 'front.p99'], ['front.nodesUp', 'front.nodesDown'], ['process.cpu']],
    primary: [['store.operations', 'store.errors'], ['store.p50', 'store.p99'], ['store.connections', 'store.connectionsWaiting'], ['store.bytes']],
    replica: [['replica.lag']],
    cache: [['cache.hits', 'tier.hits'], ['tier.p99'], ['cache.bytes']],
    queue: [['jobs.due', 'jobs.dead'], ['jobs.oldest'], ['jobs.done', 'jobs.failed']],
    bus: [['bus.published', 'realtime.events'], ['realtime.clients']],
    worker: [['jobs.done', 'jobs.failed'], ['jobs.running'], ['process.cpu'], ['process.memory']],
    files: [],
  };
  const web = [['http.requests', 'http.errors'], ['http.p50', 'http.p99'], ['process.cpu'], ['process.memory'], ['host.cpu'], ['host.diskFree']];
  return (all[kind] ?? web).filter((names) => !Object.keys(figures).length || names.some((name) => figures[name] !== undefined));
}
