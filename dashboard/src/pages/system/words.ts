/** States, reasons, events and bottlenecks in words. Codes that are not known yet are shown as they are. */
import type { Bottleneck, Part, SystemEvent } from '../../api/system';
import { i18n, t, number, type Key } from '../../i18n/index.svelte';
import { figure, labelOf } from './figures';

function known(key: string): Key | null {
  return key in i18n.texts ? (key as Key) : null;
}

export function word(prefix: string, code: string, values: Record<string, string | number> = {}): string {
  const key = known(`${prefix}.${code}`);
  return key ? t(key, values) : code;
}

export const kindOf = (part: Part): string => word('system.kind', part.kind);
export const stateOf = (part: Part): string => word('system.state', part.state);
export const whyOf = (part: Part): string => (part.why ? word('system.why', part.why) : '');

/** Below this share of its bound, nothing is worth a word. */
const WORTH = 0.5;

export function bottleneckText(found: Bottleneck | null, parts: Part[]): { tone: 'calm' | 'warn' | 'bad'; title: string; text: string } {
  const part = parts.find((one) => one.id === found?.element);
  if (!found || !part) return { tone: 'calm', title: t('system.noBottleneck'), text: t('system.noFigures') };
  const figures = Object.entries(found.figures).map(([name, value]) => `${labelOf(name)}: ${figure(name, value)}`).join(' · ');
  if (found.code === 'down') {
    return { tone: 'bad', title: t('system.bottleneck.down', { name: part.name, kind: kindOf(part) }), text: whyOf(part) };
  }
  const what = word('system.code', found.code);
  const used = number(found.used, { style: 'percent', maximumFractionDigits: 0 });
  if (found.used < WORTH) return { tone: 'calm', title: t('system.noBottleneck'), text: t('system.nearest', { what, name: part.name, used }) };
  const title = t(found.used >= 1 ? 'system.bottleneck.over' : 'system.bottleneck.near', { what, name: part.name, used });
  return { tone: found.used >= 0.9 ? 'bad' : 'warn', title, text: figures };
}

/** What happened, as a sentence's beginning, and about whom. */
export function eventText(event: SystemEvent): { title: string; about: string; tone: 'good' | 'warn' | 'bad' | 'plain' } {
  const { detail } = event;
  const text = (name: string): string => {
    const value = detail[name];
    if (Array.isArray(value)) return value.join(', ');
    return value === undefined || value === null ? '' : String(value);
  };
  const tones: Record<string, 'good' | 'warn' | 'bad'> = {
    'node.came': 'good',
    'node.lost': 'bad',
    'database.failover': 'bad',
    'replica.in': 'good',
    'replica.out': 'warn',
    'backup.done': 'good',
    'backup.failed': 'bad',
    'alert.fired': text('severity') === 'critical' ? 'bad' : 'warn',
    'alert.resolved': 'good',
  };
  const changed = (['added', 'removed', 'changed'] as const)
    .filter((name) => text(name))
    .map((name) => `${t(`system.schema.${name}`)}: ${text(name)}`);
  const about: Record<string, string> = {
    'database.failover': `${text('from')} → ${text('to')}`,
    'schema.changed': changed.join(' · '),
    'settings.changed': '',
    'backup.done': text('name'),
    'backup.failed': [text('name'), text('error')].filter(Boolean).join(': '),
    'data.moved': text('engine'),
    'edge.purged': detail.all ? t('system.purgedAll') : text('named'),
    'alert.fired': [word('alerts.kind', text('kind')), text('elements')].filter(Boolean).join(': '),
    'alert.resolved': word('alerts.kind', text('kind')),
  };
  return {
    title: word('system.event', event.kind),
    about: about[event.kind] ?? (text('name') || event.element.replace(/^database:/, '')),
    tone: tones[event.kind] ?? 'plain',
  };
}

/** Whether an event is about an element; processes are named by their key. */
export function isAbout(event: SystemEvent, part: Part): boolean {
  const key = part.id.slice(part.id.indexOf(':') + 1);
  if (event.element === part.id || event.element === key || event.detail.name === part.name) return true;
  const elements = event.detail.elements;
  return Array.isArray(elements) && elements.includes(part.id);
}
