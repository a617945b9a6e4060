/** How webhooks and their deliveries stand, in colours. */
import type { Delivery, DeliveryState, Webhook } from '../../../api/webhooks';

export type Tone = 'plain' | 'good' | 'info' | 'warn' | 'bad';
export type Standing = 'on' | 'failing' | 'off' | 'switchedOff';

export function standingOf(webhook: Webhook): Standing {
  if (!webhook.enabled) return webhook.disabledReason ? 'switchedOff' : 'off';
  return webhook.failingSince ? 'failing' : 'on';
}

export const STANDING_TONES: Record<Standing, Tone> = { on: 'good', failing: 'warn', off: 'plain', switchedOff: 'bad' };
const DELIVERY_TONES: Record<DeliveryState, Tone> = { pending: 'info', delivered: 'good', failed: 'bad' };
/** One that waits to be tried again is not well. */
export const deliveryTone = (delivery: Delivery): Tone =>
  delivery.state === 'pending' && delivery.error ? 'warn' : DELIVERY_TONES[delivery.state];

export const nameOf = (webhook: Webhook): string => webhook.name || webhook.url;

/** An error without the address, which everybody knows here. */
export const inShort = (error: string): string => error.replace(/^error sending request for url \([^)]*\): /, '');
