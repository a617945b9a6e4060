/** What this server calls itself and how it is told from others; read once for everybody who is signed in, and again when
 * somebody sets it. */
import { get } from '../api/client';

interface Meta {
  appName: string;
  accentColor: string;
  hideControls: boolean;
}

const COLOR = /^#[0-9a-f]{6}$/i;

class Server {
  name = $state('Pando');
  /** Empty where none is set. */
  color = $state('');
  /** Whether controls that change collections are to be hidden. */
  hidesControls = $state(false);

  load = async (): Promise<void> => {
    // Without it the dashboard works as well.
    const read = await get<{ meta: Meta }>('/api/settings', { fields: 'meta' }).catch(() => null);
    if (read) this.take(read.meta);
  };

  take(meta: Meta): void {
    this.name = meta.appName;
    this.color = COLOR.test(meta.accentColor) ? meta.accentColor : '';
    this.hidesControls = meta.hideControls;
  }
}

export const server = new Server();
