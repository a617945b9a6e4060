/** What the navigation shows, in its order. */
import type { Key } from './i18n/index.svelte';
import type { IconName } from './ui/icons';

export type AreaId = 'collections' | 'system' | 'logs' | 'insights' | 'tools' | 'settings';

export interface Area {
  id: AreaId;
  href: string;
  icon: IconName;
  label: Key;
}

export const areas: Area[] = [
  { id: 'collections', href: '#/collections', icon: 'database', label: 'nav.collections' },
  { id: 'system', href: '#/system', icon: 'relation', label: 'nav.system' },
  { id: 'logs', href: '#/logs', icon: 'logs', label: 'nav.logs' },
  { id: 'insights', href: '#/insights', icon: 'chart', label: 'nav.insights' },
  { id: 'tools', href: '#/tools/sql', icon: 'terminal', label: 'nav.tools' },
  { id: 'settings', href: '#/settings', icon: 'gear', label: 'nav.settings' },
];
