/** Every page: its address, and the chunk that it comes in. A new page is one line here, and one in `areas.ts` if the
 * navigation leads to it. */
import type { Component } from 'svelte';

import type { AreaId } from './areas';

export interface Route {
  pattern: string;
  /** The page is given the values of the pattern as properties. */
  page: () => Promise<{ default: Component<Record<string, string>> }>;
  area?: AreaId;
  /** Shown to whoever comes, without navigation. */
  open?: boolean;
}

type Loaded = { default: Component<Record<string, string>> };
/** Pages declare what they need; the pattern brings it. */
const page = (load: () => Promise<unknown>) => load as () => Promise<Loaded>;

export const routes: Route[] = [
  { pattern: '/pbinstall/:token', page: page(() => import('./pages/entry/Install.svelte')), open: true },
  { pattern: '/auth/:action', page: page(() => import('./pages/entry/Returned.svelte')), open: true },
  { pattern: '/auth/:action/:token', page: page(() => import('./pages/entry/Confirm.svelte')), open: true },
  { pattern: '/', page: page(() => import('./pages/records/Start.svelte')), area: 'collections' },
  { pattern: '/collections', page: page(() => import('./pages/records/Start.svelte')), area: 'collections' },
  { pattern: '/collections/:name', page: page(() => import('./pages/records/Records.svelte')), area: 'collections' },
  { pattern: '/system', page: page(() => import('./pages/system/System.svelte')), area: 'system' },
  { pattern: '/system/charts', page: page(() => import('./pages/system/Charts.svelte')), area: 'system' },
  { pattern: '/system/alerts', page: page(() => import('./pages/alerts/Alerts.svelte')), area: 'system' },
  { pattern: '/logs', page: page(() => import('./pages/logs/Logs.svelte')), area: 'logs' },
  { pattern: '/logs/audit', page: page(() => import('./pages/audit/Audit.svelte')), area: 'logs' },
  { pattern: '/insights', page: page(() => import('./pages/insights/Insights.svelte')), area: 'insights' },
  { pattern: '/collections/:name/schema', page: page(() => import('./pages/schema/Editor.svelte')), area: 'collections' },
  { pattern: '/schema', page: page(() => import('./pages/schema/Exchange.svelte')), area: 'collections' },
  { pattern: '/schema/new', page: page(() => import('./pages/schema/New.svelte')), area: 'collections' },
  { pattern: '/tools/sql', page: page(() => import('./pages/tools/sql/Sql.svelte')), area: 'tools' },
  { pattern: '/tools/realtime', page: page(() => import('./pages/tools/realtime/Realtime.svelte')), area: 'tools' },
  { pattern: '/tools/jobs', page: page(() => import('./pages/tools/jobs/Jobs.svelte')), area: 'tools' },
  { pattern: '/tools/queues', page: page(() => import('./pages/tools/queues/Queues.svelte')), area: 'tools' },
  { pattern: '/tools/queues/:stream', page: page(() => import('./pages/tools/queues/Stream.svelte')), area: 'tools' },
  { pattern: '/tools/webhooks', page: page(() => import('./pages/tools/webhooks/Webhooks.svelte')), area: 'tools' },
  { pattern: '/tools/webhooks/:id', page: page(() => import('./pages/tools/webhooks/Webhook.svelte')), area: 'tools' },
  { pattern: '/settings', page: page(() => import('./pages/settings/Application.svelte')), area: 'settings' },
  { pattern: '/settings/mail', page: page(() => import('./pages/settings/Mail.svelte')), area: 'settings' },
  { pattern: '/settings/storage', page: page(() => import('./pages/settings/Storage.svelte')), area: 'settings' },
  { pattern: '/settings/backups', page: page(() => import('./pages/settings/Backups.svelte')), area: 'settings' },
  { pattern: '/settings/rate-limits', page: page(() => import('./pages/settings/RateLimits.svelte')), area: 'settings' },
  { pattern: '/settings/crons', page: page(() => import('./pages/settings/Crons.svelte')), area: 'settings' },
  { pattern: '/settings/logs', page: page(() => import('./pages/settings/Logs.svelte')), area: 'settings' },
  { pattern: '/settings/superusers', page: page(() => import('./pages/settings/Superusers.svelte')), area: 'settings' },
];
