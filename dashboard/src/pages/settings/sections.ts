/** The pages of the settings, in the order of the list at their side. */
import type { Key } from '../../i18n/index.svelte';
import type { IconName } from '../../ui/icons';

export const SECTIONS = [
  { id: 'application', href: '#/settings', icon: 'gear', label: 'settings.application' },
  { id: 'mail', href: '#/settings/mail', icon: 'mail', label: 'settings.mail' },
  { id: 'storage', href: '#/settings/storage', icon: 'folder', label: 'settings.storage' },
  { id: 'backups', href: '#/settings/backups', icon: 'backup', label: 'settings.backups' },
  { id: 'limits', href: '#/settings/rate-limits', icon: 'shield', label: 'settings.limits' },
  { id: 'crons', href: '#/settings/crons', icon: 'clock', label: 'settings.crons' },
  { id: 'logs', href: '#/settings/logs', icon: 'logs', label: 'settings.logs' },
  { id: 'superusers', href: '#/settings/superusers', icon: 'user', label: 'settings.superusers' },
] as const satisfies { id: string; href: string; icon: IconName; label: Key }[];

export type SectionId = (typeof SECTIONS)[number]['id'];
